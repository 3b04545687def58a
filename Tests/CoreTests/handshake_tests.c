/* Handshakes between two links: what is lost, repeated, forged, and restarts at every step. */
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

/* K_auth of the device's epoch, for WELCOMEs that the test makes. */
static void auth_key(const net *n, uint8_t auth[32]) {
    const ouro_credential *c = &n->side[DEVICE].client.credential;
    CHECK(ouro_auth_key(c->key, c->epoch, auth) == OURO_OK);
}

static ouro_status give_device(net *n, const uint8_t *packet, size_t len) {
    uint8_t copy[OURO_MAX_PACKET];
    memcpy(copy, packet, len);
    return net_inject(n, DEVICE, &n->side[GATEWAY].addr, copy, len);
}

static ouro_status give_gateway(net *n, const uint8_t *packet, size_t len) {
    uint8_t copy[OURO_MAX_PACKET];
    memcpy(copy, packet, len);
    return net_inject(n, GATEWAY, &n->side[DEVICE].addr, copy, len);
}

/* A WELCOME with a right tag for the device's HELLO of now. */
static ouro_status welcome(net *n, uint32_t id, uint8_t reach, uint8_t top, uint16_t max_body) {
    uint8_t auth[32], packet[OURO_WELCOME_SIZE];
    const ouro_client *client = &n->side[DEVICE].client;
    ouro_welcome w;
    memset(&w, 0, sizeof w);
    w.session_id = id;
    w.epoch = client->credential.epoch;
    w.nonce[0] = (uint8_t)net_random(n);
    w.reach = reach;
    w.top = top;
    w.max_body = max_body;
    auth_key(n, auth);
    CHECK(ouro_welcome_write(&w, auth, client->hello, client->hello_len, packet) == OURO_OK);
    return give_device(n, packet, sizeof packet);
}

static void one_round_trip(void) {
    net *n = new_net(1, false);
    uint32_t number = net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 10000));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    /* 60 + 52 bytes, and the message goes with the confirmation: 3 x 50 ms. */
    CHECK_EQUAL(n->side[DEVICE].messages[number].came_ms, 1150);
    CHECK_EQUAL(net_find(n, DEVICE, OURO_HELLO, 0)->len, 60);
    CHECK_EQUAL(net_find(n, GATEWAY, OURO_WELCOME, 0)->len, 52);
    CHECK_EQUAL(n->side[DEVICE].packets, 2);
    CHECK_EQUAL(n->side[GATEWAY].packets, 2);
    net_free(n);
}

/* Without a message the client confirms at once with a PING. */
static void confirmed_by_ping(void) {
    net *n = new_net(2, false);
    net_connect(n);
    net_run_for(n, 99);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_PING], 0);
    net_run_for(n, 1);
    CHECK_EQUAL(n->side[DEVICE].types[OURO_PING], 1);
    net_run_for(n, 100);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    net_free(n);
}

/* An unreliable message is no confirmation that will be answered: a PING is outstanding too. */
static void keeps_something_outstanding(void) {
    net *n = new_net(3, false);
    (void)net_send(n, DEVICE, false, 20);
    n->drop[GATEWAY] = 1u << OURO_PONG | 1u << OURO_ACK;
    net_run_for(n, 20000);
    CHECK(n->side[DEVICE].types[OURO_PING] >= 2);
    CHECK_EQUAL(n->side[DEVICE].established, 0);
    n->drop[GATEWAY] = 0;
    net_run_for(n, 20000);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    net_free(n);
}

static void same_bytes_again(void) {
    net *n = new_net(4, false);
    n->drop[GATEWAY] = 1u << OURO_WELCOME;
    net_connect(n);
    net_run_for(n, 40000);
    const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
    const net_sent *first = net_find(n, GATEWAY, OURO_WELCOME, 0);
    size_t count = n->side[DEVICE].types[OURO_HELLO];
    CHECK(count >= 4);
    uint64_t wait = 0;
    for (size_t i = 1; i < count; i++) {
        const net_sent *again = net_find(n, DEVICE, OURO_HELLO, i);
        CHECK_BYTES(again->bytes, hello->bytes, 60);
        CHECK_BYTES(net_find(n, GATEWAY, OURO_WELCOME, i)->bytes, first->bytes, 52);
        /* The first wait is 2 to 3 s, each further one doubled up to 8 s. */
        uint64_t last = wait;
        wait = again->at_ms - net_find(n, DEVICE, OURO_HELLO, i - 1)->at_ms;
        CHECK(i > 1 ? wait == 2 * last || wait == 8000 : wait >= 2000 && wait <= 3000);
    }
    CHECK_EQUAL(n->server.pending_used, 1);
    net_free(n);
}

