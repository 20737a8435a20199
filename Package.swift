// swift-tools-version: 6.2
import PackageDescription

/// Settings of every target of our own: Swift 6 mode, strict about imports, and no warning is let through.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// The generated protobuf code is not ours to mend, so it is held to the language mode only.
let generatedSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let sqlite: Target.Dependency = .product(name: "GRDBSQLite", package: "GRDB.swift")
let configuration: Target.Dependency = .product(name: "Configuration", package: "swift-configuration")
let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "hansa",
    products: [
        .executable(name: "hansa", targets: ["hansa"]),
        .executable(name: "hansa-sim", targets: ["hansa-sim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    ],
    targets: [
        // System libraries.
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Pure: values in, values out.
        .target(
            name: "Wire",
            dependencies: [protobuf],
            exclude: ["Protos"],
            swiftSettings: generatedSettings
        ),
        .target(name: "Catalog", dependencies: [collections], swiftSettings: settings),
        .target(name: "Schema", dependencies: ["Catalog"], swiftSettings: settings),
        .target(name: "DeltaLog", dependencies: ["Catalog", "Wire", protobuf], swiftSettings: settings),
        .target(
            name: "Governance",
            dependencies: ["DeltaLog", "Catalog", "Wire", protobuf],
            swiftSettings: settings
        ),
        .target(
            name: "Gossip",
            dependencies: ["Governance", "DeltaLog", "Catalog", "Wire", protobuf, collections],
            swiftSettings: settings
        ),

        // Files in and out.
        .target(name: "Interchange", dependencies: ["Schema", "Catalog", "CZlib"], swiftSettings: settings),

        // The world: disk, cryptography, network.
        .target(
            name: "Store",
            dependencies: ["Governance", "DeltaLog", "Schema", "Catalog", grdb, sqlite],
            swiftSettings: settings
        ),
        .target(name: "OpenSSLKit", dependencies: ["COpenSSL"], swiftSettings: settings),
        .target(name: "Transport", dependencies: ["OpenSSLKit", nioCore, nioPosix], swiftSettings: settings),

        // Where they meet: one organization's copy, its exchange with peers, and what users ask of both.
        .target(
            name: "Replica",
            dependencies: [
                "Catalog", "Schema", "Wire", "DeltaLog", "Governance", "Store", "Interchange", "OpenSSLKit", protobuf,
                configuration, systemPackage,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "PeerService",
            dependencies: [
                "Replica", "Gossip", "Transport", "Catalog", "Wire", "DeltaLog", "Governance", "Store", "OpenSSLKit",
                protobuf, logging, lifecycle,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Commands",
            dependencies: [
                "PeerService", "Replica", "Interchange", "Gossip", "Transport", "Catalog", "Schema", "DeltaLog",
                "Governance", "Store",
            ],
            swiftSettings: settings
        ),

        // How users reach them.
        .target(
            name: "Server",
            dependencies: [
                "Commands", "PeerService", "Replica", "Transport", hummingbird, hummingbirdCore, nioCore, nioHTTP1,
                logging,
                lifecycle,
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Client",
            dependencies: ["Commands", "Replica", "Transport", nioCore, nioPosix, nioHTTP1],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "hansa",
            dependencies: [
                "Client", "Server", "Commands", "PeerService", "Replica", argumentParser, logging, lifecycle, signals,
            ],
            swiftSettings: settings
        ),

        // Beside: virtual time, network and disks for the engine, and real nodes measured.
        .target(
            name: "Simulator",
            dependencies: ["Gossip", "Governance", "DeltaLog", "Catalog", "Wire", "OpenSSLKit", protobuf],
            swiftSettings: settings
        ),
        .executableTarget(name: "hansa-sim", dependencies: ["Simulator", argumentParser], swiftSettings: settings),
        .executableTarget(
            name: "hansa-fuzz",
            dependencies: [
                "PeerService", "Replica", "Store", "Gossip", "Governance", "DeltaLog", "Catalog", "Wire", "Simulator",
                "TestSupport", protobuf,
                argumentParser,
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "hansa-bench",
            dependencies: [
                "Client", "Commands", "PeerService", "Replica", "OpenSSLKit", "Simulator", "Store", "TestSupport",
                argumentParser, sqlite,
            ],
            swiftSettings: settings
        ),

        // Tests.
        .target(
            name: "TestSupport",
            dependencies: [
                "Catalog", "DeltaLog", "Governance", "Gossip", "PeerService", "Replica", "OpenSSLKit", "Simulator",
                "Wire",
                protobuf,
            ],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .testTarget(
            name: "CatalogTests",
            dependencies: ["Catalog", "Simulator", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SchemaTests",
            dependencies: ["Schema", "Catalog"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "DeltaLogTests",
            dependencies: ["Catalog", "DeltaLog", "Governance", "Wire", "Simulator", "TestSupport", protobuf],
            swiftSettings: settings
        ),
        .testTarget(
            name: "GossipTests",
            dependencies: [
                "Catalog", "DeltaLog", "Governance", "Gossip", "Wire", "Simulator", "TestSupport", protobuf,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SimulatorTests",
            dependencies: ["hansa-sim", "Catalog", "DeltaLog", "Governance", "Gossip", "Simulator", "TestSupport"],
            exclude: ["seeds.txt"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "StoreTests",
            dependencies: [
                "Catalog", "Schema", "DeltaLog", "Governance", "Store", "Simulator", "TestSupport", grdb, sqlite,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "InterchangeTests",
            dependencies: ["Interchange", "Schema", "Catalog", "CZlib"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "OpenSSLKitTests",
            dependencies: ["OpenSSLKit", "COpenSSL"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "TransportTests",
            dependencies: ["Transport", "OpenSSLKit", "Simulator", "TestSupport", nioCore, nioPosix, nioEmbedded],
            swiftSettings: settings
        ),
        .testTarget(
            name: "NodeTests",
            dependencies: [
                "Commands", "PeerService", "Replica", "Catalog", "DeltaLog", "Governance", "Gossip", "OpenSSLKit",
                "Simulator", "Store", "TestSupport", "Wire",
                protobuf,
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "FuzzTests", dependencies: ["hansa-fuzz", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "ConsoleTests",
            dependencies: ["hansa", "Commands", "Replica", "Server", "TestSupport", logging],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ProcessTests",
            dependencies: [
                "hansa", "hansa-bench", "Catalog", "DeltaLog", "Governance", "Gossip", "Commands", "PeerService",
                "Replica", "OpenSSLKit", "Simulator",
                "TestSupport", "Wire",
                protobuf, sqlite,
            ],
            exclude: ["kill-seeds.txt"],
            swiftSettings: settings
        ),
    ]
)
