/* Each setting and argument has its range; what is outside of it is refused, and nothing follows.
 */
#include "check.h"
#include "net.h"
#include "ouroboros/stream.h"

#include <stdio.h>
#include <string.h>

#define DAY UINT64_C(86400000)

static net *connected(uint64_t seed) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    return net_connected(&o, 20);
}

/* A link of a role, whose settings and memory a test may spoil. */
typedef struct made {
    net *net;
    ouro_settings settings;
    ouro_memory memory;
    ouro_link link;
} made;

static made link_of(int who, bool stream) {
    made m;
    memset(&m, 0, sizeof m);
    net_options o;
    memset(&o, 0, sizeof o);
    o.stream = stream;
    m.net = net_new(&o);
    m.settings = m.net->side[who].settings;
    m.memory = m.net->side[who].memory;
    return m;
}

static ouro_status init(made *m) {
    const ouro_credential *credential =
        m->settings.role == OURO_CLIENT ? &m->net->durable[DEVICE] : NULL;
    return ouro_link_init(&m->link, &m->settings, &m->memory, credential, 1);
}

static void settings_have_ranges(void) {
    made m = link_of(DEVICE, false);
    static const struct {
        uint64_t keep_alive, first, ttl, age, packets, idle;
        bool fits;
    } rows[] = {
        {0, 0, 0, 0, 0, 0, true},
        {10, 0, 0, 0, 0, 0, true},
        {9, 0, 0, 0, 0, 0, false},
        {UINT32_MAX, 0, 0, 0, 0, 0, true},
        {0, 50, 0, 0, 0, 0, true},
        {0, 49, 0, 0, 0, 0, false},
        {0, 8000, 0, 0, 0, 0, true},
        {0, 8001, 0, 0, 0, 0, false},
        {0, 3000000000u, 0, 0, 0, 0, false},
        {0, 0, 1, 0, 0, 0, true},
        {0, 0, INT32_MAX, 0, 0, 0, true},
        {0, 0, UINT64_C(1) << 31, 0, 0, 0, false},
        {0, 0, 0, 1000, 0, 0, true},
        {0, 0, 0, 999, 0, 0, false},
        {0, 0, 0, OURO_NEVER, 0, 0, true},
        {0, 0, 0, OURO_NEVER - 1, 0, 0, true},
        {0, 0, 0, 0, 16, 0, true},
        {0, 0, 0, 0, 15, 0, false},
        {0, 0, 0, 0, OURO_COUNTER_LIMIT - 0x100000, 0, true},
        {0, 0, 0, 0, OURO_COUNTER_LIMIT - 0xfffff, 0, false},
        {0, 0, 0, 0, OURO_NEVER, 0, true},
        {0, 0, 0, 0, 0, 100, true},
        {0, 0, 0, 0, 0, 99, false},
        {0, 0, 0, 0, 0, OURO_NEVER, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        m.settings.keep_alive_ms = (uint32_t)rows[i].keep_alive;
        m.settings.first_timeout_ms = (uint32_t)rows[i].first;
        m.settings.unreliable_ttl_ms = (uint32_t)rows[i].ttl;
        m.settings.rekey_age_ms = rows[i].age;
        m.settings.rekey_packets = rows[i].packets;
        m.settings.idle_ms = rows[i].idle;
        if (!CHECK_EQUAL(init(&m) == OURO_OK, rows[i].fits))
            printf("  in row %u\n", (unsigned)i);
    }
    net_free(m.net);
}

static void memory_is_looked_at(void) {
    for (int who = 0; who < 2; who++)
        for (int stream = 0; stream < 2; stream++) {
            made m = link_of(who, stream == 1);
            ouro_memory whole = m.memory;
            ouro_pool unmade = {0};
            CHECK(init(&m) == OURO_OK);
            m.memory.sessions = NULL;
            CHECK(init(&m) == OURO_ERR_ARGUMENT);
            m.memory = whole;
            m.memory.pool = NULL;
            CHECK(init(&m) == OURO_ERR_ARGUMENT);
            m.memory.pool = &unmade;
            CHECK(init(&m) == OURO_ERR_ARGUMENT);
            m.memory = whole;
            m.memory.tail_count = 1;
            m.memory.tails = NULL;
            CHECK(init(&m) == OURO_ERR_ARGUMENT);
            m.memory = whole;
            m.memory.client = who == DEVICE ? NULL : &m.net->side[DEVICE].client;
            CHECK(init(&m) == OURO_ERR_ARGUMENT);
            m.memory = whole;
            m.memory.paths = NULL;
            CHECK_EQUAL(init(&m) == OURO_ERR_ARGUMENT, who == GATEWAY && stream == 0);
            net_free(m.net);
        }
    made m = link_of(DEVICE, false);
    CHECK(ouro_link_init(&m.link, NULL, &m.memory, &m.net->durable[DEVICE], 1) ==
          OURO_ERR_ARGUMENT);
    CHECK(ouro_link_init(&m.link, &m.settings, NULL, &m.net->durable[DEVICE], 1) ==
          OURO_ERR_ARGUMENT);
    CHECK(ouro_link_init(&m.link, &m.settings, &m.memory, NULL, 1) == OURO_ERR_ARGUMENT);
    net_free(m.net);
}

/* Whatever is asked of it. */
static void is_as_closed(ouro_link *link) {
    static const uint8_t nonce[OURO_NONCE_SIZE] = {0};
    uint8_t packet[OURO_MAX_PACKET] = {OURO_VERSION << 4 | OURO_DATA, 0, 0, 0, 0, 0, 0, 1};
    uint8_t scratch[OURO_SCRATCH_SIZE], saved[OURO_SAVED_SIZE(4)];
    ouro_message message = {.data = packet, .len = 4, .reliable = true};
    ouro_datagram out;
    ouro_event event;
    ouro_addr from = net_address(1);
    uint32_t id;
    size_t len;
    CHECK(ouro_link_is_closed(link) && !ouro_link_is_open(link) && !ouro_link_is_quiet(link));
    CHECK(ouro_link_send(link, 1, &message, &id) == OURO_END_CLOSED);
    CHECK(ouro_link_connect(link, 1) == OURO_ERR_STATE);
    CHECK(ouro_link_nonce(link, nonce) == OURO_ERR_STATE);
    CHECK(ouro_link_ping(link) == OURO_ERR_STATE);
    CHECK(ouro_link_rekey(link, 1) == OURO_ERR_STATE);
    CHECK(ouro_link_withdraw(link, 0) == OURO_ERR_STATE);
    CHECK(ouro_link_close(link, 1, OURO_REASON_NORMAL, true) == OURO_ERR_STATE);
    CHECK(ouro_link_save(link, 1, saved, sizeof saved, &len) == OURO_ERR_STATE);
    CHECK(ouro_link_restore(link, 1, 0, saved, sizeof saved) == OURO_ERR_STATE);
    CHECK(ouro_link_prepare(link, 20) == OURO_OK);
    CHECK(ouro_is_drop(ouro_link_receive(link, 1, &from, packet, OURO_OVERHEAD)));
    CHECK(ouro_link_transmit(link, 1, scratch, &out) == OURO_OK && out.len == 0);
    CHECK(ouro_link_transmit_pong(link, 1, scratch, &out) == OURO_OK && out.len == 0);
    ouro_link_epoch_saved(link);
    ouro_link_done(link, 1, 0);
    ouro_link_set_room(link, 0, 10);
    ouro_link_tick(link, 1);
    CHECK(!ouro_link_next_event(link, &event));
    CHECK(ouro_link_deadline(link, 1) == OURO_NEVER);
    CHECK_EQUAL(ouro_link_max_message(link, true), 0);
    CHECK_EQUAL(ouro_link_pending(link) + ouro_link_rtt(link) + ouro_link_sent_messages(link), 0);
    CHECK(!ouro_stream_is_broken(link) && !ouro_stream_ended(link));
    ouro_link_erase(link);
    CHECK(ouro_link_is_closed(link));
}

static void a_refused_link_is_closed(void) {
    made m = link_of(DEVICE, false);
    m.settings.reach = 3;
    memset(&m.link, 0xff, sizeof m.link);
    CHECK(init(&m) == OURO_ERR_ARGUMENT);
    is_as_closed(&m.link);
    net_free(m.net);
    net *n = connected(1);
    n->side[DEVICE].alive = false;
    ouro_link_erase(&n->side[DEVICE].link);
    is_as_closed(&n->side[DEVICE].link);
    net_free(n);
}

/* OURO_NEVER is never: no session ends for its silence, or is replaced for its age. */
static void never_is_never(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 2;
    o.rekey_age_ms = OURO_NEVER;
    net *n = net_new(&o);
    n->side[GATEWAY].settings.idle_ms = OURO_NEVER;
    net_connect(n);
    net_run_for(n, 400 * DAY);
    CHECK_EQUAL(n->hellos, 1);
    CHECK_EQUAL(n->side[GATEWAY].closed, 0);
    CHECK_EQUAL(n->side[DEVICE].closed, 0);
    CHECK(ouro_link_deadline(&n->side[DEVICE].link, n->now_ms) == OURO_NEVER);
    CHECK(ouro_link_deadline(&n->side[GATEWAY].link, n->now_ms) == OURO_NEVER);
    uint32_t number = net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* A session that slept longer than there is time is as old as it may be, or never too old. */
static void slept_for_ever(void) {
    for (int never = 0; never < 2; never++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = 3;
        o.rekey_age_ms = never == 1 ? OURO_NEVER : 0;
        net *n = net_connected(&o, 20);
        uint8_t saved[OURO_SAVED_SIZE(16)];
        size_t len = 0;
        ouro_link *link = &n->side[DEVICE].link;
        CHECK(ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) == OURO_OK);
        CHECK(ouro_link_restore(link, n->now_ms, OURO_NEVER, saved, len) == OURO_OK);
        CHECK_EQUAL(net_session(n, DEVICE)->renew_ms <= n->now_ms, never == 0);
        net_pump(n, DEVICE);
        net_run_for(n, 5000);
        CHECK_EQUAL(n->hellos, never == 1 ? 1 : 2);
        net_free(n);
    }
}

static void messages_have_ranges(void) {
    net *n = connected(4);
    ouro_link *link = &n->side[DEVICE].link;
    uint8_t data[4] = {0};
    uint32_t id;
    ouro_message m = {.data = NULL, .len = 4, .reliable = true};
    CHECK(ouro_link_send(link, n->now_ms, &m, &id) == OURO_ERR_ARGUMENT);
    m.batch = true;
    CHECK(ouro_link_send(link, n->now_ms, &m, &id) == OURO_ERR_ARGUMENT);
    m.batch = false;
    m.data = data;
    m.ttl_ms = UINT32_C(1) << 31;
    CHECK(ouro_link_send(link, n->now_ms, &m, &id) == OURO_ERR_ARGUMENT);
    CHECK_EQUAL(ouro_link_pending(link), 0);
    m.ttl_ms--;
    CHECK(ouro_link_send(link, n->now_ms, &m, &id) == OURO_OK);
    m.data = NULL;
    m.len = 0;
    CHECK(ouro_link_send(link, n->now_ms, &m, &id) == OURO_OK);
    CHECK(ouro_link_prepare(link, OURO_MAX_BODY + 1) == OURO_ERR_ARGUMENT);
    CHECK_EQUAL(ouro_link_pending(link), 2);
    net_free(n);
}

/* Reason 2 asks for another session, and has a call of its own; there are none above 4. */
static void a_link_closes_with_a_reason(void) {
    net *n = connected(5);
    ouro_link *link = &n->side[DEVICE].link;
    CHECK(ouro_link_close(link, n->now_ms, (ouro_reason)77, false) == OURO_ERR_ARGUMENT);
    CHECK(ouro_link_close(link, n->now_ms, OURO_REASON_REKEY, false) == OURO_ERR_ARGUMENT);
    uint32_t number = net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].messages[number].outcome, DELIVERED);
    CHECK(ouro_link_close(link, n->now_ms, OURO_REASON_PROTOCOL, false) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[GATEWAY].closed_reason, OURO_REASON_PROTOCOL);
    net_free(n);
}

