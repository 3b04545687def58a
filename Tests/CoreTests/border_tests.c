/* Rules with a number in them, on both sides of the number. */
#include "check.h"
#include "net.h"
#include "ouroboros/sleep.h"
#include "ouroboros/stream.h"

#include <string.h>

static net *connected(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    return net_connected(&o, 50);
}

/* An ack block of 16 bytes is added where the place has room for it, and not where it has not. */
static void ack_blocks_fit_their_places(void) {
    for (size_t cap = 96; cap <= 160; cap += 8) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = 1;
        o.packet_cap = cap;
        o.places = 8;
        net *n = net_connected(&o, 20);
        size_t most = cap - OURO_OVERHEAD;
        for (size_t spare = 0; spare <= 20; spare++) {
            (void)net_send(n, GATEWAY, true, 20);
            n->drop[DEVICE] = ~0u;
            net_run_for(n, 21); /* it came; what acknowledges it is lost */
            n->drop[DEVICE] = 0;
            net_record(n);
            n->side[DEVICE].link.live[0]->state |= 2; /* it is owed again */
            uint32_t number = net_send(n, DEVICE, true, most - spare);
            const net_sent *data = net_find(n, DEVICE, OURO_DATA, 0);
            if (CHECK(data != NULL)) {
                CHECK_EQUAL((data->bytes[1] & OURO_FLAG_ACKS) != 0, spare >= OURO_ACK_BLOCK_SIZE);
                CHECK(data->len <= cap);
            }
            net_run_for(n, 2000);
            CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
            CHECK_EQUAL(n->side[DEVICE].messages[number].handed_on, 1);
        }
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* Whatever comes, BUSY goes out once in 100 ms. */
static void busy_once_in_a_tenth_of_a_second(void) {
    net *n = connected(2);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 500);
    ouro_link_set_room(&n->side[GATEWAY].link, 0, 10);
    n->path.down = true;
    uint32_t before = n->side[GATEWAY].types[OURO_NACK];
    for (int i = 0; i < 99; i++) {
        uint8_t body[4] = {0};
        CHECK(net_give(n, DEVICE, OURO_DATA, OURO_FLAG_ACK_REQ, body, sizeof body) ==
                  OURO_DROP_BUSY ||
              i >= 16);
        net_session(n, DEVICE)->tail.tx_next--; /* as if it were sent again */
        n->now_ms += 10;
    }
    CHECK_EQUAL(n->side[GATEWAY].types[OURO_NACK] - before, 10);
    net_free(n);
}

/* A BUSY that an ACK overtook is over. */
static void busy_older_than_an_ack(void) {
    for (int late = 0; late < 2; late++) {
        net *n = connected(3);
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 500);
        n->path.down = true;
        ouro_tail *gateway = &net_session(n, GATEWAY)->tail;
        uint64_t counter = gateway->tx_control_next;
        if (late == 1) {
            gateway->tx_control_next = counter + 1;
            CHECK(net_acknowledge(n, GATEWAY, gateway->done_next - 1, gateway->done_bitmap) ==
                  OURO_OK);
            gateway->tx_control_next = counter;
        }
        CHECK(net_busy(n, GATEWAY) == OURO_OK);
        CHECK_EQUAL(n->side[DEVICE].link.wait_until_ms != 0, late == 0);
        net_free(n);
    }
}

/* What was said of one session's queue and counters is not carried over to the next. */
static void a_new_session_knows_no_busy(void) {
    net *n = connected(4);
    for (int i = 0; i < 30; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 200);
    }
    CHECK(net_busy(n, GATEWAY) == OURO_OK);
    CHECK(n->side[DEVICE].link.wait_until_ms != 0);
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 500);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    CHECK_EQUAL(n->side[DEVICE].link.wait_until_ms, 0);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 130);
    n->path.down = true;
    /* The new session's counters are low again, and its first BUSY is a first one: 1 s. */
    CHECK(net_busy(n, GATEWAY) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].link.wait_until_ms, n->now_ms + 1000);
    net_free(n);
}

/* A replaced session of a server drains for 60 s. */
static void drains_for_a_minute(void) {
    net *n = connected(5);
    n->drop[DEVICE] = 1u << OURO_CLOSE;
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    while (n->side[GATEWAY].established < 2 && n->now_ms < 100000)
        net_run_for(n, 1);
    uint64_t start = n->now_ms;
    net_run_until(n, start + 59990);
    CHECK(n->side[GATEWAY].link.live[1] != NULL);
    net_run_until(n, start + 60010);
    CHECK(n->side[GATEWAY].link.live[1] == NULL);
    net_free(n);
}

