import Catalog
import DeltaLog
import Gossip
import Simulator

/// Signs deltas as a hostile member may: valid ones with odd content, and some with one fault.
struct DeltaMaker {
    let alliance: VirtualAlliance
    /// The number of the author's key.
    let author: Int
    /// The time in Unix milliseconds.
    let wallMilliseconds: UInt64

    private var organization: OrganizationID { alliance.organization(alliance.organizationNumber(of: author)) }
    private var hasher: SimulatedCryptography { alliance.cryptography }

    private static let incarnations: [UInt64] = [0, 1, 1 << 63, .max]

    /// Signs one more delta and adds it to the pool.
    func sign(into pool: inout HostilePool, using random: inout SplitMix64) {
        let log = LogID(author: alliance.node(author), incarnation: random.pick(Self.incarnations) ?? 1)
        pool.know(log)
        let chain = pool.chains[log] ?? []
        var sequence = UInt64(chain.count) + 1
        var previous = chain.last?.head.hash
        switch Int.random(in: 0..<20, using: &random) {
        case 0 where !chain.isEmpty:
            sequence = UInt64.random(in: 1...UInt64(chain.count), using: &random)
            previous = sequence > 1 ? chain[Int(sequence) - 2].head.hash : nil
        case 1:
            sequence = random.number(near: sequence)
            previous = sequence == 1 ? nil : Hash256(random.next(), 1, 2, 3)
        default: break
        }
        let delta = sign(log, sequence, previous: previous, citing: pool, using: &random)
        guard let delta else { return }
        if let verified = try? VerifiedDelta(verifying: delta.bytes[...], alliance: alliance.id, cryptography: hasher),
            sequence == UInt64(chain.count) + 1, previous == chain.last?.head.hash
        {
            pool.addSigned(delta, verified.citable)
        } else {
            pool.addTwin(delta)
        }
    }

    /// A unique header, of operations that do not exist.
    func header(of log: LogID, _ sequence: UInt64, using random: inout SplitMix64) -> SignedHeader {
        let header = Header(
            alliance: alliance.id,
            log: log,
            sequence: sequence,
            previous: sequence == 1 ? nil : Hash256(random.next(), 0, 0, 0),
            root: Hash256(random.next(), 0, 0, 0),
            count: random.extreme32(),
            stamp: Stamp(rawValue: random.extreme()),
            organization: organization
        )
        return signed(header.encoded())
    }

    private func signed(_ header: [UInt8]) -> SignedHeader {
        // Signing with these keys never fails.
        let signature = try! alliance.signer(author).sign(SignatureTag.header.message(header))
        return SignedHeader(header: header, signature: signature)
    }

    private func sign(
        _ log: LogID,
        _ sequence: UInt64,
        previous: Hash256?,
        citing pool: HostilePool,
        using random: inout SplitMix64
    ) -> PooledDelta? {
        var cited = CitedLogs(own: log, others: random.isOne(in: 40) ? outsiders(1_024, using: &random) : [])
        var fields = FieldList()
        if Bool.random(using: &random) {
            for path in Self.paths + ["x", "y"] where Bool.random(using: &random) {
                _ = fields.add(FieldPath(unchecked: path))
            }
        }
        var count = 1 + random.small(below: 8)
        if random.isOne(in: 40) { count = random.isOne(in: 6) ? 4_096 : 200 }
        var operations: [(envelope: ArraySlice<UInt8>, content: ArraySlice<UInt8>)] = []
        var size = 0
        for _ in 0..<count {
            let (envelope, values) = count > 200 ? small(using: &random) : operation(citing: pool, log, &random)
            var encoded = envelope.encoded(citing: &cited, fields: fields)
            var content = Content(salt: random.bytes(Content.saltByteCount), values: values).encoded()
            if random.isOne(in: 60) { encoded = random.mutated(encoded) }
            if random.isOne(in: 60) { content = random.mutated(content) }
            operations.append((encoded[...], content[...]))
            size += encoded.count + content.count
            if size > 900_000 { break }
        }
        let hashes = operations.map {
            operationHash(
                envelope: hasher.hash(Array($0.envelope)),
                content: hasher.hash(Array($0.content)),
                hasher: hasher
            )
        }
        let header = Header(
            alliance: random.isOne(in: 200) ? AllianceID(.zero) : alliance.id,
            log: log,
            sequence: sequence,
            previous: previous,
            root: random.isOne(in: 100) ? .zero : MerkleTree.root(of: hashes, hasher: hasher),
            count: random.isOne(in: 100) ? random.extreme32() : UInt32(operations.count),
            stamp: stamp(using: &random),
            format: random.isOne(in: 100) ? random.extreme32() : formatVersion,
            importMark: random.isOne(in: 6)
                ? ImportMark(id: random.bytes(16), fileHash: .zero, part: max(1, random.extreme32())) : nil,
            cited: cited.others,
            organization: random.isOne(in: 60)
                ? alliance.organization(Int.random(in: 0..<5, using: &random)) : organization,
            fields: fields
        )
        let signed = signed(random.isOne(in: 60) ? random.mutated(header.encoded()) : header.encoded())
        let bytes = RawDelta(header: signed.header[...], signature: signed.signature[...], operations: operations)
            .encoded()
        let hash = Header.hash(header: signed.header[...], signature: signed.signature[...], hasher: hasher)
        return PooledDelta(log: log, head: Head(sequence: sequence, hash: hash), bytes: bytes, header: signed)
    }

