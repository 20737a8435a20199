import Catalog
import DeltaLog
import Foundation
import Governance
import Simulator
import SwiftProtobuf
import TestSupport
import Testing
import Wire

/// The published byte vectors (Tests/Vectors/vectors.json) equal this code's output for fixed keys, salts and clocks.
///
/// After a change of the format, rewrite them by running the tests with HANSA_WRITE_VECTORS=1, and read the difference.
struct VectorTests {
    private static let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Vectors/vectors.json")

    @Test func bytesAreThoseOfTheCommittedVectors() throws {
        let made = try Vectors().text
        if ProcessInfo.processInfo.environment["HANSA_WRITE_VECTORS"] != nil {
            try Data(made.utf8).write(to: Self.file)
        }
        let committed = try String(contentsOf: Self.file, encoding: .utf8)
        for (line, (one, other)) in zip(made.split(separator: "\n"), committed.split(separator: "\n")).enumerated() {
            #expect(one == other, "line \(line + 1)")
        }
        #expect(made == committed)
    }
}

/// An alliance of two organizations and three nodes, with one example of each structure.
private struct Vectors {
    private let cryptography = RealCryptography()
    private var sections: [(name: String, fields: [(String, String)])] = []

    private let organizationKey = RealSigner(seed: 1)
    private let node = RealSigner(seed: 2)
    private let secondNode = RealSigner(seed: 3)
    private let oneTimeKey = RealSigner(seed: 4)
    private let newcomerKey = RealSigner(seed: 5)

    private let need = RecordIdentity(kind: "need", localID: "N-1/测试")
    private let name = FieldPath(unchecked: "name/zh")
    private let tags = FieldPath(unchecked: "tags")

    private var charter: Charter {
        Charter(
            name: "Example Alliance",
            founders: [Charter.Founder(name: "First Founder", key: organizationKey.publicKey)],
            nonce: [UInt8](repeating: 0xA0, count: 16)
        )
    }

    private var alliance: AllianceID { charter.alliance(cryptography) }
    private var organization: OrganizationID {
        OrganizationID(firstKey: organizationKey.publicKey, hasher: cryptography)
    }

    init() throws {
        identities()
        merkle()
        try log()
        try governance()
    }

    private mutating func add(_ name: String, _ fields: [(String, String)]) {
        sections.append((name, fields))
    }

    private func hex(_ bytes: some Collection<UInt8>) -> String { Hex.string(bytes) }

    private mutating func identities() {
        let keys = [
            ("organization key", organizationKey), ("node", node), ("second node", secondNode),
            ("one-time key", oneTimeKey), ("newcomer's organization key", newcomerKey),
        ]
        for (seed, key) in keys.enumerated() {
            add(
                "key: \(key.0)",
                [
                    ("seed", String(repeating: Hex.string([UInt8(seed) + 1]), count: 32)),
                    ("public", key.1.publicKey.hex),
                ]
            )
        }
        add(
            "charter",
            [
                ("name", charter.name), ("founder name", charter.founders[0].name),
                ("founder key", organizationKey.publicKey.hex), ("sponsors", "1"), ("removal percent", "50"),
                ("nonce", hex(charter.nonce)), ("alliance id", alliance.hex),
            ]
        )
        add("organization", [("first key", organizationKey.publicKey.hex), ("organization id", organization.hex)])
        let key = need.key(cryptography)
        add(
            "record",
            [
                ("kind", need.kind), ("local id", need.localID), ("record key", key.hex),
                ("record id", id.hex),
            ]
        )
    }

    private var id: RecordID {
        RecordID(alliance: alliance, owner: organization, key: need.key(cryptography), hasher: cryptography)
    }

    private mutating func merkle() {
        let entries = (0..<9).map { Hash256([UInt8](repeating: UInt8($0), count: 32)) ?? .zero }
        add(
            "merkle roots of entries 00..00, 01..01, 02..02 and so on",
            (1...9).map { ("\($0)", MerkleTree.root(of: Array(entries[..<$0]), hasher: cryptography).hex) }
        )
    }

    private func sign(
        _ drafts: [OperationDraft],
        log: LogID,
        head: Head?,
        milliseconds: UInt64,
        importMark: ImportMark? = nil,
        by signer: RealSigner
    ) throws -> VerifiedDelta {
        let delta = try VerifiedDelta(
            signing: drafts,
            salts: drafts.indices.map { [UInt8](repeating: 0xB0 + UInt8($0), count: 16) },
            as: VerifiedDelta.Authorship(
                alliance: alliance,
                organization: organization,
                log: log,
                head: head,
                stamp: Stamp(milliseconds: milliseconds, counter: 1),
                importMark: importMark
            ),
            signer: signer,
            hasher: cryptography
        )
        return try VerifiedDelta(verifying: delta.encoded()[...], alliance: alliance, cryptography: cryptography)
    }

