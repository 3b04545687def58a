/*
 * Instructions and stack of the engine's calls on an emulated board, under -icount: each emulated
 * instruction takes the same virtual time, which a loop of known length turns into a number.
 */
#include "board.h"
#include "crypto_pool.h"
#include "pair.h"
#include "stack_paint.h"
#include <stdio.h>
#include <string.h>

enum { REPEATS = 9, LOOPS = 20000, INSTRUCTIONS_A_LOOP = 2 };

static pair two;

static struct {
    ouro_session client, server;
    ouro_slot client_slots[2 * PAIR_REACH], server_slots[2 * PAIR_REACH];
    ouro_prepared prepared;
    uint8_t packet[OURO_MAX_PACKET];
    size_t len;
    ouro_status status;
} direct;

static uint32_t ticks_of_loops;

__attribute__((noinline)) static void count_down(uint32_t loops) {
#ifdef __arm__
    __asm__ volatile(".syntax unified\n1: subs %0, #1\nbne 1b" : "+l"(loops) : : "cc");
#else
    __asm__ volatile("1: addi %0, %0, -1\nbnez %0, 1b" : "+r"(loops));
#endif
}

static uint32_t ticks_of(void (*call)(void *), void *argument) {
    uint32_t start = board_ticks();
    call(argument);
    return (board_ticks() - start) & BOARD_TICK_MASK;
}

static void loop_of(void *loops) {
    count_down(*(uint32_t *)loops);
}

static void nothing(void *unused) {
    (void)unused;
}

/* What the measuring itself takes falls out of the difference of two lengths. */
static void calibrate(void) {
    uint32_t once = LOOPS, twice = 2 * LOOPS;
    ticks_of_loops = ticks_of(loop_of, &twice) - ticks_of(loop_of, &once);
}

static uint32_t instructions_of(void (*call)(void *), void *argument) {
    uint32_t ticks = ticks_of(call, argument) - ticks_of(nothing, NULL);
    return (uint32_t)((uint64_t)ticks * LOOPS * INSTRUCTIONS_A_LOOP / ticks_of_loops);
}

static void protect(void *unused) {
    uint64_t counter;
    (void)unused;
    direct.status = ouro_session_protect(&direct.client, OURO_DATA, OURO_FLAG_ACK_REQ,
                                         direct.packet, direct.len, &counter);
}

static void prepare(void *unused) {
    (void)unused;
    direct.status = ouro_session_prepare(&direct.client, direct.len);
}

static void open(void *unused) {
    ouro_header header;
    ouro_body body;
    (void)unused;
    direct.status =
        ouro_packet_decode(direct.packet, OURO_OVERHEAD + direct.len, OURO_MAX_BODY, &header);
    if (direct.status == OURO_OK)
        direct.status = ouro_session_open(&direct.server, &header, direct.packet, &body);
}

static bool make_sessions(bool prepared) {
    uint8_t up[32], down[32];
    memset(&direct, 0, sizeof direct);
    memset(up, 1, sizeof up);
    memset(down, 2, sizeof down);
    if (ouro_session_init(&direct.client, OURO_CLIENT, 9, up, down, direct.client_slots,
                          PAIR_REACH) != OURO_OK ||
        ouro_session_init(&direct.server, OURO_SERVER, 9, up, down, direct.server_slots,
                          PAIR_REACH) != OURO_OK)
        return false;
    direct.client.prepared = prepared ? &direct.prepared : NULL;
    return true;
}

static uint32_t middle(uint32_t *values) {
    for (int i = 1; i < REPEATS; i++)
        for (int k = i; k > 0 && values[k] < values[k - 1]; k--) {
            uint32_t swap = values[k];
            values[k] = values[k - 1];
            values[k - 1] = swap;
        }
    return values[REPEATS / 2];
}

static void print(const char *what, size_t len, uint32_t value) {
    printf("measure %s_%lu %lu\n", what, (unsigned long)len, (unsigned long)value);
}

static bool exchange_size(size_t len, bool prepared) {
    uint32_t sealing[REPEATS], opening[REPEATS], preparing[REPEATS] = {0};
    if (!make_sessions(prepared))
        return false;
    for (int i = 0; i < REPEATS; i++) {
        memset(direct.packet + OURO_HEADER_SIZE, i, len);
        direct.len = len;
        if (prepared)
            preparing[i] = instructions_of(prepare, NULL);
        sealing[i] = instructions_of(protect, NULL);
        opening[i] = instructions_of(open, NULL);
        if (direct.status != OURO_OK)
            return false;
    }
    print(prepared ? "protect_prepared" : "protect", len, middle(sealing));
    if (prepared)
        print("prepare", len, middle(preparing));
    else
        print("open", len, middle(opening));
    return true;
}

