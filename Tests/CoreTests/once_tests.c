/* An outbox's box and seq across sessions: how far a sender runs ahead, and what it gives again. */
#include "check.h"
#include "net.h"

#include <string.h>

enum { BOX = 0x1234, COUNT = 100, MINUTE = 60000 };

/* The record of one box, as section 6.4 has a receiver keep it. */
static struct {
    bool any;
    uint32_t highest;
    uint64_t below;
    unsigned handed_on[COUNT], thrown_away;
} record;

static bool is_new(uint32_t seq) {
    if (!record.any || seq > record.highest) {
        uint32_t step = record.any ? seq - record.highest : 65;
        record.below = step < 64 ? record.below << step : 0;
        if (step <= 64)
            record.below |= UINT64_C(1) << (step - 1);
        record.any = true;
        record.highest = seq;
        return true;
    }
    uint32_t down = record.highest - seq;
    if (down == 0 || down > 64 || (record.below >> (down - 1) & 1) != 0)
        return false;
    record.below |= UINT64_C(1) << (down - 1);
    return true;
}

static void take(net *n, int who, const ouro_event *e) {
    (void)n;
    (void)who;
    if (e->once && is_new(e->seq))
        record.handed_on[e->seq]++;
    else
        record.thrown_away++;
}

static net *connected(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.reach[DEVICE] = o.reach[GATEWAY] = 64;
    memset(&record, 0, sizeof record);
    net *n = net_connected(&o, 20);
    n->message = take;
    return n;
}

static ouro_status give(net *n, uint32_t box, uint32_t seq, uint32_t *number) {
    ouro_message m = {.data = (const uint8_t *)"x", .len = 1, .reliable = true, .box = box};
    net_side *s = &n->side[DEVICE];
    uint32_t id;
    m.seq = seq;
    ouro_status status = ouro_link_send(&s->link, n->now_ms, &m, &id);
    if (status != OURO_OK)
        return status;
    *number = s->count++;
    s->ids[id] = *number;
    memset(&s->messages[*number], 0, sizeof s->messages[*number]);
    net_pump(n, DEVICE);
    return OURO_OK;
}

/* 100 messages at once, the session lost: what is UNKNOWN is given again, lowest first, and all
 * come. */
static void a_lost_session(void) {
    net *n = connected(3);
    uint32_t number[COUNT], id;
    bool given[COUNT] = {false};
    n->side[DEVICE].link.window = 64; /* a session that had grown */
    n->drop[DEVICE] = 1u << OURO_DATA;
    unsigned refused = 0;
    for (uint64_t end = n->now_ms + 5 * MINUTE; n->now_ms < end; net_run_for(n, 200)) {
        for (uint32_t seq = 0; seq < COUNT; seq++) {
            if (given[seq] && n->side[DEVICE].messages[number[seq]].outcome != UNKNOWN)
                continue;
            ouro_status status = give(n, BOX, seq, &id);
            refused += status == OURO_ERR_SEQ;
            if (status != OURO_OK)
                break;
            given[seq] = true;
            number[seq] = id;
        }
        if (n->drop[DEVICE] != 0 && n->side[DEVICE].link.live[0]->tx_next >= 60) {
            net_restart(n, GATEWAY);
            n->drop[DEVICE] = 0;
        }
    }
    for (uint32_t seq = 0; seq < COUNT; seq++) {
        CHECK_EQUAL(n->side[DEVICE].messages[number[seq]].outcome, DELIVERED);
        CHECK_EQUAL(record.handed_on[seq], 1);
    }
    CHECK_EQUAL(record.thrown_away, 0);
    CHECK(refused > 0);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* 64 or more above the lowest that waits or is in flight, of the same box. */
static void above_what_is_open(void) {
    net *n = connected(4);
    uint32_t number;
    n->side[GATEWAY].unsafe = true;
    for (uint32_t i = 0; i < 32; i++)
        CHECK(give(n, BOX, 10 + 2 * i, &number) == OURO_OK);
    CHECK(give(n, BOX, 73, &number) == OURO_OK);
    CHECK(give(n, BOX, 74, &number) == OURO_ERR_SEQ);
    CHECK(give(n, BOX, UINT32_MAX, &number) == OURO_ERR_SEQ);
    /* Another box is another matter. */
    CHECK(give(n, BOX + 1, 500, &number) == OURO_OK);
    /* Once the lowest is acknowledged there is room up to the next. */
    n->side[GATEWAY].unsafe = false;
    ouro_link_done(&n->side[GATEWAY].link, net_session(n, GATEWAY)->tail.id, 0);
    net_run_for(n, 20);
    ouro_link_done(&n->side[GATEWAY].link, net_session(n, GATEWAY)->tail.id, 0);
    net_pump(n, GATEWAY);
    net_run_for(n, 20);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, DELIVERED);
    CHECK(give(n, BOX, 75, &number) == OURO_OK);
    net_free(n);
}

