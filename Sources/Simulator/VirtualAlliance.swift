package import Catalog
package import DeltaLog
package import Governance
import SwiftProtobuf

/// The keys and papers of an alliance for simulations and tests: organizations and their nodes, whose keys are numbers.
package struct VirtualAlliance: Sendable {
    package let cryptography: SimulatedCryptography
    package let charter: Charter
    package let id: AllianceID
    /// The enrolments of the nodes that are there from the start.
    package let enrolments: [Statement]
    private let founders: Int
    /// Nodes that are dealt to the organizations in turn; those after them belong to the last one.
    private let dealt: Int

    /// - Parameters:
    ///   - founders: The organizations 0 to `founders` - 1.
    ///   - nodes: The nodes from 0 on, dealt to the organizations in turn; as many as organizations where it isn't given.
    ///   - further: Nodes after those, all of the last organization.
    ///   - name: Two alliances with different names are foreign to each other, with the same keys.
    package init(
        founders: Int,
        nodes: Int? = nil,
        further: Int = 0,
        name: String = "test",
        cryptography kind: SimulatedCryptography.Kind = .mixed
    ) {
        let cryptography = SimulatedCryptography(kind)
        let charter = Charter(
            name: name,
            founders: (0..<founders).map {
                Charter.Founder(name: "org\($0)", key: Self.organizationKey($0, kind).publicKey)
            },
            nonce: Array(repeating: 7, count: 16)
        )
        let id = charter.alliance(cryptography)
        self.cryptography = cryptography
        self.charter = charter
        self.id = id
        self.founders = founders
        let dealt = nodes ?? founders
        self.dealt = dealt
        enrolments = (0..<dealt + further).map {
            let organization = $0 < dealt ? $0 % founders : founders - 1
            return Self.enrolment(of: $0, at: organization, alliance: id, cryptography: cryptography)
        }
    }

    private static func organizationKey(_ number: Int, _ kind: SimulatedCryptography.Kind) -> SimulatedSigner {
        SimulatedSigner(number: 1_000_000 + UInt64(number), kind: kind)
    }
    private static func nodeSigner(_ number: Int, _ kind: SimulatedCryptography.Kind) -> SimulatedSigner {
        SimulatedSigner(number: 1 + UInt64(number), kind: kind)
    }

    /// The key of a node whose alliance signs by ``SimulatedCryptography/Kind/mixed``.
    package static func node(_ number: Int) -> NodeKey { NodeKey(nodeSigner(number, .mixed).publicKey) }

    /// What an organization signs with.
    package func organizationSigner(_ number: Int) -> SimulatedSigner {
        Self.organizationKey(number, cryptography.kind)
    }
    /// What a node signs with.
    package func signer(_ number: Int) -> SimulatedSigner { Self.nodeSigner(number, cryptography.kind) }
    /// A node's key.
    package func node(_ number: Int) -> NodeKey { NodeKey(signer(number).publicKey) }

    /// The number of the organization that a node belongs to; a node that comes later has one of its own.
    package func organizationNumber(of node: Int) -> Int {
        node < dealt ? node % founders : node < enrolments.count ? founders - 1 : node
    }

    /// The organization with that number.
    package func organization(_ number: Int) -> OrganizationID {
        let key = Self.organizationKey(number, cryptography.kind).publicKey
        return OrganizationID(firstKey: key, hasher: cryptography)
    }

    private static func verified(
        _ signed: some SwiftProtobuf.Message,
        alliance: AllianceID,
        cryptography: SimulatedCryptography
    ) -> Statement {
        do {
            let bytes: [UInt8] = try signed.serializedBytes()
            return try Statement(verifying: bytes, alliance: alliance, cryptography: cryptography)
        } catch {
            preconditionFailure("a statement of our own: \(error)")
        }
    }

    private static func enrolment(
        of number: Int,
        at organization: Int,
        alliance: AllianceID,
        cryptography: SimulatedCryptography
    ) -> Statement {
        let key = organizationKey(organization, cryptography.kind)
        let signed = try! Statement.enrolment(
            of: nodeSigner(number, cryptography.kind),
            organization: OrganizationID(firstKey: key.publicKey, hasher: cryptography),
            alliance: alliance,
            voucher: nil,
            signer: key
        )
        return verified(signed, alliance: alliance, cryptography: cryptography)
    }

    /// The organization's own enrolment of its node, or another organization's.
    package func enrolment(of number: Int, at organization: Int? = nil) -> Statement {
        Self.enrolment(
            of: number,
            at: organization ?? organizationNumber(of: number),
            alliance: id,
            cryptography: cryptography
        )
    }

    /// A sponsor's admission of an organization.
    package func admission(of number: Int, by sponsor: Int) -> Statement {
        let signed = try! Statement.admission(
            name: "org\(number)",
            organizationKey: Self.organizationKey(number, cryptography.kind).publicKey,
            alliance: id,
            sponsor: signer(sponsor)
        )
        return Self.verified(signed, alliance: id, cryptography: cryptography)
    }

    /// A node's announcement of the address that is the number of the place where it runs; its own as a rule.
    package func announcement(of number: Int, at place: Int? = nil, version: UInt64 = 1) -> Announcement {
        let bytes = try! Announcement.sign(
            addresses: [Self.address(of: place ?? number)],
            version: version,
            alliance: id,
            node: signer(number)
        )
        return try! Announcement(verifying: bytes, alliance: id, cryptography: cryptography)
    }

    /// A node's announcement of any addresses.
    package func announcement(of number: Int, addresses: [String], version: UInt64) -> Announcement {
        let bytes = try! Announcement.sign(
            addresses: addresses,
            version: version,
            alliance: id,
            node: signer(number)
        )
        return try! Announcement(verifying: bytes, alliance: id, cryptography: cryptography)
    }

    /// The bytes of a proof that a node has forked a log of its own: two headers that it signed with one sequence.
    package func forkProof(by number: Int, incarnation: UInt64, sequence: UInt64) -> [UInt8] {
        let branches = (0..<2).map { branch -> (header: [UInt8], signature: [UInt8]) in
            let header = Header(
                alliance: id,
                log: LogID(author: node(number), incarnation: incarnation),
                sequence: sequence,
                previous: sequence > 1 ? cryptography.hash([1]) : nil,
                root: cryptography.hash([UInt8(branch)]),
                count: 1,
                stamp: Stamp(milliseconds: 1, counter: 0),
                organization: organization(organizationNumber(of: number))
            ).encoded()
            return (header, try! signer(number).sign(SignatureTag.header.message(header)))
        }
        return try! Statement.forkProof(alliance: id, branches[0], branches[1]).serializedBytes()
    }

    /// The address of a place.
    package static func address(of place: Int) -> String { "node\(place):1" }
    /// The place of an address; nil for one that is none of these.
    package static func place(of address: String) -> Int? {
        guard address.hasPrefix("node"), address.hasSuffix(":1") else { return nil }
        return Int(address.dropFirst(4).dropLast(2))
    }

    /// The statements, as a set.
    package func governance(_ statements: [Statement]) -> GovernanceSet {
        var set = GovernanceSet()
        var replaced: Hash256?
        for statement in statements { _ = set.insert(statement, replaced: &replaced) }
        return set
    }

    /// A log of so many deltas, each about a record of its own.
    ///
    /// - Parameter tag: How the records' ids and names begin.
    package func log(by number: Int, incarnation: UInt64 = 1, count: Int, tag: String = "x") -> [VerifiedDelta] {
        var deltas: [VerifiedDelta] = []
        for index in 0..<count {
            let name = "\(tag)\(index)"
            deltas.append(delta(by: number, incarnation: incarnation, after: deltas.last?.head, names: [(name, name)]))
        }
        return deltas
    }

    /// The next delta of a log: each record gets a name.
    ///
    /// - Parameters:
    ///   - organization: The number of the one that the header names; as a rule the node's own.
    ///   - names: By local id, in order.
    ///   - view: The record as its writer sees it.
    package func delta(
        by number: Int,
        for organization: Int? = nil,
        incarnation: UInt64 = 1,
        after head: Head?,
        milliseconds: UInt64 = 1,
        names: [(localID: String, name: String)],
        view: (RecordID) -> RecordView? = { _ in nil }
    ) -> VerifiedDelta {
        let organization = self.organization(organization ?? organizationNumber(of: number))
        let drafts = names.map { entry in
            let identity = RecordIdentity(kind: "resource", localID: entry.localID)
            let key = identity.key(cryptography)
            let record = RecordID(alliance: id, owner: organization, key: key, hasher: cryptography)
            // With nothing to change there is nothing to sign; a record seen as it is asked to be is written anew.
            return Planner.upsert(
                identity,
                key: key,
                over: view(record),
                changes: [(FieldPath(unchecked: "name/und"), .set(.text(entry.name)))],
                settling: .settles
            )
                ?? Planner.upsert(
                    identity,
                    key: key,
                    over: nil,
                    changes: [(FieldPath(unchecked: "name/und"), .set(.text(entry.name)))],
                    settling: .settles
                )!
        }
        return try! VerifiedDelta(
            signing: drafts,
            salts: drafts.indices.map { Array(repeating: UInt8(truncatingIfNeeded: $0), count: 16) },
            as: VerifiedDelta.Authorship(
                alliance: id,
                organization: organization,
                log: LogID(author: node(number), incarnation: incarnation),
                head: head,
                stamp: Stamp(milliseconds: milliseconds, counter: 0),
                importMark: nil
            ),
            signer: signer(number),
            hasher: cryptography
        )
    }
}
