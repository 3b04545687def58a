/*
 * A call of the crypto library that fails once ruins nothing: each call of a run of handshake,
 * messages, rekeying and sleep fails, each in a run of its own.
 */
#include "check.h"
#include "net.h"
#include "ouroboros/fleet.h"
#include "ouroboros/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MINUTE = 60000, SLEPT_MS = 10 * MINUTE };

typedef struct variant {
    const char *name;
    net_options options;
    bool challenged;
} variant;

/* Four HELLOs that nothing followed: the next is answered with a challenge. */
static void wear_out(net *n) {
    n->drop[DEVICE] = ~(1u << OURO_HELLO);
    for (int i = 0; i < OURO_PENDING_PER_DEVICE; i++) {
        net_restart(n, DEVICE);
        net_connect(n);
        net_run_for(n, 100);
    }
    /* Not one whose sessions do not last: it begins at once. */
    n->durable[DEVICE].shorts = 0;
    net_restart(n, DEVICE);
    n->drop[DEVICE] = 0;
}

/* A stream whose session is over, or which broke. */
static bool stream_is_over(const net *n) {
    const net_side *device = &n->side[DEVICE];
    return ouro_stream_is_broken(&device->link) || device->stream_ends > 0 ||
           n->side[GATEWAY].stream_ends > 0 ||
           (device->link.live[0] == NULL && device->client.phase == OURO_HANDSHAKE_IDLE);
}

/* What a carrier does then: it makes another. */
static void mend_stream(net *n) {
    if (!n->side[DEVICE].settings.stream || !stream_is_over(n))
        return;
    n->packet_count = 0;
    net_side *gateway = &n->side[GATEWAY];
    for (int who = 0; who < 2; who++) {
        n->side[who].stream_ends = 0;
        if (n->side[who].alive)
            (void)ouro_stream_ended(&n->side[who].link);
        net_pump(n, who);
    }
    /* A server's link ends with its stream: what it had not sent is its application's to repeat. */
    for (uint32_t i = 0; i < gateway->count; i++)
        if (gateway->messages[i].outcome == PENDING)
            gateway->messages[i].outcome = UNKNOWN;
    if (gateway->alive)
        ouro_link_erase(&gateway->link);
    gateway->alive = false;
    ouro_server_drop_pending(&n->server, &n->device, UINT64_MAX);
    net_connect(n);
}

static void pass(net *n, uint64_t ms) {
    for (uint64_t end = n->now_ms + ms; n->now_ms < end;) {
        net_run_for(n, 100);
        mend_stream(n);
    }
}

static void talk(net *n, int messages) {
    for (int i = 0; i < messages; i++) {
        (void)net_send(n, DEVICE, i != 1, 20);
        if (n->side[GATEWAY].alive)
            (void)net_send(n, GATEWAY, i != 1, 20 + 90 * (size_t)i);
        if (n->side[DEVICE].memory.prepared != NULL &&
            ouro_link_prepare(&n->side[DEVICE].link, 20) != OURO_OK)
            CHECK_EQUAL(n->faulty, true);
        pass(n, 300);
    }
}

static void sleep_for_a_while(net *n) {
    uint8_t saved[OURO_SAVED_SIZE(OURO_MAX_REACH)];
    ouro_link *link = &n->side[DEVICE].link;
    size_t len;
    for (int i = 0; i < 100 && !ouro_link_is_quiet(link); i++)
        pass(n, 100);
    if (ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) != OURO_OK &&
        ouro_link_save(link, n->now_ms, saved, sizeof saved, &len) != OURO_OK)
        return;
    pass(n, SLEPT_MS);
    if (ouro_link_restore(link, n->now_ms, SLEPT_MS, saved, len) != OURO_OK)
        net_connect(n);
    net_pump(n, DEVICE);
}

