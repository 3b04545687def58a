/* What HELLO and WELCOME say in their flags: stream or datagrams, the credential's kind, framing.
 */
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

static unsigned drops(const net *n, int who, ouro_status kind) {
    return n->side[who].link.stats.drops[-kind];
}

static ouro_status give_gateway(net *n, const uint8_t *packet, size_t len) {
    uint8_t copy[OURO_MAX_PACKET];
    memcpy(copy, packet, len);
    return net_inject(n, GATEWAY, &n->side[DEVICE].addr, copy, len);
}

/* What a client and a server of each kind say. */
static void the_flags_of_a_handshake(void) {
    for (int stream = 0; stream < 2; stream++)
        for (int evolving = 0; evolving < 2; evolving++) {
            net_options o;
            memset(&o, 0, sizeof o);
            o.seed = 1;
            o.stream = stream == 1;
            o.evolving = evolving == 1;
            net *n = net_new(&o);
            net_record(n);
            net_connect(n);
            net_run_for(n, 1000);
            CHECK_EQUAL(net_find(n, DEVICE, OURO_HELLO, 0)->bytes[1],
                        (stream ? 0x80 : 0) | (evolving ? 0x40 : 0));
            CHECK_EQUAL(net_find(n, GATEWAY, OURO_WELCOME, 0)->bytes[1], stream ? 0x80 : 0);
            CHECK_EQUAL(n->side[GATEWAY].established, 1);
            net_free(n);
        }
}

/* Somebody on the path carries a TCP client's packets to the UDP port: nothing is handed on. */
static void a_stream_carried_to_datagrams(void) {
    net *n = new_net(31, false);
    net_side *s = &n->side[DEVICE];
    ouro_link_erase(&s->link);
    s->settings.stream = true;
    s->memory.slots = NULL;
    s->memory.session_count = 1;
    CHECK(ouro_link_init(&s->link, &s->settings, &s->memory, &n->durable[DEVICE], 1) == OURO_OK);
    net_connect(n);
    for (int i = 0; i < 4; i++)
        (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 5000);
    CHECK_EQUAL(s->types[OURO_HELLO], 1);
    CHECK_EQUAL(n->side[GATEWAY].packets, 0);
    CHECK_EQUAL(n->server.pending_used, 0);
    const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
    CHECK(give_gateway(n, hello->bytes, hello->len) == OURO_DROP_TRANSPORT);
    for (uint32_t i = 0; i < 4; i++)
        CHECK_EQUAL(s->messages[i].handed_on, 0);
    net_free(n);
}

/* And the answer of a stream's server is none for a client over datagrams, tag and all. */
static void a_welcome_of_the_other_transport(void) {
    net *n = new_net(32, false);
    n->drop[DEVICE] = 1u << OURO_HELLO;
    net_connect(n);
    const ouro_client *client = &n->side[DEVICE].client;
    uint8_t auth[32], packet[OURO_WELCOME_SIZE];
    ouro_welcome w = {.session_id = 7, .reach = 16, .max_body = 1200, .stream = true};
    CHECK(ouro_auth_key(client->credential.key, 0, auth) == OURO_OK);
    CHECK(ouro_welcome_write(&w, auth, client->hello, client->hello_len, packet) == OURO_OK);
    CHECK(net_inject(n, DEVICE, NULL, packet, sizeof packet) == OURO_DROP_TRANSPORT);
    CHECK_EQUAL(drops(n, DEVICE, OURO_DROP_TRANSPORT), 1);
    CHECK(n->side[DEVICE].link.live[0] == NULL);
    net_free(n);
}

/* A HELLO of the other kind, its tag right: no answer, no challenge, no move; told once a minute.
 */
