/* Sessions that do not last: who lets through handshakes alone burns few epochs, and writes. */
#include "check.h"
#include "net.h"
#include "ouroboros/stream.h"

#include <string.h>

enum { SECOND = 1000, MINUTE = 60000, HOUR = 3600000, DAY = 86400000 };

static net *connected(uint64_t seed, bool evolving) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.evolving = evolving;
    return net_connected(&o, 50);
}

static bool only_handshakes(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)from;
    (void)len;
    return (packet[0] & 15) != OURO_HELLO && (packet[0] & 15) != OURO_WELCOME;
}

static bool nothing_back_but_welcome(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    (void)len;
    return from == GATEWAY && (packet[0] & 15) != OURO_WELCOME;
}

static unsigned shorts(const net *n) {
    return n->side[DEVICE].client.shorts;
}

/* Somebody on the path, without a key, for a day: at most 300 epochs, and as many writes. */
static void a_path_that_drops_all_but_handshakes(void) {
    for (int kind = 0; kind < 2; kind++) {
        net *n = connected(7, true);
        uint64_t epoch = n->durable[DEVICE].epoch;
        unsigned writes = n->side[DEVICE].epochs;
        n->filter = kind == 0 ? only_handshakes : nothing_back_but_welcome;
        uint32_t number = net_send(n, DEVICE, true, 20);
        net_run_for(n, DAY);
        CHECK(n->durable[DEVICE].epoch - epoch <= 300);
        CHECK(n->durable[DEVICE].epoch - epoch >= 250);
        CHECK(n->side[DEVICE].epochs - writes <= 300);
        /* The attack over, it goes on as before. */
        n->filter = NULL;
        net_run_for(n, 10 * MINUTE);
        CHECK(n->side[DEVICE].messages[number].outcome != PENDING);
        number = net_send(n, DEVICE, true, 20);
        CHECK(net_settle(n, MINUTE));
        CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* Letting sessions live for a while in between gains little: time shortens the row, not a packet.
 */
static void letting_one_live_now_and_then(void) {
    static const uint64_t lives[] = {5 * SECOND, 61 * SECOND, 299 * SECOND, 301 * SECOND,
                                     10 * MINUTE};
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++)
        for (unsigned each = 1; each < 6; each += 2) {
            net *n = connected(8, true);
            uint64_t epoch = n->durable[DEVICE].epoch, start = n->now_ms;
            for (unsigned k = 0; n->now_ms < start + DAY; k++) {
                /* It is let live so long, each third or fifth one, then its path dies. */
                n->filter = NULL;
                uint64_t until = n->now_ms + (k % each == 0 ? lives[i] : 0);
                while (n->now_ms < until) {
                    (void)net_send(n, DEVICE, true, 20);
                    net_run_for(n, until - n->now_ms < 15000 ? until - n->now_ms : 15000);
                }
                uint64_t before = n->durable[DEVICE].epoch, begun = n->now_ms;
                n->filter = only_handshakes;
                (void)net_send(n, DEVICE, true, 20);
                while (n->durable[DEVICE].epoch == before && n->now_ms < begun + HOUR)
                    net_run_for(n, 100);
            }
            CHECK(n->durable[DEVICE].epoch - epoch <= 600);
            net_free(n);
        }
}

/* The row is written with the epoch, the new session counted, and as 0 once something is heard. */
static void what_is_written(void) {
    net *n = connected(9, true);
    /* The first session: 1, which needs no second write. */
    CHECK_EQUAL(n->durable[DEVICE].shorts, 1);
    CHECK_EQUAL(n->side[DEVICE].epochs, 1);
    net_restart(n, DEVICE);
    net_connect(n);
    net_run_for(n, 120);
    CHECK_EQUAL(n->durable[DEVICE].shorts, 2);
    CHECK_EQUAL(n->side[DEVICE].epochs, 2);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->durable[DEVICE].shorts, 0);
    CHECK_EQUAL(n->durable[DEVICE].epoch, 2);
    CHECK_EQUAL(n->side[DEVICE].epochs, 3);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    uint32_t number = net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 1000));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* Nothing goes out before the 0 is durable, and what came is handed on after that. */
