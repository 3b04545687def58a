/* A client that sends unreliably, and seldom, notices a server that is not there any more. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { SECOND = 1000, MINUTE = 60000 };

static net *connected(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.reach[DEVICE] = o.reach[GATEWAY] = 64;
    return net_connected(&o, 50);
}

static bool asked(const net *n) {
    return (n->last[DEVICE][1] & OURO_FLAG_ACK_REQ) != 0;
}

/* A reading each ten minutes, or a window that grew before: the restart costs one of them. */
static void a_dead_gateway_under_readings(void) {
    for (int grown = 0; grown < 2; grown++) {
        net *n = connected(11);
        for (int i = 0; i < (grown ? 60 : 6); i++) {
            (void)net_send(n, DEVICE, false, 20);
            net_run_for(n, grown ? 500 : 10 * MINUTE);
        }
        uint32_t before = n->side[DEVICE].count, lost = 0;
        net_restart(n, GATEWAY);
        uint64_t start = n->now_ms, noticed = 0;
        for (int i = 0; i < 20; i++) {
            (void)net_send(n, DEVICE, false, 20);
            for (int second = 0; second < 600; second++) {
                net_run_for(n, SECOND);
                if (noticed == 0 && n->side[GATEWAY].established >= 2)
                    noticed = n->now_ms - start;
            }
        }
        for (uint32_t i = before; i < n->side[DEVICE].count; i++)
            lost += n->side[DEVICE].messages[i].handed_on == 0;
        CHECK(noticed > 0 && noticed <= 15 * MINUTE);
        CHECK(lost <= 2 - !grown);
        net_free(n);
    }
}

/* The first one after 5 minutes of silence asks; those after its answer do not. */
static void asks_after_five_minutes(void) {
    for (int set = 0; set < 2; set++) {
        net *n = connected(12);
        uint64_t silence = set ? 20000 : 5 * MINUTE;
        n->side[DEVICE].settings.silence_ms = set ? 20000 : 0;
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 100);
        uint64_t heard = n->now_ms;
        net_run_until(n, heard + silence - 1);
        (void)net_send(n, DEVICE, false, 20);
        CHECK(!asked(n));
        net_run_until(n, heard + silence);
        (void)net_send(n, DEVICE, false, 20);
        CHECK(asked(n));
        net_run_for(n, 200);
        (void)net_send(n, DEVICE, false, 20);
        CHECK(!asked(n));
        net_free(n);
    }
}

/* One without an answer is followed by a PING at once, whose time-outs begin a handshake. */
static void a_ping_follows(void) {
    net *n = connected(13);
    n->drop[GATEWAY] = UINT32_MAX;
    net_run_for(n, 6 * MINUTE);
    net_record(n);
    uint64_t start = n->now_ms;
    (void)net_send(n, DEVICE, false, 20);
    CHECK(asked(n));
    net_run_for(n, 30 * SECOND);
    const net_sent *ping = net_find(n, DEVICE, OURO_PING, 0);
    const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
    CHECK(ping != NULL && hello != NULL);
    if (ping != NULL && hello != NULL) {
        CHECK(ping->at_ms - start <= 3 * SECOND);
        CHECK(hello->at_ms > ping->at_ms);
    }
    /* It was sent once, as it is unreliable. */
    CHECK(net_find(n, DEVICE, OURO_DATA, 1) == NULL);
    net_free(n);
}

/* Keep-alive of its own traffic changes nothing: what is sent is no sign of the other side. */
static void what_is_sent_is_no_sign(void) {
    net *n = connected(14);
    n->side[DEVICE].settings.keep_alive_ms = 25000;
    n->drop[GATEWAY] = UINT32_MAX;
    uint32_t hellos = n->side[DEVICE].types[OURO_HELLO];
    for (int i = 0; i < 40 && n->side[DEVICE].types[OURO_HELLO] == hellos; i++) {
        (void)net_send(n, DEVICE, false, 20);
        net_run_for(n, 10 * SECOND);
    }
    CHECK(n->side[DEVICE].types[OURO_HELLO] > hellos);
    net_free(n);
}

/* Silence goes on while a device sleeps; a sleep of unknown length counts as long enough. */
static void silence_counts_sleep(void) {
    static const struct {
        uint64_t awake, slept; /* 0: not known */
        bool asks;
    } cases[] = {{0, 4 * MINUTE, false},
                 {2 * MINUTE, 2 * MINUTE, false},
                 {2 * MINUTE, 4 * MINUTE, true},
                 {0, 12 * 60 * MINUTE, true},
                 {0, 0, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static uint8_t saved[OURO_SAVED_SIZE(64)];
        size_t len;
        net *n = connected(15);
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 100);
        net_run_for(n, cases[i].awake);
        ouro_link *link = &n->side[DEVICE].link;
        CHECK(ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
        /* The clock of the next start may be anything. */
        net_restart(n, DEVICE);
        CHECK(ouro_link_restore(link, n->now_ms, cases[i].slept, saved, len) == OURO_OK);
        (void)net_send(n, DEVICE, false, 20);
        CHECK_EQUAL(asked(n), cases[i].asks);
        net_free(n);
    }
}

/* A copy in the form of before is void. */
static void an_older_form_is_void(void) {
    static uint8_t saved[OURO_SAVED_SIZE(64)];
    size_t len;
    net *n = connected(16);
    ouro_link *link = &n->side[DEVICE].link;
    CHECK(ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
    CHECK_BYTES(saved, (const uint8_t *)"OUROSLP2", 8);
    saved[7] = '1';
    CHECK(ouro_link_restore(link, n->now_ms, 0, saved, len) == OURO_ERR_DAMAGED);
    net_free(n);
}

void silence_tests(void) {
    RUN(a_dead_gateway_under_readings);
    RUN(asks_after_five_minutes);
    RUN(a_ping_follows);
    RUN(what_is_sent_is_no_sign);
    RUN(silence_counts_sleep);
    RUN(an_older_form_is_void);
}
