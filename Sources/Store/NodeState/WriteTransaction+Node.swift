package import Catalog
package import Governance

// The node's own state besides the directory: settings, the governance set, invitations, refusals and contacts of
// peers.

extension WriteTransaction {
    /// Sets one of the node's own values; nil removes it.
    package func setMeta(_ key: String, _ value: [UInt8]?) throws {
        if let value {
            try session("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)").bind(1, text: key).bind(2, value).run()
        } else {
            try session("DELETE FROM meta WHERE key = ?").bind(1, text: key).run()
        }
    }

    /// One of the node's own values.
    package func meta(_ key: String) throws -> [UInt8]? { try reading.meta(key) }

    /// Adds statements and removes those that they replace (``GovernanceSet/insert(_:replaced:)``).
    package func add(_ statements: [Statement], replacing replaced: [Hash256] = []) throws {
        for id in replaced { try session("DELETE FROM statement WHERE id = ?").bind(1, id).run() }
        for statement in statements {
            try session("INSERT OR REPLACE INTO statement(id, bytes) VALUES(?, ?)").bind(1, statement.id)
                .bind(2, statement.encoded).run()
        }
    }

    /// Replaces the stored announcement of a node.
    package func set(_ announcement: Announcement) throws {
        try session("INSERT OR REPLACE INTO announcement(node, bytes) VALUES(?, ?)").bind(1, announcement.node.hash)
            .bind(2, announcement.encoded).run()
    }

    // MARK: - Invitations

    /// Adds an invitation. No invitation with the same one-time key may exist.
    package func add(_ invitation: Invitation) throws {
        try session(
            """
            INSERT INTO invitation(key, expires, name, isOwn, createdAt, redeemer, redeemedAt, isRevoked)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?)
            """
        )
        .bind(1, invitation.oneTimeKey).bind(2, Int64(bitPattern: invitation.expires))
        .bind(3, text: invitation.expectedName).bind(4, invitation.isOwn ? 1 : 0)
        .bind(5, Int64(bitPattern: invitation.createdAt)).bind(6, invitation.redeemer?.bytes)
        .bind(7, invitation.redeemedAt.map(Int64.init(bitPattern:))).bind(8, invitation.isRevoked ? 1 : 0).run()
    }

    /// Revokes an invitation. False if there is none with this key, or if it was redeemed.
    package func revokeInvitation(_ oneTimeKey: Hash256) throws -> Bool {
        try session("UPDATE invitation SET isRevoked = 1 WHERE key = ? AND redeemer IS NULL").bind(1, oneTimeKey).run()
        return session.changedRows > 0
    }

    /// Binds an invitation to the first node that redeems it, and to its organization. The binding is durable after the
    /// commit, so answer the node only then.
    ///
    /// - Parameters:
    ///   - organizationKey: The organization's key.
    ///   - now: Unix milliseconds.
    package func redeemInvitation(
        _ oneTimeKey: Hash256,
        by node: NodeKey,
        of organizationKey: Hash256,
        now: UInt64
    ) throws -> Redemption {
        guard let invitation = try reading.invitation(oneTimeKey) else { return .unknown }
        let organization = "redeemed for \(oneTimeKey.hex)"
        if let redeemer = invitation.redeemer {
            // A bound node may ask again at any time, because the first answer may have been lost.
            guard redeemer == node else { return .takenByAnother }
            // An invitation bound by an earlier version has no organization yet.
            guard let bound = try meta(organization) else {
                try setMeta(organization, organizationKey.bytes)
                return .redeemed(invitation)
            }
            return bound == organizationKey.bytes ? .redeemed(invitation) : .takenByAnother
        }
        if invitation.isRevoked { return .revoked }
        guard now <= invitation.expires else { return .expired }
        try session("UPDATE invitation SET redeemer = ?, redeemedAt = ? WHERE key = ?").bind(1, node.hash)
            .bind(2, Int64(bitPattern: now)).bind(3, oneTimeKey).run()
        try setMeta(organization, organizationKey.bytes)
        return .redeemed(try reading.invitation(oneTimeKey) ?? invitation)
    }