/* Each message has its outcome, and a true one. */
static bool all_told(const net *n) {
    for (int who = 0; who < 2; who++)
        for (uint32_t i = 0; i < n->side[who].count; i++) {
            const net_message *m = &n->side[who].messages[i];
            if (m->outcome == PENDING || m->handed_on > 1 ||
                (m->outcome == DELIVERED && m->handed_on != 1) ||
                (m->outcome == FAILED && m->handed_on != 0) ||
                (m->outcome == SENT && m->reliable)) {
                printf("  side %d message %" PRIu32 " outcome %d handed on %" PRIu32 "\n", who, i,
                       m->outcome, m->handed_on);
                return false;
            }
        }
    return true;
}

/* A message of each side is delivered, within two minutes. */
static bool works(net *n) {
    for (int who = 0; who < 2; who++) {
        uint32_t number = net_send(n, who, true, 20);
        for (int i = 0; number != UINT32_MAX && i < 1200; i++) {
            if (n->side[who].messages[number].outcome != PENDING)
                break;
            pass(n, 100);
        }
        if (number == UINT32_MAX || n->side[who].messages[number].outcome != DELIVERED)
            return false;
    }
    return true;
}

/* The number of calls; the run is good when it is not 0. */
static uint64_t run(const variant *v, uint64_t at) {
    keys_forget();
    fault_at = OURO_NEVER;
    net *n = net_new(&v->options);
    n->path.delay_ms = 30;
    if (v->challenged)
        wear_out(n);
    n->faulty = true;
    fault_calls = 0;
    fault_at = at;
    net_connect(n);
    pass(n, 3000);
    talk(n, 3);
    if (ouro_link_rekey(&n->side[DEVICE].link, n->now_ms) == OURO_OK)
        net_pump(n, DEVICE);
    pass(n, 1000);
    talk(n, 2);
    if (!v->options.stream)
        sleep_for_a_while(n);
    talk(n, 2);
    uint64_t calls = fault_calls;
    fault_at = OURO_NEVER;
    pass(n, 3 * MINUTE);
    bool good = works(n);
    if (!good)
        printf("  the link does not work\n");
    good = all_told(n) && good && n->trouble == 0 && keys_repeated == 0;
    if (!good)
        printf("  %s: call %" PRIu64 " fails, trouble %u, keys repeated %u\n", v->name, at,
               n->trouble, keys_repeated);
    net_free(n);
    return good ? calls : 0;
}

static void each_call_fails_once(void) {
    static const variant variants[] = {
        {"fixed", {.seed = 1}, false},
        {"evolving", {.seed = 2, .evolving = true}, false},
        {"challenged", {.seed = 3, .evolving = true}, true},
        {"small", {.seed = 4, .evolving = true, .small = true, .prepare = true}, false},
        {"stream", {.seed = 5, .evolving = true, .stream = true, .prepare = true}, false},
    };
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        uint64_t calls = run(&variants[i], OURO_NEVER), bad = 0;
        if (!CHECK(calls > 200))
            printf("  %s: %" PRIu64 " calls\n", variants[i].name, calls);
        for (uint64_t at = 0; at < calls; at++)
            bad += run(&variants[i], at) == 0;
        CHECK_EQUAL(bad, 0);
    }
}

/* From now on, call number `at` fails. */
static void arm(uint64_t at) {
    fault_calls = 0;
    fault_at = at;
}

static void chains_move_whole(void) {
    static const uint8_t zero[32] = {0};
    for (uint64_t at = 0; at < 6; at++) {
        uint8_t enc[32] = {1}, scr[32] = {2}, message[2][32];
        arm(at);
        CHECK(ouro_chain_step(enc, scr, 7, message[0], message[1]) == OURO_ERR_CRYPTO);
        arm(OURO_NEVER);
        CHECK(enc[0] == 1 && scr[0] == 2);
        CHECK_BYTES(enc + 1, zero, 31);
        CHECK_BYTES(scr + 1, zero, 31);
        CHECK_BYTES(message[0], zero, 32);
        CHECK_BYTES(message[1], zero, 32);
    }
}

