import COpenSSL

/// Why a private key could not be read from a file's bytes.
package enum PrivateKeyFileError: Error, Hashable, Sendable {
    /// The file is encrypted and the passphrase does not open it (or the encrypted part is damaged: the two cannot be
    /// told apart, since the format carries no check of the passphrase alone).
    case wrongPassphrase

    /// The file is encrypted and no passphrase was given.
    case passphraseNeeded

    /// No PEM block of a private key, or one that does not decode; with OpenSSL's words.
    case damaged(OpenSSLError)

    /// A private key of another type than Ed25519, by the name OpenSSL has for it.
    case otherType(String)
}

extension Ed25519PrivateKey {
    /// Rounds of PBKDF2-HMAC-SHA256 over a passphrase: 600,000, the OWASP password storage cheat sheet's number of 2023
    /// for this function. OpenSSL's default is 2,048. More costs whoever uses the key time (some 0.2 s now) and
    /// an attacker with the file proportionally more. PBKDF2 rather than scrypt: every tool that reads PKCS#8 reads it.
    package static let passphraseRounds = 600_000

    /// The key as PKCS#8 in PEM, encrypted with `passphrase` (its bytes, not empty): PBES2 (RFC 8018, section 6.2) with
    /// PBKDF2-HMAC-SHA256, a random 16-byte salt, and AES-256-CBC. `openssl pkey` reads it.
    ///
    /// Takes some 0.2 s on purpose: not for an event loop.
    ///
    /// - Parameter rounds: PBKDF2 rounds, at least 1; only tests should give another number.
    /// - Throws: `OpenSSLError` if OpenSSL has no memory or randomness.
    package func encryptedPEM(
        passphrase: [UInt8],
        rounds: Int = passphraseRounds
    ) throws(OpenSSLError) -> [UInt8] {
        var salt = try SecureRandom.bytes(count: 16)
        guard let info = EVP_PKEY2PKCS8(handle.pointer) else { throw .draining("encoding a private key") }
        defer { PKCS8_PRIV_KEY_INFO_free(info) }
        guard
            let scheme = PKCS5_pbe2_set_iv(
                EVP_aes_256_cbc(),
                Int32(rounds),
                &salt,
                Int32(salt.count),
                nil,
                NID_hmacWithSHA256
            )
        else { throw .draining("choosing a key encryption") }
        let encrypted = passphrase.withUnsafeBytes { bytes in
            PKCS8_set0_pbe(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), info, scheme)
        }
        guard let encrypted else {
            // Only a success takes the scheme over.
            X509_ALGOR_free(scheme)
            throw .draining("encrypting a private key")
        }
        defer { X509_SIG_free(encrypted) }
        let output = try MemoryBIO()
        guard PEM_write_bio_PKCS8(output.pointer, encrypted) == 1 else { throw .draining("writing a private key") }
        return output.contents
    }

    /// The key as PKCS#8 in PEM, in the clear (RFC 8410, section 7): for a file of mode 0600. `openssl pkey` reads it.
    ///
    /// - Throws: `OpenSSLError` if OpenSSL has no memory.
    package func unencryptedPEM() throws(OpenSSLError) -> [UInt8] {
        guard let info = EVP_PKEY2PKCS8(handle.pointer) else { throw .draining("encoding a private key") }
        defer { PKCS8_PRIV_KEY_INFO_free(info) }
        let output = try MemoryBIO()
        guard PEM_write_bio_PKCS8_PRIV_KEY_INFO(output.pointer, info) == 1 else {
            throw .draining("writing a private key")
        }
        return output.contents
    }

    /// Reads the first PEM block of `pem`: PKCS#8, encrypted or not; ours, or from `openssl genpkey`.
    ///
    /// Never asks a terminal: without a passphrase an encrypted key is refused. As slow as the file's rounds demand.
    ///
    /// - Parameter passphrase: the bytes to open an encrypted key with; not looked at for one in the clear.
    /// - Throws: `PrivateKeyFileError`, whose cases tell what the operator should do.
    package init(pem: [UInt8], passphrase: [UInt8]? = nil) throws(PrivateKeyFileError) {
        let block = try PEMBlock(reading: pem)
        let info: OpaquePointer
        switch block.name {
        case "PRIVATE KEY":
            info = try block.decodeClear()
        case "ENCRYPTED PRIVATE KEY":
            guard let passphrase else { throw .passphraseNeeded }
            info = try block.decodeEncrypted(passphrase: passphrase)
        case let name where name.hasSuffix("PRIVATE KEY"):
            throw .otherType(name)
        case let name:
            throw .damaged(OpenSSLError(operation: "reading a private key", reasons: ["found \(name)"]))
        }
        defer { PKCS8_PRIV_KEY_INFO_free(info) }
        guard let pointer = EVP_PKCS82PKEY(info) else { throw .damaged(.draining("reading a private key")) }
        let handle = KeyHandle(adopting: pointer)
        guard hansa_pkey_is_ed25519(pointer) == 1 else {
            throw .otherType(EVP_PKEY_get0_type_name(pointer).map { String(cString: $0) } ?? "unknown")
        }
        do {
            try self.init(adopting: handle)
        } catch {
            throw .damaged(error)
        }
    }
}