static void the_second_write_holds(void) {
    net *n = connected(10, true);
    net_restart(n, DEVICE);
    n->drop[GATEWAY] = 1u << OURO_PONG;
    net_connect(n);
    net_run_for(n, 200);
    n->side[DEVICE].no_storage = true;
    n->path.down = true; /* no packet may be given meanwhile, and the one that came is kept */
    static uint8_t packet[OURO_MAX_PACKET];
    uint32_t number = net_send(n, GATEWAY, true, 20);
    memcpy(packet, n->last[GATEWAY], n->last_len[GATEWAY]);
    CHECK(net_inject(n, DEVICE, NULL, packet, n->last_len[GATEWAY]) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].epochs, 3);
    CHECK_EQUAL(n->side[GATEWAY].messages[number].handed_on, 0);
    uint64_t packets = n->side[DEVICE].packets;
    net_run_for(n, 2000);
    CHECK_EQUAL(n->side[DEVICE].packets, packets);
    n->path.down = false;
    ouro_link_epoch_saved(&n->side[DEVICE].link);
    net_pump(n, DEVICE);
    CHECK_EQUAL(n->side[GATEWAY].messages[number].handed_on, 1);
    CHECK_EQUAL(n->side[DEVICE].client.credential.shorts, 0);
    net_free(n);
}

/* A device in a reboot loop: 10 s, doubled up to 5 min, from each restart. */
static void a_reboot_loop(void) {
    static const uint64_t waits[] = {0, 0, 10, 20, 40, 80, 160, 300, 300, 300};
    net *n = connected(11, true);
    n->filter = only_handshakes;
    n->durable[DEVICE].shorts = 0;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        net_restart(n, DEVICE);
        uint64_t start = n->now_ms, hellos = n->hellos;
        net_connect(n);
        CHECK_EQUAL(ouro_link_connects_at(&n->side[DEVICE].link, n->now_ms),
                    start + waits[i] * SECOND);
        if (waits[i] > 0)
            net_run_until(n, start + waits[i] * SECOND - 1);
        CHECK_EQUAL(n->hellos - hellos, waits[i] == 0);
        net_run_until(n, start + waits[i] * SECOND + 500);
        CHECK_EQUAL(n->hellos - hellos, 1);
        CHECK_EQUAL(n->durable[DEVICE].shorts, i < 7 ? i + 1 : 7);
    }
    net_restart(n, DEVICE);
    n->side[DEVICE].settings.short_wait_ms = 30000;
    uint64_t start = n->now_ms, hellos = n->hellos;
    net_connect(n);
    net_run_until(n, start + 29999);
    CHECK_EQUAL(n->hellos, hellos);
    net_run_until(n, start + 30000);
    CHECK_EQUAL(n->hellos, hellos + 1);
    net_free(n);
}

/* Until a session is wanted the wait has not begun: link.h says so. */
static void the_wait_runs_from_connect(void) {
    for (int stream = 0; stream < 2; stream++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = 16;
        o.evolving = true;
        o.stream = stream == 1;
        net *n = net_new(&o);
        n->durable[DEVICE].shorts = 3;
        net_restart(n, DEVICE);
        ouro_link *link = &n->side[DEVICE].link;
        for (int i = 0; i < 3; i++, n->now_ms += MINUTE)
            CHECK_EQUAL(ouro_link_connects_at(link, n->now_ms), n->now_ms + 20 * SECOND);
        uint64_t at = n->now_ms + 20 * SECOND;
        net_connect(n);
        for (int i = 0; i < 3; i++, net_run_for(n, SECOND))
            CHECK_EQUAL(ouro_link_connects_at(link, n->now_ms), at);
        CHECK_EQUAL(n->hellos, 0);
        net_run_until(n, at);
        CHECK_EQUAL(n->hellos, 1);
        net_free(n);
    }
}