/* An application that confirms what it never got: the sender is not told so. */
static void what_never_came_is_not_done(void) {
    net *n = connected(6);
    ouro_link *gateway = &n->side[GATEWAY].link;
    n->path.down = true;
    uint32_t lost = net_send(n, DEVICE, true, 20);
    uint64_t counter = net_session(n, DEVICE)->tail.tx_next - 1u;
    n->path.down = false;
    n->side[GATEWAY].unsafe = true;
    uint32_t came = net_send(n, DEVICE, true, 20);
    net_run_for(n, 21);
    CHECK_EQUAL(n->side[DEVICE].messages[lost].handed_on, 0);
    CHECK_EQUAL(n->side[DEVICE].messages[came].handed_on, 1);
    ouro_link_done(gateway, gateway->live[0]->id, counter);
    ouro_link_done(gateway, gateway->live[0]->id, counter + 1);
    ouro_link_done(gateway, gateway->live[0]->id, counter + 2);
    ouro_link_done(gateway, gateway->live[0]->id, UINT64_MAX);
    n->drop[DEVICE] = 1u << OURO_DATA;
    net_pump(n, GATEWAY);
    net_run_for(n, 10000);
    CHECK_EQUAL(n->side[DEVICE].messages[came].outcome, DELIVERED);
    CHECK_EQUAL(n->side[DEVICE].messages[lost].outcome, PENDING);
    n->drop[DEVICE] = 0;
    n->side[GATEWAY].unsafe = false;
    CHECK(net_settle(n, 60000));
    CHECK_EQUAL(n->side[DEVICE].messages[lost].outcome, DELIVERED);
    CHECK_EQUAL(n->side[DEVICE].messages[lost].handed_on, 1);
    net_free(n);
}