/// The first block of a PEM text: its name and the bytes inside, wiped when it goes.
private struct PEMBlock: ~Copyable {
    let name: String
    private var bytes: [UInt8]

    init(reading pem: [UInt8]) throws(PrivateKeyFileError) {
        var name: UnsafeMutablePointer<CChar>?
        var header: UnsafeMutablePointer<CChar>?
        var data: UnsafeMutablePointer<UInt8>?
        var count = 0
        do throws(OpenSSLError) {
            let input = try MemoryBIO(reading: pem)
            guard PEM_read_bio(input.pointer, &name, &header, &data, &count) == 1 else {
                throw .draining("reading a private key")
            }
        } catch {
            throw .damaged(error)
        }
        defer {
            CRYPTO_free(name, nil, 0)
            CRYPTO_free(header, nil, 0)
            CRYPTO_clear_free(data, count, nil, 0)
        }
        self.name = name.map { String(cString: $0) } ?? ""
        self.bytes = [UInt8](UnsafeRawBufferPointer(start: data, count: count))
    }

    deinit {
        bytes.withUnsafeBytes { bytes in
            OPENSSL_cleanse(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        }
    }

    /// The key information inside, which the caller frees.
    func decodeClear() throws(PrivateKeyFileError) -> OpaquePointer {
        let info = bytes.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_PKCS8_PRIV_KEY_INFO(nil, &start, bytes.count)
        }
        guard let info else { throw .damaged(.draining("decoding a private key")) }
        return info
    }

    /// The key information inside, decrypted, which the caller frees.
    func decodeEncrypted(passphrase: [UInt8]) throws(PrivateKeyFileError) -> OpaquePointer {
        let encrypted = bytes.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_X509_SIG(nil, &start, bytes.count)
        }
        guard let encrypted else { throw .damaged(.draining("decoding an encrypted private key")) }
        defer { X509_SIG_free(encrypted) }
        let info = passphrase.withUnsafeBytes { bytes in
            PKCS8_decrypt(encrypted, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count))
        }
        if let info { return info }
        let code = ERR_peek_error()
        // The libraries' reasons overlap in number; a decoder's, after decryption, mean garbage.
        let cause = hansa_err_is_evp(code) == 1 ? hansa_err_reason(code) : 0
        let error = OpenSSLError.draining("decrypting a private key")
        switch cause {
        case EVP_R_UNKNOWN_PBE_ALGORITHM, EVP_R_UNSUPPORTED_CIPHER, EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION,
            EVP_R_UNSUPPORTED_PRF, EVP_R_UNSUPPORTED_ALGORITHM, EVP_R_UNSUPPORTED_KEYLENGTH,
            EVP_R_DECODE_ERROR:
            throw .damaged(error)
        default:
            // Bad padding or, by chance, good padding around what is no key.
            throw .wrongPassphrase
        }
    }
}
