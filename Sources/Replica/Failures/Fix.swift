/// A remedy that the user can apply to a ``Failure``, as data. The command line turns it into a command or an option, a
/// page into a link or a button.
///
/// In JSON it is an object with one key, the name of the case in kebab-case, whose value holds the parameters.
package enum Fix: Hashable, Codable, Sendable {
    /// Start the node.
    case startNode
    /// Start the node again, check the result of the request, and repeat the request if needed.
    case restartNode
    /// Found an alliance in the folder, or join one.
    case foundOrJoin
    /// Join the alliance again with a new folder.
    case joinAgain
    /// Name the right data folder, or found or join.
    case nameDataFolder
    /// Name another folder for the new node.
    case nameAnotherFolder
    /// Stop the process that has the folder open, or name another folder.
    case freeFolder
    /// Check the folder's data, or restore a backup.
    case verify
    /// Rebuild what is derived from the log, or restore a backup.
    case rebuild
    /// Finish the rebuild that was begun.
    case finishRebuild
    /// Remove the read permission of other users from a file.
    case hideFile(path: String)

    /// Show the edits that were made while the record was deleted.
    case showConflicts(record: String)
    /// Show the record's history.
    case showHistory(record: String)
    /// Show the record's fields.
    case showRecord(record: String)
    /// Decide whether a record that was edited while it was deleted stays deleted.
    case settleDeletion(record: String)
    /// Import the deleted record again, or create it again.
    case createAgain
    /// Give the record a name, a title or a description.
    case addName
    /// Set the field to one value.
    case setField(field: String)
    /// Keep the value in a field of the organization's own.
    case useOwnField(field: String)
    /// List the members.
    case listMembers

    /// Name the file's format.
    case nameFormat
    /// Choose one of the encodings shown, or convert the file to UTF-8.
    case nameEncoding

    /// Stop the process that listens at the port, or listen at another port.
    case freePort
    /// Listen at another address.
    case listenElsewhere
    /// Wait for the network, or listen at another address.
    case awaitNetwork
    /// Wait until names are resolved, or listen at an IP address.
    case awaitNames
    /// Listen at a port from 1024 on.
    case useHighPort
    /// Start this node with an address to dial, then invite.
    case advertise

    /// Name the new organization.
    case nameOrganization
    /// Omit the organization's name.
    case omitOrganization
    /// Ask a node that advertises an address for a new ticket.
    case askForDialableTicket
    /// Check that the inviting node runs, and try again with the same ticket.
    case retryWithInviter

    private enum CodingKeys: String, CodingKey {
        case startNode = "start-node"
        case restartNode = "restart-node"
        case foundOrJoin = "found-or-join"
        case joinAgain = "join-again"
        case nameDataFolder = "name-data-folder"
        case nameAnotherFolder = "name-another-folder"
        case freeFolder = "free-folder"
        case verify, rebuild
        case finishRebuild = "finish-rebuild"
        case hideFile = "hide-file"
        case showConflicts = "show-conflicts"
        case showHistory = "show-history"
        case showRecord = "show-record"
        case settleDeletion = "settle-deletion"
        case createAgain = "create-again"
        case addName = "add-name"
        case setField = "set-field"
        case useOwnField = "use-own-field"
        case listMembers = "list-members"
        case nameFormat = "name-format"
        case nameEncoding = "name-encoding"
        case freePort = "free-port"
        case listenElsewhere = "listen-elsewhere"
        case awaitNetwork = "await-network"
        case awaitNames = "await-names"
        case useHighPort = "use-high-port"
        case advertise
        case nameOrganization = "name-organization"
        case omitOrganization = "omit-organization"
        case askForDialableTicket = "ask-for-dialable-ticket"
        case retryWithInviter = "retry-with-inviter"
    }
}
