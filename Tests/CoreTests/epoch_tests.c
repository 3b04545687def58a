/* Evolving credentials: who moves when, and what a restart at any step leaves. */
#include "check.h"
#include "net.h"

#include <string.h>

static net *new_net(uint64_t seed, bool evolving) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.evolving = evolving;
    net *n = net_new(&o);
    net_record(n);
    return n;
}

static ouro_status give_gateway(net *n, const uint8_t *packet, size_t len) {
    uint8_t copy[OURO_MAX_PACKET];
    memcpy(copy, packet, len);
    return net_inject(n, GATEWAY, &n->side[DEVICE].addr, copy, len);
}

static void epochs_move_as_they_must(void) {
    net *n = new_net(16, true);
    net_connect(n);
    net_run_for(n, 100);
    /* WELCOME verified, nothing more sent yet that could have moved the server. */
    CHECK_EQUAL(n->durable[DEVICE].epoch, 1);
    CHECK_EQUAL(n->durable[GATEWAY].epoch, 0);
    net_run_for(n, 50);
    CHECK_EQUAL(n->durable[GATEWAY].epoch, 1);
    CHECK(memcmp(n->durable[GATEWAY].key, n->durable[DEVICE].key, 32) == 0);
    net_run_for(n, 1000);
    /* The HELLO of the epoch that both left is spent. */
    uint8_t spent[OURO_HELLO_SIZE];
    memcpy(spent, net_find(n, DEVICE, OURO_HELLO, 0)->bytes, sizeof spent);
    net_restart(n, GATEWAY);
    CHECK(give_gateway(n, spent, sizeof spent) == OURO_DROP_EPOCH);
    net_free(n);
}

/* Nothing is sent in the session, and nothing handed on, before the epoch is durable. */
static void nothing_before_it_is_durable(void) {
    net *n = new_net(17, true);
    n->side[DEVICE].no_storage = true;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 20000);
    CHECK_EQUAL(n->side[DEVICE].epochs, 1);
    CHECK_EQUAL(n->side[DEVICE].packets, n->side[DEVICE].types[OURO_HELLO]);
    n->side[DEVICE].no_storage = false;
    n->durable[DEVICE] = n->side[DEVICE].client.credential;
    ouro_link_epoch_saved(&n->side[DEVICE].link);
    n->side[GATEWAY].no_storage = true;
    n->drop[DEVICE] = 1u << OURO_DATA;
    net_pump(n, DEVICE);
    /* The message stays in the caller's packet until it is handed on. */
    uint8_t packet[OURO_MAX_PACKET];
    size_t len = n->last_len[DEVICE];
    memcpy(packet, n->last[DEVICE], len);
    CHECK_EQUAL(packet[0] & 15, OURO_DATA);
    CHECK(net_inject(n, GATEWAY, &n->side[DEVICE].addr, packet, len) == OURO_OK);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].messages[0].handed_on, 0);
    CHECK_EQUAL(n->side[GATEWAY].packets, n->side[GATEWAY].types[OURO_WELCOME]);
    n->side[GATEWAY].no_storage = false;
    n->durable[GATEWAY] = n->device.credential;
    ouro_link_epoch_saved(&n->side[GATEWAY].link);
    net_pump(n, GATEWAY);
    CHECK(net_settle(n, 60000));
    CHECK_EQUAL(n->side[DEVICE].messages[0].handed_on, 1);
    net_free(n);
}

/*
 * Power is lost at any step of two handshakes: `at` walks in steps of half a one-way delay. The
 * server is never ahead, and a message gets through afterwards.
 */
static void restarted_at_each_step(void) {
    for (int evolving = 0; evolving < 2; evolving++)
        for (int who = 0; who < 3; who++)
            for (uint64_t at = 0; at <= 600; at += 25)
                for (unsigned storage = 0; storage < 2; storage++) {
                    net *n = new_net(18 + at, evolving == 1);
                    (void)net_send(n, DEVICE, true, 20);
                    if (storage == 1) /* power is lost before the epoch was durable */
                        n->side[DEVICE].no_storage = n->side[GATEWAY].no_storage = true;
                    net_run_for(n, at);
                    if (who != GATEWAY)
                        net_restart(n, DEVICE);
                    if (who != DEVICE)
                        net_restart(n, GATEWAY);
                    n->side[DEVICE].no_storage = n->side[GATEWAY].no_storage = false;
                    /* The side that was not restarted gets its storage back late. */
                    for (int i = 0; i < 2; i++)
                        if (n->side[i].alive)
                            ouro_link_epoch_saved(&n->side[i].link);
                    n->durable[DEVICE] = n->side[DEVICE].client.credential;
                    n->durable[GATEWAY] = n->device.credential;
                    CHECK(n->durable[GATEWAY].epoch <= n->durable[DEVICE].epoch);
                    for (int i = 0; i < 3; i++) {
                        (void)net_send(n, DEVICE, true, 20);
                        net_run_for(n, 100000);
                        CHECK(n->durable[GATEWAY].epoch <= n->durable[DEVICE].epoch);
                    }
                    uint32_t number = net_send(n, DEVICE, true, 20);
                    CHECK(net_settle(n, 300000));
                    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
                    CHECK_EQUAL(n->trouble, 0);
                    net_free(n);
                }
}

/* The registry comes back from a backup: e + 1024 is found, e + 1025 is shut out. */
static void a_registry_from_a_backup(void) {
    static const uint64_t jumps[] = {1, 2, 3, 1024, 1025};
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        net *n = new_net(19, true);
        CHECK(ouro_epoch_advance(n->durable[DEVICE].key, 0, jumps[i]) == OURO_OK);
        n->durable[DEVICE].epoch = jumps[i];
        net_restart(n, DEVICE);
        (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 20000);
        bool found = jumps[i] <= 1024;
        CHECK_EQUAL(n->side[DEVICE].messages[0].handed_on, found ? 1 : 0);
        CHECK_EQUAL(n->durable[GATEWAY].epoch, found ? jumps[i] + 1 : 0);
        if (!found)
            CHECK_EQUAL(n->side[GATEWAY].packets, 0);
        net_free(n);
    }
}

void epoch_tests(void) {
    RUN(epochs_move_as_they_must);
    RUN(nothing_before_it_is_durable);
    RUN(restarted_at_each_step);
    RUN(a_registry_from_a_backup);
}
