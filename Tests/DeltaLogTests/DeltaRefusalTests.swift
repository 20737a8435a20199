import Catalog
import DeltaLog
import Foundation
import Simulator
import TestSupport
import Testing
import Wire

/// Tests every reason for refusing a delta, and mutated bytes.
struct DeltaRefusalTests {
    private let signer = KeyedHashSigner(number: 1)
    private let cryptography = KeyedHashCryptography()
    private let alliance = TestHistory.alliance
    private let organization = OrganizationID(Hash256(4, 4, 4, 4))
    private let name = FieldPath(unchecked: "name/und")

    private var log: LogID { LogID(author: NodeKey(signer.publicKey), incarnation: 5) }

    private func draft(_ text: String, citing: [Citation] = []) -> OperationDraft {
        let identity = RecordIdentity(kind: "need", localID: text)
        return OperationDraft(
            envelope: Envelope(
                key: identity.key(cryptography),
                kind: .ordinary,
                writes: [
                    Write(field: .identity, mode: .set), Write(field: name, mode: .set, supersedes: citing),
                ]
            ),
            values: [.identity(identity), .text(text)]
        )
    }

    private func sign(_ drafts: [OperationDraft], after head: Head? = nil) throws -> VerifiedDelta {
        try VerifiedDelta(
            signing: drafts,
            salts: drafts.map { _ in [UInt8](repeating: 9, count: 16) },
            as: VerifiedDelta.Authorship(
                alliance: alliance,
                organization: organization,
                log: log,
                head: head,
                stamp: Stamp(milliseconds: 1, counter: 0),
                importMark: nil
            ),
            signer: signer,
            hasher: cryptography
        )
    }

    private func verify(_ bytes: [UInt8]) throws -> VerifiedDelta {
        try VerifiedDelta(verifying: bytes[...], alliance: alliance, cryptography: cryptography)
    }

    private func refusal(_ bytes: [UInt8]) -> DeltaRefusal? {
        do {
            _ = try verify(bytes)
            return nil
        } catch {
            return error as? DeltaRefusal
        }
    }

    /// Builds a correctly signed delta from the given parts.
    private func forge(
        _ operations: [(envelope: [UInt8], content: [UInt8])],
        header change: (Header) -> Header = { $0 },
        extra: [UInt8] = []
    ) throws -> [UInt8] {
        let hashes = operations.map {
            operationHash(
                envelope: cryptography.hash($0.envelope),
                content: cryptography.hash($0.content),
                hasher: cryptography
            )
        }
        let header = change(
            Header(
                alliance: alliance,
                log: log,
                sequence: 1,
                previous: nil,
                root: MerkleTree.root(of: hashes, hasher: cryptography),
                count: UInt32(operations.count),
                stamp: Stamp(rawValue: 1),
                organization: organization
            )
        )
        let bytes = header.encoded() + extra
        let signature = try signer.sign(SignatureTag.header.message(bytes))
        return RawDelta(
            header: bytes[...],
            signature: signature[...],
            operations: operations.map { ($0.envelope[...], $0.content[...]) }
        ).encoded()
    }

    private func forge(_ envelope: Envelope, _ values: [Value]) throws -> [UInt8] {
        var cited = CitedLogs(own: log)
        let content = Content(salt: [UInt8](repeating: 1, count: 16), values: values)
        return try forge([(envelope.encoded(citing: &cited, fields: FieldList()), content.encoded())])
    }

    private func changed(
        _ header: Header,
        alliance: AllianceID? = nil,
        root: Hash256? = nil,
        count: UInt32? = nil,
        format: UInt32 = 0
    ) -> Header {
        Header(
            alliance: alliance ?? header.alliance,
            log: header.log,
            sequence: header.sequence,
            previous: header.previous,
            root: root ?? header.root,
            count: count ?? header.count,
            stamp: header.stamp,
            format: format,
            organization: header.organization
        )
    }

    // MARK: - Fields that the header lists

