/* A caller who waits as link.h tells, and for nothing else, misses nothing. */
#include "check.h"
#include "net.h"
#include "ouroboros/stream.h"

#include <string.h>

/* The example as it ships. */
#include "../../ccore/examples/sensor.c"

enum { GIVE_UP_TURNS = 1000, READINGS = 10, READ_MS = 30000, END_MS = 60000 };

/* One turn of the loop in link.h to the letter, but for what was received; when it waits until. */
static uint64_t turn(net *n, uint64_t deadline) {
    net_side *s = &n->side[DEVICE];
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    ouro_event e;
    if (n->now_ms >= deadline)
        ouro_link_tick(&s->link, n->now_ms);
    for (;;) {
        CHECK(ouro_link_transmit(&s->link, n->now_ms, scratch, &out) == OURO_OK);
        if (out.len == 0)
            break;
        s->types[out.data[0] & 15]++;
    }
    while (ouro_link_next_event(&s->link, &e)) {
        static const uint8_t nonce[OURO_NONCE_SIZE] = {1};
        if (e.type == OURO_EVENT_NONCE)
            CHECK(ouro_link_nonce(&s->link, nonce) == OURO_OK);
    }
    return ouro_link_deadline(&s->link, n->now_ms);
}

/* HELLO goes out though its nonce is given after what was to be sent; and again, for ever. */
static void says_hello_to_the_letter(void) {
    for (int by_message = 0; by_message < 2; by_message++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = 1;
        net *n = net_new(&o);
        ouro_message message = {.data = (const uint8_t *)"hi", .len = 2, .reliable = true};
        uint32_t id;
        if (by_message == 1)
            CHECK(ouro_link_send(&n->side[DEVICE].link, n->now_ms, &message, &id) == OURO_OK);
        else
            CHECK(ouro_link_connect(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
        uint64_t deadline = n->now_ms, start = n->now_ms;
        for (int i = 0; i < GIVE_UP_TURNS && n->now_ms < start + 60000; i++) {
            deadline = turn(n, deadline);
            if (!CHECK(deadline != OURO_NEVER))
                break;
            if (deadline > n->now_ms)
                n->now_ms = deadline;
        }
        CHECK(n->side[DEVICE].types[OURO_HELLO] >= 5);
        net_free(n);
    }
}

/* A server at its limit asks for a new session at once, though nothing more happens. */
static void server_asks_at_its_limit(void) {
    enum { LIMIT = 40 };
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = 2;
    net *n = net_connected(&o, 50);
    n->side[GATEWAY].settings.rekey_packets = LIMIT;
    /* Its PONGs and ACKs are more than what it hears: what it sends itself takes it there. */
    for (int i = 0; net_session(n, GATEWAY)->tail.tx_control_next < LIMIT; i++) {
        if (i % 2 == 0)
            CHECK(ouro_link_ping(&n->side[DEVICE].link) == OURO_OK);
        else
            CHECK(net_send(n, DEVICE, true, 20) != UINT32_MAX);
        net_pump(n, DEVICE);
        net_run_for(n, 60);
    }
    uint64_t start = n->now_ms;
    net_run_for(n, 1000);
    const net_sent *close = net_find(n, GATEWAY, OURO_CLOSE, 0);
    if (CHECK(close != NULL))
        CHECK(close->at_ms <= start);
    CHECK_EQUAL(n->side[DEVICE].established, 2);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* A seeded run of 90 s, with an outage, a limit and a move; woken each millisecond, or when told.
 */
static net *lively(uint64_t seed, bool eager) {
    net_options o;
    memset(&o, 0, sizeof o);
    o.seed = seed;
    o.small = seed % 3 == 0;
    o.evolving = seed % 2 == 0;
    o.keep_alive_ms = seed % 4 == 0 ? 5000 : 0;
    o.rekey_packets = seed % 5 == 0 ? 40 : 0;
    o.reach[DEVICE] = o.reach[GATEWAY] = seed % 2 == 0 ? 4 : 16;
    net *n = net_new(&o);
    n->eager = eager;
    n->path.loss = 0.15;
    n->path.delay_ms = 40;
    n->path.jitter_ms = 150;
    n->side[GATEWAY].queue_cap = seed % 3 == 1 ? 4 : -1;
    net_record(n);
    net_connect(n);
    for (int i = 0; i < 60; i++) {
        (void)net_send(n, i % 2, i % 3 != 0, 20);
        net_run_for(n, 500);
        net_take(n, GATEWAY);
        if (i == 30)
            net_move(n, 77);
    }
    n->path.down = seed % 2 == 1;
    net_run_for(n, 30000);
    n->path.down = false;
    CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, false) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 30000);
    CHECK_EQUAL(n->trouble, 0);
    return n;
}

/* The same packets, byte by byte and at the same times; and outcomes. Both nets are freed. */
static void are_the_same(net *told, net *eager) {
    CHECK_EQUAL(told->log_len, eager->log_len);
    size_t same = 0;
    while (same < told->log_len && told->log[same].at_ms == eager->log[same].at_ms &&
           told->log[same].len == eager->log[same].len &&
           memcmp(told->log[same].bytes, eager->log[same].bytes, told->log[same].len) == 0)
        same++;
    CHECK_EQUAL(same, told->log_len);
    for (uint32_t i = 0; i < told->side[DEVICE].count; i++)
        CHECK_EQUAL(told->side[DEVICE].messages[i].ended_ms,
                    eager->side[DEVICE].messages[i].ended_ms);
    net_free(told);
    net_free(eager);
}

static void told_is_as_good_as_each_millisecond(void) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        net *told = lively(seed, false);
        CHECK(told->log_len > 100);
        are_the_same(told, lively(seed, true));
    }
}

