import OpenSSLKit
import Testing

@Suite struct SHA256HasherTests {
    /// The examples for FIPS 180-4 (NIST, "Examples with Intermediate Values") and the empty message.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func givesThePublishedHashes(message: String, hash: String) {
        #expect(SHA256Hasher.hash(Array(message.utf8)) == hex(hash))
    }

    @Test func aMillionLettersInPiecesGiveThePublishedHash() {
        var hasher = SHA256Hasher()
        for _ in 0..<1_000 { hasher.update([UInt8](repeating: UInt8(ascii: "a"), count: 1_000)) }
        #expect(hasher.finalized() == hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"))
    }

    @Test func aCopyContinuesOnItsOwn() {
        var first = SHA256Hasher()
        first.update([1, 2])
        var second = first
        second.update([3])
        #expect(first.finalized() == SHA256Hasher.hash([1, 2]))
        #expect(second.finalized() == SHA256Hasher.hash([1, 2, 3]))
    }

    @Test func writesIntoTheCallersMemory() {
        var space = [UInt8](repeating: 0xEE, count: 34)
        space.withUnsafeMutableBytes { space in
            [UInt8]("abc".utf8).withUnsafeBytes { SHA256Hasher.hash($0, into: space.baseAddress! + 1) }
        }
        #expect(space[0] == 0xEE && space[33] == 0xEE)
        #expect(Array(space[1...32]) == SHA256Hasher.hash(Array("abc".utf8)))
    }
}

@Suite struct RandomnessTests {
    @Test func returnsAsManyBytesAsAskedAndNeverTheSame() throws {
        #expect(try SecureRandom.bytes(count: 0) == [])
        let (first, second) = (try SecureRandom.bytes(count: 32), try SecureRandom.bytes(count: 32))
        #expect(first.count == 32 && first != second)
    }

    @Test func comparesByContent() {
        #expect(constantTimeEquals([1, 2, 3], [1, 2, 3]))
        #expect(constantTimeEquals([], []))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2]))
    }
}