    // MARK: - Peers

    /// The maximum number of kept refusals; new ones replace the oldest. A guess: enough for a diagnosis, too few to
    /// fill a disk.
    package static let refusalsMax = 10_000

    /// Records the refusal of a delta; a repetition only increases its count.
    package func note(_ refusal: Refusal) throws {
        try session(
            """
            INSERT INTO refusal(author, incarnation, sequence, code, reason, peer, time, count)
            VALUES(?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET count = count + excluded.count, time = excluded.time, reason = excluded.reason
            """
        )
        .bind(1, refusal.log.author.hash).bind(2, Int64(bitPattern: refusal.log.incarnation))
        .bind(3, Int64(bitPattern: refusal.sequence)).bind(4, Int64(refusal.code)).bind(5, text: refusal.reason)
        .bind(6, refusal.peer.hash).bind(7, Int64(bitPattern: refusal.time)).bind(8, Int64(refusal.count)).run()
        let count = try session("SELECT count(*) FROM refusal").first { $0.int(0) } ?? 0
        if count > Int64(Self.refusalsMax) {
            try session("DELETE FROM refusal WHERE id IN (SELECT id FROM refusal ORDER BY time, id LIMIT ?)")
                .bind(1, count - Int64(Self.refusalsMax)).run()
        }
    }

    /// Forgets all refusals of a log.
    package func clearRefusals(of log: LogID) throws {
        try session("DELETE FROM refusal WHERE author = ? AND incarnation = ?").bind(1, log.author.hash)
            .bind(2, Int64(bitPattern: log.incarnation)).run()
    }

    /// Records the time of the last contact with a peer.
    package func note(_ contact: PeerContact) throws {
        try session("INSERT OR REPLACE INTO peer(node, time, note) VALUES(?, ?, ?)").bind(1, contact.node.hash)
            .bind(2, Int64(bitPattern: contact.time)).bind(3, text: contact.note).run()
    }
}

/// A ticket that this node issued.
package struct Invitation: Hashable, Sendable {
    /// The public half of the one-time key.
    package let oneTimeKey: Hash256
    /// Unix milliseconds after which it is no longer redeemed.
    package let expires: UInt64
    /// The expected name of the invited organization.
    package let expectedName: String?
    /// True if it is for a further node of the inviter's organization, with a voucher.
    package let isOwn: Bool
    /// Unix milliseconds.
    package let createdAt: UInt64
    /// The node that redeemed it.
    package let redeemer: NodeKey?
    /// Unix milliseconds.
    package let redeemedAt: UInt64?
    package let isRevoked: Bool

    package init(
        oneTimeKey: Hash256,
        expires: UInt64,
        expectedName: String?,
        isOwn: Bool,
        createdAt: UInt64,
        redeemer: NodeKey? = nil,
        redeemedAt: UInt64? = nil,
        isRevoked: Bool = false
    ) {
        self.oneTimeKey = oneTimeKey
        self.expires = expires
        self.expectedName = expectedName
        self.isOwn = isOwn
        self.createdAt = createdAt
        self.redeemer = redeemer
        self.redeemedAt = redeemedAt
        self.isRevoked = isRevoked
    }
}

/// The outcome of an attempt to redeem an invitation.
package enum Redemption: Hashable, Sendable {
    /// Bound to this node, now or before.
    case redeemed(Invitation)
    case takenByAnother
    case expired
    case revoked
    case unknown
}

/// A delta that was refused.
package struct Refusal: Hashable, Sendable {
    package let log: LogID
    package let sequence: UInt64
    /// ``DeltaRefusal/code``.
    package let code: UInt32
    package let reason: String
    /// The peer that sent the delta, or that refused it.
    package let peer: NodeKey
    /// Unix milliseconds of the last time.
    package let time: UInt64
    package let count: Int

    package init(
        log: LogID,
        sequence: UInt64,
        code: UInt32,
        reason: String,
        peer: NodeKey,
        time: UInt64,
        count: Int = 1
    ) {
        self.log = log
        self.sequence = sequence
        self.code = code
        self.reason = reason
        self.peer = peer
        self.time = time
        self.count = count
    }
}