/* Of messages 0 to 4 sent at once, 1 and more are acknowledged: the first is lost at three. */
static void three_counters_call_a_loss(void) {
    for (unsigned named = 1; named <= 3; named++) {
        net *n = connected(6);
        for (int i = 0; i < 6; i++) {
            (void)net_send(n, DEVICE, true, 20);
            net_run_for(n, 150);
        }
        n->path.down = true;
        uint64_t first = net_session(n, DEVICE)->tail.tx_next;
        for (int i = 0; i < 5; i++)
            (void)net_send(n, DEVICE, true, 20);
        uint32_t again = n->side[DEVICE].link.stats.retransmitted;
        CHECK(net_acknowledge(n, GATEWAY, first + named, (1u << (named - 1)) - 1) == OURO_OK);
        CHECK_EQUAL(n->side[DEVICE].link.stats.retransmitted - again, named == 3);
        net_free(n);
    }
}

/* Two, though the third of them is above both. */
static void two_counters_call_no_loss(void) {
    net *n = connected(6);
    for (int i = 0; i < 6; i++) {
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 150);
    }
    n->path.down = true;
    uint64_t first = net_session(n, DEVICE)->tail.tx_next;
    for (int i = 0; i < 5; i++)
        (void)net_send(n, DEVICE, true, 20);
    uint32_t again = n->side[DEVICE].link.stats.retransmitted;
    CHECK(net_acknowledge(n, GATEWAY, first + 3, 2) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].link.stats.retransmitted - again, 0);
    net_free(n);
}

/* Losses of one round trip halve the window once. */
static void halves_once_a_round_trip(void) {
    net *n = connected(7);
    for (int i = 0; i < 40; i++) {
        (void)net_send(n, DEVICE, true, 20);
        if (i % 8 == 7)
            net_run_for(n, 300);
    }
    net_run_for(n, 2000);
    n->path.down = true;
    unsigned window = n->side[DEVICE].link.window;
    CHECK(window >= 8);
    uint64_t first = net_session(n, DEVICE)->tail.tx_next;
    for (int i = 0; i < 8; i++)
        (void)net_send(n, DEVICE, true, 20);
    n->now_ms += 60;
    /* 0 and 1 are missing; then 3 and more came: both are lost, of one round trip. */
    CHECK(net_acknowledge(n, GATEWAY, first + 5, 7) == OURO_OK);
    CHECK(n->side[DEVICE].link.window >= window / 2);
    CHECK(n->side[DEVICE].link.window <= window / 2 + 4);
    net_free(n);
}

/* A PING whose PONG, with its ack block, would be above the peer's max_body is dropped. */
static void pings_that_can_be_answered(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 8;
    o.max_body[DEVICE] = 64;
    net *n = net_connected(&o, 50);
    uint8_t body[OURO_PING_MAX] = {0};
    for (size_t len = 44; len <= 52; len++) {
        uint32_t pongs = n->side[GATEWAY].types[OURO_PONG];
        CHECK(net_give(n, DEVICE, OURO_PING, 0, body, len) == OURO_OK);
        CHECK_EQUAL(n->side[GATEWAY].types[OURO_PONG] - pongs, len <= 48);
    }
    net_free(n);
}

/* A PING is answered once: what comes again is no sample. */
static void a_pong_counts_once(void) {
    net *n = connected(9);
    CHECK(ouro_link_ping(&n->side[DEVICE].link) == OURO_OK);
    net_record(n);
    net_pump(n, DEVICE);
    const net_sent *ping = net_find(n, DEVICE, OURO_PING, 0);
    uint8_t body[4] = {0};
    uint32_t seq = n->side[DEVICE].link.ping_seq - 1;
    CHECK(ping != NULL);
    for (size_t i = 0; i < 4; i++)
        body[i] = (uint8_t)(seq >> (24 - 8 * i));
    n->path.down = true;
    unsigned pongs = n->side[DEVICE].pongs;
    n->now_ms += 100;
    CHECK(net_give(n, GATEWAY, OURO_PONG, 0, body, 4) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].pongs, pongs + 1);
    uint32_t rtt = ouro_link_rtt(&n->side[DEVICE].link);
    n->now_ms += 5000;
    CHECK(net_give(n, GATEWAY, OURO_PONG, 0, body, 4) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].pongs, pongs + 1);
    CHECK_EQUAL(ouro_link_rtt(&n->side[DEVICE].link), rtt);
    net_free(n);
}

/* The bitmap of a block names 64 counters below its highest, the last by bit 63. */
static void a_block_names_sixty_four_below(void) {
    ouro_ack_block block = {100, UINT64_C(1) << 63};
    CHECK(ouro_ack_block_names(&block, 36));
    CHECK(!ouro_ack_block_names(&block, 35));
    CHECK(!ouro_ack_block_names(&block, 37));
    ouro_tail tail;
    memset(&tail, 0, sizeof tail);
    ouro_tail_done(&tail, 100);
    ouro_tail_done(&tail, 36);
    ouro_tail_done(&tail, 35);
    CHECK_EQUAL(tail.done_bitmap, UINT64_C(1) << 63);
    memset(&tail, 0, sizeof tail);
    ouro_tail_done(&tail, 36);
    ouro_tail_done(&tail, 100);
    CHECK_EQUAL(tail.done_bitmap, UINT64_C(1) << 63);
    ouro_tail_done(&tail, 101);
    CHECK_EQUAL(tail.done_bitmap, 1);
}