static void silence_once_confirmed(void) {
    net *n = new_net(5, false);
    net_connect(n);
    net_run_for(n, 1000);
    uint8_t hello[OURO_HELLO_SIZE], old_welcome[OURO_WELCOME_SIZE];
    memcpy(hello, net_find(n, DEVICE, OURO_HELLO, 0)->bytes, sizeof hello);
    memcpy(old_welcome, net_find(n, GATEWAY, OURO_WELCOME, 0)->bytes, sizeof old_welcome);
    uint64_t packets = n->side[GATEWAY].packets;
    for (int i = 0; i < 10; i++) {
        CHECK(give_gateway(n, hello, sizeof hello) != OURO_OK);
        net_run_for(n, 30000);
    }
    CHECK_EQUAL(n->side[GATEWAY].packets, packets);
    CHECK_EQUAL(n->server.pending_used, 0);
    /* The repeated WELCOME changes nothing either. */
    CHECK(give_device(n, old_welcome, sizeof old_welcome) != OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    /* Once the session is no longer held, a fixed credential's HELLO verifies as ever. */
    net_restart(n, GATEWAY);
    CHECK(give_gateway(n, hello, sizeof hello) == OURO_OK);
    net_free(n);
}

static void a_new_hello_after_the_give_up_time(void) {
    net *n = new_net(6, false);
    /* The server's session is pending, expires, and the client's HELLO is another by then. */
    n->drop[GATEWAY] = 1u << OURO_WELCOME;
    net_connect(n);
    net_run_for(n, 200000);
    CHECK_EQUAL(n->side[DEVICE].dead, 1);
    const net_sent *first = net_find(n, DEVICE, OURO_HELLO, 0);
    size_t count = n->side[DEVICE].types[OURO_HELLO], changed = 0;
    for (size_t i = 1; i < count; i++) {
        const net_sent *a = net_find(n, DEVICE, OURO_HELLO, i - 1);
        const net_sent *b = net_find(n, DEVICE, OURO_HELLO, i);
        bool same = memcmp(a->bytes, b->bytes, 60) == 0;
        /* From the give-up time on every try is a new one. */
        CHECK(b->at_ms - first->at_ms < 45000 ? same : !same);
        changed += !same;
    }
    CHECK(changed >= 2);
    uint8_t late[OURO_WELCOME_SIZE];
    memcpy(late, net_find(n, GATEWAY, OURO_WELCOME, 0)->bytes, sizeof late);
    CHECK(give_device(n, late, sizeof late) != OURO_OK);
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    n->drop[GATEWAY] = 0;
    net_run_for(n, 300000);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK_EQUAL(n->side[DEVICE].alive_again, 1);
    net_free(n);
}

/* A client that confirms only after the pending session expired comes back with a new HELLO. */
static void an_expired_pending_session(void) {
    net *n = new_net(7, false);
    n->drop[DEVICE] = 1u << OURO_PING | 1u << OURO_DATA;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 200);
    n->drop[DEVICE] |= 1u << OURO_HELLO;
    net_run_for(n, 65000);
    CHECK_EQUAL(n->server.pending_used, 0);
    n->drop[DEVICE] = 0;
    CHECK(net_settle(n, 300000));
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    CHECK_EQUAL(n->side[GATEWAY].established, 1);
    uint32_t number = net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 10000));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    net_free(n);
}

static void lost_repeated_and_late(void) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        net *n = new_net(seed, seed % 2 == 0);
        n->path.loss = 0.3;
        n->path.duplicate = 0.5;
        n->path.jitter_ms = 4000;
        uint32_t number = net_send(n, DEVICE, true, 20);
        CHECK(net_settle(n, 3600000));
        CHECK(n->side[DEVICE].messages[number].handed_on <= 1);
        n->path.loss = n->path.duplicate = 0;
        n->path.jitter_ms = 0;
        net_run_for(n, 120000);
        number = net_send(n, DEVICE, true, 20);
        CHECK(net_settle(n, 600000));
        CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
        CHECK(n->durable[GATEWAY].epoch <= n->durable[DEVICE].epoch);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