/// The last contact with a peer.
package struct PeerContact: Hashable, Sendable {
    package let node: NodeKey
    /// Unix milliseconds.
    package let time: UInt64
    /// Free text of the node about the contact.
    package let note: String

    package init(node: NodeKey, time: UInt64, note: String = "") {
        self.node = node
        self.time = time
        self.note = note
    }
}

extension ReadTransaction {
    /// One of the node's own values.
    package func meta(_ key: String) throws -> [UInt8]? {
        try session("SELECT value FROM meta WHERE key = ?").bind(1, text: key).first { $0.bytes(0) }
    }

    /// The bytes of all governance statements, ascending by id.
    package func statements() throws -> [[UInt8]] {
        try session("SELECT bytes FROM statement ORDER BY id").all { $0.bytes(0) }
    }

    /// The bytes of the announcements held, ascending by node.
    package func announcements() throws -> [[UInt8]] {
        try session("SELECT bytes FROM announcement ORDER BY node").all { $0.bytes(0) }
    }

    /// An invitation by its one-time key.
    package func invitation(_ oneTimeKey: Hash256) throws -> Invitation? {
        try session(
            """
            SELECT key, expires, name, isOwn, createdAt, redeemer, redeemedAt, isRevoked FROM invitation WHERE key = ?
            """
        ).bind(1, oneTimeKey).first(Self.invitation)
    }

    /// All invitations, the newest first.
    package func invitations() throws -> [Invitation] {
        try session(
            """
            SELECT key, expires, name, isOwn, createdAt, redeemer, redeemedAt, isRevoked FROM invitation
            ORDER BY createdAt DESC, key
            """
        ).all(Self.invitation)
    }

    private static func invitation(_ sql: SQL) throws -> Invitation {
        Invitation(
            oneTimeKey: try sql.hash(0),
            expires: UInt64(bitPattern: sql.int(1)),
            expectedName: sql.isNull(2) ? nil : sql.text(2),
            isOwn: sql.int(3) != 0,
            createdAt: UInt64(bitPattern: sql.int(4)),
            redeemer: sql.isNull(5) ? nil : NodeKey(try sql.hash(5)),
            redeemedAt: sql.isNull(6) ? nil : UInt64(bitPattern: sql.int(6)),
            isRevoked: sql.int(7) != 0
        )
    }

    /// Refused deltas, the latest first.
    package func refusals(limit: Int) throws -> [Refusal] {
        try session(
            """
            SELECT author, incarnation, sequence, code, reason, peer, time, count FROM refusal
            ORDER BY time DESC, id DESC LIMIT ?
            """
        ).bind(1, Int64(limit)).all {
            Refusal(
                log: LogID(author: NodeKey(try $0.hash(0)), incarnation: UInt64(bitPattern: $0.int(1))),
                sequence: UInt64(bitPattern: $0.int(2)),
                code: UInt32(clamping: $0.int(3)),
                reason: $0.text(4),
                peer: NodeKey(try $0.hash(5)),
                time: UInt64(bitPattern: $0.int(6)),
                count: Int($0.int(7))
            )
        }
    }

    /// The number of distinct refusals kept.
    package func refusalCount() throws -> Int {
        try session("SELECT count(*) FROM refusal").first { Int($0.int(0)) } ?? 0
    }

    /// The last contact with each peer, ascending by node.
    package func peerContacts() throws -> [PeerContact] {
        try session("SELECT node, time, note FROM peer ORDER BY node").all {
            PeerContact(node: NodeKey(try $0.hash(0)), time: UInt64(bitPattern: $0.int(1)), note: $0.text(2))
        }
    }
}
