import OpenSSLKit
import Testing

@Suite struct CertificateTests {
    private func make(_ key: Ed25519PrivateKey, name: String = "nöde-1") throws -> Certificate {
        try .selfSigned(key: key, commonName: name, notBefore: fixtureNow, notAfter: fixtureNow + 86_400)
    }

    @Test func hasTheFieldsItWasMadeWith() throws {
        let key = try Ed25519PrivateKey.generate()
        let certificate = try make(key)
        #expect(certificate.publicKey == key.publicKey)
        #expect(certificate.notBefore == fixtureNow)
        #expect(certificate.notAfter == fixtureNow + 86_400)
        #expect(certificate.isSelfSigned)
    }

    @Test func survivesItsEncoding() throws {
        let certificate = try make(.generate())
        let der = try certificate.der()
        let reread = try Certificate(der: der)
        #expect(try reread.der() == der)
        #expect(reread.publicKey == certificate.publicKey && reread.isSelfSigned)
        #expect(throws: OpenSSLError.self) { try Certificate(der: der + [0]) }
        #expect(throws: OpenSSLError.self) { try Certificate(der: Array(der.dropLast())) }
        #expect(throws: OpenSSLError.self) { try Certificate(der: []) }
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test func theCommandLineReadsIt() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(make(.generate()).pem(), to: "certificate.pem")
        let (code, text) = try openssl("x509", "-in", path, "-noout", "-text")
        #expect(code == 0)
        #expect(text.contains("Version: 3 (0x2)"))
        #expect(text.contains("Signature Algorithm: ED25519"))
        #expect(text.contains("CA:FALSE"))
        #expect(text.contains("Digital Signature"))
        #expect(text.contains("TLS Web Server Authentication, TLS Web Client Authentication"))
        #expect(try openssl("verify", "-CAfile", path, "-no_check_time", path).output.contains("OK"))
    }

    @Test func serialNumbersDiffer() throws {
        let folder = try TemporaryFolder()
        let key = try Ed25519PrivateKey.generate()
        let serials = try (0..<4).map { index in
            let path = try folder.write(make(key).pem(), to: "\(index).pem")
            return try openssl("x509", "-in", path, "-noout", "-serial").output
        }
        #expect(Set(serials).count == 4)
        #expect(serials.allSatisfy { $0.hasPrefix("serial=") && !$0.contains("-") && $0.count == 7 + 32 + 1 })
    }

    @Test(arguments: ["", String(repeating: "x", count: 65)])
    func refusesNamesThatDoNotFit(name: String) throws {
        let key = try Ed25519PrivateKey.generate()
        #expect(throws: OpenSSLError.self) { try make(key, name: name) }
        #expect(OpenSSLError.drainedCount() == 0)
    }

    @Test func anIdentityNeedsItsOwnKey() throws {
        let certificate = try make(.generate())
        let other = try Ed25519PrivateKey.generate()
        #expect(throws: OpenSSLError.self) { try TLSIdentity(key: other, certificate: certificate) }
        #expect(OpenSSLError.drainedCount() == 0)
    }
}
