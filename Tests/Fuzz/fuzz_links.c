/*
 * Two links and the network between them, driven by a byte string: sends, losses, forged and
 * changed packets, opened bodies of any form, restarts, time. Whatever it does, a message has one
 * outcome and none arrives twice.
 */
#include "net.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition) {
    if (!condition)
        abort();
}

/* The fuzzer has written DATA of its own: what arrives is no longer what net_send sent. */
static bool made_up;

/* An authentic control or DATA packet with a body that no honest side would write. */
static void strange(net *n, int to, const uint8_t *body, size_t len, uint8_t flags) {
    ouro_session *from = NULL;
    uint8_t packet[OURO_MAX_PACKET];
    uint64_t counter;
    net_side *side = &n->side[1 - to];
    if (side->alive && side->link.live[0] != NULL)
        from = (ouro_session *)(void *)side->link.live[0];
    if (from == NULL || len == 0 || len > 200)
        return;
    uint8_t type = 1 + body[0] % 8;
    if (from->prepared != NULL || type == OURO_HELLO || type == OURO_WELCOME)
        return;
    made_up |= type == OURO_DATA;
    memcpy(packet + OURO_HEADER_SIZE, body, len);
    if (ouro_session_protect(from, type, flags, packet, len, &counter) == OURO_OK)
        (void)net_inject(n, to, &side->addr, packet, OURO_OVERHEAD + len);
}

static void check(const net *n) {
    for (int who = 0; who < 2 && !made_up; who++)
        for (uint32_t i = 0; i < n->side[who].count; i++) {
            const net_message *m = &n->side[who].messages[i];
            need(m->handed_on <= 1);
            need(m->outcome != FAILED || m->handed_on == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    net_options options;
    memset(&options, 0, sizeof options);
    if (size < 2)
        return 0;
    options.seed = data[0] + 1;
    options.evolving = data[1] & 1;
    options.small = data[1] & 2;
    options.rekey_packets = data[1] & 4 ? 20 : 0;
    options.places = 16;
    net *n = net_new(&options);
    made_up = false;
    n->trouble = 100; /* what strange() makes up is not printed */
    net_connect(n);
    for (size_t i = 2; i + 1 < size; i += 2) {
        uint8_t what = data[i], much = data[i + 1];
        int who = what & 1;
        switch (what / 2 % 10) {
        case 0:
            (void)net_send(n, who, much & 1, 4 + much % 60);
            break;
        case 1:
            net_run_for(n, (uint64_t)much * 20);
            break;
        case 2:
            n->path.loss = much / 300.0;
            break;
        case 3:
            n->path.jitter_ms = much * 10u;
            break;
        case 4:
            n->path.down = much & 1;
            break;
        case 5:
            net_move(n, much);
            break;
        case 6: {
            uint8_t copy[OURO_MAX_PACKET];
            size_t len = n->last_len[who];
            memcpy(copy, n->last[who], len);
            if (len > 0 && much % 8 != 0)
                copy[much % len] ^= what;
            if (len > 0)
                (void)net_inject(n, 1 - who, &n->side[who].addr, copy, len);
            break;
        }
        case 7:
            strange(n, who, data + i + 1, (size - i - 1) % 200, much & 15);
            break;
        case 8:
            (void)!ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, much & 1);
            net_pump(n, DEVICE);
            break;
        default:
            net_run_for(n, (uint64_t)much * 2000);
            break;
        }
        check(n);
    }
    net_free(n);
    return 0;
}