    private func stamp(using random: inout SplitMix64) -> Stamp {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: Stamp(rawValue: random.extreme())
        case 1: Stamp(milliseconds: 0xFFFF_FFFF_FFFF, counter: UInt16(truncatingIfNeeded: random.extreme()))
        // The largest stamp that other nodes accept.
        case 2: Stamp(milliseconds: wallMilliseconds + HybridLogicalClock.aheadMillisecondsMax, counter: .max)
        default: Stamp(milliseconds: wallMilliseconds, counter: UInt16(truncatingIfNeeded: random.next()))
        }
    }

    private func outsiders(_ count: Int, using random: inout SplitMix64) -> [LogID] {
        (0..<count).map { _ in LogID(author: NodeKey(Hash256(random.next(), 9, 9, 9)), incarnation: random.next()) }
    }

    // MARK: - Operations

    private static let kinds = ["resource", "need", "", "K", "\u{212A}", "e\u{301}", "é", "a/b", "@"]
    private static let paths = [
        "name/und", "name/zh", "tags", "description/und", "@", "@/x", "ext/Column é", "e\u{301}", "é", "a", "/", "a/",
        "ext/\u{0}", "K", "\u{212A}",
    ]

    private func identity(using random: inout SplitMix64) -> RecordIdentity {
        let localID: String
        switch Int.random(in: 0..<12, using: &random) {
        case 0: localID = random.text()
        case 1: localID = String(repeating: "x", count: random.pick(of: 1_023, 1_024, 1_025, 100_000))
        default: localID = "r\(Int.random(in: 0..<12, using: &random))"
        }
        let kind = random.isOne(in: 3) ? random.pick(Self.kinds) ?? "" : "resource"
        return RecordIdentity(kind: kind, localID: localID)
    }

    private func path(using random: inout SplitMix64) -> FieldPath {
        switch Int.random(in: 0..<40, using: &random) {
        case 0: FieldPath(unchecked: String(repeating: "p", count: random.pick(of: 1_024, 1_025, 20_000)))
        case 1: FieldPath(unchecked: random.text())
        default: FieldPath(unchecked: random.pick(Self.paths) ?? "a")
        }
    }

    /// A small operation.
    private func small(using random: inout SplitMix64) -> (Envelope, [Value]) {
        let identity = identity(using: &random)
        let write = Write(field: FieldPath(unchecked: "a"), mode: .set)
        return (Envelope(key: identity.key(hasher), kind: .ordinary, writes: [write]), [.boolean(true)])
    }

    private func operation(
        citing pool: HostilePool,
        _ log: LogID,
        _ random: inout SplitMix64
    ) -> (Envelope, [Value]) {
        let identity = identity(using: &random)
        var key = identity.key(hasher)
        var kind = Envelope.Kind.ordinary
        var writes: [Write] = []
        var values: [Value] = []
        switch Int.random(in: 0..<12, using: &random) {
        case 0:
            kind = .deletion
            if let target = random.pick(pool.operations), Bool.random(using: &random) { key = target.key }
            for number in 0...random.small(below: 4) {
                let citations = citations(of: pool, log, key, &random)
                writes.append(Write(field: .tombstone, mode: number == 0 ? .set : .remove, supersedes: citations))
            }
        case 1:
            kind = .unknown(random.pick(of: 2, 3, 4, UInt64(Int32.max), 1 << 31))
            for _ in 0...random.small(below: 4) {
                writes.append(Write(field: path(using: &random), mode: random.pick(of: .set, .add, .remove)))
                values.append(value(using: &random))
            }
        default:
            if !random.isOne(in: 4) {
                writes.append(Write(field: .identity, mode: .set, supersedes: citations(of: pool, log, key, &random)))
                values.append(.identity(identity))
            }
            var count = random.small(below: 6) + (writes.isEmpty ? 1 : 0)
            if random.isOne(in: 80) { count = random.pick(of: 100, 500, 2_000) }
            for number in 0..<count {
                var field = count > 6 ? FieldPath(unchecked: "f\(number)") : path(using: &random)
                // An identity value in the identity field must match the record; the code above writes it.
                if field == .identity, !random.isOne(in: 10) { field = FieldPath(unchecked: "b") }
                let mode: Write.Mode = random.pick(of: .set, .set, .add, .remove)
                let write = Write(field: field, mode: mode, supersedes: citations(of: pool, log, key, &random))
                writes.append(write)
                if write.hasValue { values.append(value(using: &random)) }
            }
        }
        if random.isOne(in: 100) { _ = values.popLast() }
        let owner: OrganizationID? =
            random.isOne(in: 15) ? alliance.organization(Int.random(in: 0..<6, using: &random)) : nil
        return (Envelope(key: key, owner: owner, kind: kind, writes: writes), values)
    }

    private func citations(
        of pool: HostilePool,
        _ log: LogID,
        _ key: RecordKey,
        _ random: inout SplitMix64
    ) -> [Citation] {
        guard Bool.random(using: &random) else { return [] }
        let count = random.isOne(in: 100) ? 300 : random.small(below: 4)
        return (0..<count).map { _ in
            if !random.isOne(in: 3), let target = random.pick(pool.operations) {
                let number: UInt32? = random.isOne(in: 3) ? UInt32(random.small(below: 5)) : nil
                return Citation(dot: target.dot, prefix: target.prefix, number: number)
            }
            let cited = random.pick(pool.logs) ?? log
            let held = UInt64(pool.chains[cited]?.count ?? 0)
            let sequence = random.isOne(in: 50) ? random.extreme() : min(random.number(near: held), Header.sequenceMax)
            return Citation(
                dot: Dot(log: cited, sequence: max(1, sequence), index: random.extreme32()),
                prefix: random.extreme(),
                number: random.isOne(in: 2) ? min(random.extreme32(), .max - 1) : nil
            )
        }
    }

    // MARK: - Values

    private func value(using random: inout SplitMix64) -> Value {
        switch Int.random(in: 0..<16, using: &random) {
        case 0, 1, 2: .text(random.text())
        case 3: .text(String(repeating: "word ", count: random.small(below: 15_000)))
        case 4: .integer(Int64(bitPattern: random.extreme()))
        case 5:
            .decimal(
                random.pick(of: "1.50", "-0", "1e999", "NaN", "", "∞", "0x1p3", String(repeating: "9", count: 400))
            )
        case 6: .boolean(Bool.random(using: &random))
        case 7, 8: .json(json(using: &random))
        case 9: .bytes(random.bytes(random.small(below: 300)))
        case 10, 11: .identity(identity(using: &random))
        case 12: .unknown(random.bytes(random.small(below: 30)))
        // A field that is reserved for later versions.
        case 13: .unknown([UInt8.random(in: 7...14, using: &random) << 3, 1])
        case 14: .unknown([])
        default: .text("")
        }
    }

    private func json(using random: inout SplitMix64) -> String {
        let depth = random.pick(of: 1, 63, 64, 65, 509, 512, 513, 5_000)
        return switch Int.random(in: 0..<5, using: &random) {
        case 0: String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        case 1: String(repeating: "{\"a\":", count: depth) + "1" + String(repeating: "}", count: depth)
        case 2: String(repeating: "[", count: depth)
        case 3: random.pick(of: "", "nul", "{\"a\":1,\"a\":2}", "1e400", "\"\\ud800\"", "[1,]", "-", "\u{FEFF}1")
        default: "{\"text\":\"a b\",\"n\":[1,2.50,null,true]}"
        }
    }
}

extension VerifiedDelta {
    /// The dots, prefixes and keys of its first operations, for citations.
    var citable: [(dot: Dot, prefix: UInt64, key: RecordKey)] {
        operations.prefix(4).enumerated().map { (dot($0.offset), $0.element.hash.prefix, $0.element.envelope.key) }
    }
}
