/*
 * No branch and no address of ours depends on a secret. Every key is marked undefined, so that
 * valgrind's memcheck reports each decision that is made on what comes of it. What goes over the
 * wire is public and marked so; what mbedTLS does stands in secrets.supp, each with its reason.
 *
 * With -DLEAK one secret bit is branched on, and the run has to fail: that shows that it can.
 */
#include "ouroboros/ouroboros.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

static unsigned steps;

static void secret(void *bytes, size_t len) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, len);
}

static void published(void *bytes, size_t len) {
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, len);
}

static void must(ouro_status status, ouro_status want) {
    published(&status, sizeof status);
    if (status != want) {
        fprintf(stderr, "status %d, not %d\n", status, want);
        exit(EXIT_FAILURE);
    }
    steps++;
}

static ouro_credential credential(void) {
    ouro_credential c;
    memset(&c, 7, sizeof c);
    c.epoch = 5;
    c.evolving = true;
    secret(c.key, sizeof c.key);
    return c;
}

static void epochs(void) {
    ouro_credential c = credential();
    uint8_t fleet[32] = {1}, root[32];
    secret(fleet, sizeof fleet);
    must(ouro_fleet_root_key(fleet, c.device_id, root), OURO_OK);
    must(ouro_epoch_advance(c.key, c.epoch, 3), OURO_OK);
}

static void blobs(void) {
    ouro_credential c = credential(), read;
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_write(&c, blob);
    bool sound = ouro_blob_read(blob, sizeof blob, &read) == OURO_BLOB_SOUND;
    must(sound ? OURO_OK : OURO_ERR_DAMAGED, OURO_OK);
    memset(blob + 1 + OURO_DEVICE_ID_SIZE, 0, OURO_KEY_SIZE);
    secret(blob + 1 + OURO_DEVICE_ID_SIZE, OURO_KEY_SIZE);
    sound = ouro_blob_read(blob, sizeof blob, &read) == OURO_BLOB_SOUND;
    must(sound ? OURO_OK : OURO_ERR_DAMAGED, OURO_ERR_DAMAGED);
}

typedef struct ends {
    ouro_session client, server;
    ouro_slot client_slots[8], server_slots[8];
    ouro_prepared prepared;
} ends;

static void handshake(ends *e) {
    ouro_credential c = credential();
    uint8_t auth[32], hello[OURO_HELLO_MAX], welcome[OURO_WELCOME_SIZE];
    size_t len = 0;
    ouro_hello h;
    ouro_welcome w;
    memset(&h, 0, sizeof h);
    memset(&w, 0, sizeof w);
    memcpy(h.device_id, c.device_id, sizeof h.device_id);
    h.epoch = w.epoch = c.epoch;
    h.evolving = c.evolving;
    h.reach = w.reach = 4;
    h.max_body = w.max_body = 1200;
    w.session_id = 9;
    must(ouro_auth_key(c.key, c.epoch, auth), OURO_OK);
    must(ouro_hello_write(&h, auth, hello, &len), OURO_OK);
    published(hello, len);
    must(ouro_hello_verify(auth, hello, len), OURO_OK);
    must(ouro_welcome_write(&w, auth, hello, len, welcome), OURO_OK);
    published(welcome, sizeof welcome);
    ouro_welcome read;
    must(ouro_welcome_read(auth, hello, len, welcome, sizeof welcome, &read), OURO_OK);
    must(ouro_handshake_session(&e->client, OURO_CLIENT, &c, hello, len, welcome, e->client_slots,
                                4),
         OURO_OK);
    must(ouro_handshake_session(&e->server, OURO_SERVER, &c, hello, len, welcome, e->server_slots,
                                4),
         OURO_OK);
}

static void message(ends *e, uint8_t type, size_t len, bool forged) {
    uint8_t packet[OURO_MAX_PACKET];
    uint64_t counter;
    ouro_header header;
    ouro_body body;
    memset(packet, 3, sizeof packet);
    secret(packet + OURO_HEADER_SIZE, len);
    if (type == OURO_DATA && e->client.prepared != NULL)
        must(ouro_session_prepare(&e->client, len), OURO_OK);
    must(ouro_session_protect(&e->client, type, 0, packet, len, &counter), OURO_OK);
    published(packet, OURO_OVERHEAD + len);
    if (forged)
        packet[OURO_HEADER_SIZE] ^= 1;
    must(ouro_packet_decode(packet, OURO_OVERHEAD + len, OURO_MAX_BODY, &header), OURO_OK);
    ouro_status status = type == OURO_DATA
                             ? ouro_session_open(&e->server, &header, packet, &body)
                             : ouro_tail_open(&e->server.tail, &header, packet, &body);
    must(status, forged ? OURO_DROP_AUTH : OURO_OK);
}

int main(void) {
    static const size_t lengths[] = {1, 2, 16, 64, 100, 1024, 1200};
    static ends e;
    epochs();
    blobs();
    handshake(&e);
    for (int ahead = 0; ahead < 2; ahead++) {
        e.client.prepared = ahead != 0 ? &e.prepared : NULL;
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
            message(&e, OURO_DATA, lengths[i], false);
        message(&e, OURO_DATA, 64, true);
    }
    message(&e, OURO_PING, 64, false);
    message(&e, OURO_PING, 64, true);
#ifdef LEAK
    if ((e.client.tx_enc[0] & 1) != 0)
        puts("a secret bit is set");
#endif
    ouro_session_erase(&e.client);
    ouro_session_erase(&e.server);
    printf("%u passed, 0 failed\n", steps);
    return EXIT_SUCCESS;
}
