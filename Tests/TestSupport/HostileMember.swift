package import Catalog
import DeltaLog
import Foundation
package import Gossip
import Governance
package import OpenSSLKit
package import Replica
import SwiftProtobuf
package import Wire

/// An organization that a test controls: its key and any number of node keys, without real nodes.
package struct HostileMember {
    package let name: String
    package let alliance: AllianceID
    package let organization: OrganizationID
    package let organizationKey: KeySigner
    /// The first node, enrolled when the organization joined.
    package let node: KeySigner
    package let identity: TLSIdentity
    private let ticket: Hansa_V0_Ticket
    private let cryptography = SystemCryptography()

    /// An organization that has a ticket and has not joined yet.
    ///
    /// - Parameter ticket: a ticket for a new organization, as `hansa invite` prints it.
    package init(
        ticket text: String,
        name: String,
        organizationKey: KeySigner? = nil,
        node: KeySigner? = nil
    ) throws {
        ticket = try TicketText.decode(text, hasher: cryptography)
        guard let alliance = AllianceID(bytes: ticket.alliance) else { throw HostilePeer.Failure.noMessage }
        self.name = name
        self.alliance = alliance
        self.organizationKey = try organizationKey ?? KeySigner(Ed25519PrivateKey.generate())
        self.node = try node ?? KeySigner(Ed25519PrivateKey.generate())
        organization = OrganizationID(firstKey: self.organizationKey.publicKey, hasher: cryptography)
        identity = try NodeIdentity.make(for: self.node.key)
    }

    /// The TLS identity of a ticket's one-time key.
    package static func identity(ofTicket text: String) throws -> TLSIdentity {
        let ticket = try TicketText.decode(text, hasher: SystemCryptography())
        return try NodeIdentity.make(for: Ed25519PrivateKey(seed: Array(ticket.oneTimeSeed)))
    }

    // MARK: - Joining

    /// The request to join.
    package func joinRequest() throws -> Hansa_V0_JoinRequest {
        var request = Hansa_V0_JoinRequest()
        request.name = name
        request.organizationKey = Data(organizationKey.publicKey.bytes)
        request.enrolment = try Statement.enrolment(
            of: node,
            organization: organization,
            alliance: alliance,
            voucher: nil,
            signer: organizationKey
        )
        return request
    }

    /// Asks a node for admission and receives all parts of the answer.
    ///
    /// - Returns: the answer's frames, at least one.
    /// - Throws: ``HostilePeer/Failure``.
    @discardableResult
    package func join(port: Int, from source: String = "127.0.0.1") throws -> [Hansa_V0_JoinAnswer] {
        let peer = try HostilePeer(port: port, from: source)
        try peer.shakeHands(as: NodeIdentity.make(for: Ed25519PrivateKey(seed: Array(ticket.oneTimeSeed))))
        var frame = Hansa_V0_Frame()
        frame.joinRequest = try joinRequest()
        try peer.send(frame: frame.serializedBytes())
        var answers: [Hansa_V0_JoinAnswer] = []
        repeat {
            let bytes = try peer.receiveFrame()
            guard case .joinAnswer(let answer) = try Hansa_V0_Frame(serializedBytes: bytes).message else {
                throw HostilePeer.Failure.noMessage
            }
            answers.append(answer)
        } while answers.last?.more == true
        return answers
    }

    // MARK: - Sessions

    /// The statement that enrols another node of this organization.
    package func enrolment(of node: KeySigner) throws -> [UInt8] {
        try Statement.enrolment(
            of: node,
            organization: organization,
            alliance: alliance,
            voucher: nil,
            signer: organizationKey
        ).serializedBytes()
    }

    /// A `Hello` with unique fingerprints, so that the other side starts a comparison.
    package var hello: PeerMessage {
        .hello(
            PeerMessage.Hello(
                alliance: alliance,
                program: "hostile",
                governance: Hash256(1, 1, 1, 1),
                announcements: Hash256(2, 2, 2, 2),
                state: StateSummary(
                    frontier: Hash256(3, 3, 3, 3),
                    digest: CatalogDigest(),
                    records: 0,
                    wallMilliseconds: WallClock.milliseconds
                )
            )
        )
    }

    /// Opens a session with a node and sends `Hello`.
    ///
    /// - Parameter identity: another node of this organization; nil for the first one.
    /// - Throws: ``HostilePeer/Failure``.
    package func session(
        port: Int,
        as identity: TLSIdentity? = nil,
        from source: String = "127.0.0.1"
    ) throws -> HostilePeer {
        let peer = try HostilePeer(port: port, from: source)
        try peer.shakeHands(as: identity ?? self.identity)
        try peer.send(hello)
        return peer
    }

    /// Proofs that the first node has forked this many logs. Each proof has the maximum size, some 90 KB.
    package func forkProofs(_ count: Int) throws -> [[UInt8]] {
        let author = NodeKey(node.publicKey)
        let cited = (1...Header.citedMax).map { LogID(author: author, incarnation: UInt64.max - UInt64($0)) }
        return try (1...count).map { number in
            let signed = try (1...2).map { variant in
                let header = Header(
                    alliance: alliance,
                    log: LogID(author: author, incarnation: UInt64(number)),
                    sequence: 1,
                    previous: nil,
                    root: Hash256(UInt64(variant), 0, 0, 0),
                    count: 1,
                    stamp: Stamp(rawValue: 1),
                    cited: cited,
                    organization: organization
                ).encoded()
                return (header: header, signature: try node.sign(SignatureTag.header.message(header)))
            }
            return try Statement.forkProof(alliance: alliance, signed[0], signed[1]).serializedBytes()
        }
    }

    /// Sends statements to a node, and waits until the node has handled them.
    ///
    /// - Throws: ``HostilePeer/Failure``.
    package func state(_ statements: [[UInt8]], port: Int) throws {
        let peer = try session(port: port)
        var part: [[UInt8]] = []
        for statement in statements {
            part.append(statement)
            guard part.count == PeerMessage.statementsMax || part.reduce(0, { $0 + $1.count }) > 200_000 else {
                continue
            }
            try peer.send(.governance(known: [], statements: part, answer: false))
            part = []
        }
        if !part.isEmpty { try peer.send(.governance(known: [], statements: part, answer: false)) }
        // The node handles the session's messages in order, so an answer shows that it has handled all.
        let token = UInt64.random(in: 1...UInt64.max)
        try peer.send(.diffQuestion(.sums(token: token)))
        while true {
            if case .diffAnswer(let answer) = try peer.receive(), answer.token == token { return }
        }
    }

    /// Enrols further nodes and sends their enrolments to a node.
    ///
    /// - Returns: their keys and identities, after the node has handled the statements.
    /// - Throws: ``HostilePeer/Failure``.
    package func enrol(_ count: Int, port: Int) throws -> [(key: KeySigner, identity: TLSIdentity)] {
        let nodes = try (0..<count).map { _ in
            let key = KeySigner(try Ed25519PrivateKey.generate())
            return (key: key, identity: try NodeIdentity.make(for: key.key))
        }
        try state(nodes.map { try enrolment(of: $0.key) }, port: port)
        return nodes
    }
}
