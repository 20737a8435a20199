package import Catalog
package import DeltaLog
import SwiftProtobuf

/// The keys and papers of an alliance for tests: organizations of one node each, signed by keyed hashes.
package struct VirtualAlliance: Sendable {
    package let cryptography = KeyedHashCryptography()
    package let charter: Charter
    package let id: AllianceID
    /// The founders' enrolments.
    package let enrolments: [Statement]

    /// - Parameters:
    ///   - founders: The organizations 0 to `founders` - 1, each with one enrolled node.
    ///   - name: Two alliances with different names are foreign to each other, with the same keys.
    package init(founders: Int, name: String = "test") {
        let cryptography = KeyedHashCryptography()
        let charter = Charter(
            name: name,
            founders: (0..<founders).map { Charter.Founder(name: "org\($0)", key: Self.organizationKey($0).publicKey) },
            nonce: Array(repeating: 7, count: 16)
        )
        let id = charter.alliance(cryptography)
        self.charter = charter
        self.id = id
        enrolments = (0..<founders).map { Self.enrolment(of: $0, at: $0, alliance: id) }
    }

    package static func organizationKey(_ number: Int) -> KeyedHashSigner {
        KeyedHashSigner(number: 1000 + UInt64(number))
    }
    package static func nodeSigner(_ number: Int) -> KeyedHashSigner { KeyedHashSigner(number: 1 + UInt64(number)) }
    package static func node(_ number: Int) -> NodeKey { NodeKey(nodeSigner(number).publicKey) }

    /// The organization with that number.
    package func organization(_ number: Int) -> OrganizationID {
        OrganizationID(firstKey: Self.organizationKey(number).publicKey, hasher: cryptography)
    }

    private static func verified(_ signed: some SwiftProtobuf.Message, alliance: AllianceID) -> Statement {
        do {
            let bytes: [UInt8] = try signed.serializedBytes()
            return try Statement(verifying: bytes, alliance: alliance, cryptography: KeyedHashCryptography())
        } catch {
            preconditionFailure("a statement of our own: \(error)")
        }
    }

    private static func enrolment(of number: Int, at organization: Int, alliance: AllianceID) -> Statement {
        let key = organizationKey(organization)
        let signed = try! Statement.enrolment(
            of: nodeSigner(number),
            organization: OrganizationID(firstKey: key.publicKey, hasher: KeyedHashCryptography()),
            alliance: alliance,
            voucher: nil,
            signer: key
        )
        return verified(signed, alliance: alliance)
    }

    /// The organization's own enrolment of its node, or another organization's.
    package func enrolment(of number: Int, at organization: Int? = nil) -> Statement {
        Self.enrolment(of: number, at: organization ?? number, alliance: id)
    }

    /// A sponsor's admission of an organization.
    package func admission(of number: Int, by sponsor: Int) -> Statement {
        let signed = try! Statement.admission(
            name: "org\(number)",
            organizationKey: Self.organizationKey(number).publicKey,
            alliance: id,
            sponsor: Self.nodeSigner(sponsor)
        )
        return Self.verified(signed, alliance: id)
    }

    /// A node's announcement of the address that is its number.
    package func announcement(of number: Int, version: UInt64 = 1) -> Announcement {
        let bytes = try! Announcement.sign(
            addresses: ["node\(number):1"],
            version: version,
            alliance: id,
            node: Self.nodeSigner(number)
        )
        return try! Announcement(verifying: bytes, alliance: id, cryptography: cryptography)
    }

    /// The statements, as a set.
    package func governance(_ statements: [Statement]) -> GovernanceSet {
        var set = GovernanceSet()
        var replaced: Hash256?
        for statement in statements { _ = set.insert(statement, replaced: &replaced) }
        return set
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
        let organization = self.organization(organization ?? number)
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
                log: LogID(author: Self.node(number), incarnation: incarnation),
                head: head,
                stamp: Stamp(milliseconds: milliseconds, counter: 0),
                importMark: nil
            ),
            signer: Self.nodeSigner(number),
            hasher: cryptography
        )
    }
}
