/* OpenSSL, DTLS 1.2 with PSK-AES256-GCM-SHA384, without cookies. */
#include "peer.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum { MTU = 1400 };

struct peer_end {
    SSL *ssl;
};

static SSL_CTX *contexts[2]; /* client, server */
static BIO_METHOD *method;

static int bio_write(BIO *bio, const char *data, int len) {
    wire_send(BIO_get_data(bio), data, (size_t)len);
    return len;
}

static int bio_read(BIO *bio, char *data, int len) {
    size_t got = wire_receive(BIO_get_data(bio), data, (size_t)len);
    BIO_clear_retry_flags(bio);
    if (got > 0)
        return (int)got;
    BIO_set_retry_read(bio);
    return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static unsigned give_key(unsigned char *key, unsigned capacity) {
    if (capacity < sizeof peer_key)
        return 0;
    memcpy(key, peer_key, sizeof peer_key);
    return sizeof peer_key;
}

static unsigned client_key(SSL *ssl, const char *hint, char *identity, unsigned identity_capacity,
                           unsigned char *key, unsigned capacity) {
    (void)ssl;
    (void)hint;
    if (identity_capacity < sizeof peer_identity)
        return 0;
    memcpy(identity, peer_identity, sizeof peer_identity);
    return give_key(key, capacity);
}

static unsigned server_key(SSL *ssl, const char *identity, unsigned char *key, unsigned capacity) {
    (void)ssl;
    return strcmp(identity, peer_identity) == 0 ? give_key(key, capacity) : 0;
}

void peer_start(void) {
    contexts[0] = SSL_CTX_new(DTLS_client_method());
    contexts[1] = SSL_CTX_new(DTLS_server_method());
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    if (contexts[0] == NULL || contexts[1] == NULL || method == NULL ||
        BIO_meth_set_write(method, bio_write) != 1 || BIO_meth_set_read(method, bio_read) != 1 ||
        BIO_meth_set_ctrl(method, bio_ctrl) != 1)
        fail("OpenSSL does not start");
    for (int i = 0; i < 2; i++) {
        if (SSL_CTX_set_min_proto_version(contexts[i], DTLS1_2_VERSION) != 1 ||
            SSL_CTX_set_cipher_list(contexts[i], "PSK-AES256-GCM-SHA384") != 1)
            fail("this OpenSSL has no DTLS 1.2 with PSK-AES256-GCM-SHA384");
        /* No resumption is measured, so no tickets and no cache. */
        SSL_CTX_set_options(contexts[i], SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(contexts[i], SSL_SESS_CACHE_OFF);
    }
    SSL_CTX_set_psk_client_callback(contexts[0], client_key);
    SSL_CTX_set_psk_server_callback(contexts[1], server_key);
}

peer_end *peer_open(bool is_server, wire_end *wire) {
    peer_end *end = malloc(sizeof *end);
    BIO *bio = BIO_new(method);
    if (end == NULL || bio == NULL || (end->ssl = SSL_new(contexts[is_server])) == NULL)
        fail("out of memory");
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(end->ssl, bio, bio);
    SSL_set_mtu(end->ssl, MTU);
    if (is_server)
        SSL_set_accept_state(end->ssl);
    else
        SSL_set_connect_state(end->ssl);
    return end;
}

void peer_close(peer_end *end) {
    SSL_free(end->ssl);
    free(end);
}

/* What a call gave: a length, or 0 if it has to be called again. */
static size_t result(peer_end *end, int value) {
    if (value > 0)
        return (size_t)value;
    if (SSL_get_error(end->ssl, value) != SSL_ERROR_WANT_READ)
        fail("OpenSSL ended the session");
    return 0;
}

bool peer_handshake(peer_end *end) {
    if (result(end, SSL_do_handshake(end->ssl)) > 0)
        return true;
    (void)DTLSv1_handle_timeout(end->ssl);
    return false;
}

void peer_send(peer_end *end, const uint8_t *message, size_t len) {
    if (result(end, SSL_write(end->ssl, message, (int)len)) != len)
        fail("OpenSSL did not send a message");
}

size_t peer_receive(peer_end *end, uint8_t *message, size_t capacity) {
    return result(end, SSL_read(end->ssl, message, (int)capacity));
}
