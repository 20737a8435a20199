import COpenSSL

/// The reason why a private key could not be read from a file's bytes.
package enum PrivateKeyFileError: Error, Hashable, Sendable {
    /// The file is encrypted and the passphrase does not decrypt it, or the encrypted part is damaged.
    ///
    /// The format has no check for the passphrase alone, so the two cannot be distinguished.
    case wrongPassphrase

    /// The file is encrypted and no passphrase was given.
    case passphraseNeeded

    /// The PEM block of a private key is missing or malformed; with OpenSSL's message.
    case damaged(OpenSSLError)

    /// A private key of another type than Ed25519, with OpenSSL's name of the type.
    case otherType(String)
}

extension Ed25519PrivateKey {
    /// The number of PBKDF2-HMAC-SHA256 rounds for a passphrase: 600,000, as the OWASP password storage cheat sheet of
    /// 2023 recommends. OpenSSL's default is 2,048.
    ///
    /// More rounds cost the key's user time (some 0.2 s now) and an attacker proportionally more. PBKDF2 is used
    /// instead of scrypt because every tool that reads PKCS#8 supports it.
    package static let passphraseRounds = 600_000

    /// Encodes the key as PKCS#8 in PEM, encrypted with `passphrase` (bytes, not empty). `openssl pkey` reads it.
    ///
    /// The encryption is PBES2 (RFC 8018, section 6.2) with PBKDF2-HMAC-SHA256, a random 16-byte salt, and AES-256-CBC.
    /// It takes some 0.2 s by design: do not call it on an event loop.
    ///
    /// - Parameter rounds: The number of PBKDF2 rounds, at least 1. Only tests should change it.
    /// - Throws: `OpenSSLError` if memory or randomness is unavailable.
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
            // OpenSSL takes ownership of the scheme only on success.
            X509_ALGOR_free(scheme)
            throw .draining("encrypting a private key")
        }
        defer { X509_SIG_free(encrypted) }
        let output = try MemoryBIO()
        guard PEM_write_bio_PKCS8(output.pointer, encrypted) == 1 else { throw .draining("writing a private key") }
        return output.contents
    }

    /// Encodes the key as unencrypted PKCS#8 in PEM (RFC 8410, section 7), for a file of mode 0600. `openssl pkey`
    /// reads it.
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

    /// Reads the first PEM block of `pem`: PKCS#8, encrypted or not, from this program or `openssl genpkey`.
    ///
    /// Never prompts on a terminal: an encrypted key without a passphrase is refused. The time depends on the file's
    /// number of rounds.
    ///
    /// - Parameter passphrase: The bytes that decrypt an encrypted key; ignored for an unencrypted key.
    /// - Throws: `PrivateKeyFileError`; its cases correspond to actions of the operator.
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

/// The first block of a PEM text: its name and content. The content is wiped when the block is destroyed.
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

    /// Decodes the key information, which the caller frees.
    func decodeClear() throws(PrivateKeyFileError) -> OpaquePointer {
        let info = bytes.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_PKCS8_PRIV_KEY_INFO(nil, &start, bytes.count)
        }
        guard let info else { throw .damaged(.draining("decoding a private key")) }
        return info
    }

    /// Decrypts and decodes the key information, which the caller frees.
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
        // Reason codes of different OpenSSL libraries overlap. A decoder's reason after decryption means that
        // decryption gave garbage.
        let cause = hansa_err_is_evp(code) == 1 ? hansa_err_reason(code) : 0
        let error = OpenSSLError.draining("decrypting a private key")
        switch cause {
        case EVP_R_UNKNOWN_PBE_ALGORITHM, EVP_R_UNSUPPORTED_CIPHER, EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION,
            EVP_R_UNSUPPORTED_PRF, EVP_R_UNSUPPORTED_ALGORITHM, EVP_R_UNSUPPORTED_KEYLENGTH,
            EVP_R_DECODE_ERROR:
            throw .damaged(error)
        default:
            // Bad padding, or accidentally valid padding around data that is no key.
            throw .wrongPassphrase
        }
    }
}