/* The device's own calls, each on a stack of its own. */
static uint8_t nonce[OURO_NONCE_SIZE], packet[OURO_MAX_PACKET];
static size_t packet_len;
static ouro_status result;
static uint32_t deepest, handshake_instructions;

static void call_nonce(void *unused) {
    (void)unused;
    result = ouro_link_nonce(&two.device.link, nonce);
}

static void call_receive(void *unused) {
    (void)unused;
    result = ouro_link_receive(&two.device.link, two.now_ms, NULL, packet, packet_len);
}

static void call_transmit(void *unused) {
    static uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    (void)unused;
    result = ouro_link_transmit(&two.device.link, two.now_ms, scratch, &out);
    packet_len = out.len;
    if (out.len > 0)
        memcpy(packet, out.data, out.len);
}

static void note(const char *what, uint32_t bytes) {
    printf("measure stack_%s %lu\n", what, (unsigned long)bytes);
    if (bytes > deepest)
        deepest = bytes;
}

static bool welcome(void) {
    pair_gateway *g = &two.gateway;
    uint8_t reply[OURO_WELCOME_SIZE];
    bool moved;
    if (ouro_server_hello(&g->server, two.now_ms, &g->registered, NULL, packet, packet_len, 77,
                          nonce, reply, &moved) != OURO_OK)
        return false;
    memcpy(packet, reply, sizeof reply);
    packet_len = sizeof reply;
    return true;
}

/* A handshake and one message, call by call: stack when `paint`, else instructions. */
static bool device_calls(bool paint) {
    ouro_event e;
    uint32_t id;
    pair_init(&two, false);
    if (ouro_link_connect(&two.device.link, two.now_ms) != OURO_OK ||
        !ouro_link_next_event(&two.device.link, &e) || e.type != OURO_EVENT_NONCE)
        return false;
    if (paint)
        note("hello", (uint32_t)stack_of(call_nonce, NULL));
    else
        handshake_instructions = instructions_of(call_nonce, NULL);
    call_transmit(NULL);
    if (!welcome())
        return false;
    if (paint)
        note("welcome", (uint32_t)stack_of(call_receive, NULL));
    else
        handshake_instructions += instructions_of(call_receive, NULL);
    if (result != OURO_OK)
        return false;
    ouro_message m = {.data = nonce, .len = sizeof nonce, .reliable = true};
    if (ouro_link_send(&two.device.link, two.now_ms, &m, &id) != OURO_OK)
        return false;
    if (paint)
        note("transmit", (uint32_t)stack_of(call_transmit, NULL));
    return result == OURO_OK;
}

/* The stack of opening DATA is that of a session's open; receive adds the link's frames. */
static bool receive_calls(void) {
    static uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    uint32_t id;
    pair_init(&two, false);
    if (!pair_connect(&two) || !pair_send(&two, PAIR_DEVICE, 64))
        return false;
    ouro_message m = {.data = nonce, .len = sizeof nonce, .reliable = true};
    if (ouro_link_send(&two.gateway.link, two.now_ms, &m, &id) != OURO_OK ||
        ouro_link_transmit(&two.gateway.link, two.now_ms, scratch, &out) != OURO_OK)
        return false;
    packet_len = out.len;
    memcpy(packet, out.data, out.len);
    note("receive", (uint32_t)stack_of(call_receive, NULL));
    return result == OURO_OK;
}

int main(void) {
    static const size_t sizes[] = {16, 64, 256, 1024};
    bool good = true;
    crypto_pool_init();
    calibrate();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        good = good && exchange_size(sizes[i], false) && exchange_size(sizes[i], true);
    good = good && device_calls(false);
    printf("measure handshake %lu\n", (unsigned long)handshake_instructions);
    good = good && device_calls(true) && receive_calls();
    printf("measure stack_painted %lu\n", (unsigned long)deepest);
    printf("measure pool_peak %lu\n", (unsigned long)crypto_pool_peak());
    return good ? 0 : 1;
}
