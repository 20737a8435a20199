import ArgumentParser
import Replica

/// The addresses at which a node listens and is dialled.
struct AddressOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Listen for other nodes here (default: \(Settings.defaultListen); port 0 for any free one).",
            valueName: "host:port"
        )
    )
    var listen: String?

    @Option(
        help: ArgumentHelp(
            "Tell others to dial this address, where it is not the listening one; repeatable.",
            valueName: "host:port"
        )
    )
    var advertise: [String] = []

    var flags: Settings.Flags { Settings.Flags(listen: listen, advertise: advertise) }

    func validate() throws {
        do {
            if let listen { _ = try HostPort(listening: listen) }
            for address in advertise { _ = try HostPort(dialable: address) }
        } catch let error as Failure {
            throw ValidationError(error.message)
        }
    }
}
