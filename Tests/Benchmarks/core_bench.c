/*
 * Protect plus open of one message in memory, beside the floor: the bare mbedTLS calls that the key
 * schedule needs. Rounds of both alternate in one run; what is told is the median of the rounds'
 * ratios and their spread.
 */
#include "ouroboros/ouroboros.h"
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 41, MESSAGES = 2000 };

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(int result) {
    if (result != 0) {
        fprintf(stderr, "a call failed: %d\n", result);
        exit(EXIT_FAILURE);
    }
}

typedef struct ends {
    ouro_session client, server;
    ouro_slot client_slots[64], server_slots[64];
    ouro_prepared prepared;
} ends;

static void make(ends *e) {
    uint8_t up[32], down[32];
    memset(e, 0, sizeof *e);
    memset(up, 1, 32);
    memset(down, 2, 32);
    must(ouro_session_init(&e->client, OURO_CLIENT, 9, up, down, e->client_slots, 32));
    must(ouro_session_init(&e->server, OURO_SERVER, 9, up, down, e->server_slots, 32));
}

static double ours(ends *e, size_t len, bool ahead) {
    uint8_t packet[OURO_MAX_PACKET];
    double spent = 0;
    e->client.prepared = ahead ? &e->prepared : NULL;
    for (int i = 0; i < MESSAGES; i++) {
        ouro_header header;
        ouro_body body;
        uint64_t counter;
        memset(packet + OURO_HEADER_SIZE, i, len);
        must(ouro_session_prepare(&e->client, len));
        double start = now_us();
        must(ouro_session_protect(&e->client, OURO_DATA, OURO_FLAG_ACK_REQ, packet, len, &counter));
        must(ouro_packet_decode(packet, OURO_OVERHEAD + len, OURO_MAX_BODY, &header));
        must(ouro_session_open(&e->server, &header, packet, &body));
        spent += now_us() - start;
    }
    return spent / MESSAGES;
}

/* What one side cannot do without: both chains' two Expands, one AES-256-GCM with fresh keys. */
static void floor_side(uint8_t chains[2][32], uint64_t n, uint8_t *data, size_t len,
                       uint8_t tag[16], bool seal) {
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    uint8_t info[24], message[2][32], nonce[12] = {0}, aad[16] = {0};
    memset(info, 'L', sizeof info);
    memcpy(info + 16, &n, 8);
    for (int k = 0; k < 2; k++) {
        must(mbedtls_hkdf_expand(sha256, chains[k], 32, info, sizeof info, message[k], 32));
        info[0] ^= 1;
        must(mbedtls_hkdf_expand(sha256, chains[k], 32, info, sizeof info, chains[k], 32));
    }
    mbedtls_gcm_context gcm;
    mbedtls_gcm_init(&gcm);
    must(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, message[0], 256));
    if (seal)
        must(mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, len, nonce, 12, aad, 16, data,
                                       data, 16, tag));
    else
        must(mbedtls_gcm_auth_decrypt(&gcm, len, nonce, 12, aad, 16, tag, 16, data, data));
    mbedtls_gcm_free(&gcm);
}

static double bare(size_t len) {
    uint8_t a[2][32] = {{1}, {2}}, b[2][32] = {{1}, {2}}, data[OURO_MAX_BODY], tag[16];
    double spent = 0;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        memset(data, (int)i, len);
        double start = now_us();
        floor_side(a, i, data, len, tag, true);
        floor_side(b, i, data, len, tag, false);
        spent += now_us() - start;
    }
    return spent / MESSAGES;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof values[0], by_size);
    return values[ROUNDS / 2];
}

int main(void) {
    static const size_t sizes[] = {16, 64, 256, 1024};
    static ends e;
    printf("protect + open in memory, mbedTLS %s, %d rounds of %d messages, medians\n",
           MBEDTLS_VERSION_STRING, ROUNDS, MESSAGES);
    printf("%6s %10s %10s %10s %8s %15s\n", "bytes", "us", "prepared", "floor us", "ratio",
           "ratio 10-90 %");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double plain[ROUNDS], ahead[ROUNDS], least[ROUNDS], ratio[ROUNDS];
        make(&e);
        for (int r = 0; r < ROUNDS; r++) {
            plain[r] = ours(&e, sizes[i], false);
            least[r] = bare(sizes[i]);
            ahead[r] = ours(&e, sizes[i], true);
            ratio[r] = plain[r] / least[r];
        }
        double middle = median(ratio);
        printf("%6zu %10.2f %10.2f %10.2f %8.2f %7.2f-%.2f\n", sizes[i], median(plain),
               median(ahead), median(least), middle, ratio[ROUNDS / 10], ratio[ROUNDS * 9 / 10]);
    }
    return EXIT_SUCCESS;
}