    private mutating func add(_ title: String, _ delta: VerifiedDelta) {
        add(
            title,
            [
                ("header", hex(delta.headerBytes)), ("signature", hex(delta.signature)),
                ("head hash", delta.hash.hex), ("merkle root", delta.header.root.hex), ("delta", hex(delta.encoded())),
            ]
        )
        for (index, operation) in delta.operations.enumerated() {
            add(
                "\(title): operation \(index)",
                [
                    ("envelope", hex(operation.envelopeBytes)), ("content", hex(operation.contentBytes)),
                    ("operation hash", operation.hash.hex),
                ]
            )
        }
    }

    private mutating func log() throws {
        let applier = DeltaApplier(alliance: alliance, hasher: cryptography)
        var storage = MemoryStorage()
        let own = LogID(author: NodeKey(node.publicKey), incarnation: 0x0102_0304_0506_0708)
        let other = LogID(author: NodeKey(secondNode.publicKey), incarnation: 1)
        func planned(_ changes: [(FieldPath, FieldChange)], _ identity: RecordIdentity) -> [OperationDraft] {
            let draft = Planner.upsert(
                identity,
                key: identity.key(cryptography),
                over: identity == need ? storage.view(of: id) : nil,
                changes: changes,
                settling: .settles
            )
            return draft.map { [$0] } ?? []
        }
        let everyKind: [Value] = [
            .integer(-1), .decimal("1.50"), .boolean(false), .json("{}"), .bytes([1, 2]), .text(""),
        ]
        let spare = RecordIdentity(kind: "resource", localID: "R")
        let fields = everyKind.enumerated().map { (FieldPath.ext("\($0.offset)"), FieldChange.set($0.element)) }
        let first = try sign(
            planned([(name, .set(.text("名称"))), (tags, .add([.text("a"), .text("b")]))], need) + planned(fields, spare),
            log: own,
            head: nil,
            milliseconds: 1_700_000_000_000,
            importMark: ImportMark(
                id: [UInt8](repeating: 0xC0, count: 16),
                fileHash: cryptography.hash(Array("file".utf8)),
                part: 1
            ),
            by: node
        )
        _ = try applier.apply(first, to: &storage)
        add("delta 1 of the first log, with an import mark", first)
        let second = try sign(
            planned([(name, .set(.text("b"))), (tags, .remove([.text("a")]))], need),
            log: own,
            head: first.head,
            milliseconds: 1_700_000_000_001,
            by: node
        )
        _ = try applier.apply(second, to: &storage)
        add("delta 2 of the first log, citing its own log", second)
        let third = try sign(
            planned([(name, .set(.text("c")))], need),
            log: other,
            head: nil,
            milliseconds: 1_700_000_000_002,
            by: secondNode
        )
        _ = try applier.apply(third, to: &storage)
        add("delta 1 of the second log, citing the first", third)
        add("state after these", storage)
        guard let view = storage.view(of: id) else { return }
        let fourth = try sign(
            [Planner.deletion(of: view)],
            log: other,
            head: third.head,
            milliseconds: 1_700_000_000_003,
            by: secondNode
        )
        _ = try applier.apply(fourth, to: &storage)
        add("delta 2 of the second log, deleting the record", fourth)
        add("state after the deletion", storage)
        add("no log", [("frontier fingerprint", Frontier().fingerprint(hasher: cryptography).hex)])
    }

    private mutating func add(_ title: String, _ storage: MemoryStorage) {
        let operations = storage.records[id]?.state.operations ?? []
        let live = operations.map { operation in
            "\(operation.dot.log.author.short) \(operation.dot.sequence) \(operation.dot.index): "
                + operation.writes.map { String($0.number) }.joined(separator: " ")
        }
        add(
            title,
            [
                ("live writes of the need (author, sequence, index: numbers)", live.joined(separator: "; ")),
                (
                    "canonical hash of the need",
                    storage.records[id]?.state.canonicalHash(of: id, hasher: cryptography)?.hex ?? ""
                ),
                ("digest", storage.digest.hex),
                ("frontier fingerprint", storage.frontier.fingerprint(hasher: cryptography).hex),
            ]
        )
    }

