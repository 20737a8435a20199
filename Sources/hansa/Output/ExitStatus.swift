import Replica

/// The exit code of a command. The numbers are stable.
package enum ExitStatus: Int32, Sendable {
    /// The command has done everything.
    case done = 0
    /// Data was rejected, wholly or in part, or a record was not found.
    case rejected = 1
    /// The command line, a value or a named file cannot be used.
    case usage = 2
    /// The node or a peer cannot be reached.
    case unreachable = 3
    /// Not allowed: another organization's record, a used invitation, a limit.
    case refused = 4
    /// A fault of the program.
    case `internal` = 5
    /// The disk is full or failing, or a file cannot be written.
    case disk = 6
    /// The folder's data is damaged.
    case corrupt = 7
    /// A port, an address, the data folder or its database is in use.
    case inUse = 8
    /// A wrong passphrase, or a key that does not fit.
    case passphrase = 9
    /// The answer is that something differs or is pending.
    case differs = 10
}

extension Reason {
    /// The exit code of a command that fails for this reason.
    package var exitStatus: ExitStatus {
        switch self {
        case .noSuchRecord, .noSuchMember, .recordDeleted, .recordUnnamed, .fieldNotHeld, .nothingToSettle,
            .fileChanged, .badGzip, .badEncoding, .badHeader, .badFile, .cancelled:
            .rejected
        case .usage, .badRequest, .requestTooLong, .badRecordName, .noSuchKind, .noSuchField, .badFieldName,
            .badLocalID, .badName, .badValue, .holdsOneValue, .nameMissing, .valueTooLong, .recordTooLarge,
            .badAddress, .badSetting, .badExpiry, .voucherDamaged, .ownNode, .fileUnreadable,
            .unknownFormat, .noSuchFormat, .noSuchEncoding, .badMapping, .noKeyColumn, .noNodeHere, .notADataFolder,
            .badPath, .noPassphrase, .portNotPermitted, .cannotListen, .notATicket, .ticketDamaged, .wrongTicketKind,
            .ticketNotDialable:
            .usage
        case .nodeNotRunning, .nodeStopped, .nodeStopping, .nodeSilent, .peerUnreachable,
            .peerSilent, .badAnswer, .inviterUnreachable:
            .unreachable
        case .ambiguousRecord, .ambiguousMember, .notOwner, .looksAlike, .visibilityUnsupported, .keyElsewhere,
            .otherUser, .accessLacking, .noAddressToDial, .invitationRefused, .invitationUsed, .invitationExpired,
            .invitationRevoked, .invitationUnknown, .invitationForAnother, .badJoinRequest, .nameTaken, .nameDiffers,
            .joinRefused, .wrongAlliance, .notAdmitted:
            .refused
        case .versionsDiffer, .internal: .internal
        case .diskFull, .noRoom, .diskRefused, .diskFailed: .disk
        case .folderIncomplete, .dataDamaged, .olderFormat, .newerFormat, .keyMissing, .keyDamaged: .corrupt
        case .nodeHereAlready, .folderInUse, .databaseLocked, .rebuildPending, .portInUse, .addressUnavailable,
            .nameUnresolved, .tooFewDescriptors:
            .inUse
        case .keyExposed, .wrongKey, .wrongPassphrase, .passphraseNeeded, .passphrasesDiffer: .passphrase
        }
    }
}
