#include "fault_run.h"

#include "check.h"
#include "crypto.h"
#include "net.h"
#include "ouroboros/scramble.h"
#include <stdio.h>
#include <string.h>

enum { MESSAGES = 200, HOUR = 3600000, OUTAGE_MS = 60000 };

static bool outcomes_fit(const net *n) {
    for (int who = 0; who < 2; who++)
        for (uint32_t i = 0; i < n->side[who].count; i++) {
            const net_message *m = &n->side[who].messages[i];
            bool fits = m->handed_on <= 1 && m->outcome != PENDING;
            if (m->outcome == DELIVERED)
                fits &= m->handed_on == 1;
            if (m->outcome == FAILED)
                fits &= m->handed_on == 0;
            if (m->reliable)
                fits &= m->outcome != SENT;
            if (!fits)
                return false;
        }
    return n->trouble == 0 && keys_repeated == 0;
}

/* Everything that happened, in one line: the host's is to be the same. */
static void print_run(const net *n, uint32_t seed) {
    printf("fault run %lu:", (unsigned long)seed);
    for (int who = 0; who < 2; who++) {
        const net_side *s = &n->side[who];
        printf(" %s %lu delivered %lu unknown %lu failed %lu sent, %lu packets;",
               who == DEVICE ? "device" : "gateway", (unsigned long)net_count(n, who, DELIVERED),
               (unsigned long)net_count(n, who, UNKNOWN), (unsigned long)net_count(n, who, FAILED),
               (unsigned long)net_count(n, who, SENT), (unsigned long)s->packets);
    }
    printf(" %lu HELLO, %lu ms\n", (unsigned long)n->hellos, (unsigned long)n->now_ms);
}

static void send_all(net *n) {
    uint32_t sent[2] = {0, 0};
    uint64_t back_ms = OURO_NEVER;
    while (sent[DEVICE] < MESSAGES || sent[GATEWAY] < MESSAGES) {
        for (int who = 0; who < 2; who++) {
            bool reliable = net_random(n) % 4 != 0;
            if (sent[who] < MESSAGES &&
                net_send(n, who, reliable, 4 + net_random(n) % 60) != UINT32_MAX)
                sent[who]++;
        }
        if (sent[DEVICE] >= MESSAGES / 2 && back_ms == OURO_NEVER) {
            back_ms = n->now_ms + OUTAGE_MS;
            n->path.down = true;
        }
        if (n->now_ms >= back_ms)
            n->path.down = false;
        net_run_for(n, net_random(n) % 200);
    }
    n->path.down = false;
}

void fault_run(uint32_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.small = true;
    o.reach[DEVICE] = 8;
    o.places = 32;
    o.prepare = seed % 2 == 0;
    o.keep_alive_ms = 25000;
    keys_forget();
    net *n = net_new(&o);
    n->path.loss = 0.2;
    n->path.corrupt = 0.05;
    n->path.delay_ms = 40;
    n->path.jitter_ms = 400;
    net_connect(n);
    net_run_for(n, 20000);
    send_all(n);
    CHECK(net_settle(n, HOUR));
    CHECK(outcomes_fit(n));
    CHECK(net_count(n, DEVICE, DELIVERED) > MESSAGES / 2);
    print_run(n, seed);
    net_free(n);
}

static ouro_status seal_and_hash(const uint8_t key[32], size_t len, uint8_t next[32]) {
    static uint8_t body[300];
    uint8_t aad[32], tag[16];
    ouro_hmac hmac;
    memset(body, (int)len, len);
    memset(aad, 0x5a, sizeof aad);
    ouro_status status = ouro_aead_seal_once(key, key, aad, len % 33, body, len, tag);
    if (status == OURO_OK)
        status = ouro_scramble(key, body, len);
    if (status == OURO_OK)
        status = ouro_hmac_init(&hmac, key);
    ouro_span parts[2] = {{body, len}, {tag, sizeof tag}};
    if (status == OURO_OK)
        status = ouro_hmac_mac(&hmac, parts, 2, next);
    parts[1] = (ouro_span){next, 32};
    return status == OURO_OK ? ouro_sha256(parts, 2, next) : status;
}

void primitives_run(void) {
    uint8_t key[32] = {1}, next[32] = {0};
    for (size_t len = 0; len <= 300; len++) {
        CHECK_EQUAL(seal_and_hash(key, len, next), OURO_OK);
        memcpy(key, next, sizeof key);
    }
    printf("primitives: ");
    for (size_t i = 0; i < sizeof key; i++)
        printf("%02x", key[i]);
    printf("\n");
}