static void epochs_move_whole(void) {
    static const uint8_t zero[32] = {0};
    for (uint64_t at = 0; at < 6; at++) {
        uint8_t key[32] = {1};
        arm(at);
        CHECK(ouro_epoch_advance(key, 5, 3) == OURO_ERR_CRYPTO);
        arm(OURO_NEVER);
        CHECK_EQUAL(key[0], 1);
        CHECK_BYTES(key + 1, zero, 31);
    }
}

/*
 * A HELLO three epochs ahead, whose call number `at` fails: the server's credential moves and is
 * told to, or neither, and the HELLO is answered when it comes again. The number of calls.
 */
static uint64_t hello_ahead(uint64_t at) {
    enum { AHEAD = 3 };
    net_options o;
    memset(&o, 0, sizeof o);
    o.evolving = true;
    net *n = net_new(&o);
    CHECK(ouro_epoch_advance(n->durable[DEVICE].key, 0, AHEAD) == OURO_OK);
    n->durable[DEVICE].epoch = AHEAD;
    net_restart(n, DEVICE);
    n->faulty = n->path.down = true;
    net_record(n);
    net_connect(n);
    net_sent hello = *net_find(n, DEVICE, OURO_HELLO, 0);
    ouro_credential before = n->device.credential;
    arm(at);
    bool taken = net_inject(n, GATEWAY, &n->side[DEVICE].addr, hello.bytes, hello.len) == OURO_OK;
    uint64_t calls = fault_calls;
    arm(OURO_NEVER);
    CHECK_EQUAL(taken, at == OURO_NEVER);
    CHECK_EQUAL(n->durable[GATEWAY].epoch, taken ? AHEAD : 0);
    CHECK_EQUAL(n->device.credential.epoch, taken ? AHEAD : 0);
    if (!taken) {
        static const ouro_ahead none;
        for (size_t i = 0; i < OURO_AHEAD_DEVICES; i++)
            if (n->ahead[i].device == NULL)
                CHECK(memcmp(&n->ahead[i], &none, sizeof none) == 0);
        CHECK_BYTES(n->device.credential.key, before.key, sizeof before.key);
        n->now_ms += 1000; /* keys ahead have a budget */
        CHECK(net_inject(n, GATEWAY, &n->side[DEVICE].addr, hello.bytes, hello.len) == OURO_OK);
    }
    CHECK_BYTES(n->device.credential.key, n->durable[DEVICE].key, OURO_KEY_SIZE);
    net_free(n);
    return calls;
}

/* Each call before and after the table of keys ahead, and some of those that fill it. */
static void hello_ahead_moves_whole(void) {
    enum { ENDS = 40, STRIDE = 211 };
    uint64_t calls = hello_ahead(OURO_NEVER);
    CHECK(calls > 2 * OURO_EPOCHS_AHEAD);
    for (uint64_t at = 0; at < calls; at += at < ENDS || at + ENDS > calls ? 1 : STRIDE)
        (void)hello_ahead(at);
}

/* A forward of a new run under the fleet's second secret, whose call number `at` fails. */
static uint64_t forward_under_second(uint64_t at) {
    static const uint8_t old[32] = {1}, new[32] = {2}, run[2][OURO_RUN_SIZE] = {{3}, {4}};
    uint8_t out[OURO_FORWARD_MAX], bytes[4] = {5}, calls = 0;
    ouro_forwarder forwarder;
    ouro_forward_window window;
    ouro_forward forward, taken;
    size_t len;
    ouro_forward_window_init(&window, new, 1, 2);
    ouro_forward_window_set_second(&window, old);
    memset(&forward, 0, sizeof forward);
    forward.kind = OURO_FORWARD_TO_OWNER;
    forward.packet = bytes;
    forward.len = sizeof bytes;
    for (uint64_t sent = 1; sent <= 4; sent++) {
        /* Two of each run; the first of the second run meets the failure. */
        if (sent == 3)
            ouro_forwarder_erase(&forwarder);
        if (sent % 2 == 1)
            CHECK(ouro_forwarder_init(&forwarder, old, 1, 2, run[sent / 2]) == OURO_OK);
        CHECK(ouro_forward_seal(&forwarder, sent, &forward, out, &len) == OURO_OK);
        arm(sent == 3 ? at : OURO_NEVER);
        ouro_status status = ouro_forward_open(&window, sent, out, len, &taken);
        if (sent == 3)
            calls = (uint8_t)fault_calls;
        arm(OURO_NEVER);
        CHECK(status == (sent == 3 && at != OURO_NEVER ? OURO_ERR_CRYPTO : OURO_OK));
        if (status == OURO_OK)
            CHECK_BYTES(taken.packet, bytes, sizeof bytes);
    }
    ouro_forwarder_erase(&forwarder);
    ouro_forward_window_erase(&window);
    return calls;
}

