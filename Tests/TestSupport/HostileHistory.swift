package import Catalog
package import DeltaLog
package import Simulator

/// Random deltas that follow the format but no other rule. They contain values that look like identities in any field,
/// superseded identities, and paths, kinds and values that Swift considers equal although their bytes differ. They also
/// contain sets and registers in one field, several operations on a record in one delta, other organizations' records,
/// and operation kinds of later versions. Citations name later operations, absent ones and those of other records.
package struct HostileHistory: Sendable {
    /// In the order of writing; the deltas of one log are in sequence.
    package private(set) var deltas: [VerifiedDelta] = []
    /// The organization of each author.
    package private(set) var organizations: [NodeKey: OrganizationID] = [:]
    package let applier: DeltaApplier<KeyedHashCryptography>
    private var random: SplitMix64
    private var heads: [LogID: Head] = [:]
    private var logs: [(log: LogID, signer: KeyedHashSigner, organization: OrganizationID)] = []

    private static let kinds = ["resource", "Kind", "\u{212A}ind", "é", "e\u{301}", ""]
    private static let paths = [
        "name/und", "name/zh", "title/und", "tags", "status", "ext/K", "ext/\u{212A}", "ext/é", "ext/e\u{301}", "@x",
    ]
    private static let texts = ["water pump", "水泵监测", "K", "\u{212A}", "é", "e\u{301}", "", "pump"]
    private static let recordsPerOrganization = 3

    package init(seed: UInt64, deltas count: Int) {
        random = SplitMix64(seed: seed)
        let cryptography = KeyedHashCryptography()
        applier = DeltaApplier(alliance: AllianceID(cryptography.hash(Array("alliance".utf8))), hasher: cryptography)
        for number in 0..<4 {
            let signer = KeyedHashSigner(number: UInt64(number) + 1)
            let organization = OrganizationID(cryptography.hash(Array("organization \(number % 2)".utf8)))
            let key = NodeKey(signer.publicKey)
            organizations[key] = organization
            for incarnation in [1, UInt64.max - UInt64(number)] {
                logs.append((LogID(author: key, incarnation: incarnation), signer, organization))
            }
        }
        while deltas.count < count { write() }
    }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        // The list is never empty.
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }

    private mutating func isTrue(oneIn count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    private mutating func write() {
        let (log, signer, organization) = pick(logs)
        let drafts = (0..<pick([1, 1, 1, 2, 4])).map { _ in draft(by: organization, log) }
        let authorship = VerifiedDelta.Authorship(
            alliance: applier.alliance,
            organization: organization,
            log: log,
            head: heads[log],
            stamp: Stamp(rawValue: UInt64.random(in: 0...3, using: &random)),
            importMark: nil
        )
        guard
            let delta = try? VerifiedDelta(
                signing: drafts,
                salts: drafts.map { _ in random.bytes(16) },
                as: authorship,
                signer: signer,
                hasher: applier.hasher
            ),
            let received = try? VerifiedDelta(
                verifying: delta.encoded()[...],
                alliance: applier.alliance,
                cryptography: applier.hasher
            )
        else { return }
        heads[log] = received.head
        deltas.append(received)
    }

    private mutating func draft(by organization: OrganizationID, _ log: LogID) -> OperationDraft {
        let number = Int.random(in: 0..<Self.recordsPerOrganization, using: &random)
        let identity = RecordIdentity(kind: Self.kinds[(number * 5 + 1) % Self.kinds.count], localID: "No \(number) é")
        var kind = Envelope.Kind.ordinary
        var owner: OrganizationID?
        switch Int.random(in: 0..<25, using: &random) {
        case 0: kind = .deletion
        case 1, 2: kind = .unknown(7)
        case 3, 4: owner = pick(organizations.values.sorted())
        default: break
        }
        if owner == organization { owner = nil }
        var writes: [Write] = []
        var values: [Value] = []
        for position in 0..<Int.random(in: 1...4, using: &random) {
            var path = FieldPath(unchecked: pick(Self.paths))
            var mode = pick([Write.Mode.set, .set, .set, .add, .remove])
            if isTrue(oneIn: 3) { (path, mode) = (.identity, isTrue(oneIn: 3) ? .remove : .set) }
            if kind == .deletion { (path, mode) = (.tombstone, position == 0 ? .set : .remove) }
            if kind == .ordinary, isTrue(oneIn: 12) { (path, mode) = (.tombstone, .remove) }
            let citations = (0..<pick([0, 0, 1, 3])).map { _ in citation(log) }
            writes.append(Write(field: path, mode: mode, supersedes: citations))
            if writes[position].hasValue { values.append(path == .identity ? .identity(identity) : value()) }
        }
        return OperationDraft(
            envelope: Envelope(key: identity.key(applier.hasher), owner: owner, kind: kind, writes: writes),
            values: values
        )
    }

    private mutating func value() -> Value {
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1: .identity(RecordIdentity(kind: pick(Self.kinds), localID: pick(Self.texts)))
        case 2: .integer(Int64.random(in: 0...1, using: &random))
        case 3: .unknown([0x0A, 0x81, 0x00])
        case 4: .json("[\"\(pick(Self.texts))\"]")
        default: .text(pick(Self.texts))
        }
    }

    /// A citation of an earlier operation, of one that may come later, or of one that never exists.
    private mutating func citation(_ log: LogID) -> Citation {
        let known = deltas.isEmpty ? nil : pick(deltas)
        let index = known.map { Int.random(in: 0..<$0.operations.count, using: &random) } ?? 0
        let isKnown = known != nil && !isTrue(oneIn: 5)
        let isOwn = isTrue(oneIn: 2)
        return Citation(
            dot: isKnown
                ? known!.dot(index)
                : Dot(
                    log: isOwn ? log : pick(logs).log,
                    sequence: pick([1, 3, 9, Header.sequenceMax]),
                    index: pick([0, 1, .max])
                ),
            prefix: isKnown && !isTrue(oneIn: 8) ? known!.operations[index].hash.prefix : random.next(),
            number: isTrue(oneIn: 2) ? nil : pick([0, 1, 2, .max - 1])
        )
    }

    /// The deltas in a different order; a delta may come before its predecessor in the log.
    package func shuffled(seed: UInt64) -> [VerifiedDelta] {
        var random = SplitMix64(seed: seed)
        return deltas.shuffled(using: &random)
    }
}
