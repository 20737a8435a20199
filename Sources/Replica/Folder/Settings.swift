import Configuration
import Foundation
import Governance
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
    /// - Throws: ``Failure`` with ``Reason/badSetting`` for a name that is none or a value of the wrong type, and with
    ///   ``Reason/badAddress`` for an address that cannot be.
    package static func load(_ folder: DataFolder, flags: Settings.Flags = Flags()) async throws -> Settings {
        var providers: [any ConfigProvider] = [EnvironmentVariablesProvider().prefixKeys(with: "hansa")]
        try checkEnvironment(ProcessInfo.processInfo.environment)
        if let bytes = try folder.read(folder.configuration) {
            // The reader passes over a name that it does not know, and a value of the wrong type; here they are said.
            try checkFile(bytes, at: folder.configuration)
            do {
                providers.append(try await FileProvider<JSONSnapshot>(filePath: FilePath(folder.configuration)))
            } catch {
                throw Failure(.badSetting, "\(folder.configuration) cannot be read as settings (\(error)); \(fileForm)")
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

    // MARK: - Checks

    private static let names = ["listen", "advertise"]
    private static let fileForm =
        "write { \"listen\": \"HOST:PORT\", \"advertise\": [\"HOST:PORT\"] }, or delete the file"

    private static func checkFile(_ bytes: [UInt8], at path: String) throws {
        guard let content = try? JSONSerialization.jsonObject(with: Data(bytes)), let object = content as? [String: Any]
        else { throw Failure(.badSetting, "\(path) is not a JSON object of settings; \(fileForm)") }
        for (name, value) in object.sorted(by: { $0.key < $1.key }) {
            switch name {
            case "listen" where value is String: break
            case "listen": throw Failure(.badSetting, "\(path): \"listen\" is not a text; \(fileForm)")
            case "advertise" where value is [String]: break
            case "advertise": throw Failure(.badSetting, "\(path): \"advertise\" is not a list of texts; \(fileForm)")
            default:
                let hint = NearestName.of(name, in: names).map { "did you mean \"\($0)\"?" }
                throw Failure(
                    .badSetting,
                    "\(path): \"\(name)\" is no setting; \(hint ?? "there are \"listen\" and \"advertise\"")"
                )
            }
        }
    }

    /// Variables that begin like this program's own and that nobody reads are a mistake only where they resemble one.
    private static func checkEnvironment(_ environment: [String: String]) throws {
        let known = ["HANSA_LISTEN", "HANSA_ADVERTISE", "HANSA_DATA", "HANSA_PASSPHRASE"]
        for name in environment.keys.sorted() where name.hasPrefix("HANSA_") && !known.contains(name) {
            let word = String(name.dropFirst("HANSA_".count))
            guard let near = NearestName.of(word, in: known.map { String($0.dropFirst("HANSA_".count)) }) else {
                continue
            }
            throw Failure(.badSetting, "the variable \(name) is no setting; did you mean HANSA_\(near)?")
        }
    }

    /// The listening address must be one that a machine can have; the others must be such as others can dial, and there must
    /// not be too many.
    ///
    /// - Throws: ``Failure``: ``Reason/badAddress``, ``Reason/badSetting``.
    package func check() throws {
        _ = try HostPort(listening: listen)
        for address in advertise { _ = try HostPort(dialable: address) }
        guard advertise.count <= Announcement.addressesMax else {
            throw Failure(.badSetting, "at most \(Announcement.addressesMax) addresses can be advertised")
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