    /// A header lists the paths that several operations write. An operation writes out a path that occurs only once.
    @Test func repeatedPathsAreListed() throws {
        let once = FieldPath(unchecked: "ext/Once")
        let plain = draft("a")
        let more = OperationDraft(
            envelope: Envelope(
                key: draft("b").envelope.key,
                kind: .ordinary,
                writes: draft("b").envelope.writes + [
                    Write(field: once, mode: .add), Write(field: name, mode: .remove),
                ]
            ),
            values: draft("b").values + [.text("x")]
        )
        #expect(try sign([plain]).header.fields.paths.isEmpty)
        let delta = try sign([plain, more, draft("c")])
        #expect(delta.header.fields.paths == [.identity, name])
        let again = try verify(delta.encoded())
        #expect(again == delta)
        #expect(again.operations[1].envelope == more.envelope)
        let names = Array(name.text.utf8)
        let found = delta.encoded().indices.filter { delta.encoded()[$0...].starts(with: names) }
        #expect(found.count == 1)
    }

    /// For any number of paths, headers stay small enough for two to fit into a fork proof. The remaining paths are
    /// written out.
    @Test func aHeaderListsNoMoreThanItMay() throws {
        for length in [1, 900] {
            let paths = (0..<200).map { FieldPath.ext("\($0)" + String(repeating: "x", count: length)) }
            let drafts = ["a", "b"].map { text in
                OperationDraft(
                    envelope: Envelope(
                        key: draft(text).envelope.key,
                        kind: .ordinary,
                        writes: draft(text).envelope.writes + paths.map { Write(field: $0, mode: .set) }
                    ),
                    values: draft(text).values + paths.map { .text($0.text) }
                )
            }
            let delta = try sign(drafts)
            let listed = delta.header.fields.paths
            #expect(listed.count == (length == 1 ? FieldList.countMax : 6))
            #expect(listed.reduce(0) { $0 + $1.text.utf8.count } <= FieldList.bytesMax)
            #expect(try verify(delta.encoded()).operations.map(\.envelope) == drafts.map(\.envelope))
        }
    }

