import Configuration
import DeltaLog
import Foundation
import SystemPackage

/// What an operator may set: by a flag, else by `HANSA_…` in the environment, else in `config.json` of the data folder.
package struct Settings: Codable, Hashable, Sendable {
    /// Where the node listens: `HOST:PORT`. Default: ``defaultListen``.
    package var listen: String
    /// Where others shall dial it, `HOST:PORT` each; empty means where it listens.
    package var advertise: [String]

    /// Loopback, and a port that spells HANS on a telephone: a node is not exposed by accident.
    package static let defaultListen = "127.0.0.1:4267"

    package init(listen: String = defaultListen, advertise: [String] = []) {
        self.listen = listen
        self.advertise = advertise
    }

    /// Reads the settings of a folder.
    ///
    /// - Parameter flags: What the command line said, by the names of the properties.
    package static func load(_ folder: DataFolder, flags: Settings.Flags = Flags()) async throws -> Settings {
        var providers: [any ConfigProvider] = [EnvironmentVariablesProvider().prefixKeys(with: "hansa")]
        if FileManager.default.fileExists(atPath: folder.configuration) {
            do {
                // The reader passes over a value of the wrong type; here it is said.
                _ = try JSONDecoder().decode(Shape.self, from: Data(folder.read(folder.configuration) ?? []))
                providers.append(try await FileProvider<JSONSnapshot>(filePath: FilePath(folder.configuration)))
            } catch {
                throw HansaError(
                    .usage,
                    "\(folder.configuration) is not JSON of settings (\"listen\": \"HOST:PORT\", "
                        + "\"advertise\": [\"HOST:PORT\"]); mend or delete it"
                )
            }
        }
        let reader = ConfigReader(providers: providers)
        let settings = Settings(
            listen: flags.listen ?? reader.string(forKey: "listen", default: defaultListen),
            advertise: flags.advertise.isEmpty ? reader.stringArray(forKey: "advertise", default: []) : flags.advertise
        )
        try settings.check()
        return settings
    }

    /// What `config.json` may hold.
    private struct Shape: Decodable {
        let listen: String?
        let advertise: [String]?
    }

    /// Every address must be `HOST:PORT`, and there must not be too many.
    ///
    /// - Throws: ``HansaError`` with ``ExitCode/usage``.
    package func check() throws {
        _ = try HostPort(listen)
        for address in advertise { _ = try HostPort(address) }
        guard advertise.count <= Announcement.addressesMax else {
            throw HansaError(.usage, "at most \(Announcement.addressesMax) addresses can be advertised")
        }
    }

    /// Flags of the command line; nil or empty where not given.
    package struct Flags: Sendable {
        package var listen: String?
        package var advertise: [String]

        package init(listen: String? = nil, advertise: [String] = []) {
            self.listen = listen
            self.advertise = advertise
        }
    }

    /// Writes `config.json`.
    package func save(_ folder: DataFolder) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try folder.write(Array(encoder.encode(self)) + [0x0A], to: folder.configuration, mode: 0o644)
    }
}

/// `HOST:PORT`, with an IPv6 address in brackets.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`; the port is 0 to 65535.
    package init(_ text: String) throws {
        let parts: (host: String, port: String)?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]"), text[end...].hasPrefix("]:") {
            parts = (String(text[text.index(after: text.startIndex)..<end]), String(text[end...].dropFirst(2)))
        } else if let colon = text.lastIndex(of: ":"), !text[..<colon].contains(":") {
            parts = (String(text[..<colon]), String(text[text.index(after: colon)...]))
        } else {
            parts = nil
        }
        guard let parts, !parts.host.isEmpty, let port = UInt16(parts.port),
            parts.host.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw HansaError(.usage, "'\(text)' is not HOST:PORT (as in 127.0.0.1:4267 or [::1]:4267)")
        }
        host = parts.host
        self.port = Int(port)
    }

    /// True for an address that stands for all of a machine's, which nobody can dial.
    package var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
