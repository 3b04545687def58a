/* What somebody without a key can do, from outside or on the path: it costs little, and ends. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { MINUTE = 60000, HOUR = 3600000 };

static net *connected(uint64_t seed, uint64_t one_way) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    return net_connected(&o, one_way);
}

/* A BUSY of the gateway, which it knows nothing of. */
static size_t make_busy(net *n, uint8_t packet[OURO_MAX_PACKET]) {
    uint8_t body[17] = {0};
    body[16] = OURO_NACK_BUSY;
    return net_make(n, GATEWAY, OURO_NACK, OURO_FLAG_ACKS, body, sizeof body, packet);
}

/* A BUSY during a wait neither lengthens nor doubles it, nor halves the window. */
static void busy_during_a_wait(void) {
    net *n = connected(1, 20);
    const ouro_link *link = &n->side[DEVICE].link;
    uint8_t busy[OURO_MAX_PACKET], ack[OURO_MAX_PACKET], block[16] = {0};
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    size_t len = make_busy(n, busy);
    CHECK(net_inject(n, DEVICE, NULL, busy, len) == OURO_OK);
    uint64_t until = link->wait_until_ms;
    uint16_t window = link->window;
    CHECK_EQUAL(until, n->now_ms + 1000);
    size_t ack_len = net_make(n, GATEWAY, OURO_ACK, OURO_FLAG_ACKS, block, sizeof block, ack);
    for (int i = 0; i < 8; i++) {
        net_run_for(n, 100);
        len = make_busy(n, busy);
        CHECK(net_inject(n, DEVICE, NULL, busy, len) == OURO_OK);
        CHECK_EQUAL(link->wait_until_ms, until);
        CHECK_EQUAL(link->window, window);
    }
    /* An ACK ends it only when it is newer than the newest of them. */
    CHECK(net_inject(n, DEVICE, NULL, ack, ack_len) == OURO_OK);
    CHECK_EQUAL(link->wait_until_ms, until);
    ack_len = net_make(n, GATEWAY, OURO_ACK, OURO_FLAG_ACKS, block, sizeof block, ack);
    CHECK(net_inject(n, DEVICE, NULL, ack, ack_len) == OURO_OK);
    CHECK_EQUAL(link->wait_until_ms, 0);
    /* One after a wait doubles the next. */
    len = make_busy(n, busy);
    CHECK(net_inject(n, DEVICE, NULL, busy, len) == OURO_OK);
    CHECK_EQUAL(link->wait_until_ms, n->now_ms + 2000);
    net_free(n);
}

/* Four recorded HELLOs are played each 30 s at a way with a round trip of 22 s: a challenge holds.
 */
static void a_slow_way_beside_recorded_hellos(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 19;
    net *n = net_new(&o);
    net_record(n);
    n->path.down = true;
    net_connect(n);
    uint8_t recorded[4][OURO_HELLO_SIZE];
    size_t have = 0;
    while (have < 4) {
        net_run_for(n, MINUTE);
        if (have == 0 || memcmp(n->last[DEVICE], recorded[have - 1], OURO_HELLO_SIZE) != 0)
            memcpy(recorded[have++], n->last[DEVICE], OURO_HELLO_SIZE);
    }
    n->path.down = false;
    n->path.delay_ms = 11000;
    ouro_addr from = net_address(66);
    uint64_t start = n->now_ms;
    while (n->side[DEVICE].established == 0 && n->now_ms < start + HOUR) {
        for (size_t i = 0; i < 4; i++) {
            uint8_t copy[OURO_HELLO_SIZE];
            memcpy(copy, recorded[i], sizeof copy);
            (void)net_inject(n, GATEWAY, &from, copy, sizeof copy);
        }
        net_run_for(n, 30000);
    }
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK(n->now_ms - start <= 10 * MINUTE);
    net_free(n);
}

static struct {
    bool collecting;
    size_t count, used;
    size_t len[64];
    uint8_t bytes[64][OURO_MAX_PACKET];
} stock;

static bool collect(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    if (!stock.collecting || from != GATEWAY || stock.count == 64)
        return false;
    memcpy(stock.bytes[stock.count], packet, len);
    stock.len[stock.count++] = len;
    return true;
}

/* Packets that were held back are played one a HELLO: they cancel one handshake, not each. */
static void held_back_packets_cancel_one_handshake(void) {
    net *n = connected(17, 50);
    for (int i = 0; i < 5; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 500);
    }
    memset(&stock, 0, sizeof stock);
    stock.collecting = true;
    n->filter = collect;
    for (int i = 0; i < 20; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 60);
    }
    net_run_for(n, 1500);
    stock.collecting = false;
    net_run_for(n, 3000);
    CHECK(stock.count >= 10);
    net_restart(n, GATEWAY);
    (void)net_send(n, DEVICE, true, 20);
    uint64_t start = n->now_ms;
    uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
    while (n->side[DEVICE].established < 2 && n->now_ms < start + HOUR) {
        net_run_for(n, 10);
        if (n->side[DEVICE].types[OURO_HELLO] == hellos)
            continue;
        hellos = n->side[DEVICE].types[OURO_HELLO];
        ouro_status status = OURO_DROP_REPLAY;
        while (stock.used < stock.count && status != OURO_OK) {
            status = net_inject(n, DEVICE, NULL, stock.bytes[stock.used], stock.len[stock.used]);
            stock.used++;
        }
    }
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    CHECK(n->now_ms - start < 30000);
    net_free(n);
}

/* It goes on for the give-up time though the path works; then the next packet ends it. */
static void hellos_of_the_second(net *n, uint64_t last) {
    uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
    net_run_until(n, last + 20000);
    (void)net_send(n, DEVICE, true, 20);
    net_run_until(n, last + 47000);
    CHECK(n->side[DEVICE].types[OURO_HELLO] > hellos + 2);
    CHECK_EQUAL(n->side[DEVICE].dead, 0);
    net_run_for(n, 10000);
    (void)net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 10000));
    hellos = n->side[DEVICE].types[OURO_HELLO];
    net_run_for(n, 10 * MINUTE);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], hellos);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK_EQUAL(n->side[DEVICE].dead, 0);
}

/* A handshake that is not cancelled can be from its give-up time on: the old session is there. */
static void a_handshake_that_is_not_answered(void) {
    net *n = connected(18, 50);
    n->drop[GATEWAY] = 1u << OURO_WELCOME;
    uint64_t last = 0;
    for (int outage = 0; outage < 2; outage++) {
        n->path.down = true;
        (void)net_send(n, DEVICE, true, 20);
        uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
        for (int i = 0; i < 3000 && n->side[DEVICE].types[OURO_HELLO] == hellos; i++)
            net_run_for(n, 10);
        last = n->now_ms;
        n->path.down = false;
        CHECK(net_settle(n, 10000));
    }
    hellos_of_the_second(n, last);
    net_free(n);
}

void attack_tests(void) {
    RUN(held_back_packets_cancel_one_handshake);
    RUN(a_handshake_that_is_not_answered);
    RUN(busy_during_a_wait);
    RUN(a_slow_way_beside_recorded_hellos);
}
