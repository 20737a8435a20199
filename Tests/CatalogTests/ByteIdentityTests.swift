import Catalog
import Simulator
import TestSupport
import Testing

/// Ids, paths and values are distinguished by their bytes, although Swift treats canonically equivalent texts as equal.
struct ByteIdentityTests {
    private let composed = "é"
    private let decomposed = "e\u{301}"

    @Test func textsThatSwiftConsidersEqualAreDifferent() {
        #expect(composed == decomposed)
        #expect(FieldPath(unchecked: composed) != FieldPath(unchecked: decomposed))
        #expect(Value.text(composed) != Value.text(decomposed))
        #expect(Value.text("1") != Value.decimal("1"))
        #expect(Set([Value.text(composed), .text(decomposed), .text(composed)]).count == 2)
        let one = RecordIdentity(kind: "need", localID: composed)
        let other = RecordIdentity(kind: "need", localID: decomposed)
        #expect(one != other)
        #expect(one.key(RealCryptography()) != other.key(RealCryptography()))
    }

    @Test func byteTextsAreKeysByTheirBytes() {
        // Swift treats U+212A as equal to K.
        let keys = ["K", "\u{212A}", composed, decomposed].map { ByteText($0) }
        #expect(Set(keys).count == 4)
        #expect(keys.sorted().map(\.text.utf8.count) == [1, 3, 2, 3])
        #expect(!"K".hasSameBytes(as: "\u{212A}") && "K".precedesByBytes("\u{212A}"))
    }

    @Test func textsAreSplitAtAByteBeforeAnyCharacter() {
        // A combining mark after the separator forms one character with it.
        #expect(
            "a/\u{301}b/c".split(atByte: UInt8(ascii: "/"), partsMax: 3).map { Array($0.utf8) }
                == ["a", "\u{301}b", "c"].map { Array($0.utf8) }
        )
        #expect("a/b/c/d".split(atByte: UInt8(ascii: "/"), partsMax: 3).count == 3)
        #expect("//".split(atByte: UInt8(ascii: "/"), partsMax: 3) == ["", "", ""])
    }

    @Test func fieldTableGivesThemDifferentNumbers() {
        var table = FieldTable()
        #expect(table.number(of: .tombstone) == .tombstone)
        #expect(table.number(of: .identity) == .identity)
        let one = table.number(of: FieldPath(unchecked: composed))
        let other = table.number(of: FieldPath(unchecked: decomposed))
        #expect(one != other)
        #expect(table.path(of: other).map { Array($0.text.utf8) } == Array(decomposed.utf8))
        #expect(table.path(of: FieldNumber(rawValue: -1)) == nil)
        #expect(table.path(of: FieldNumber(rawValue: 99)) == nil)
    }

    @Test func kindAndLocalIDCannotBeShiftedAgainstEachOther() {
        let one = RecordIdentity(kind: "ab", localID: "c").key(RealCryptography())
        let other = RecordIdentity(kind: "a", localID: "bc").key(RealCryptography())
        #expect(one != other)
    }

    @Test func aSlashSplitsAPathBeforeAnyCharacter() {
        let path = FieldPath(unchecked: "name/\u{301}zh")
        #expect(path.base == "name")
        #expect(path.key.map { Array($0.utf8) } == Array("\u{301}zh".utf8))
        #expect(FieldPath("@x") == nil)
        #expect(FieldPath("/x") == nil)
        #expect(FieldPath("x/") == nil)
        #expect(FieldPath("") == nil)
        #expect(FieldPath(String(repeating: "x", count: 1025)) == nil)
    }

    @Test func hexReadsWhatItWrites() {
        #expect(Hex.bytes("0aFf") == [10, 255])
        #expect(Hex.bytes("0") == nil)
        #expect(Hex.bytes("0g") == nil)
        #expect(Hex.bytes("é") == nil)
        #expect(Hash256(hex: String(repeating: "ab", count: 32))?.hex == String(repeating: "ab", count: 32))
        #expect(Hash256([UInt8](repeating: 0, count: 31)) == nil)
        #expect(Hash256((0..<32).map { UInt8($0) })?.bytes == (0..<32).map { UInt8($0) })
    }

    @Test func logsAreOrderedAndReadByTheirBytes() {
        let one = LogID(author: NodeKey(Hash256(1, 0, 0, 0)), incarnation: 2)
        let other = LogID(author: NodeKey(Hash256(1, 0, 0, 0)), incarnation: 256)
        #expect(one < other)
        #expect(one.bytes.lexicographicallyPrecedes(other.bytes))
        #expect(LogID(bytes: other.bytes) == other)
        #expect(LogID(bytes: other.bytes.dropLast()) == nil)
        #expect(Dot(log: one, sequence: 1, index: 9) < Dot(log: one, sequence: 2, index: 0))
        #expect(Dot(log: one, sequence: 9, index: 9) < Dot(log: other, sequence: 1, index: 0))
    }
}
