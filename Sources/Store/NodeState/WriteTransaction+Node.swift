package import Catalog
package import Governance

// What a node keeps beside the directory: its settings, the governance set, invitations, and what it noted of peers.

extension WriteTransaction {
    /// Sets a value of the node's own, or takes it away.
    package func setMeta(_ key: String, _ value: [UInt8]?) throws {
        if let value {
            try session("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)").bind(1, text: key).bind(2, value).run()
        } else {
            try session("DELETE FROM meta WHERE key = ?").bind(1, text: key).run()
        }
    }

    /// A value of the node's own.
    package func meta(_ key: String) throws -> [UInt8]? { try reading.meta(key) }

    /// Adds statements, and drops those whose place they take (``GovernanceSet/insert(_:replaced:)``).
    package func add(_ statements: [Statement], replacing replaced: [Hash256] = []) throws {
        for id in replaced { try session("DELETE FROM statement WHERE id = ?").bind(1, id).run() }
        for statement in statements {
            try session("INSERT OR REPLACE INTO statement(id, bytes) VALUES(?, ?)").bind(1, statement.id)
                .bind(2, statement.encoded).run()
        }
    }

    /// Takes a node's announcement in the place of the one held.
    package func set(_ announcement: Announcement) throws {
        try session("INSERT OR REPLACE INTO announcement(node, bytes) VALUES(?, ?)").bind(1, announcement.node.hash)
            .bind(2, announcement.encoded).run()
    }

    // MARK: - Invitations

    /// Adds an invitation. One with the same one-time key must not exist.
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

    /// Revokes an invitation. False where there is none with this key, or it was redeemed.
    package func revokeInvitation(_ oneTimeKey: Hash256) throws -> Bool {
        try session("UPDATE invitation SET isRevoked = 1 WHERE key = ? AND redeemer IS NULL").bind(1, oneTimeKey).run()
        return session.changedRows > 0
    }

    /// Binds an invitation to the first node that redeems it, and to the organization that this is for. It is bound once
    /// the transaction is committed, so answer only after that.
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
            // Who was bound already may ask again, also later: its first answer may have been lost.
            guard redeemer == node else { return .takenByAnother }
            // One that an earlier version bound has no organization yet.
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

    /// Refusals kept at most; the oldest make room. A guess: enough to see what is wrong, too few to fill a disk.
    package static let refusalsMax = 10_000

    /// Notes that a delta was refused; a repetition only counts up.
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

    /// Notes when a peer was last heard of.
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
    /// The organization that it was meant for.
    package let expectedName: String?
    /// True if it is for a further node of one's own organization, with a voucher.
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

/// What came of an attempt to redeem an invitation.
package enum Redemption: Hashable, Sendable {
    /// Bound to this node, now or before.
    case redeemed(Invitation)
    case takenByAnother
    case expired
    case revoked
    case unknown
}

/// A delta that was not taken.
package struct Refusal: Hashable, Sendable {
    package let log: LogID
    package let sequence: UInt64
    /// ``DeltaRefusal/code``.
    package let code: UInt32
    package let reason: String
    /// The peer that sent it, or that refused it.
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

/// When a peer was last heard of.
package struct PeerContact: Hashable, Sendable {
    package let node: NodeKey
    /// Unix milliseconds.
    package let time: UInt64
    /// Whatever the node wants to remember with it.
    package let note: String

    package init(node: NodeKey, time: UInt64, note: String = "") {
        self.node = node
        self.time = time
        self.note = note
    }
}

extension ReadTransaction {
    /// A value of the node's own.
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

    /// Deltas that were refused, the latest first.
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

    /// How many different refusals are kept.
    package func refusalCount() throws -> Int {
        try session("SELECT count(*) FROM refusal").first { Int($0.int(0)) } ?? 0
    }

    /// When each peer was last heard of, ascending by node.
    package func peerContacts() throws -> [PeerContact] {
        try session("SELECT node, time, note FROM peer ORDER BY node").all {
            PeerContact(node: NodeKey(try $0.hash(0)), time: UInt64(bitPattern: $0.int(1)), note: $0.text(2))
        }
    }
}