/* One forward is lost, no more: the next of its run is taken. */
static void forwards_go_on(void) {
    uint64_t calls = forward_under_second(OURO_NEVER);
    CHECK(calls > 4);
    for (uint64_t at = 0; at < calls; at++)
        (void)forward_under_second(at);
}

/* A HELLO that could not be made is made after a time-out; a stream ends as it does without one. */
static void hello_is_made_again(void) {
    for (int stream = 0; stream < 2; stream++) {
        net_options o = {.seed = 6, .stream = stream == 1};
        net *n = net_new(&o);
        n->faulty = true;
        arm(0);
        net_connect(n);
        arm(OURO_NEVER);
        CHECK_EQUAL(n->hellos, 0);
        net_run_for(n, stream == 1 ? OURO_STREAM_HANDSHAKE_MS - 1 : 3000 + 2 * 50);
        CHECK_EQUAL(n->side[DEVICE].established, stream == 0);
        CHECK(!ouro_stream_is_broken(&n->side[DEVICE].link));
        net_run_for(n, OURO_STREAM_HANDSHAKE_MS);
        CHECK_EQUAL(ouro_stream_is_broken(&n->side[DEVICE].link), stream == 1);
        CHECK_EQUAL(n->hellos, stream == 0);
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

/* Until there is neither a packet nor a failure, as link.h has it. */
static unsigned transmissions(ouro_link *link, uint64_t now) {
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    unsigned calls = 0;
    for (; calls < 1000; calls++)
        if (ouro_link_transmit(link, now, scratch, &out) == OURO_OK && out.len == 0)
            break;
    return calls;
}

/* Who calls again after each ERR_CRYPTO comes to an end where every call fails, too. */
static void a_library_that_fails_for_good(void) {
    for (int kind = 0; kind < 4; kind++) {
        net_options o = {.seed = 7, .evolving = true, .stream = kind == 1};
        net *n = net_connected(&o, 50);
        n->faulty = true;
        fault_stays = true;
        arm(0);
        for (int who = 0; who < 2; who++) {
            for (int i = 0; i < 8; i++)
                (void)net_send(n, who, i % 2 == 0, 20);
            CHECK(ouro_link_ping(&n->side[who].link) == OURO_OK);
        }
        if (kind == 2)
            CHECK(ouro_link_rekey(&n->side[GATEWAY].link, n->now_ms) == OURO_OK);
        if (kind == 3)
            CHECK(ouro_link_close(&n->side[DEVICE].link, n->now_ms, OURO_REASON_NORMAL, true) ==
                  OURO_OK);
        for (int who = 0; who < 2; who++) {
            CHECK(transmissions(&n->side[who].link, n->now_ms) < 20);
            net_pump(n, who);
        }
        fault_stays = false;
        arm(OURO_NEVER);
        pass(n, 3 * MINUTE);
        CHECK(all_told(n));
        CHECK(kind == 3 || works(n));
        CHECK_EQUAL(n->trouble, 0);
        net_free(n);
    }
}

void fault_tests(void) {
    RUN(chains_move_whole);
    RUN(epochs_move_whole);
    RUN(hello_ahead_moves_whole);
    RUN(forwards_go_on);
    RUN(hello_is_made_again);
    RUN(a_library_that_fails_for_good);
    RUN(each_call_fails_once);
}
