/* A stream whose application is slow: who does not read is not dead, and what is dead is found. */
#include "check.h"
#include "net.h"
#include "ouroboros/stream.h"

#include <string.h>

static net *new_net(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.stream = true;
    return net_connected(&o, 50);
}

static bool broken(const net *n, int who) {
    return ouro_stream_is_broken(&n->side[who].link);
}

/* The packets that wait for a side that does not read, in the order in which they came. */
enum { HELD = 600 };
static struct {
    bool deaf;
    size_t count;
    size_t len[HELD];
    uint8_t bytes[HELD][OURO_MAX_PACKET];
} held[2];

static bool hold(net *n, int from, const uint8_t *packet, size_t len) {
    (void)n;
    int to = 1 - from;
    if (!held[to].deaf || held[to].count == HELD)
        return false;
    memcpy(held[to].bytes[held[to].count], packet, len);
    held[to].len[held[to].count++] = len;
    return true;
}

static void stop_reading(net *n, int who) {
    held[who].deaf = true;
    held[who].count = 0;
    n->filter = hold;
    ouro_stream_set_reading(&n->side[who].link, n->now_ms, false);
}

static void read_on(net *n, int who) {
    held[who].deaf = false;
    ouro_stream_set_reading(&n->side[who].link, n->now_ms, true);
    for (size_t i = 0; i < held[who].count; i++)
        CHECK(net_inject(n, who, &n->side[1 - who].addr, held[who].bytes[i], held[who].len[i]) ==
              OURO_OK);
}

/* A side that has stopped reading says each 15 s that it is there, with a block or without. */
static void who_does_not_read_is_not_dead(void) {
    for (int acked = 0; acked < 2; acked++) {
        net *n = new_net(18);
        if (acked == 1)
            (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 1000);
        uint8_t type = acked == 1 ? OURO_ACK : OURO_PING;
        uint32_t before = n->side[GATEWAY].types[type];
        stop_reading(n, GATEWAY);
        uint32_t number = net_send(n, DEVICE, true, 20);
        net_run_for(n, 14999);
        CHECK_EQUAL(n->side[GATEWAY].types[type], before);
        net_run_for(n, 600000 - 14999);
        CHECK_EQUAL(n->side[GATEWAY].types[type], before + 40);
        CHECK(!broken(n, DEVICE) && !broken(n, GATEWAY));
        CHECK_EQUAL(n->side[DEVICE].dead, 0);
        read_on(n, GATEWAY);
        net_run_for(n, 1000);
        CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
        /* It reads again: nothing more is said. */
        net_run_for(n, 60000);
        CHECK(n->side[GATEWAY].types[type] <= before + 42);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* Nor do two slow applications end a stream; what each has heard nothing of does not count. */
static void two_slow_applications(void) {
    net *n = new_net(19);
    for (int who = 0; who < 2; who++)
        (void)net_send(n, who, true, 20);
    net_run_for(n, 1000);
    stop_reading(n, GATEWAY);
    stop_reading(n, DEVICE);
    for (int who = 0; who < 2; who++)
        for (int i = 0; i < 10; i++)
            (void)net_send(n, who, true, 20);
    net_run_for(n, 3600000);
    for (int who = 0; who < 2; who++)
        CHECK(!broken(n, who));
    read_on(n, DEVICE);
    net_run_for(n, 20000);
    read_on(n, GATEWAY);
    net_run_for(n, 1000);
    for (int who = 0; who < 2; who++) {
        CHECK(!broken(n, who));
        CHECK_EQUAL(n->side[who].dead, 0);
        CHECK_EQUAL(net_count(n, who, DELIVERED), 11);
    }
    /* After that a dead path is found as ever: 15 s, and 45 s. */
    n->filter = NULL;
    n->path.down = true;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 59999);
    CHECK(!broken(n, DEVICE));
    net_run_for(n, 1);
    CHECK(broken(n, DEVICE));
    net_free(n);
}

/* 45 s of silence around a PING, not 45 s without its answer: the other side is heard. */
static void heard_while_a_ping_waits(void) {
    net *n = new_net(20);
    n->drop[GATEWAY] = 1u << OURO_PONG;
    n->side[GATEWAY].unsafe = true;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 15000);
    uint8_t packet[256] = {0};
    uint64_t counter;
    net_run_for(n, 30000);
    CHECK(ouro_session_protect(net_session(n, GATEWAY), OURO_PING, 0, packet, 4, &counter) ==
          OURO_OK);
    net_session(n, DEVICE)->tail.rx_control_next = counter; /* the PONG that was lost */
    CHECK(net_inject(n, DEVICE, NULL, packet, 36) == OURO_OK);
    net_run_for(n, 44999);
    CHECK(!broken(n, DEVICE));
    net_run_for(n, 1);
    CHECK(broken(n, DEVICE));
    net_free(n);
}

/* One PING more 15 s after each PONG. */
static void a_ping_each_fifteen_seconds(void) {
    net *n = new_net(21);
    n->side[GATEWAY].unsafe = true;
    net_record(n);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 100000);
    for (size_t i = 1; i < 6; i++)
        CHECK_EQUAL(net_find(n, DEVICE, OURO_PING, i)->at_ms -
                        net_find(n, GATEWAY, OURO_PONG, i - 1)->at_ms,
                    15000 + 50);
    net_free(n);
}

void slow_stream_tests(void) {
    RUN(who_does_not_read_is_not_dead);
    RUN(two_slow_applications);
    RUN(heard_while_a_ping_waits);
    RUN(a_ping_each_fifteen_seconds);
}
