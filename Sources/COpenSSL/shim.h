// Inline functions for parts of OpenSSL 3.0 that Swift cannot import: macros, typed stacks, variadic functions.
// They contain no policy; Sources/OpenSSLKit does.

#ifndef HANSA_COPENSSL_SHIM_H
#define HANSA_COPENSSL_SHIM_H

// OpenSSL 3.0 deprecates the low-level SHA-256 functions in favour of EVP. For inputs of some 100 bytes, a call through
// EVP costs several times as much. The functions stay in the ABI of every 3.x library.
#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Errors.

static inline int hansa_err_reason(unsigned long code) { return ERR_GET_REASON(code); }

static inline int hansa_err_is_evp(unsigned long code) { return ERR_GET_LIB(code) == ERR_LIB_EVP; }

static inline int hansa_err_is_ssl(unsigned long code) { return ERR_GET_LIB(code) == ERR_LIB_SSL; }

// BIOs.

static inline long hansa_bio_mem_data(BIO *bio, char **data) { return BIO_get_mem_data(bio, data); }

static inline void hansa_bio_mem_retry_when_empty(BIO *bio) { BIO_set_mem_eof_return(bio, -1); }

// Contexts.

static inline int hansa_ctx_set_versions(SSL_CTX *ctx, int low, int high) {
    return SSL_CTX_set_min_proto_version(ctx, low) == 1 && SSL_CTX_set_max_proto_version(ctx, high) == 1;
}

static inline int hansa_ctx_set_groups(SSL_CTX *ctx, const char *list) {
    return SSL_CTX_set1_groups_list(ctx, list) == 1;
}

static inline int hansa_ctx_set_signature_algorithms(SSL_CTX *ctx, const char *list) {
    return SSL_CTX_set1_sigalgs_list(ctx, list) == 1 && SSL_CTX_set1_client_sigalgs_list(ctx, list) == 1;
}

static inline void hansa_ctx_set_mode(SSL_CTX *ctx, long mode) { (void)SSL_CTX_set_mode(ctx, mode); }

static inline void hansa_ctx_disable_session_cache(SSL_CTX *ctx) {
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

static inline void hansa_ctx_set_certificate_bytes_max(SSL_CTX *ctx, long bytes) {
    (void)SSL_CTX_set_max_cert_list(ctx, bytes);
}

static inline uint64_t hansa_tls_options(void) {
    return SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE;
}

static inline long hansa_tls_modes(void) {
    return SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS
        | SSL_MODE_AUTO_RETRY;
}

// Connections.

static inline int hansa_ssl_set_owner(SSL *ssl, void *owner) { return SSL_set_app_data(ssl, owner); }

static inline void *hansa_ssl_owner(const SSL *ssl) { return SSL_get_app_data(ssl); }

static inline SSL *hansa_store_ctx_ssl(X509_STORE_CTX *ctx) {
    return (SSL *)X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
}

static inline int hansa_store_ctx_chain_count(X509_STORE_CTX *ctx) {
    return sk_X509_num(X509_STORE_CTX_get0_untrusted(ctx));
}

// Keys.

static inline int hansa_pkey_is_ed25519(const EVP_PKEY *key) { return EVP_PKEY_get_id(key) == EVP_PKEY_ED25519; }

#endif