static net *begun(net_options o, uint64_t seed, bool eager) {
    o.seed = seed;
    net *n = net_connected(&o, 20);
    n->eager = eager;
    return n;
}

/* Messages stall, are sent again as they are, and are delivered once the path is wide. */
static net *narrow(uint64_t seed, bool eager) {
    net *n = begun((net_options){.evolving = true}, seed, eager);
    n->path.largest = 600;
    for (int who = 0; who < 2; who++)
        for (int i = 0; i < 30; i++)
            (void)net_send(n, who, true, i % 15 == 0 ? 1000 : 20);
    net_run_for(n, 150000);
    CHECK(n->side[DEVICE].link.stats.stalled > 0 && n->side[GATEWAY].link.stats.stalled > 0);
    n->path.largest = 0;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 150000);
    return n;
}

static bool only_handshakes(net *n, int from, const uint8_t *bytes, size_t len) {
    (void)n;
    (void)from;
    (void)len;
    return (bytes[0] & 15) != OURO_HELLO && (bytes[0] & 15) != OURO_WELCOME;
}

/* Sessions do not last: handshakes are put off. */
static net *short_lived(uint64_t seed, bool eager) {
    net *n = begun((net_options){.evolving = true}, seed, eager);
    n->filter = only_handshakes;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 200000);
    CHECK(n->side[DEVICE].client.shorts > 2);
    n->filter = NULL;
    net_run_for(n, 100000);
    return n;
}

/* CLOSE 2 is not answered: a handshake follows. */
static net *unanswered(uint64_t seed, bool eager) {
    net *n = begun((net_options){.small = true, .rekey_age_ms = 30000}, seed, eager);
    n->drop[GATEWAY] = 1u << OURO_CLOSE;
    for (int i = 0; i < 30; i++) {
        (void)net_send(n, i % 2, true, 20);
        net_run_for(n, 3000);
    }
    CHECK(n->side[DEVICE].types[OURO_CLOSE] >= 2 && n->side[DEVICE].established >= 2);
    return n;
}

/* Unreliable messages ask whether the server is there, and it is not. */
static net *silent(uint64_t seed, bool eager) {
    net *n = begun((net_options){0}, seed, eager);
    n->side[DEVICE].settings.silence_ms = 20000;
    for (int i = 0; i < 10; i++) {
        n->path.down = i > 5;
        (void)net_send(n, DEVICE, false, 20);
        net_run_for(n, 15000);
    }
    CHECK(n->side[DEVICE].types[OURO_HELLO] >= 2);
    return n;
}

static bool from_the_gateway(net *n, int from, const uint8_t *bytes, size_t len) {
    (void)n;
    (void)bytes;
    (void)len;
    return from == GATEWAY;
}

/* A stream: one side says that it does not read, the other asks; then it is gone. */
static net *slow_stream(uint64_t seed, bool eager) {
    net *n = begun((net_options){.stream = true}, seed, eager);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 1000);
    ouro_stream_set_reading(&n->side[DEVICE].link, n->now_ms, false);
    net_run_for(n, 100000);
    CHECK(n->side[DEVICE].types[OURO_ACK] + n->side[DEVICE].types[OURO_PING] >= 6);
    ouro_stream_set_reading(&n->side[DEVICE].link, n->now_ms, true);
    n->filter = from_the_gateway;
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 100000);
    CHECK(ouro_stream_is_broken(&n->side[DEVICE].link));
    return n;
}

/* Each rule that waits, and for minutes. */
static void rules_wait_as_told(void) {
    static net *(*const rules[])(uint64_t, bool) = {narrow, short_lived, unanswered, silent,
                                                    slow_stream};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        for (uint64_t seed = 1; seed <= 2; seed++) {
            net *told = rules[i](seed, false), *eager = rules[i](seed, true);
            CHECK_EQUAL(told->trouble + eager->trouble, 0);
            are_the_same(told, eager);
        }
}

