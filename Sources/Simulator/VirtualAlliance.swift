package import Catalog
package import DeltaLog
package import Governance
import SwiftProtobuf

/// The keys and statements of an alliance for simulations and tests: organizations and nodes with keys derived from
/// numbers.
package struct VirtualAlliance: Sendable {
    package let cryptography: SimulatedCryptography
    package let charter: Charter
    package let id: AllianceID
    /// The enrolments of the initial nodes.
    package let enrolments: [Statement]
    private let founders: Int
    /// The number of nodes that are assigned to the organizations in turn; later ones belong to the last organization.
    private let dealt: Int

    /// - Parameters:
    ///   - founders: the number of organizations, which are numbered from 0.
    ///   - nodes: the number of nodes, which are numbered from 0 and assigned to the organizations in turn; nil for one
    ///   each.
    ///   - further: the number of further nodes, all of the last organization.
    ///   - name: the alliance's name. Alliances with different names are foreign to each other even with the same keys.
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

    /// A node's key in an alliance with ``SimulatedCryptography/Kind/mixed`` signatures.
    package static func node(_ number: Int) -> NodeKey { NodeKey(nodeSigner(number, .mixed).publicKey) }

    /// An organization's signer.
    package func organizationSigner(_ number: Int) -> SimulatedSigner {
        Self.organizationKey(number, cryptography.kind)
    }
    /// A node's signer.
    package func signer(_ number: Int) -> SimulatedSigner { Self.nodeSigner(number, cryptography.kind) }
    /// A node's key.
    package func node(_ number: Int) -> NodeKey { NodeKey(signer(number).publicKey) }

    /// The number of a node's organization; a node that joins later has its own.
    package func organizationNumber(of node: Int) -> Int {
        node < dealt ? node % founders : node < enrolments.count ? founders - 1 : node
    }

    /// The organization with this number.
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

    /// A node's enrolment by its own organization, or by another one.
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

    /// A node's announcement of the address of a node index, by default its own.
    package func announcement(of number: Int, at nodeIndex: Int? = nil, version: UInt64 = 1) -> Announcement {
        let bytes = try! Announcement.sign(
            addresses: [Self.address(of: nodeIndex ?? number)],
            version: version,
            alliance: id,
            node: signer(number)
        )
        return try! Announcement(verifying: bytes, alliance: id, cryptography: cryptography)
    }

    /// A node's announcement of arbitrary addresses.
    package func announcement(of number: Int, addresses: [String], version: UInt64) -> Announcement {
        let bytes = try! Announcement.sign(
            addresses: addresses,
            version: version,
            alliance: id,
            node: signer(number)
        )
        return try! Announcement(verifying: bytes, alliance: id, cryptography: cryptography)
    }

    /// The bytes of a proof that a node has forked its own log: two headers that it signed with one sequence.
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

    /// The address of a node index.
    package static func address(of nodeIndex: Int) -> String { "node\(nodeIndex):1" }
    /// The node index of an address; nil for any other address.
    package static func nodeIndex(of address: String) -> Int? {
        guard address.hasPrefix("node"), address.hasSuffix(":1") else { return nil }
        return Int(address.dropFirst(4).dropLast(2))
    }

    /// The set of these statements.
    package func governance(_ statements: [Statement]) -> GovernanceSet {
        var set = GovernanceSet()
        var replaced: Hash256?
        for statement in statements { _ = set.insert(statement, replaced: &replaced) }
        return set
    }

    /// A log of `count` deltas, each about its own record.
    ///
    /// - Parameter tag: the prefix of the records' ids and names.
    package func log(by number: Int, incarnation: UInt64 = 1, count: Int, tag: String = "x") -> [VerifiedDelta] {
        var deltas: [VerifiedDelta] = []
        for index in 0..<count {
            let name = "\(tag)\(index)"
            deltas.append(delta(by: number, incarnation: incarnation, after: deltas.last?.head, names: [(name, name)]))
        }
        return deltas
    }

    /// The next delta of a log; it gives each record a name.
    ///
    /// - Parameters:
    ///   - organization: the number of the organization in the header; nil for the node's own.
    ///   - names: the names by local id, in order.
    ///   - view: the record as its writer sees it.
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
            // Without a change there is nothing to sign, so an unchanged record is written as a new one.
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
