/* mbedTLS, DTLS 1.2 with TLS-PSK-WITH-AES-256-GCM-SHA384, without cookies. */
#include "peer.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <stdlib.h>

struct peer_end {
    mbedtls_ssl_context ssl;
    mbedtls_timing_delay_context timer;
};

static mbedtls_ssl_config configs[2]; /* client, server */
static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context random_state;

static void must(int result) {
    if (result != 0)
        fail("mbedTLS does not start");
}

void peer_start(void) {
    static const int suites[] = {MBEDTLS_TLS_PSK_WITH_AES_256_GCM_SHA384, 0};
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random_state);
    must(mbedtls_ctr_drbg_seed(&random_state, mbedtls_entropy_func, &entropy, NULL, 0));
    for (int i = 0; i < 2; i++) {
        mbedtls_ssl_config *config = &configs[i];
        mbedtls_ssl_config_init(config);
        must(mbedtls_ssl_config_defaults(
            config, i == 1 ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
            MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT));
        mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, &random_state);
        mbedtls_ssl_conf_ciphersuites(config, suites);
        must(mbedtls_ssl_conf_psk(config, peer_key, sizeof peer_key,
                                  (const unsigned char *)peer_identity, sizeof peer_identity - 1));
        /* No resumption is measured. */
        mbedtls_ssl_conf_session_tickets(config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    }
    mbedtls_ssl_conf_dtls_cookies(&configs[1], NULL, NULL, NULL);
}

static int wire_out(void *wire, const unsigned char *data, size_t len) {
    wire_send(wire, data, len);
    return (int)len;
}

static int wire_in(void *wire, unsigned char *data, size_t capacity) {
    size_t len = wire_receive(wire, data, capacity);
    return len > 0 ? (int)len : MBEDTLS_ERR_SSL_WANT_READ;
}

peer_end *peer_open(bool is_server, wire_end *wire) {
    peer_end *end = calloc(1, sizeof *end);
    if (end == NULL)
        fail("out of memory");
    mbedtls_ssl_init(&end->ssl);
    must(mbedtls_ssl_setup(&end->ssl, &configs[is_server]));
    mbedtls_ssl_set_bio(&end->ssl, wire, wire_out, wire_in, NULL);
    mbedtls_ssl_set_timer_cb(&end->ssl, &end->timer, mbedtls_timing_set_delay,
                             mbedtls_timing_get_delay);
    return end;
}

void peer_close(peer_end *end) {
    mbedtls_ssl_free(&end->ssl);
    free(end);
}

/* What a call gave: a length, or 0 if it has to be called again. */
static size_t result(int value) {
    if (value < 0 && value != MBEDTLS_ERR_SSL_WANT_READ)
        fail("mbedTLS ended the session");
    return value > 0 ? (size_t)value : 0;
}

bool peer_handshake(peer_end *end) {
    int value = mbedtls_ssl_handshake(&end->ssl);
    (void)result(value);
    return value == 0;
}

void peer_send(peer_end *end, const uint8_t *message, size_t len) {
    if (result(mbedtls_ssl_write(&end->ssl, message, len)) != len)
        fail("mbedTLS did not send a message");
}

size_t peer_receive(peer_end *end, uint8_t *message, size_t capacity) {
    return result(mbedtls_ssl_read(&end->ssl, message, capacity));
}