static void welcomes_that_are_none(void) {
    net *n = new_net(8, false);
    n->drop[DEVICE] = 1u << OURO_HELLO;
    net_connect(n);
    CHECK(welcome(n, 0, 0, 0, 0) == OURO_OK); /* a challenge, to have a HELLO with one */
    /* Senseless ranges, with a tag that is right. */
    static const struct {
        uint8_t reach;
        uint16_t max_body;
    } bad[] = {{3, 100},   {65, 100}, {0, 100},    {255, 100}, {16, 63},
               {16, 1201}, {16, 0},   {16, 65535}, {0, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(ouro_is_drop(welcome(n, 77, bad[i].reach, 0, bad[i].max_body)));
    /* A challenge with terms is none. */
    CHECK(ouro_is_drop(welcome(n, 0, 16, 0, 0)));
    CHECK(ouro_is_drop(welcome(n, 0, 0, 0, 100)));
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    /* Forged: every byte of a good one counts. */
    uint8_t auth[32], packet[OURO_WELCOME_SIZE];
    ouro_welcome w;
    memset(&w, 0, sizeof w);
    w.session_id = 99;
    w.reach = 4;
    w.max_body = 64;
    w.top = 200; /* above one's own: no error */
    auth_key(n, auth);
    const ouro_client *client = &n->side[DEVICE].client;
    CHECK(ouro_welcome_write(&w, auth, client->hello, client->hello_len, packet) == OURO_OK);
    for (size_t i = 0; i < sizeof packet; i++) {
        packet[i] ^= 4;
        CHECK(ouro_is_drop(give_device(n, packet, sizeof packet)));
        packet[i] ^= 4;
    }
    /* For the HELLO without the challenge: another transcript. */
    uint8_t other[OURO_WELCOME_SIZE];
    CHECK(ouro_welcome_write(&w, auth, net_find(n, DEVICE, OURO_HELLO, 0)->bytes, 60, other) ==
          OURO_OK);
    CHECK(ouro_is_drop(give_device(n, other, sizeof other)));
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    CHECK(give_device(n, packet, sizeof packet) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].link.live[0]->id, 99);
    net_free(n);
}

/* One of another nonce_c, recorded, and one that nobody waits for. */
static void recorded_welcome(void) {
    net *n = new_net(9, false);
    net_connect(n);
    net_run_for(n, 1000);
    uint8_t recorded[OURO_WELCOME_SIZE];
    memcpy(recorded, net_find(n, GATEWAY, OURO_WELCOME, 0)->bytes, sizeof recorded);
    net_restart(n, DEVICE);
    CHECK(ouro_is_drop(give_device(n, recorded, sizeof recorded)));
    n->drop[DEVICE] = 1u << OURO_HELLO;
    net_connect(n);
    CHECK(ouro_is_drop(give_device(n, recorded, sizeof recorded)));
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    n->drop[DEVICE] = 0;
    net_run_for(n, 10000);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    net_free(n);
}

static void welcome_for_a_held_session(void) {
    net *n = new_net(10, false);
    net_connect(n);
    net_run_for(n, 1000);
    uint32_t id = n->side[DEVICE].link.live[0]->id;
    n->drop[DEVICE] = 1u << OURO_HELLO;
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    CHECK(ouro_is_drop(welcome(n, id, 16, 0, 1200)));
    CHECK(n->side[DEVICE].link.live[1] == NULL);
    CHECK(welcome(n, id + 1, 16, 0, 1200) == OURO_OK);
    CHECK_EQUAL(n->side[DEVICE].link.live[0]->id, id + 1);
    net_free(n);
}

static void two_challenges_at_most(void) {
    net *n = new_net(11, false);
    n->path.down = true;
    net_connect(n);
    for (unsigned i = 1; i <= 10; i++) {
        /* A good one or not, the client cannot tell; it answers two for one nonce_c. */
        (void)welcome(n, 0, 0, 0, 0);
        CHECK_EQUAL(n->side[DEVICE].types[OURO_HELLO], i <= 2 ? 1 + i : 3);
        CHECK_EQUAL(n->last_len[DEVICE], 76);
    }
    CHECK_BYTES(n->last[DEVICE] + 24, net_find(n, DEVICE, OURO_HELLO, 0)->bytes + 24, 16);
    net_free(n);
}

/* Endless challenges: the client's patience is the give-up time, then it has a new nonce. */
static void endless_challenges(void) {
    net *n = new_net(12, false);
    n->path.down = true;
    net_connect(n);
    for (int i = 0; i < 600; i++) {
        (void)welcome(n, 0, 0, 0, 0);
        net_run_for(n, 100);
    }
    /* Two of them restart the time-out; the rest is the usual back-off. */
    CHECK(n->side[DEVICE].types[OURO_HELLO] <= 14);
    CHECK_EQUAL(n->side[DEVICE].dead, 1);
    CHECK(memcmp(n->last[DEVICE] + 24, net_find(n, DEVICE, OURO_HELLO, 0)->bytes + 24, 16) != 0);
    n->path.down = false;
    net_run_for(n, 300000);
    CHECK_EQUAL(n->side[DEVICE].established, 1);
    net_free(n);
}

/* Recorded HELLOs fill the pending sessions of a fixed credential; the device gets in. */
static void challenged_and_answered(void) {
    net *n = new_net(13, false);
    n->drop[GATEWAY] = 1u << OURO_WELCOME;
    for (int i = 0; i < 4; i++) {
        net_connect(n);
        net_run_for(n, 100);
        net_restart(n, DEVICE);
    }
    CHECK_EQUAL(n->server.pending_used, 4);
    n->drop[GATEWAY] = 0;
    uint32_t number = net_send(n, DEVICE, true, 20);
    CHECK(net_settle(n, 1000));
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    CHECK_EQUAL(n->last_len[DEVICE] > 0 ? n->side[DEVICE].types[OURO_HELLO] : 0, 6);
    /* Confirming erased all that were created before. */
    CHECK_EQUAL(n->server.pending_used, 0);
    net_free(n);
}

/* Confirming a session erases those that were created before it, and never a later one. */
static void confirming_erases_older_ones(void) {
    net *n = new_net(14, false);
    uint32_t ids[3];
    n->drop[DEVICE] = 1u << OURO_PING;
    for (size_t i = 0; i < 3; i++) {
        net_connect(n);
        net_run_for(n, 150);
        ids[i] = n->side[DEVICE].link.live[0]->id;
        if (i == 1) {
            /* The PING of the second session, held back until the third is pending. */
            CHECK(net_find(n, DEVICE, OURO_PING, 1) != NULL);
        }
        net_restart(n, DEVICE);
    }
    CHECK_EQUAL(n->server.pending_used, 3);
    const net_sent *ping = net_find(n, DEVICE, OURO_PING, 1);
    CHECK_EQUAL(ouro_packet_session_id(ping->bytes, ping->len), ids[1]);
    CHECK(give_gateway(n, ping->bytes, ping->len) == OURO_OK);
    CHECK(ouro_server_pending(&n->server, ids[0]) == NULL);
    CHECK(ouro_server_pending(&n->server, ids[1]) == NULL);
    CHECK(ouro_server_pending(&n->server, ids[2]) != NULL);
    CHECK_EQUAL(n->side[GATEWAY].link.live[0]->id, ids[1]);
    net_free(n);
}

static void silence_for_strangers(void) {
    net *n = new_net(15, false);
    n->drop[DEVICE] = 1u << OURO_HELLO;
    net_connect(n);
    uint8_t hello[OURO_HELLO_SIZE];
    memcpy(hello, n->last[DEVICE], sizeof hello);
    n->device.credential.key[5] ^= 1; /* the server knows another key */
    CHECK(give_gateway(n, hello, sizeof hello) == OURO_DROP_AUTH);
    n->device.credential.key[5] ^= 1;
    n->device.credential.device_id[0] ^= 1; /* or another device */
    CHECK(ouro_is_drop(give_gateway(n, hello, sizeof hello)));
    CHECK_EQUAL(n->side[GATEWAY].packets, 0);
    CHECK_EQUAL(n->server.pending_used, 0);
    n->device.credential.device_id[0] ^= 1;
    CHECK(give_gateway(n, hello, sizeof hello) == OURO_OK);
    net_free(n);
}

void handshake_tests(void) {
    RUN(one_round_trip);
    RUN(confirmed_by_ping);
    RUN(keeps_something_outstanding);
    RUN(same_bytes_again);
    RUN(silence_once_confirmed);
    RUN(a_new_hello_after_the_give_up_time);
    RUN(an_expired_pending_session);
    RUN(lost_repeated_and_late);
    RUN(welcomes_that_are_none);
    RUN(recorded_welcome);
    RUN(welcome_for_a_held_session);
    RUN(two_challenges_at_most);
    RUN(endless_challenges);
    RUN(challenged_and_answered);
    RUN(confirming_erases_older_ones);
    RUN(silence_for_strangers);
}