    @Test func aFieldHasOneWayToBeNamed() throws {
        func refused(_ write: [UInt8], listing texts: [String]) throws -> String? {
            let identity = RecordIdentity(kind: "need", localID: "a")
            var envelope = WireWriter()
            envelope.field(1, bytes: identity.key(cryptography).bytes)
            envelope.field(4, bytes: write)
            let content = Content(salt: [UInt8](repeating: 1, count: 16), values: [.text("x")])
            var extra = WireWriter()
            for text in texts { extra.field(13, text: text) }
            guard
                case .malformed(let reason) = refusal(
                    try forge([(envelope.bytes, content.encoded())], extra: extra.bytes)
                )
            else { return nil }
            return reason
        }
        let inline: [UInt8] = [0x0A, 1, 0x61]
        let first: [UInt8] = [0x20, 1]
        #expect(try refused(inline, listing: []) == nil)
        #expect(try refused(first, listing: ["a"]) == nil)
        #expect(
            try refused(inline, listing: ["b", "a"])
                == "operation 0: write: a field that the header lists is written out"
        )
        #expect(
            try refused(inline + first, listing: ["b"]) == "operation 0: write: a field both listed and written out"
        )
        #expect(try refused([0x20, 2], listing: ["a"]) == "operation 0: write: field 2 is not in the header")
        #expect(try refused([0x20, 1], listing: []) == "operation 0: write: field 1 is not in the header")
        #expect(try refused([0x20, 0], listing: ["a"])?.hasPrefix("operation 0: ") == true)
        let list = "header: fields: a path that is empty, listed twice, or too much"
        #expect(try refused(first, listing: ["a", "a"]) == list)
        #expect(try refused(first, listing: [""]) == list)
        #expect(try refused(first, listing: (0...FieldList.countMax).map { "f\($0)" }) == list)
        #expect(try refused(first, listing: [String(repeating: "x", count: FieldList.bytesMax + 1)]) == list)
    }

    @Test func aGoodDeltaIsTaken() throws {
        let delta = try sign([draft("a"), draft("b")])
        #expect(try verify(delta.encoded()) == delta)
    }

    @Test func tooLarge() {
        #expect(refusal([UInt8](repeating: 0, count: 1024 * 1024 + 1)) == .tooLarge)
        #expect(throws: DeltaRefusal.tooLarge) { try sign([draft(String(repeating: "x", count: 1024 * 1024))]) }
    }

    @Test func malformed() {
        #expect(refusal([]) == .malformed("delta: ends within a number"))
        #expect(refusal([0x0A, 0, 0x12, 0]) == .malformed("header: alliance, author, root or organization missing"))
    }

    @Test func foreignAlliance() throws {
        let bytes = try forge([], header: { changed($0, alliance: AllianceID(.zero)) })
        #expect(refusal(bytes) == .foreignAlliance)
    }

    @Test func badSignature() throws {
        let delta = try sign([draft("a")])
        for signature in [[UInt8](), [UInt8](repeating: 0, count: 64), delta.signature + [0]] {
            let raw = RawDelta(
                header: delta.headerBytes[...],
                signature: signature[...],
                operations: delta.operations.map { ($0.envelopeBytes[...], $0.contentBytes[...]) }
            )
            #expect(refusal(raw.encoded()) == .badSignature)
        }
    }

    @Test func badRoot() throws {
        let delta = try sign([draft("a"), draft("b")])
        let parts = delta.operations.map { ($0.envelopeBytes[...], $0.contentBytes[...]) }
        let raw = RawDelta(
            header: delta.headerBytes[...],
            signature: delta.signature[...],
            operations: [parts[1], parts[0]]
        )
        #expect(refusal(raw.encoded()) == .badRoot)
    }

    @Test func badCount() throws {
        #expect(refusal(try forge([])) == .badCount)
        let delta = try sign([draft("a"), draft("b")])
        let part = (delta.operations[0].envelopeBytes[...], delta.operations[0].contentBytes[...])
        let raw = RawDelta(
            header: delta.headerBytes[...],
            signature: delta.signature[...],
            operations: [part]
        )
        #expect(refusal(raw.encoded()) == .badCount)
    }

    @Test func newerFormatBeforeAnyOtherFault() throws {
        #expect(refusal(try forge([], header: { changed($0, format: 3) })) == .newerFormat(3))
        // Contains an invalid field (5) and a field of another wire type (12).
        var writer = WireWriter()
        writer.field(5, bytes: [1, 2, 3] as [UInt8])
        writer.field(9, varint: 7)
        writer.field(12, varint: 1)
        var delta = WireWriter()
        delta.field(1, bytes: writer.bytes)
        delta.field(2, bytes: [UInt8](repeating: 0, count: 64))
        #expect(refusal(delta.bytes) == .newerFormat(7))
        #expect(refusal(try forge([], extra: [0x68, 1])) == .malformed("header: unknown field 13"))
    }

    @Test func wrongChainForkGapAndDuplicate() throws {
        let history = TestHistory(organizations: [1], seed: 1)
        let applier = history.applier
        let first = try sign([draft("a")])
        let twin = try sign([draft("b")])
        let second = try sign([draft("c")], after: first.head)
        let onTwin = try sign([draft("d")], after: twin.head)
        let third = try sign([draft("e")], after: second.head)
        var storage = MemoryStorage()
        #expect(try applier.apply(second, to: &storage) == .gap)
        guard case .applied = try applier.apply(first, to: &storage) else {
            Issue.record("the first is not applied")
            return
        }
        #expect(try applier.apply(first, to: &storage) == .duplicate)
        #expect(try applier.apply(twin, to: &storage) == .refused(.fork))
        #expect(try applier.apply(onTwin, to: &storage) == .refused(.wrongChain))
        #expect(try applier.apply(third, to: &storage) == .gap)
        _ = try applier.apply(second, to: &storage)
        #expect(storage.head(of: log) == second.head)
    }

    @Test func everyRefusalHasItsOwnNumberAndSentence() {
        let all: [DeltaRefusal] = [
            .malformed("x"), .tooLarge, .foreignAlliance, .badSignature, .badRoot, .badCount, .wrongChain,
            .newerFormat(1), .fork, .unknownAuthor,
        ]
        #expect(all.map(\.code) == Array(1...10))
        #expect(Set(all.map(\.reason)).count == all.count)
    }

    // MARK: - Invalid operations

    @Test func operationsThatContradictThemselvesAreRefused() throws {
        let identity = RecordIdentity(kind: "need", localID: "1")
        let key = identity.key(cryptography)
        func envelope(_ writes: [Write], _ kind: Envelope.Kind = .ordinary) -> Envelope {
            Envelope(key: key, kind: kind, writes: writes)
        }
        let other = RecordIdentity(kind: "need", localID: "2")
        let cases: [(Envelope, [Value])] = [
            (envelope([]), []),
            (envelope([Write(field: .tombstone, mode: .set)]), []),
            (envelope([Write(field: .tombstone, mode: .add)]), []),
            (envelope([Write(field: .tombstone, mode: .remove)], .deletion), []),
            (
                envelope([Write(field: .tombstone, mode: .set), Write(field: name, mode: .set)], .deletion),
                [.text("a")]
            ),
            (envelope([Write(field: name, mode: .set)]), []),
            (envelope([Write(field: name, mode: .set)]), [.text("a"), .text("b")]),
            (envelope([Write(field: name, mode: .remove)]), [.text("a")]),
            (envelope([Write(field: .identity, mode: .set)]), [.identity(other)]),
            (envelope([Write(field: .identity, mode: .set)]), [.text("a")]),
            (envelope([Write(field: .identity, mode: .add)]), [.identity(identity)]),
        ]
        for (envelope, values) in cases {
            let bytes = try forge(envelope, values)
            guard case .malformed = refusal(bytes) else {
                Issue.record("\(envelope) is taken")
                continue
            }
            #expect(throws: DeltaRefusal.self) { try sign([OperationDraft(envelope: envelope, values: values)]) }
        }
        let right = envelope([Write(field: .identity, mode: .set), Write(field: .tombstone, mode: .remove)])
        #expect(refusal(try forge(right, [.identity(identity)])) == nil)
    }

    @Test func sequencesHave63Bits() throws {
        for (sequence, isRight) in [(Header.sequenceMax, true), (Header.sequenceMax + 1, false), (UInt64.max, false)] {
            let citation = Citation(dot: Dot(log: log, sequence: sequence, index: 0), prefix: 1, number: nil)
            let bytes = try forge(draft("a", citing: [citation]).envelope, draft("a").values)
            #expect((refusal(bytes) == nil) == isRight, "\(sequence)")
        }
        let header = Header(
            alliance: alliance,
            log: log,
            sequence: Header.sequenceMax + 1,
            previous: .zero,
            root: .zero,
            count: 1,
            stamp: Stamp(rawValue: 0),
            organization: organization
        )
        #expect(throws: DeltaRefusal.self) { try Header(decoding: header.encoded()[...]) }
    }

    @Test func aDeltaNeverCitesMoreLogsThanItsHeaderHolds() throws {
        var random = SplitMix64(seed: 1)
        let citations = (0..<1100).map { _ in
            Citation(dot: Dot(log: .random(using: &random), sequence: 1, index: 0), prefix: 1, number: nil)
        }
        var packer = DeltaPacker()
        var deltas: [[OperationDraft]] = []
        for citation in citations {
            if let full = packer.add(draft("a", citing: [citation])) { deltas.append(full) }
        }
        deltas.append(packer.finish())
        #expect(packer.isEmpty)
        #expect(deltas.map(\.count).reduce(0, +) == 1100)
        for drafts in deltas {
            let delta = try sign(drafts)
            #expect(delta.header.cited.count <= Header.citedMax)
            #expect(try verify(delta.encoded()) == delta)
        }
        let writes = [Array(citations[..<1024]), Array(citations[1024...])].map {
            Write(field: name, mode: .remove, supersedes: $0)
        }
        let wide = Envelope(key: draft("a").envelope.key, kind: .ordinary, writes: writes)
        #expect(throws: DeltaRefusal.self) { try sign([OperationDraft(envelope: wide, values: [])]) }
    }

    @Test func packedDeltasStayWithinTheFormatsLimits() throws {
        var packer = DeltaPacker()
        var deltas: [[OperationDraft]] = []
        for number in 0..<3000 {
            let text = String(repeating: "é", count: number)
            if let full = packer.add(draft(text)) { deltas.append(full) }
        }
        deltas.append(packer.finish())
        #expect(deltas.map(\.count).reduce(0, +) == 3000)
        for drafts in deltas {
            let delta = try sign(drafts)
            #expect(delta.byteCount <= DeltaPacker.bytesMax + 1024)
            for (draft, operation) in zip(drafts, delta.operations) {
                #expect(operation.envelopeBytes.count + operation.contentBytes.count + 12 <= draft.estimatedSize)
            }
        }
    }

    // MARK: - Mutated bytes

    /// Accepted bytes are exactly the bytes that the author signed and that this program would write. Every change is
    /// therefore refused, even in the framing, which no signature covers.
    @Test func everyChangeOfAByteIsRefused() throws {
        let first = try sign([draft("a")])
        let citation = Citation(dot: first.dot(0), prefix: first.operations[0].hash.prefix, number: 1)
        let bytes = try sign([draft("a", citing: [citation]), draft("b")], after: first.head).encoded()
        for position in bytes.indices {
            #expect(refusal(Array(bytes[..<position])) != nil)
            for bit in 0..<8 {
                var mutated = bytes
                mutated[position] ^= 1 << UInt8(bit)
                #expect(refusal(mutated) != nil, "byte \(position), bit \(bit)")
            }
            for byte: UInt8 in [0, 0x80] {
                var longer = bytes
                longer.insert(byte, at: position)
                #expect(refusal(longer) != nil, "byte \(position)")
            }
        }
        #expect(refusal(bytes + [0]) != nil)
        #expect(refusal(bytes) == nil)
    }

    /// The same with Ed25519: only the signer can create another signature of a message (RFC 8032, section 8.4).
    @Test func everyChangeOfABitOfARealSignatureIsRefused() throws {
        let signer = RealSigner(seed: 1)
        let delta = try VerifiedDelta(
            signing: [draft("a")],
            salts: [[UInt8](repeating: 9, count: 16)],
            as: VerifiedDelta.Authorship(
                alliance: alliance,
                organization: organization,
                log: LogID(author: NodeKey(signer.publicKey), incarnation: 1),
                head: nil,
                stamp: Stamp(rawValue: 1),
                importMark: nil
            ),
            signer: signer,
            hasher: RealCryptography()
        )
        func isTaken(_ signature: [UInt8]) -> Bool {
            let raw = RawDelta(
                header: delta.headerBytes[...],
                signature: signature[...],
                operations: delta.operations.map { ($0.envelopeBytes[...], $0.contentBytes[...]) }
            )
            return
                (try? VerifiedDelta(
                    verifying: raw.encoded()[...],
                    alliance: alliance,
                    cryptography: RealCryptography()
                )) != nil
        }
        #expect(isTaken(delta.signature))
        for bit in 0..<512 {
            var signature = delta.signature
            signature[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!isTaken(signature), "bit \(bit)")
        }
        // S + L, the classic second signature.
        let order: [UInt8] = [
            0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ]
        var signature = delta.signature
        var carry = 0
        for position in 0..<32 {
            let sum = Int(signature[32 + position]) + Int(order[position]) + carry
            signature[32 + position] = UInt8(sum & 0xFF)
            carry = sum >> 8
        }
        #expect(!isTaken(signature))
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func randomBytesAreRefused(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<5000 { #expect(refusal(random.bytes(Int.random(in: 0..<60, using: &random))) != nil) }
    }
}