/* Epochs moved by HELLOs ahead of their server: as many at once as sessions confirmed. */
static void moves_are_limited(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 10;
    o.evolving = true;
    net *n = net_new(&o);
    n->server_settings.confirm_burst = 3;
    n->path.down = true;
    for (int i = 1; i <= 5; i++) {
        CHECK(ouro_epoch_advance(n->durable[DEVICE].key, n->durable[DEVICE].epoch, 1) == OURO_OK);
        n->durable[DEVICE].epoch++;
        net_restart(n, DEVICE);
        net_record(n);
        net_connect(n);
        net_sent hello = *net_find(n, DEVICE, OURO_HELLO, 0);
        if (i == 5)
            n->now_ms += 1001; /* one more a second */
        ouro_status status = net_inject(n, GATEWAY, &n->side[DEVICE].addr, hello.bytes, hello.len);
        CHECK_EQUAL(-status, i == 4 ? -OURO_DROP_LIMIT : OURO_OK);
        CHECK_EQUAL(n->device.credential.epoch, i == 4 ? 3 : i);
    }
    net_free(n);
}

/* Settings that wait, on both sides of their ranges. */
static void waits_have_ranges(void) {
    static const struct {
        uint32_t wait, silence;
        bool fits;
    } rows[] = {{1000, 0, true},        {999, 0, false}, {300000, 0, true}, {300001, 0, false},
                {UINT32_MAX, 0, false}, {0, 1000, true}, {0, 999, false},   {0, UINT32_MAX, true}};
    net_options o = {.seed = 1};
    net *n = net_new(&o);
    net_side *s = &n->side[DEVICE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        s->settings.short_wait_ms = rows[i].wait;
        s->settings.silence_ms = rows[i].silence;
        ouro_status status =
            ouro_link_init(&s->link, &s->settings, &s->memory, &n->durable[DEVICE], 1);
        CHECK_EQUAL(status == OURO_OK, rows[i].fits);
        /* What is refused is as one that was closed, for what version 1 asks of it, too. */
        if (!rows[i].fits) {
            CHECK_EQUAL(ouro_link_connects_at(&s->link, n->now_ms), OURO_NEVER);
            CHECK(ouro_link_give_up(&s->link, 1, 1) == OURO_ERR_STATE);
            ouro_stream_set_reading(&s->link, n->now_ms, false);
            CHECK_EQUAL(ouro_link_deadline(&s->link, n->now_ms), OURO_NEVER);
        }
    }
    net_free(n);
}

static void challenges_have_a_range(void) {
    static const struct {
        uint32_t slice;
        bool fits;
    } rows[] = {{0, true}, {999, false}, {1000, true}, {3600000, true}, {3600001, false}};
    net_options o = {.seed = 1};
    net *n = net_new(&o);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const uint8_t key[32] = {1};
        n->server_settings.challenge_slice_ms = rows[i].slice;
        CHECK_EQUAL(ouro_server_init(&n->server, &n->server_settings, n->pending, 32, NULL, 0, key,
                                     n->now_ms) == OURO_OK,
                    rows[i].fits);
    }
    net_free(n);
}

/* A session without a limit of age is as old after a sleep as it is, and no older. */
static void an_age_without_a_limit_survives_sleep(void) {
    enum { AWAKE = 200000, ASLEEP = 50000 };
    for (int never = 0; never < 2; never++) {
        net_options o = {.seed = 4, .rekey_age_ms = never == 1 ? OURO_NEVER : 0};
        net *n = net_connected(&o, 20);
        uint8_t saved[OURO_SAVED_SIZE(OURO_MAX_REACH)];
        size_t len;
        ouro_client *client = &n->side[DEVICE].client;
        uint64_t began = client->welcome_ms;
        n->now_ms = began + AWAKE;
        CHECK(ouro_link_save(&n->side[DEVICE].link, n->now_ms, saved, sizeof saved, &len) ==
              OURO_OK);
        n->now_ms += ASLEEP;
        CHECK(ouro_link_restore(&n->side[DEVICE].link, n->now_ms, ASLEEP, saved, len) == OURO_OK);
        net_pump(n, DEVICE);
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 1000);
        CHECK_EQUAL(client->welcome_ms, began);
        CHECK_EQUAL(client->lived_ms, AWAKE + ASLEEP + 40);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

void border_tests(void) {
    RUN(waits_have_ranges);
    RUN(challenges_have_a_range);
    RUN(an_age_without_a_limit_survives_sleep);
    RUN(ack_blocks_fit_their_places);
    RUN(busy_once_in_a_tenth_of_a_second);
    RUN(busy_older_than_an_ack);
    RUN(a_new_session_knows_no_busy);
    RUN(drains_for_a_minute);
    RUN(three_counters_call_a_loss);
    RUN(two_counters_call_no_loss);
    RUN(halves_once_a_round_trip);
    RUN(pings_that_can_be_answered);
    RUN(a_pong_counts_once);
    RUN(a_block_names_sixty_four_below);
    RUN(moves_are_limited);
}
