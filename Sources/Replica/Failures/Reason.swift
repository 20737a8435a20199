/// The kind of a ``Failure``. Programs decide by it; its raw value, a slug, is stable.
///
/// Exit codes and HTTP statuses are derived from it where they are used.
package enum Reason: String, CaseIterable, Codable, Hashable, Sendable {
    // MARK: Words and values of the request

    /// The command line or its combination of options is invalid.
    case usage
    /// The node knows no such command, or not in these words; the two programs may be of different versions.
    case badRequest = "bad-request"
    /// A request is longer than the node takes.
    case requestTooLong = "request-too-long"
    /// A text is neither the beginning of a record's id nor `owner/kind/localId`.
    case badRecordName = "bad-record-name"
    /// No kind of record has this name.
    case noSuchKind = "no-such-kind"
    /// No field of this kind of record has this name.
    case noSuchField = "no-such-field"
    /// A text cannot be the name of a field.
    case badFieldName = "bad-field-name"
    /// A record's own id is empty or too long.
    case badLocalID = "bad-local-id"
    /// An alliance's or organization's name has a form that is not allowed.
    case badName = "bad-name"
    /// A value is not one of the possible ones.
    case badValue = "bad-value"
    /// An element was added to or removed from a field that holds one value.
    case holdsOneValue = "holds-one-value"
    /// A record would have neither a name nor a description.
    case nameMissing = "name-missing"
    /// A field's value is longer than the limit.
    case valueTooLong = "value-too-long"
    /// A record would be larger than the limit.
    case recordTooLarge = "record-too-large"
    /// A text is no address, or one that cannot be used for this.
    case badAddress = "bad-address"
    /// A setting's name or value cannot be used.
    case badSetting = "bad-setting"
    /// The asked validity of an invitation exceeds the limit.
    case badExpiry = "bad-expiry"
    /// The voucher for a further node cannot be read.
    case voucherDamaged = "voucher-damaged"
    /// The command asks other members' nodes, and was given this one.
    case ownNode = "own-node"

    // MARK: Records and members

    /// No record is known by this name or id.
    case noSuchRecord = "no-such-record"
    /// The alliance has no member by this name or id.
    case noSuchMember = "no-such-member"
    /// Several records' ids begin with the text; they are the candidates.
    case ambiguousRecord = "ambiguous-record"
    /// Several members match the text; they are the candidates.
    case ambiguousMember = "ambiguous-member"
    /// The record was deleted; the message says by whom and when.
    case recordDeleted = "record-deleted"
    /// The command needs the record's kind and own id, and this node does not hold them.
    case recordUnnamed = "record-unnamed"
    /// The record has no such field.
    case fieldNotHeld = "field-not-held"
    /// The record was not edited while it was deleted.
    case nothingToSettle = "nothing-to-settle"
    /// The record belongs to another organization.
    case notOwner = "not-owner"
    /// A new own id resembles an existing, different one.
    case looksAlike = "looks-alike"
    /// The request asks for a visibility other than the whole alliance.
    case visibilityUnsupported = "visibility-unsupported"

    // MARK: Files that are read

    /// A file cannot be opened or read, or is of a type that is not read.
    case fileUnreadable = "file-unreadable"
    /// A file has changed while it was imported.
    case fileChanged = "file-changed"
    /// The name and the first bytes of a file do not show its format.
    case unknownFormat = "unknown-format"
    /// No file format has this name.
    case noSuchFormat = "no-such-format"
    /// No text encoding has this name.
    case noSuchEncoding = "no-such-encoding"
    /// The pairs of fields and columns do not fit the file.
    case badMapping = "bad-mapping"
    /// The file has no column of the key's name.
    case noKeyColumn = "no-key-column"
    /// A gzip stream is damaged or cut short.
    case badGzip = "bad-gzip"
    /// A file's text encoding is unknown, in doubt or not available.
    case badEncoding = "bad-encoding"
    /// The first line of a CSV file cannot be used as column names.
    case badHeader = "bad-header"
    /// A file is not of the format it was read as.
    case badFile = "bad-file"
    /// Reading was cancelled on request.
    case cancelled

    // MARK: The data folder, its keys and the disk

    /// The folder holds no node.
    case noNodeHere = "no-node-here"
    /// The folder has no directory's database, or one of another program.
    case notADataFolder = "not-a-data-folder"
    /// The folder for a new node holds a node already.
    case nodeHereAlready = "node-here-already"
    /// The creation of the folder was interrupted.
    case folderIncomplete = "folder-incomplete"
    /// Another process has the folder open.
    case folderInUse = "folder-in-use"
    /// Another program holds a lock on the database; trying again is right.
    case databaseLocked = "database-locked"
    /// A rebuild was begun and not finished. Until it is finished, the store refuses writes; the rebuild of one projection
    /// blocks only the requests that need it.
    case rebuildPending = "rebuild-pending"
    /// A file cannot be written at this path: a directory of the path is missing, or the path is a directory.
    case badPath = "bad-path"
    /// No room is left on the disk.
    case diskFull = "disk-full"
    /// A temporary file cannot be kept.
    case noRoom = "no-room"
    /// The system does not permit to create, read or write a file.
    case diskRefused = "disk-refused"
    /// The disk could not read or write.
    case diskFailed = "disk-failed"
    /// The folder's data is damaged.
    case dataDamaged = "data-damaged"
    /// The folder has a format that this program no longer reads.
    case olderFormat = "older-format"
    /// The folder has a format that only a newer program reads.
    case newerFormat = "newer-format"
    /// The node's key file is missing.
    case keyMissing = "key-missing"
    /// A key file holds no usable key.
    case keyDamaged = "key-damaged"
    /// Other users can read the node's key.
    case keyExposed = "key-exposed"
    /// The key file holds another key than the folder's.
    case wrongKey = "wrong-key"
    /// The organization's key is not kept on this node.
    case keyElsewhere = "key-elsewhere"
    /// The passphrase does not open the key.
    case wrongPassphrase = "wrong-passphrase"
    /// The key file needs a passphrase, and none was given.
    case passphraseNeeded = "passphrase-needed"
    /// The two entries of a new passphrase differ.
    case passphrasesDiffer = "passphrases-differ"
    /// A new key needs a passphrase, and none was given.
    case noPassphrase = "no-passphrase"

    // MARK: The running node and its sockets

    /// The command needs a running node.
    case nodeNotRunning = "node-not-running"
    /// The node stopped while it worked on the request.
    case nodeStopped = "node-stopped"
    /// The node is stopping and accepts no new work.
    case nodeStopping = "node-stopping"
    /// The node is there and does not answer.
    case nodeSilent = "node-silent"
    /// The caller may not use this command.
    case accessLacking = "access-lacking"
    /// A socket or folder belongs to another user of the machine.
    case otherUser = "other-user"
    /// The node's answer has a form that this program does not know.
    case versionsDiffer = "versions-differ"
    /// Something else listens at the port.
    case portInUse = "port-in-use"
    /// This machine does not have the address now.
    case addressUnavailable = "address-unavailable"
    /// The name to listen at has no address now.
    case nameUnresolved = "name-unresolved"
    /// The process has no descriptors left.
    case tooFewDescriptors = "too-few-descriptors"
    /// The system does not permit to listen at the port.
    case portNotPermitted = "port-not-permitted"
    /// The address to listen at cannot be used.
    case cannotListen = "cannot-listen"

    // MARK: Peers

    /// A peer is not connected, or its connection has ended.
    case peerUnreachable = "peer-unreachable"
    /// A peer does not answer.
    case peerSilent = "peer-silent"
    /// A peer's answer has a form that this program does not know.
    case badAnswer = "bad-answer"

    // MARK: Invitations and joining

    /// A text is no ticket.
    case notATicket = "not-a-ticket"
    /// The ticket is damaged.
    case ticketDamaged = "ticket-damaged"
    /// The ticket is for a new organization and none was named, or the other way round.
    case wrongTicketKind = "wrong-ticket-kind"
    /// The ticket holds no address that can be dialled.
    case ticketNotDialable = "ticket-not-dialable"
    /// This node has no address that a newcomer could dial.
    case noAddressToDial = "no-address-to-dial"
    /// The inviting node cannot be reached.
    case inviterUnreachable = "inviter-unreachable"
    /// The inviting node refuses the invitation without a reason.
    case invitationRefused = "invitation-refused"
    /// The invitation was used by another node or organization.
    case invitationUsed = "invitation-used"
    /// The invitation has expired.
    case invitationExpired = "invitation-expired"
    /// The invitation was revoked.
    case invitationRevoked = "invitation-revoked"
    /// The invitation is not of this node.
    case invitationUnknown = "invitation-unknown"
    /// The invitation is for an organization of another name.
    case invitationForAnother = "invitation-for-another"
    /// A newcomer's request is not valid.
    case badJoinRequest = "bad-join-request"
    /// A member, or another newcomer, has this name already.
    case nameTaken = "name-taken"
    /// The organization was admitted by another name.
    case nameDiffers = "name-differs"
    /// The inviting node refuses; the message is its reason.
    case joinRefused = "join-refused"
    /// The inviting node is of another alliance than the ticket's.
    case wrongAlliance = "wrong-alliance"
    /// The inviting node has not admitted this one yet.
    case notAdmitted = "not-admitted"

    // MARK: Faults

    /// A fault of this program, or a reason that only a newer program knows.
    case `internal`

    /// Reads a slug. One that this program does not know, from a newer node, is ``internal``.
    package init(from decoder: any Decoder) throws {
        self = Reason(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .internal
    }

    /// True if another process holds the folder or its database, which may pass within seconds.
    package var isHeldByAnother: Bool { self == .folderInUse || self == .databaseLocked }
}