static void the_other_kind(void) {
    for (int evolving = 0; evolving < 2; evolving++) {
        net *n = new_net(33, evolving == 1);
        n->device.credential.evolving = evolving == 0;
        net_connect(n);
        net_run_for(n, 1000);
        const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
        for (int i = 0; i < 10; i++)
            CHECK(give_gateway(n, hello->bytes, hello->len) == OURO_DROP_KIND);
        CHECK_EQUAL(n->side[GATEWAY].packets, 0);
        CHECK_EQUAL(n->server.pending_used, 0);
        CHECK_EQUAL(n->device.credential.epoch, 0);
        CHECK(ouro_device_tell_kind(&n->device, n->now_ms));
        CHECK(!ouro_device_tell_kind(&n->device, n->now_ms + 59999));
        CHECK(ouro_device_tell_kind(&n->device, n->now_ms + 60000));
        /* Where the key of HELLO's epoch is not there, silence as ever. */
        uint8_t forged[OURO_HELLO_MAX];
        memcpy(forged, hello->bytes, hello->len);
        forged[hello->len - 1] ^= 1;
        CHECK(give_gateway(n, forged, hello->len) == OURO_DROP_AUTH);
        if (evolving == 0) {
            n->device.credential.epoch = 3;
            CHECK(give_gateway(n, hello->bytes, hello->len) == OURO_DROP_EPOCH);
        }
        net_free(n);
    }
}

static void an_evolving_hello_ahead_of_a_fixed_credential(void) {
    net *n = new_net(34, true);
    n->device.credential.evolving = false;
    n->side[DEVICE].client.credential.epoch = 2;
    net_connect(n);
    const net_sent *hello = net_find(n, DEVICE, OURO_HELLO, 0);
    CHECK_EQUAL(net_counter(hello->bytes), 2);
    CHECK(give_gateway(n, hello->bytes, hello->len) == OURO_DROP_EPOCH);
    net_free(n);
}

/* Who asks for compact framing gets a session with full framing: a WELCOME that says 0. */
static void compact_framing_is_not_spoken(void) {
    net *n = new_net(35, false);
    uint8_t auth[32], packet[OURO_HELLO_MAX];
    size_t len = 0;
    ouro_hello hello = {.reach = 16, .max_body = 200, .compact = 0x13};
    memcpy(hello.device_id, n->device.credential.device_id, sizeof hello.device_id);
    CHECK(ouro_auth_key(n->device.credential.key, 0, auth) == OURO_OK);
    CHECK(ouro_hello_write(&hello, auth, packet, &len) == OURO_OK);
    CHECK_EQUAL(packet[1], 0x13);
    CHECK(give_gateway(n, packet, len) == OURO_OK);
    const net_sent *welcome = net_find(n, GATEWAY, OURO_WELCOME, 0);
    CHECK(welcome != NULL && welcome->bytes[1] == 0);
    /* A client takes no WELCOME with one of these bits. */
    net_connect(n);
    uint8_t other[OURO_WELCOME_SIZE];
    memcpy(other, welcome->bytes, sizeof other);
    other[1] = 0x01;
    CHECK(net_inject(n, DEVICE, NULL, other, sizeof other) == OURO_DROP_MALFORMED);
    net_free(n);
}

/* A fixed credential has no epoch but 0: neither a link nor a HELLO is made of another. */
static void a_fixed_credential_is_at_epoch_0(void) {
    net *n = new_net(36, false);
    net_side *s = &n->side[DEVICE];
    ouro_credential c = n->durable[DEVICE];
    uint8_t auth[32] = {0}, packet[OURO_HELLO_MAX];
    size_t len = 0;
    ouro_link_erase(&s->link);
    c.epoch = 1;
    CHECK(ouro_link_init(&s->link, &s->settings, &s->memory, &c, 1) == OURO_ERR_ARGUMENT);
    s->alive = false;
    ouro_hello hello = {.reach = 16, .max_body = 200, .epoch = 1};
    CHECK(ouro_hello_write(&hello, auth, packet, &len) == OURO_ERR_ARGUMENT);
    net_free(n);
}

void flag_tests(void) {
    RUN(the_flags_of_a_handshake);
    RUN(a_stream_carried_to_datagrams);
    RUN(a_welcome_of_the_other_transport);
    RUN(the_other_kind);
    RUN(an_evolving_hello_ahead_of_a_fixed_credential);
    RUN(compact_framing_is_not_spoken);
    RUN(a_fixed_credential_is_at_epoch_0);
}
