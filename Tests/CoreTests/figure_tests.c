/*
 * The cost and speed of delivery on a simulated path: round trip 100 ms, reach 16, both directions
 * counted, the handshake left out. The bounds are those of a reference simulation of the protocol,
 * with some room.
 */
#include "check.h"
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 20, LONE = 1000, STREAM = 5000 };

static double share(uint64_t part, uint64_t whole) {
    return (double)part / (double)whole;
}

static const double losses[] = {0, 0.1, 0.3};

static net *new_path(uint64_t seed, double loss) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    net *n = net_new(&o);
    net_connect(n);
    net_run_for(n, 5000);
    n->path.loss = loss;
    n->side[DEVICE].packets = n->side[GATEWAY].packets = 0;
    return n;
}

static double lone(uint64_t seed, double loss) {
    net *n = new_path(seed, loss);
    for (int i = 0; i < LONE; i++) {
        CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
        net_run_for(n, 10000);
    }
    CHECK(net_settle(n, 600000));
    /* At 30 % a path may look dead: its session is replaced, and a message may be unknown. */
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED) + net_count(n, DEVICE, UNKNOWN), LONE);
    CHECK(net_count(n, DEVICE, UNKNOWN) <= (loss > 0 ? 2 : 0));
    double cost = share(n->side[DEVICE].packets + n->side[GATEWAY].packets, LONE);
    net_free(n);
    return cost;
}

static double stream(uint64_t seed, double loss) {
    net *n = new_path(seed, loss);
    for (int sent = 0; sent < STREAM;) {
        if (net_send(n, DEVICE, true, 20) != UINT32_MAX)
            sent++;
        else
            net_run_for(n, 10);
    }
    CHECK(net_settle(n, 36000000));
    CHECK_EQUAL(net_count(n, DEVICE, DELIVERED), STREAM);
    double cost = share(n->side[DEVICE].packets + n->side[GATEWAY].packets, STREAM);
    net_free(n);
    return cost;
}

static void packets_a_message(void) {
    static const double lone_most[] = {2.3, 2.9, 5.2}, stream_most[] = {2.3, 2.9, 4.3};
    for (size_t i = 0; i < 3; i++) {
        double a = 0, b = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            a += lone(seed, losses[i]) / (double)SEEDS;
            b += stream(seed, losses[i]) / (double)SEEDS;
        }
        printf("packets a message at %.0f %% loss: lone %.2f, stream %.2f\n", losses[i] * 100, a,
               b);
        CHECK(a <= lone_most[i]);
        CHECK(b <= stream_most[i]);
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Unreliable messages at 20 a second: from ouro_link_send to the other side's application. */
static void one_way_times(void) {
    static const double p50_most[] = {0.1, 0.12, 0.8}, p99_most[] = {0.12, 0.8, 4};
    static double times[SEEDS * LONE];
    for (size_t i = 0; i < 3; i++) {
        size_t count = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            net *n = new_path(seed, losses[i]);
            for (int k = 0; k < LONE; k++) {
                (void)net_send(n, DEVICE, false, 20);
                net_run_for(n, 50);
            }
            net_run_for(n, 60000);
            for (uint32_t k = 0; k < n->side[DEVICE].count; k++) {
                const net_message *m = &n->side[DEVICE].messages[k];
                if (m->handed_on > 0)
                    times[count++] = (double)(m->came_ms - m->sent_ms) / 1000;
            }
            net_free(n);
        }
        CHECK(count > SEEDS * LONE / 2);
        qsort(times, count, sizeof times[0], by_size);
        double p50 = times[count / 2], p99 = times[count * 99 / 100];
        printf("unreliable, one way at %.0f %% loss: p50 %.3f s, p99 %.2f s, %.0f %% arrived\n",
               losses[i] * 100, p50, p99, 100 * share(count, (uint64_t)SEEDS * LONE));
        CHECK(p50 <= p50_most[i]);
        CHECK(p99 <= p99_most[i]);
    }
}

/* The path is down for 60 s with one message in flight: from its return to the delivery. */
static void after_an_outage(void) {
    enum { RUNS = 100 };
    static double times[RUNS];
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        net *n = new_path(seed, 0);
        CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
        net_run_for(n, 2000 + net_random(n) % 5000);
        n->path.down = true;
        uint32_t number = net_send(n, DEVICE, true, 20);
        net_run_for(n, 60000);
        n->path.down = false;
        uint64_t back = n->now_ms;
        CHECK(net_settle(n, 600000));
        CHECK(n->side[DEVICE].messages[number].handed_on == 1);
        times[seed - 1] = (double)(n->side[DEVICE].messages[number].came_ms - back) / 1000;
        net_free(n);
    }
    qsort(times, RUNS, sizeof times[0], by_size);
    printf("first delivery after an outage of 60 s: p50 %.1f s, most %.1f s\n", times[RUNS / 2],
           times[RUNS - 1]);
    CHECK(times[RUNS / 2] <= 17);
}

void figure_tests(void) {
    RUN(packets_a_message);
    RUN(one_way_times);
    RUN(after_an_outage);
}
