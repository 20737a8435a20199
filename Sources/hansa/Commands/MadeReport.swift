import Replica

/// The report of `init` or `join`: what was created, and the next steps.
struct MadeReport: Encodable {
    let alliance: Named
    let organization: Named
    let node: String
    let folder: String
    let listen: String
    let organizationKeyFile: String?

    struct Named: Encodable {
        let id: String
        let name: String
    }

    /// True if no other machine can dial the address.
    private var isLocal: Bool {
        ["127.", "localhost:", "[::1]:"].contains { listen.hasPrefix($0) }
    }

    init(_ made: NodeFolder.Made) {
        alliance = Named(id: made.allianceHex, name: made.allianceName)
        organization = Named(id: made.organizationHex, name: made.organizationName)
        node = made.nodeHex
        folder = made.folder
        listen = made.listen
        organizationKeyFile = made.organizationKeyFile
    }

    /// - Parameters:
    ///   - headline: A line about the result.
    ///   - hint: The options that follow `hansa` for this folder.
    ///   - hasPassphrase: True if the organization's key was made with a passphrase.
    func text(_ headline: ShownText, hint: String, hasPassphrase: Bool) -> ShownText {
        var lines: [ShownText] = [
            headline.styled(.bold), "",
            "  data folder       \(folder)",
            "  node              \(Words.short(node)), listens at \(listen)",
            "  organization      \(Words.short(organization.id)), \(organization.name)",
        ]
        if let organizationKeyFile {
            lines += [
                "  organization key  \(organizationKeyFile)", "",
                "Back up the organization key now: it cannot be made again. Without it you",
                "cannot enrol nodes any more. It can be kept offline; the node runs without it.",
            ]
            if hasPassphrase { lines.append("It is of no use without its passphrase: keep that, too.") }
        }
        if isLocal {
            lines += ["", "Only this machine reaches \(listen); for others, give run a --listen HOST:PORT."]
        }
        lines += [
            "", "Next:",
            "  hansa run\(hint)       start the node",
            "  hansa invite\(hint)    in another terminal: a ticket for the next member",
        ]
        return lines.joined(separator: "\n")
    }
}
