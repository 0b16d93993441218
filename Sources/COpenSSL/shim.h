#pragma once
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// Macros over SSL_CTX_ctrl and SSL_ctrl, which Swift cannot import.
static inline int cossl_set_minimum_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_min_proto_version(context, version);
}
static inline void cossl_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }
static inline int cossl_set_groups(SSL_CTX *context, const char *groups) {
    return SSL_CTX_set1_groups_list(context, groups);
}
static inline void cossl_set_session_cache(SSL_CTX *context, long mode) {
    SSL_CTX_set_session_cache_mode(context, mode);
}
// Takes its own reference.
static inline int cossl_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate);
}
static inline int cossl_set_server_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name);
}

// The macros cast the function pointer to another type.
typedef int (*cossl_server_name_callback)(SSL *, int *, void *);
static inline void cossl_set_server_name_callback(
    SSL_CTX *context, cossl_server_name_callback callback, void *argument
) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}

// Swift sees the 64-bit options as macros with casts.
static inline void cossl_set_strict_options(SSL_CTX *context) {
    SSL_CTX_set_options(
        context,
        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE
            | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_SINGLE_ECDH_USE);
}
static inline void cossl_disable_tickets(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
}

// A macro in OpenSSL 1.1, a function in 3.0: the error's parts are bit fields.
static inline int cossl_error_reason(unsigned long error) { return ERR_GET_REASON(error); }
static inline int cossl_error_library(unsigned long error) { return ERR_GET_LIB(error); }

// Stacks of names are typed by macros.
typedef void (*cossl_name_body)(void *context, int type, const unsigned char *bytes, int count);
static inline void cossl_alternative_names(X509 *certificate, void *context, cossl_name_body body) {
    GENERAL_NAMES *names =
        (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (!names) return;
    for (int index = 0; index < sk_GENERAL_NAME_num(names); index++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
        const ASN1_STRING *text = NULL;
        switch (name->type) {
        case GEN_DNS: case GEN_EMAIL: case GEN_URI: text = name->d.ia5; break;
        case GEN_IPADD: text = name->d.iPAddress; break;
        default: break;
        }
        if (text) body(context, name->type, ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
    }
    GENERAL_NAMES_free(names);
}

// Macros made of macros.
static inline void cossl_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline void cossl_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
// RFC 2253, without escaping what is plain UTF-8.
static inline void cossl_print_name(BIO *output, const X509_NAME *name) {
    X509_NAME_print_ex(output, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
}
