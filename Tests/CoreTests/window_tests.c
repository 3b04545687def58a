/* Section 5: the ring of key slots, against a model that keeps everything. */
#include "check.h"

#include "ouroboros/packet.h"
#include "ouroboros/ratchet.h"
#include "ouroboros/window.h"
#include <string.h>

enum { COUNTERS = 3000 };

static uint32_t state;

static uint32_t next_random(void) {
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static void tag_of(uint64_t counter, uint8_t tag[16]) {
    memset(tag, (int)(counter * 37 + 1), 16);
}

static ouro_window make(ouro_slot *slots, uint8_t reach) {
    ouro_window window;
    ouro_window_init(&window, slots, reach);
    memset(window.chain_enc, 1, 32);
    memset(window.chain_scr, 2, 32);
    return window;
}

/* The key of each counter, from a chain that runs alone. */
static uint8_t keys[COUNTERS][64];

static void make_keys(void) {
    uint8_t a[32], b[32];
    memset(a, 1, 32);
    memset(b, 2, 32);
    for (uint64_t n = 0; n < COUNTERS; n++)
        CHECK_EQUAL(ouro_chain_step(a, b, n, keys[n], keys[n] + 32), OURO_OK);
}

static void against_a_model(uint8_t reach) {
    static bool opened[COUNTERS];
    ouro_slot slots[2 * OURO_MAX_REACH];
    ouro_window window = make(slots, reach);
    int64_t highest = -1;
    memset(opened, 0, sizeof opened);
    for (int step = 0; step < 20000 && highest < COUNTERS - 3 * reach; step++) {
        int64_t n = highest + (int64_t)(next_random() % (3u * reach)) - reach;
        if (n < 0)
            continue;
        uint8_t tag[16];
        tag_of((uint64_t)n, tag);
        ouro_status want = OURO_OK;
        if (n < highest + 1 - reach)
            want = OURO_DROP_REPLAY;
        else if (n > highest + reach)
            want = OURO_DROP_AHEAD;
        else if (opened[n])
            want = OURO_DROP_DUPLICATE;
        CHECK_EQUAL(ouro_window_check(&window, (uint64_t)n, tag), want);
        if (want == OURO_DROP_DUPLICATE) {
            tag[3] ^= 1;
            CHECK_EQUAL(ouro_window_check(&window, (uint64_t)n, tag), OURO_DROP_REPLAY);
        }
        if (want != OURO_OK)
            continue;
        ouro_slot *slot;
        CHECK_EQUAL(ouro_window_keys(&window, (uint64_t)n, &slot), OURO_OK);
        CHECK_BYTES(slot->secret, keys[n], 64);
        /* A forged packet stops here: the keys stay, and are not derived again. */
        if (next_random() % 4 == 0) {
            uint64_t keyed = window.keyed;
            CHECK_EQUAL(ouro_window_keys(&window, (uint64_t)n, &slot), OURO_OK);
            CHECK_EQUAL(window.keyed, keyed);
            continue;
        }
        ouro_window_commit(&window, (uint64_t)n, tag, 1, 9);
        opened[n] = true;
        highest = n > highest ? n : highest;
        CHECK_EQUAL(window.next, highest + 1);
    }
    CHECK(highest > 500);
}

static void every_reach(void) {
    make_keys();
    state = 1;
    for (unsigned reach = OURO_MIN_REACH; reach <= OURO_MAX_REACH; reach++)
        against_a_model((uint8_t)reach);
}

/* An opened slot holds its tag and nothing of its keys, a slot behind the window nothing at all. */
static void erasure(void) {
    static const uint8_t zeros[64];
    ouro_slot slots[8];
    ouro_window window = make(slots, 4);
    uint8_t tag[16];
    ouro_slot *slot;
    tag_of(0, tag);
    CHECK_EQUAL(ouro_window_keys(&window, 3, &slot), OURO_OK);
    CHECK(memcmp(slots[0].secret, zeros, 64) != 0);
    ouro_window_commit(&window, 0, tag, 0, 5);
    CHECK_BYTES(slots[0].secret, tag, 16);
    CHECK_BYTES(slots[0].secret + 16, zeros, 48);
    tag_of(4, tag);
    CHECK_EQUAL(ouro_window_keys(&window, 4, &slot), OURO_OK);
    ouro_window_commit(&window, 4, tag, 0, 5);
    CHECK_BYTES(slots[0].secret, zeros, 64);
    CHECK_EQUAL(slots[0].state, OURO_SLOT_EMPTY);
    ouro_window_erase(&window);
    for (size_t i = 0; i < 8; i++)
        CHECK_BYTES(slots[i].secret, zeros, 64);
}

static void moved_to_a_larger_ring(void) {
    ouro_slot small[8], large[32];
    ouro_window window = make(small, 4);
    uint8_t tag[16];
    ouro_slot *slot;
    make_keys();
    CHECK_EQUAL(ouro_window_keys(&window, 3, &slot), OURO_OK);
    tag_of(2, tag);
    ouro_window_commit(&window, 2, tag, 1, 5);
    ouro_window_move(&window, large, 16);
    CHECK_EQUAL(ouro_window_check(&window, 2, tag), OURO_DROP_DUPLICATE);
    CHECK_EQUAL(ouro_window_keys(&window, 1, &slot), OURO_OK);
    CHECK_BYTES(slot->secret, keys[1], 64);
    CHECK_EQUAL(ouro_window_keys(&window, 18, &slot), OURO_OK);
    CHECK_BYTES(slot->secret, keys[18], 64);
    static const uint8_t zeros[64];
    for (size_t i = 0; i < 8; i++)
        CHECK_BYTES(small[i].secret, zeros, 64);
}

void window_tests(void) {
    RUN(every_reach);
    RUN(erasure);
    RUN(moved_to_a_larger_ring);
}