    private mutating func add(_ title: String, _ signed: Hansa_V0_SignedStatement) throws -> Statement {
        let statement = try Statement(
            verifying: try signed.serializedBytes(),
            alliance: alliance,
            cryptography: cryptography
        )
        add(
            title,
            [
                ("statement", hex(signed.statement)), ("signer", hex(signed.signer)),
                ("signature", hex(signed.signature)), ("signed statement", hex(statement.encoded)),
                ("id", statement.id.hex),
            ]
        )
        return statement
    }

    private mutating func governance() throws {
        var set = GovernanceSet()
        var replaced: Hash256?
        add("no statement", [("governance fingerprint", set.fingerprint(hasher: cryptography).hex)])
        var statements: [Statement] = []
        statements.append(
            try add(
                "enrolment",
                Statement.enrolment(
                    of: node,
                    organization: organization,
                    alliance: alliance,
                    voucher: nil,
                    signer: organizationKey
                )
            )
        )
        let voucher = try Statement.voucher(
            for: oneTimeKey.publicKey,
            organization: organization,
            alliance: alliance,
            organizationKey: organizationKey
        )
        add("voucher", [("voucher", hex(voucher.voucher)), ("signature", hex(voucher.signature))])
        statements.append(
            try add(
                "enrolment by a voucher",
                Statement.enrolment(
                    of: secondNode,
                    organization: organization,
                    alliance: alliance,
                    voucher: voucher,
                    signer: oneTimeKey
                )
            )
        )
        statements.append(
            try add(
                "admission",
                Statement.admission(
                    name: "Newcomer",
                    organizationKey: newcomerKey.publicKey,
                    alliance: alliance,
                    sponsor: node
                )
            )
        )
        let draft = OperationDraft(
            envelope: Envelope(
                key: need.key(cryptography),
                kind: .ordinary,
                writes: [Write(field: name, mode: .set)]
            ),
            values: [.text("x")]
        )
        let log = LogID(author: NodeKey(node.publicKey), incarnation: 9)
        let one = try sign([draft], log: log, head: nil, milliseconds: 1, by: node)
        let other = try sign([draft], log: log, head: nil, milliseconds: 2, by: node)
        statements.append(
            try add(
                "fork proof",
                Statement.forkProof(
                    alliance: alliance,
                    (one.headerBytes, one.signature),
                    (other.headerBytes, other.signature)
                )
            )
        )
        for statement in statements { _ = set.insert(statement, replaced: &replaced) }
        let roster = Roster(charter: charter, statements: set, hasher: cryptography)
        add(
            "these four statements",
            [
                ("governance fingerprint", set.fingerprint(hasher: cryptography).hex),
                ("members", roster.sorted.map { "\($0.name): \($0.id.hex)" }.joined(separator: "; ")),
                ("nodes", roster.organizations.keys.sorted().map(\.hex).joined(separator: "; ")),
            ]
        )
        try addAnnouncementAndTicket(voucher)
    }

    private mutating func addAnnouncementAndTicket(_ voucher: Hansa_V0_SignedVoucher) throws {
        let encoded = try Announcement.sign(
            addresses: ["node.example:7400", "[2001:db8::1]:7400"],
            version: 1_700_000_000_000,
            alliance: alliance,
            node: node
        )
        let announcement = try Announcement(verifying: encoded, alliance: alliance, cryptography: cryptography)
        var announcements = AnnouncementSet()
        add("no announcement", [("announcements fingerprint", announcements.fingerprint(hasher: cryptography).hex)])
        _ = announcements.insert(announcement)
        let signed = try Hansa_V0_SignedAnnouncement(serializedBytes: encoded)
        add(
            "announcement",
            [
                ("announcement", hex(signed.announcement)), ("signature", hex(signed.signature)),
                ("signed announcement", hex(encoded)),
                ("announcements fingerprint", announcements.fingerprint(hasher: cryptography).hex),
            ]
        )
        let ticket: Hansa_V0_Ticket = .with {
            $0.alliance = alliance.data
            $0.allianceName = charter.name
            $0.inviter = node.publicKey.data
            $0.addresses = ["node.example:7400"]
            $0.oneTimeSeed = Data(repeating: 4, count: 32)
            $0.expires = 1_800_000_000
            $0.voucher = voucher
        }
        let bytes: [UInt8] = try ticket.serializedBytes()
        add("ticket", [("ticket", hex(bytes)), ("text", try TicketText.encode(ticket, hasher: cryptography))])
    }

    /// JSON, written by hand to keep the order of this file.
    var text: String {
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        let body = sections.map { section in
            let fields = section.fields.map { "    \(quoted($0.0)): \(quoted($0.1))" }.joined(separator: ",\n")
            return "  \(quoted(section.name)): {\n\(fields)\n  }"
        }
        return "{\n" + body.joined(separator: ",\n") + "\n}\n"
    }
}
