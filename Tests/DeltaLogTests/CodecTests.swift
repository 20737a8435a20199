import Catalog
import DeltaLog
import Foundation
import Simulator
import SwiftProtobuf
import TestSupport
import Testing
import Wire

/// Compares the hand-written codecs with the generated code in both directions, and feeds them invalid encodings.
struct CodecTests {
    // MARK: - Against the generated code

    @Test(arguments: 0..<300 as Range<UInt64>)
    func headersMatchTheGeneratedCode(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let header = Header.random(using: &random)
        let bytes = header.encoded()
        let message = try Hansa_V0_Header(serializedBytes: bytes)
        let generated: [UInt8] = try message.serializedBytes()
        #expect(generated == bytes, "seed \(seed)")
        #expect(message.unknownFields.data.isEmpty)
        #expect(message.alliance == header.alliance.data)
        #expect(message.author == header.log.author.data)
        #expect(message.incarnation == header.log.incarnation)
        #expect(message.sequence == header.sequence)
        #expect(message.previous == header.previous?.data ?? Data())
        #expect(message.root == header.root.data)
        #expect(message.count == header.count)
        #expect(message.clock == header.stamp.rawValue)
        #expect(message.format == 0)
        #expect(message.hasImport == (header.importMark != nil))
        #expect(message.import.part == header.importMark?.part ?? 0)
        #expect(message.cited == header.cited.map(\.bytes.data))
        #expect(message.organization == header.organization.data)
        #expect(message.fields == header.fields.paths.map(\.text))
        #expect(try Header(decoding: bytes[...]) == header, "seed \(seed)")
    }

