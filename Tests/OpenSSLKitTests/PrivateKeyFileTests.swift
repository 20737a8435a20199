import Foundation
import OpenSSLKit
import Testing

@Suite struct PrivateKeyFileTests {
    private let passphrase = Array("Käse und Brot".utf8)

    /// Uses few rounds for speed; another test uses the real number.
    private func encrypted(_ key: Ed25519PrivateKey) throws -> [UInt8] {
        try key.encryptedPEM(passphrase: passphrase, rounds: 1_000)
    }

    @Test func readsBackWhatItWrote() throws {
        let key = try Ed25519PrivateKey.generate()
        #expect(try Ed25519PrivateKey(pem: key.unencryptedPEM()).seed() == key.seed())
        #expect(try Ed25519PrivateKey(pem: encrypted(key), passphrase: passphrase).seed() == key.seed())
    }

    @Test func theCommandLineReadsOurs() throws {
        let folder = try TemporaryFolder()
        let key = try Ed25519PrivateKey.generate()
        let secret = try folder.write(passphrase, to: "passphrase")
        let closed = try folder.write(key.encryptedPEM(passphrase: passphrase), to: "closed.pem")
        let open = try folder.write(key.unencryptedPEM(), to: "open.pem")
        let fromClosed = try openssl("pkey", "-in", closed, "-passin", "file:\(secret)", "-pubout", "-outform", "PEM")
        let fromOpen = try openssl("pkey", "-in", open, "-pubout", "-outform", "PEM")
        #expect(fromClosed.code == 0 && fromOpen.code == 0)
        #expect(fromClosed.output == fromOpen.output && fromOpen.output.contains("PUBLIC KEY"))
        let structure = try openssl("asn1parse", "-in", closed).output
        #expect(structure.contains("PBES2") && structure.contains("aes-256-cbc"))
        #expect(structure.contains("hmacWithSHA256") && structure.contains("0927C0"), "600,000 rounds")
    }

    @Test func readsTheCommandLines() throws {
        let folder = try TemporaryFolder()
        #expect(try openssl("genpkey", "-algorithm", "ed25519", "-out", folder.path("open.pem")).code == 0)
        let key = try Ed25519PrivateKey(pem: folder.read("open.pem"))
        try openssl(
            "pkey",
            "-in",
            folder.path("open.pem"),
            "-aes256",
            "-passout",
            "pass:word",
            "-out",
            folder.path("closed.pem")
        )
        let reread = try Ed25519PrivateKey(pem: folder.read("closed.pem"), passphrase: Array("word".utf8))
        #expect(try reread.seed() == key.seed())
        try openssl(
            "pkcs8",
            "-topk8",
            "-in",
            folder.path("open.pem"),
            "-scrypt",
            "-passout",
            "pass:word",
            "-out",
            folder.path("scrypt.pem")
        )
        let scrypt = try Ed25519PrivateKey(pem: folder.read("scrypt.pem"), passphrase: Array("word".utf8))
        #expect(try scrypt.seed() == key.seed())
    }

    /// Tries many passphrases, since a wrong one occasionally gives valid padding.
    @Test func reportsAWrongPassphrase() throws {
        let pem = try encrypted(Ed25519PrivateKey.generate())
        for guess in 0..<600 {
            #expect(throws: PrivateKeyFileError.wrongPassphrase) {
                try Ed25519PrivateKey(pem: pem, passphrase: Array("guess \(guess)".utf8))
            }
        }
        #expect(throws: PrivateKeyFileError.wrongPassphrase) { try Ed25519PrivateKey(pem: pem, passphrase: []) }
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test func reportsAMissingPassphrase() throws {
        let pem = try encrypted(Ed25519PrivateKey.generate())
        #expect(throws: PrivateKeyFileError.passphraseNeeded) { try Ed25519PrivateKey(pem: pem) }
    }

    @Test func reportsKeysOfOtherTypes() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("key.pem")
        try openssl("genpkey", "-algorithm", "x25519", "-out", path)
        #expect(throws: PrivateKeyFileError.otherType("X25519")) { try Ed25519PrivateKey(pem: folder.read("key.pem")) }
        try openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        #expect(throws: PrivateKeyFileError.otherType("EC")) { try Ed25519PrivateKey(pem: folder.read("key.pem")) }
        try openssl("pkey", "-in", path, "-traditional", "-out", folder.path("old.pem"))
        #expect(throws: PrivateKeyFileError.otherType("EC PRIVATE KEY")) {
            try Ed25519PrivateKey(pem: folder.read("old.pem"))
        }
    }

    @Test func reportsDamage() throws {
        let key = try Ed25519PrivateKey.generate()
        let open = try key.unencryptedPEM()
        let closed = try encrypted(key)
        for pem in [[], Array("hello".utf8), Array(open.prefix(40)), Array(closed.dropLast(60))] {
            #expect {
                try Ed25519PrivateKey(pem: pem, passphrase: passphrase)
            } throws: { error in
                if case .damaged? = error as? PrivateKeyFileError { true } else { false }
            }
        }
        #expect(OpenSSLError.drainedCount() == 0)
    }

    /// A damaged byte gives an error or the same key, never another key, a crash or a prompt.
    @Test func noDamagedByteGivesAnotherKey() throws {
        let key = try Ed25519PrivateKey.generate()
        let pem = try key.unencryptedPEM()
        for index in pem.indices {
            var changed = pem
            changed[index] = UInt8(ascii: "!")
            if let read = try? Ed25519PrivateKey(pem: changed) { #expect(try read.seed() == key.seed()) }
        }
        #expect(OpenSSLError.drainedCount() == 0)
    }
}
