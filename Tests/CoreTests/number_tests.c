/* The number that a pending session was made from (Appendix B 28 to 30): which ones a notice ends.
 */
#include "check.h"
#include "net.h"

#include <string.h>

/* A device that has a session with its gateway, which makes pending ones of it beside. */
static net *connected(bool evolving) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 1;
    o.evolving = evolving;
    return net_connected(&o, 50);
}

/* What the device keeps of a handshake: enough to make its first packet. */
typedef struct made {
    uint8_t hello[OURO_HELLO_MAX], welcome[OURO_WELCOME_SIZE];
    size_t len;
    uint32_t id;
} made;

/* A HELLO of the device, answered while the registry says `generation`. */
static made pending_of(net *n, uint64_t generation) {
    static uint8_t nonce;
    uint8_t auth[32], fresh[OURO_NONCE_SIZE] = {0};
    bool moved;
    made m;
    ouro_hello hello;
    const ouro_credential *c = &n->device.credential;
    memset(&hello, 0, sizeof hello);
    memset(&m, 0, sizeof m);
    memcpy(hello.device_id, c->device_id, sizeof hello.device_id);
    memset(hello.nonce, ++nonce, sizeof hello.nonce);
    hello.epoch = c->epoch;
    hello.evolving = c->evolving;
    hello.reach = 8;
    hello.max_body = 200;
    CHECK(ouro_auth_key(c->key, c->epoch, auth) == OURO_OK);
    CHECK(ouro_hello_write(&hello, auth, m.hello, &m.len) == OURO_OK);
    n->device.generation = generation;
    fresh[0] = nonce;
    CHECK(ouro_server_hello(&n->server, n->now_ms, &n->device, NULL, m.hello, m.len,
                            0x7000u + nonce, fresh, m.welcome, &moved) == OURO_OK);
    m.id = ouro_packet_session_id(m.welcome, sizeof m.welcome);
    CHECK(m.id != 0 && !moved);
    return m;
}

static bool is_pending(net *n, const made *m) {
    return ouro_server_pending(&n->server, m->id) != NULL;
}

/* The first packet of a pending session comes, and confirms it. */
static void confirm(net *n, const made *m) {
    static ouro_slot slots[2 * OURO_MAX_REACH];
    ouro_session session;
    ouro_opened opened;
    uint64_t used;
    bool moved;
    uint8_t packet[OURO_OVERHEAD + 4] = {0};
    CHECK(ouro_handshake_session(&session, OURO_CLIENT, &n->device.credential, m->hello, m->len,
                                 m->welcome, slots, 8) == OURO_OK);
    CHECK(ouro_session_protect(&session, OURO_PING, 0, packet, 4, &used) == OURO_OK);
    ouro_session_erase(&session);
    ouro_pending *pending = ouro_server_pending(&n->server, m->id);
    CHECK(pending != NULL);
    if (pending == NULL)
        return;
    CHECK(ouro_server_open(&n->server, n->now_ms, pending, packet, sizeof packet, &opened) ==
          OURO_OK);
    CHECK(ouro_server_adopt(&n->server, n->now_ms, pending, &n->side[GATEWAY].link,
                            &n->side[DEVICE].addr, &opened, &moved) == OURO_OK);
    CHECK_EQUAL(moved, n->device.credential.evolving);
}

static void only_those_of_a_lower_number_end(void) {
    net *n = connected(false);
    made early = pending_of(n, 3), other = pending_of(n, 4), late = pending_of(n, 5);
    /* Told late: all of them were made since. */
    ouro_server_drop_pending(&n->server, &n->device, 3);
    CHECK(is_pending(n, &early) && is_pending(n, &other) && is_pending(n, &late));
    ouro_server_drop_pending(&n->server, &n->device, 5);
    CHECK(!is_pending(n, &early) && !is_pending(n, &other) && is_pending(n, &late));
    CHECK_EQUAL(n->server.pending_used, 1);
    ouro_server_drop_pending(&n->server, &n->device, UINT64_MAX);
    CHECK_EQUAL(n->server.pending_used, 0);
    net_free(n);
}

/* A HELLO that comes again is answered as before, and its session keeps its number. */
static void a_pending_session_keeps_its_number(void) {
    net *n = connected(false);
    made m = pending_of(n, 7);
    uint8_t welcome[OURO_WELCOME_SIZE], nonce[OURO_NONCE_SIZE] = {99};
    bool moved;
    n->device.generation = 8;
    CHECK(ouro_server_hello(&n->server, n->now_ms, &n->device, NULL, m.hello, m.len, 0x7777, nonce,
                            welcome, &moved) == OURO_OK);
    CHECK_BYTES(welcome, m.welcome, sizeof welcome);
    CHECK_EQUAL(ouro_server_pending(&n->server, m.id)->number, 7);
    ouro_server_drop_pending(&n->server, &n->device, 8);
    CHECK(!is_pending(n, &m));
    net_free(n);
}

/* Of an evolving credential the epoch is the number. */
static void an_epoch_is_the_number(void) {
    net *n = connected(true);
    uint64_t epoch = n->device.credential.epoch;
    CHECK(epoch > 0);
    made m = pending_of(n, UINT64_MAX);
    CHECK_EQUAL(ouro_server_pending(&n->server, m.id)->number, epoch);
    ouro_server_drop_pending(&n->server, &n->device, epoch);
    CHECK(is_pending(n, &m));
    ouro_server_drop_pending(&n->server, &n->device, epoch + 1);
    CHECK(!is_pending(n, &m));
    net_free(n);
}

/* Those made later of the same number go on from the next one, those of another are as they were.
 */
static void later_ones_go_on_from_the_new_number(void) {
    net *n = connected(false);
    made before = pending_of(n, 2), first = pending_of(n, 2), late = pending_of(n, 2);
    made other = pending_of(n, 9);
    confirm(n, &first);
    CHECK(!is_pending(n, &before) && !is_pending(n, &first));
    CHECK_EQUAL(ouro_server_pending(&n->server, late.id)->number, 3);
    CHECK_EQUAL(ouro_server_pending(&n->server, other.id)->number, 9);
    ouro_server_drop_pending(&n->server, &n->device, 3);
    CHECK(is_pending(n, &late));
    confirm(n, &late);
    CHECK_EQUAL(ouro_server_pending(&n->server, other.id)->number, 9);
    net_free(n);
}

static void none_of_an_evolving_credential_goes_on(void) {
    net *n = connected(true);
    made first = pending_of(n, 0), late = pending_of(n, 0);
    confirm(n, &first);
    CHECK(!is_pending(n, &late));
    CHECK_EQUAL(n->server.pending_used, 0);
    net_free(n);
}

void number_tests(void) {
    RUN(only_those_of_a_lower_number_end);
    RUN(a_pending_session_keeps_its_number);
    RUN(an_epoch_is_the_number);
    RUN(later_ones_go_on_from_the_new_number);
    RUN(none_of_an_evolving_credential_goes_on);
}