/* A fixed credential counts in memory, and writes nothing; a session that lasts takes away. */
static void a_fixed_credential_counts_in_memory(void) {
    net *n = connected(12, false);
    n->filter = only_handshakes;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, HOUR);
    CHECK_EQUAL(shorts(n), 7);
    CHECK_EQUAL(n->side[DEVICE].epochs, 0);
    CHECK(n->side[DEVICE].types[OURO_HELLO] < 30);
    n->filter = NULL;
    net_run_for(n, 10 * MINUTE);
    for (int i = 0; i < 12 * 60; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, SECOND);
    }
    unsigned before = shorts(n);
    CHECK(n->side[DEVICE].client.lived_ms >= 12 * MINUTE);
    unsigned less = n->side[DEVICE].client.lived_ms / (5 * MINUTE);
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 10 * MINUTE);
    CHECK_EQUAL(shorts(n), before - less);
    net_free(n);
}

/* A session that is closed is none that did not last: who connects often waits for nothing. */
static void closed_sessions_are_not_short(void) {
    net *n = connected(13, true);
    for (int i = 0; i < 20; i++) {
        CHECK(ouro_link_close(&n->side[GATEWAY].link, n->now_ms, OURO_REASON_NORMAL, false) ==
              OURO_OK);
        net_pump(n, GATEWAY);
        net_run_for(n, 200);
        net_restart(n, GATEWAY);
        uint32_t number = net_send(n, DEVICE, true, 20);
        net_run_for(n, 1000);
        CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    }
    CHECK_EQUAL(shorts(n), 0);
    net_free(n);
}

/* Streams that end with an error: the next HELLO waits, and says until when. */
static void streams_that_end_with_an_error(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 14;
    o.stream = true;
    net *n = net_new(&o);
    ouro_link *link = &n->side[DEVICE].link;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t at = ouro_link_connects_at(link, n->now_ms), hellos = n->hellos;
        CHECK_EQUAL(at > n->now_ms, i >= 2);
        net_connect(n);
        if (at > n->now_ms)
            net_run_until(n, at - 1);
        CHECK_EQUAL(n->hellos - hellos, at <= n->now_ms);
        net_run_until(n, at + 1000);
        CHECK_EQUAL(n->side[DEVICE].established, i + 1);
        CHECK(!ouro_stream_is_broken(link));
        CHECK(!ouro_stream_ended(link));
        net_pump(n, DEVICE);
        net_restart(n, GATEWAY);
        CHECK_EQUAL(shorts(n), i + 1);
    }
    net_free(n);
}

/* How long a session lived is saved with it. */
static void a_session_that_sleeps_lives_on(void) {
    static uint8_t saved[OURO_SAVED_SIZE(16)];
    size_t len;
    net *n = connected(15, true);
    for (int i = 0; i < 10; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 10 * SECOND);
        ouro_link *link = &n->side[DEVICE].link;
        CHECK(ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
        net_run_for(n, MINUTE);
        net_restart(n, DEVICE);
        CHECK(ouro_link_restore(link, n->now_ms, MINUTE, saved, len) == OURO_OK);
    }
    CHECK(n->side[DEVICE].client.lived_ms >= 9 * 70 * SECOND);
    CHECK(n->side[DEVICE].client.lived_ms <= 11 * 70 * SECOND);
    n->filter = only_handshakes;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 9 * SECOND);
    CHECK(n->side[DEVICE].types[OURO_HELLO] >= 2);
    CHECK_EQUAL(shorts(n), 0);
    net_free(n);
}

void short_tests(void) {
    RUN(a_path_that_drops_all_but_handshakes);
    RUN(letting_one_live_now_and_then);
    RUN(what_is_written);
    RUN(the_second_write_holds);
    RUN(a_reboot_loop);
    RUN(the_wait_runs_from_connect);
    RUN(a_fixed_credential_counts_in_memory);
    RUN(closed_sessions_are_not_short);
    RUN(streams_that_end_with_an_error);
    RUN(a_session_that_sleeps_lives_on);
}