/* What an acknowledgement shows to be stalled is told then, though nothing is to be sent. */
static void a_stalled_message_is_told_at_once(void) {
    net *n = begun((net_options){0}, 7, false);
    n->path.largest = 600;
    (void)net_send(n, DEVICE, true, 1000);
    net_run_for(n, 150000);
    CHECK_EQUAL(n->side[DEVICE].link.stats.stalled, 0);
    (void)net_send(n, DEVICE, true, 20);
    net_run_for(n, 100);
    CHECK(n->side[DEVICE].messages[0].stalled);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* A stalled message that is due, while an epoch is not durable yet, is due after that. */
static void nothing_is_due_while_an_epoch_is_written(void) {
    net *n = begun((net_options){.evolving = true}, 6, false);
    n->path.largest = 600;
    for (int i = 0; i < 8; i++)
        (void)net_send(n, DEVICE, true, i == 0 ? 1000 : 20);
    net_run_for(n, 100000);
    CHECK_EQUAL(n->side[DEVICE].link.stats.stalled, 1);
    n->side[DEVICE].no_storage = true;
    CHECK(ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK);
    net_pump(n, DEVICE);
    net_run_for(n, 600000);
    CHECK_EQUAL(n->trouble, 0);
    n->path.largest = 0;
    n->side[DEVICE].no_storage = false;
    n->durable[DEVICE] = n->side[DEVICE].client.credential;
    ouro_link_epoch_saved(&n->side[DEVICE].link);
    net_pump(n, DEVICE);
    net_run_for(n, 1000);
    CHECK_EQUAL(n->side[DEVICE].messages[0].outcome, DELIVERED);
    CHECK_EQUAL(n->trouble, 0);
    net_free(n);
}

/* Hooks of the example that wait as they are told, and not a moment less. */
static net *board;
static size_t arrived, readings_left;
static uint8_t arrival[OURO_MAX_PACKET];

uint64_t hook_now_ms(void) {
    return board->now_ms;
}

void hook_random(uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)net_random(board);
}

/* What the gateway answers at once is there when the sensor looks next. */
void hook_send(const uint8_t *bytes, size_t len) {
    uint8_t copy[OURO_MAX_PACKET];
    memcpy(copy, bytes, len);
    board->side[DEVICE].packets++;
    (void)net_inject(board, GATEWAY, &board->side[DEVICE].addr, copy, len);
}

size_t hook_receive(uint8_t *out, size_t cap) {
    size_t len = arrived <= cap ? arrived : 0;
    memcpy(out, arrival, len);
    arrived = 0;
    return len;
}

/* By way of a blob, as boards store it. */
bool hook_load_credential(ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_write(&board->durable[DEVICE], blob);
    return ouro_blob_read(blob, sizeof blob, credential) == OURO_BLOB_SOUND;
}

void hook_store_credential(const ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_write(credential, blob);
    CHECK_EQUAL(ouro_blob_read(blob, sizeof blob, &board->durable[DEVICE]), OURO_BLOB_SOUND);
}

size_t hook_reading(uint8_t *out, size_t cap) {
    if (readings_left == 0 || board->now_ms < READ_MS || cap < 4)
        return 0;
    uint32_t number = READINGS - (uint32_t)readings_left--;
    memcpy(out, &number, 4);
    return 4;
}

void hook_command(const uint8_t *data, size_t len) {
    (void)data;
    (void)len;
}

void hook_wait_until(uint64_t ms) {
    uint64_t reading = readings_left > 0 ? READ_MS : END_MS;
    uint64_t until = ms < reading ? ms : reading;
    if (board->now_ms < READ_MS && until >= READ_MS)
        CHECK_EQUAL(board->side[GATEWAY].established, 1);
    if (arrived == 0 && until > board->now_ms)
        board->now_ms = until;
}

static bool to_the_sensor(net *n, int from, const uint8_t *bytes, size_t len) {
    (void)n;
    if (from == GATEWAY && arrived == 0) {
        memcpy(arrival, bytes, len);
        arrived = len;
    }
    return true;
}

static unsigned came_to_gateway;
static void came(net *n, int who, const ouro_event *event) {
    (void)n;
    (void)event;
    came_to_gateway += who == GATEWAY;
}

/* bare_loop.c, for a minute. */
static void example_waits_as_told(void) {
    for (int evolving = 0; evolving < 2; evolving++) {
        net_options o;
        memset(&o, 0, sizeof o);
        o.seed = 3;
        o.evolving = evolving == 1;
        o.max_body[GATEWAY] = SENSOR_PACKET - OURO_OVERHEAD;
        board = net_new(&o);
        board->filter = to_the_sensor;
        board->message = came;
        came_to_gateway = 0;
        arrived = 0;
        readings_left = READINGS;
        CHECK(sensor_start());
        CHECK(ouro_link_connect(&sensor_link, hook_now_ms()) == OURO_OK);
        for (int i = 0; i < GIVE_UP_TURNS && board->now_ms < END_MS; i++) {
            (void)sensor_step();
            hook_wait_until(ouro_link_deadline(&sensor_link, hook_now_ms()));
        }
        CHECK_EQUAL(came_to_gateway, READINGS);
        CHECK_EQUAL(board->now_ms, END_MS);
        CHECK_EQUAL(sensor_lost, 0);
        ouro_link_erase(&sensor_link);
        net_free(board);
    }
}

void wait_tests(void) {
    RUN(says_hello_to_the_letter);
    RUN(server_asks_at_its_limit);
    RUN(told_is_as_good_as_each_millisecond);
    RUN(rules_wait_as_told);
    RUN(a_stalled_message_is_told_at_once);
    RUN(nothing_is_due_while_an_epoch_is_written);
    RUN(example_waits_as_told);
}