    @Test(arguments: 0..<500 as Range<UInt64>)
    func envelopesMatchTheGeneratedCode(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let header = Header.random(using: &random)
        let envelope = Envelope.random(in: header, using: &random)
        var cited = CitedLogs(own: header.log, others: header.cited)
        let bytes = envelope.encoded(citing: &cited, fields: header.fields)
        #expect(cited.others == header.cited)
        let message = try Hansa_V0_Envelope(serializedBytes: bytes)
        let generated: [UInt8] = try message.serializedBytes()
        #expect(generated == bytes, "seed \(seed)")
        #expect(message.key == envelope.key.data)
        #expect(message.owner == envelope.owner?.data ?? Data())
        #expect(message.writes.count == envelope.writes.count)
        for (write, own) in zip(message.writes, envelope.writes) {
            let listed = write.listed == 0 ? nil : header.fields.path(at: write.listed)
            #expect(listed == own.field || write.field.hasSameBytes(as: own.field.text))
            #expect((write.listed != 0) == (header.fields.position(of: own.field) != nil))
            #expect(write.mode.rawValue == Int(own.mode.rawValue))
            #expect(write.unknownFields.data.isEmpty)
            for (citation, own) in zip(write.supersedes, own.supersedes) {
                #expect(header.log(at: citation.log) == own.dot.log)
                #expect(citation.sequence == own.dot.sequence)
                #expect(citation.index == own.dot.index)
                #expect(citation.prefix == own.prefix)
                #expect(citation.number == own.number.map { $0 + 1 } ?? 0)
            }
        }
        #expect(try Envelope(decoding: bytes[...], in: header) == envelope, "seed \(seed)")
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func valuesAndContentsMatchTheGeneratedCode(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let values =
            (0..<4).map { _ in Value.random(using: &random) }
            + [.identity(RecordIdentity(kind: "need", localID: "e\u{301}"))]
        let content = Content(salt: random.bytes(16), values: values)
        let bytes = content.encoded()
        let message = try Hansa_V0_Content(serializedBytes: bytes)
        let generated: [UInt8] = try message.serializedBytes()
        #expect(generated == bytes, "seed \(seed)")
        #expect(try Content(decoding: bytes[...]) == content, "seed \(seed)")
        for (encoded, value) in zip(message.values, values) {
            let message = try Hansa_V0_Value(serializedBytes: encoded)
            let generated: [UInt8] = try message.serializedBytes()
            #expect(generated == Array(encoded), "seed \(seed), \(value)")
            switch (message.kind, value) {
            case (.text(let one), .text(let other)), (.decimal(let one), .decimal(let other)),
                (.json(let one), .json(let other)):
                #expect(one.hasSameBytes(as: other))
            case (.integer(let one), .integer(let other)): #expect(one == other)
            case (.boolean(let one), .boolean(let other)): #expect(one == other)
            case (.bytes(let one), .bytes(let other)): #expect(Array(one) == other)
            case (.identity(let one), .identity(let other)):
                #expect(one.kind.hasSameBytes(as: other.kind) && one.localID.hasSameBytes(as: other.localID))
            default: Issue.record("seed \(seed): \(value) is read as another kind")
            }
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func deltasMatchTheGeneratedCode(seed: UInt64) throws {
        let history = try TestHistory.random(operations: 5, organizations: [1, 1, 2], seed: seed)
        for delta in history.logs.joined() {
            let bytes = delta.encoded()
            #expect(delta.byteCount == bytes.count)
            let message = try Hansa_V0_Delta(serializedBytes: bytes)
            let generated: [UInt8] = try message.serializedBytes()
            #expect(generated == bytes, "seed \(seed)")
            #expect(message.operations.map { Array($0.envelope) } == delta.operations.map { Array($0.envelopeBytes) })
            #expect(message.operations.map { Array($0.content) } == delta.operations.map { Array($0.contentBytes) })
        }
    }

    // MARK: - Unique encodings

    /// A decoder for each structure, and the encoder for its result: accepted bytes must encode to themselves.
    private enum Codec: CaseIterable {
        case header, envelope, content, value, delta

        func again(_ bytes: [UInt8], in header: Header) -> [UInt8]? {
            switch self {
            case .header: return (try? Header(decoding: bytes[...]))?.encoded()
            case .envelope:
                var cited = CitedLogs(own: header.log, others: header.cited)
                return (try? Envelope(decoding: bytes[...], in: header))?.encoded(citing: &cited, fields: header.fields)
            case .content: return (try? Content(decoding: bytes[...]))?.encoded()
            case .value: return Value(decoding: bytes[...]).encoded()
            case .delta: return (try? RawDelta(decoding: bytes[...]))?.encoded()
            }
        }

        func sample(in header: Header, _ random: inout SplitMix64) -> [UInt8] {
            switch self {
            case .header: return header.encoded()
            case .envelope:
                var cited = CitedLogs(own: header.log, others: header.cited)
                return Envelope.random(in: header, using: &random).encoded(citing: &cited, fields: header.fields)
            case .content:
                return Content(salt: random.bytes(16), values: [.random(using: &random), .random(using: &random)])
                    .encoded()
            case .value:
                return Value.random(using: &random).encoded()
            case .delta:
                let parts = (0..<4).map { _ in random.bytes(3) }
                return RawDelta(
                    header: parts[0][...],
                    signature: parts[1][...],
                    operations: [(parts[2][...], parts[3][...]), (parts[3][...], parts[2][...])]
                ).encoded()
            }
        }
    }

    private func expectOneWriting(_ codec: Codec, _ bytes: [UInt8], _ header: Header, _ seed: UInt64) {
        guard let again = codec.again(bytes, in: header) else { return }
        if again != bytes {
            Issue.record("\(codec), seed \(seed): \(Hex.string(bytes)) is read as \(Hex.string(again))")
        }
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func everyMutationThatDecodesIsEncodedTheSame(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var header = Header.random(using: &random)
        while header.cited.count < 2 { header = Header.random(using: &random) }
        for codec in Codec.allCases {
            let sample = codec.sample(in: header, &random)
            #expect(codec.again(sample, in: header) == sample, "seed \(seed), \(codec)")
            for position in sample.indices {
                for byte in [sample[position] ^ 1, sample[position] ^ 0x80, sample[position] &+ 8, 0, 0xFF] {
                    var mutated = sample
                    mutated[position] = byte
                    expectOneWriting(codec, mutated, header, seed)
                }
                var longer = sample
                longer.insert(0, at: position)
                expectOneWriting(codec, longer, header, seed)
                longer[position] = 0x80
                expectOneWriting(codec, longer, header, seed)
                var shorter = sample
                shorter.remove(at: position)
                expectOneWriting(codec, shorter, header, seed)
                expectOneWriting(codec, Array(sample[..<position]), header, seed)
            }
            expectOneWriting(codec, sample + sample, header, seed)
            expectOneWriting(codec, sample + [0], header, seed)
            for _ in 0..<2000 {
                expectOneWriting(codec, random.bytes(Int.random(in: 0..<40, using: &random)), header, seed)
            }
        }
    }

    @Test func numbersHaveOneWayToBeWritten() throws {
        var reader = WireReader([0x80, 0x00])
        #expect(throws: WireError.self) { _ = try reader.varint() }
        for number in [0, 1, 127, 128, UInt64(UInt32.max), .max] {
            var writer = WireWriter()
            writer.varint(number)
            var reader = WireReader(writer.bytes)
            #expect(try reader.varint() == number)
            #expect(reader.isAtEnd)
        }
        for bytes: [UInt8] in [
            [], [0x80], Array(repeating: 0xFF, count: 9) + [0x02], Array(repeating: 0xFF, count: 11),
        ] {
            var reader = WireReader(bytes)
            #expect(throws: WireError.self) { _ = try reader.varint() }
        }
    }

    @Test func aFieldCannotBeWrittenTwiceNorOutOfOrder() throws {
        var random = SplitMix64(seed: 3)
        var header = Header.random(using: &random)
        while header.importMark == nil { header = Header.random(using: &random) }
        let bytes = header.encoded()
        let message = try Hansa_V0_Header(serializedBytes: bytes)
        #expect(message.alliance.count == 32)
        // A second alliance field, at the end and at the start.
        let alliance = Array(bytes[..<34])
        #expect(throws: DeltaRefusal.self) { try Header(decoding: (bytes + alliance)[...]) }
        #expect(throws: DeltaRefusal.self) { try Header(decoding: (alliance + bytes)[...]) }
        // An import with a second part.
        var inner = WireWriter()
        inner.field(1, bytes: [UInt8](repeating: 1, count: 16))
        inner.field(2, bytes: [UInt8](repeating: 2, count: 32))
        inner.field(3, varint: 1)
        var doubled = inner
        doubled.field(3, varint: 2)
        for (importMark, isRight) in [(inner.bytes, true), (doubled.bytes, false)] {
            var writer = WireWriter()
            writer.field(1, bytes: header.alliance.bytes)
            writer.field(2, bytes: header.log.author.bytes)
            writer.field(4, varint: 1)
            writer.field(6, bytes: header.root.bytes)
            writer.field(10, bytes: importMark)
            writer.field(12, bytes: header.organization.bytes)
            let isRead = (try? Header(decoding: writer.bytes[...])) != nil
            #expect(isRead == isRight)
        }
    }

    @Test(arguments: [nil, 0, 31, 32, 33, 64])
    func aHeaderNamesItsAuthorsOrganization(byteCount: Int?) {
        var random = SplitMix64(seed: 5)
        let header = Header.random(using: &random)
        let encoded = header.encoded()
        // The organization is the last field: key, length and 32 bytes.
        #expect(Array(encoded.suffix(34)) == [0x62, 32] + header.organization.bytes)
        var bytes = Array(encoded.dropLast(34))
        if let byteCount { bytes += [0x62, UInt8(byteCount)] + [UInt8](repeating: 7, count: byteCount) }
        if byteCount == 32 {
            #expect((try? Header(decoding: bytes[...]))?.organization.bytes == [UInt8](repeating: 7, count: 32))
        } else {
            #expect(throws: DeltaRefusal.malformed("header: alliance, author, root or organization missing")) {
                try Header(decoding: bytes[...])
            }
        }
    }

    /// Protobuf libraries truncate an enum to 32 bits; they would read 2^32 + 1 as a deletion.
    @Test func aTypeOfMoreThan31BitsIsRefused() throws {
        var random = SplitMix64(seed: 4)
        let header = Header.random(using: &random)
        for (number, isRight): (UInt64, Bool) in [
            (2, true), (0x7FFF_FFFF, true), (0x8000_0000, false), (1 << 32 | 1, false),
        ] {
            var writer = WireWriter()
            writer.field(1, bytes: [UInt8](repeating: 1, count: 32))
            writer.field(3, varint: number)
            writer.field(4, bytes: [0x0A, 1, 0x62, 0x10, 2] as [UInt8])
            let isRead = (try? Envelope(decoding: writer.bytes[...], in: header)) != nil
            #expect(isRead == isRight, "\(number)")
        }
    }

    @Test func aValueOfANewerKindIsKeptAsItIs() {
        for bytes: [UInt8] in [
            [], [0x3A, 1, 0x61], [0x08, 1], [0x0A, 1, 0xFF], [0x0A, 1, 0x61, 0], [0x0A, 0x81, 0, 0x61], [0x20, 2],
            [0x7A, 0], [0x7A, 6, 0x0A, 1, 0x61, 0x12, 1, 0x62, 0x00], [0x0A, 1, 0x61, 0x0A, 1, 0x62],
        ] {
            let value = Value(decoding: bytes[...])
            #expect(value == .unknown(bytes))
            #expect(value.encoded() == bytes)
        }
    }

    @Test func aDeltaOfTooManyOperationsIsNotDecoded() {
        let operation: [UInt8] = [0x1A, 4, 0x0A, 0, 0x12, 0]
        let start: [UInt8] = [0x0A, 0, 0x12, 0]
        let most = start + Array(repeatElement(operation, count: 4096).joined())
        #expect((try? RawDelta(decoding: most[...]))?.operations.count == 4096)
        #expect(throws: DeltaRefusal.malformed("delta: too many operations")) {
            try RawDelta(decoding: (most + operation)[...])
        }
    }
}
