import Replica

extension Reason {
    /// The HTTP status of a request that fails for this reason.
    package var status: Int {
        switch self {
        case .usage, .badRequest, .badRecordName, .noSuchKind, .noSuchField, .badFieldName, .badLocalID, .badName,
            .badValue, .holdsOneValue, .nameMissing, .valueTooLong, .recordTooLarge, .badAddress,
            .badSetting, .badExpiry, .voucherDamaged, .ownNode, .noSuchFormat, .noSuchEncoding, .badMapping,
            .noKeyColumn, .noPassphrase, .notATicket, .ticketDamaged, .wrongTicketKind, .ticketNotDialable:
            400
        case .notOwner, .visibilityUnsupported, .keyExposed, .wrongKey, .keyElsewhere, .wrongPassphrase,
            .passphraseNeeded, .passphrasesDiffer, .otherUser, .accessLacking, .invitationRefused, .invitationUsed,
            .invitationExpired, .invitationRevoked, .invitationUnknown, .invitationForAnother, .badJoinRequest,
            .joinRefused, .wrongAlliance, .notAdmitted:
            403
        case .noSuchRecord, .noSuchMember, .fieldNotHeld, .noNodeHere, .notADataFolder: 404
        case .ambiguousRecord, .ambiguousMember, .recordUnnamed, .nothingToSettle, .looksAlike, .fileChanged,
            .nodeHereAlready, .folderInUse, .databaseLocked, .rebuildPending, .portInUse, .addressUnavailable,
            .nameUnresolved, .tooFewDescriptors, .portNotPermitted, .cannotListen, .noAddressToDial, .nameTaken,
            .nameDiffers:
            409
        case .recordDeleted: 410
        case .requestTooLong: 413
        case .fileUnreadable, .unknownFormat, .badGzip, .badEncoding, .badHeader, .badFile, .cancelled, .badPath: 422
        case .folderIncomplete, .dataDamaged, .olderFormat, .newerFormat, .keyMissing, .keyDamaged, .versionsDiffer,
            .internal:
            500
        case .nodeNotRunning, .nodeStopped, .nodeStopping, .nodeSilent, .peerUnreachable, .peerSilent, .badAnswer,
            .inviterUnreachable:
            503
        case .diskFull, .noRoom, .diskRefused, .diskFailed: 507
        }
    }
}
