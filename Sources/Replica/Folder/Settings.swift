import Configuration
import Foundation
import Governance
import SystemPackage

/// The settings of an operator: from a flag, else from `HANSA_…` in the environment, else from `config.json` of the data
/// folder.
package struct Settings: Codable, Hashable, Sendable {
    /// The address at which the node listens: `HOST:PORT`. Default: ``defaultListen``.
    package var listen: String
    /// The addresses that others dial, `HOST:PORT` each; empty for the address at which the node listens.
    package var advertise: [String]

    /// Loopback, so that a node is not exposed by accident. The port spells HANS on a telephone.
    package static let defaultListen = "127.0.0.1:4267"

    package init(listen: String = defaultListen, advertise: [String] = []) {
        self.listen = listen
        self.advertise = advertise
    }

    /// Reads the settings of a folder.
    ///
    /// - Parameter flags: The flags of the command line, by the names of the properties.
    /// - Throws: ``Failure`` with ``Reason/badSetting`` for an unknown name or a value of the wrong type, and with
    ///   ``Reason/badAddress`` for an address that cannot be used.
    package static func load(_ folder: DataFolder, flags: Settings.Flags = Flags()) async throws -> Settings {
        var providers: [any ConfigProvider] = [EnvironmentVariablesProvider().prefixKeys(with: "hansa")]
        try checkEnvironment(ProcessInfo.processInfo.environment)
        if let bytes = try folder.read(folder.configuration) {
            // The reader ignores unknown names and values of the wrong type; this check reports them.
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

    /// Refuses an unknown variable of this program's prefix only if its name resembles a known one: it is then a
    /// misspelling.
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

    /// Checks that a machine can have the listening address, that others can dial the advertised ones, and that these are
    /// not too many.
    ///
    /// - Throws: ``Failure``: ``Reason/badAddress``, ``Reason/badSetting``.
    package func check() throws {
        _ = try HostPort(listening: listen)
        for address in advertise { _ = try HostPort(dialable: address) }
        guard advertise.count <= Announcement.addressesMax else {
            throw Failure(.badSetting, "at most \(Announcement.addressesMax) addresses can be advertised")
        }
    }

    /// Flags of the command line; nil or empty if not given.
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