static void restart_and_settle(net *n) {
    net_restart(n, GATEWAY);
    n->drop[DEVICE] = 0;
    CHECK(net_settle(n, 5 * MINUTE));
}

/* What became unknown holds up what is higher, until it is given again, or given up. */
static void above_what_became_unknown(void) {
    for (int up = 0; up < 2; up++) {
        net *n = connected(5);
        uint32_t number;
        ouro_link *link = &n->side[DEVICE].link;
        n->drop[DEVICE] = 1u << OURO_DATA;
        CHECK(give(n, BOX, 7, &number) == OURO_OK);
        CHECK(give(n, BOX, 9, &number) == OURO_OK);
        restart_and_settle(n);
        CHECK_EQUAL(net_count(n, DEVICE, UNKNOWN), 2);
        CHECK(give(n, BOX, 70, &number) == OURO_OK);
        CHECK(give(n, BOX, 71, &number) == OURO_ERR_SEQ);
        if (up)
            CHECK(ouro_link_give_up(link, BOX, 7) == OURO_OK);
        else
            CHECK(give(n, BOX, 7, &number) == OURO_OK);
        CHECK(net_settle(n, MINUTE));
        /* 9 is the lowest now. */
        CHECK(give(n, BOX, 72, &number) == OURO_OK);
        CHECK(give(n, BOX, 73, &number) == OURO_ERR_SEQ);
        CHECK(ouro_link_give_up(link, BOX + 1, 9) == OURO_ERR_STATE);
        CHECK(ouro_link_give_up(link, BOX, 9) == OURO_OK);
        CHECK(give(n, BOX, 73, &number) == OURO_OK);
        CHECK(net_settle(n, MINUTE));
        net_free(n);
    }
}

/* Unreliable ones are over when they are sent, also where they went out as reliable ones. */
static void unreliable_ones_hold_up_nothing(void) {
    net *n = connected(6);
    ouro_message m = {.data = (const uint8_t *)"x", .len = 1, .box = BOX};
    uint32_t number;
    for (m.seq = 0; m.seq < 40; m.seq++) {
        (void)net_send_message(n, DEVICE, &m);
        net_run_for(n, 10);
    }
    n->drop[DEVICE] = 1u << OURO_DATA;
    for (; m.seq < 80; m.seq++) {
        (void)net_send_message(n, DEVICE, &m);
        net_run_for(n, 2000);
    }
    CHECK(n->side[DEVICE].link.stats.retransmitted > 0);
    restart_and_settle(n);
    CHECK_EQUAL(net_count(n, DEVICE, SENT), n->side[DEVICE].count);
    net_run_for(n, MINUTE);
    CHECK(give(n, BOX, 5000, &number) == OURO_OK);
    net_free(n);
}

/* What is given up far above the lowest is not the lowest. */
static void given_up_far_above(void) {
    net *n = connected(7);
    uint32_t number;
    n->drop[DEVICE] = 1u << OURO_DATA;
    CHECK(give(n, BOX, 7, &number) == OURO_OK);
    restart_and_settle(n);
    CHECK(ouro_link_give_up(&n->side[DEVICE].link, BOX, 7 + 64) == OURO_OK);
    CHECK(give(n, BOX, 7 + 64, &number) == OURO_ERR_SEQ);
    net_free(n);
}

/* 64 below what was unknown until then, nothing in between is unknown. */
static void unknown_far_below(void) {
    net *n = connected(8);
    uint32_t number;
    n->drop[DEVICE] = 1u << OURO_DATA;
    CHECK(give(n, BOX, 71, &number) == OURO_OK);
    CHECK(give(n, BOX, 72, &number) == OURO_OK);
    CHECK(give(n, BOX, 7, &number) == OURO_OK);
    restart_and_settle(n);
    CHECK(give(n, BOX, 71, &number) == OURO_ERR_SEQ);
    CHECK(ouro_link_give_up(&n->side[DEVICE].link, BOX, 7) == OURO_OK);
    CHECK(give(n, BOX, 72, &number) == OURO_OK);
    net_free(n);
}

void once_tests(void) {
    RUN(a_lost_session);
    RUN(above_what_is_open);
    RUN(above_what_became_unknown);
    RUN(unreliable_ones_hold_up_nothing);
    RUN(given_up_far_above);
    RUN(unknown_far_below);
}