/* However large a queue says it is. */
static void room_of_any_size(void) {
    static const struct {
        size_t free, capacity;
        bool told;
    } rows[] = {{SIZE_MAX, SIZE_MAX, true},
                {SIZE_MAX / 2 + 1, SIZE_MAX, true},
                {SIZE_MAX / 2, SIZE_MAX, false},
                {5, 10, true},
                {4, 10, false},
                {20, 10, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        net *n = connected(7);
        n->side[GATEWAY].queue_cap = 1;
        for (int k = 0; k < 6; k++)
            (void)net_send(n, DEVICE, true, 20);
        net_run_for(n, 400);
        CHECK(n->side[GATEWAY].types[OURO_NACK] > 0);
        uint32_t acks = n->side[GATEWAY].types[OURO_ACK];
        ouro_link_set_room(&n->side[GATEWAY].link, rows[i].free, rows[i].capacity);
        net_pump(n, GATEWAY);
        CHECK_EQUAL(n->side[GATEWAY].types[OURO_ACK] - acks, rows[i].told);
        net_free(n);
    }
}

static void addresses_have_a_length(void) {
    net *n = connected(8);
    uint8_t body[4] = {0}, packet[OURO_MAX_PACKET];
    ouro_addr from = net_address(1);
    ouro_link *link = &n->side[GATEWAY].link;
    size_t len = net_make(n, DEVICE, OURO_PING, 0, body, sizeof body, packet);
    uint32_t received = link->stats.received;
    from.len = sizeof from.bytes + 1;
    CHECK(ouro_link_receive(link, n->now_ms, &from, packet, len) == OURO_ERR_ARGUMENT);
    CHECK(ouro_link_receive(link, n->now_ms, NULL, packet, len) == OURO_ERR_ARGUMENT);
    CHECK_EQUAL(link->stats.received, received);
    from.len = sizeof from.bytes;
    CHECK(ouro_link_receive(link, n->now_ms, &from, packet, len) == OURO_OK);
    net_free(n);
}

static void a_first_packet_comes_from_somewhere(void) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 9;
    net *n = net_new(&o);
    net_record(n);
    n->drop[DEVICE] = ~(1u << OURO_HELLO);
    net_connect(n);
    net_run_for(n, 300);
    net_sent ping = *net_find(n, DEVICE, OURO_PING, 0);
    ouro_pending *pending =
        ouro_server_pending(&n->server, ouro_packet_session_id(ping.bytes, ping.len));
    made m = link_of(GATEWAY, false);
    ouro_opened opened;
    ouro_addr from = net_address(1);
    bool moved;
    CHECK(init(&m) == OURO_OK);
    CHECK(ouro_server_open(&n->server, n->now_ms, NULL, ping.bytes, ping.len, &opened) ==
          OURO_DROP_SESSION);
    CHECK(ouro_server_open(&n->server, n->now_ms, pending, ping.bytes, ping.len, &opened) ==
          OURO_OK);
    CHECK(ouro_server_adopt(&n->server, n->now_ms, pending, &m.link, NULL, &opened, &moved) ==
          OURO_ERR_ARGUMENT);
    from.len = 200;
    CHECK(ouro_server_adopt(&n->server, n->now_ms, pending, &m.link, &from, &opened, &moved) ==
          OURO_ERR_ARGUMENT);
    CHECK_EQUAL(n->server.pending_used, 1);
    from.len = 2;
    CHECK(ouro_server_adopt(&n->server, n->now_ms, pending, &m.link, &from, &opened, &moved) ==
          OURO_OK);
    ouro_link_erase(&m.link);
    net_free(m.net);
    net_free(n);
}

void misuse_tests(void) {
    RUN(settings_have_ranges);
    RUN(memory_is_looked_at);
    RUN(a_refused_link_is_closed);
    RUN(never_is_never);
    RUN(slept_for_ever);
    RUN(messages_have_ranges);
    RUN(a_link_closes_with_a_reason);
    RUN(what_never_came_is_not_done);
    RUN(room_of_any_size);
    RUN(addresses_have_a_length);
    RUN(a_first_packet_comes_from_somewhere);
}
