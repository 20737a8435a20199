import OpenSSLKit
import Testing

@Suite struct Ed25519Tests {
    struct Vector: Sendable {
        let seed, publicKey, message, signature: String
    }

    /// RFC 8032, section 7.1, tests 1 to 3 and SHA(abc).
    static let vectors = [
        Vector(
            seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            message: "",
            signature: """
                e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b
                """
        ),
        Vector(
            seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            message: "72",
            signature: """
                92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00
                """
        ),
        Vector(
            seed: "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            message: "af82",
            signature: """
                6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a
                """
        ),
        Vector(
            seed: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            publicKey: "ec172b93ad5e563f4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            message: """
                ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f
                """,
            signature: """
                dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704
                """
        ),
    ]

    @Test(arguments: vectors.prefix(3))
    func givesThePublishedKeysAndSignatures(vector: Vector) throws {
        let key = try Ed25519PrivateKey(seed: hex(vector.seed))
        #expect(key.publicKey.rawBytes == hex(vector.publicKey))
        #expect(try key.seed() == hex(vector.seed))
        #expect(try key.sign(hex(vector.message)) == hex(vector.signature))
        #expect(key.publicKey.isValid(signature: hex(vector.signature), for: hex(vector.message)))
    }

    @Test func signsTheHashOfAbcAsPublished() throws {
        let vector = Self.vectors[3]
        let key = try Ed25519PrivateKey(seed: hex(vector.seed))
        #expect(try key.sign(hex(vector.message)) == hex(vector.signature))
    }

    @Test func refusesEveryChangedBitOfASignature() throws {
        let key = try Ed25519PrivateKey.generate()
        let message: [UInt8] = [1, 2, 3]
        let signature = try key.sign(message)
        for bit in 0..<512 {
            var changed = signature
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!key.publicKey.isValid(signature: changed, for: message), "bit \(bit)")
        }
        #expect(!key.publicKey.isValid(signature: signature, for: [1, 2]))
        #expect(!(try Ed25519PrivateKey.generate()).publicKey.isValid(signature: signature, for: message))
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test(arguments: [0, 31, 33, 64])
    func refusesWrongLengths(count: Int) throws {
        let bytes = [UInt8](repeating: 1, count: count)
        #expect(throws: OpenSSLError.self) { try Ed25519PublicKey(rawBytes: bytes) }
        #expect(throws: OpenSSLError.self) { try Ed25519PrivateKey(seed: bytes) }
        let key = try Ed25519PrivateKey.generate().publicKey
        #expect(!key.isValid(signature: bytes, for: []))
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test func bytesThatAreNoPointVerifyNothing() throws {
        let key = try Ed25519PublicKey(rawBytes: [UInt8](repeating: 0xFF, count: 32))
        #expect(!key.isValid(signature: [UInt8](repeating: 0, count: 64), for: []))
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test func oneKeyServesManyThreads() async throws {
        let key = try Ed25519PrivateKey.generate()
        let expected = try key.sign([7])
        let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
            for task in 0..<8 {
                group.addTask {
                    var wrong = 0
                    for round in 0..<200 {
                        let message = [UInt8(task), UInt8(round)]
                        let signature = try key.sign(message)
                        if !key.publicKey.isValid(signature: signature, for: message) { wrong += 1 }
                        if try key.sign([7]) != expected { wrong += 1 }
                        if key.publicKey.isValid(signature: signature, for: [0]) { wrong += 1 }
                    }
                    return wrong
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(wrong == 0)
    }

    @Test func keysAreEqualByTheirBytes() throws {
        let key = try Ed25519PrivateKey.generate().publicKey
        let same = try Ed25519PublicKey(rawBytes: key.rawBytes)
        #expect(key == same && Set([key, same]).count == 1)
        #expect(hex(key.description) == key.rawBytes)
    }
}
