/*
 * The test image of an emulated board: every vector, a session with 1,000 messages between a small
 * device and a gateway, sleep and restore, the fault runs, and a load that has to fault.
 */
#include "board.h"
#include "check.h"
#include "crypto_pool.h"
#include "fault_run.h"
#include "pair.h"
#include "stack_paint.h"
#include <stdio.h>

enum { MESSAGES = 1000 };

static pair two;

static void thousand(bool prepared) {
    pair_init(&two, prepared);
    CHECK(pair_connect(&two));
    for (int i = 0; i < MESSAGES; i++) {
        if (prepared)
            CHECK_EQUAL(ouro_link_prepare(&two.device.link, 64), OURO_OK);
        if (!CHECK(pair_send(&two, i % 4 == 3 ? PAIR_GATEWAY : PAIR_DEVICE, 4 + (size_t)i % 77)))
            return;
    }
    CHECK_EQUAL(two.handed_on[PAIR_GATEWAY] + two.handed_on[PAIR_DEVICE], MESSAGES);
    CHECK_EQUAL(two.established[PAIR_DEVICE], 1);
    CHECK_EQUAL(two.trouble, 0);
}

static void a_thousand_messages(void) {
    thousand(false);
}

static void a_thousand_messages_prepared(void) {
    thousand(true);
}

static void sleep_and_restore(void) {
    static uint8_t saved[OURO_SAVED_SIZE(PAIR_REACH)];
    size_t len = 0;
    pair_init(&two, false);
    CHECK(pair_connect(&two));
    for (int night = 0; night < 3; night++) {
        CHECK(pair_send(&two, PAIR_DEVICE, 20));
        pair_wait(&two, 5000);
        CHECK_EQUAL(ouro_link_save(&two.device.link, two.now_ms, saved, sizeof saved, &len),
                    OURO_OK);
        /* The device's memory is gone; a new link takes the session up. */
        ouro_link_erase(&two.device.link);
        CHECK_EQUAL(ouro_link_init(&two.device.link, &two.settings[PAIR_DEVICE],
                                   &two.memory[PAIR_DEVICE], &two.credential, 5),
                    OURO_OK);
        two.now_ms += 3600000;
        CHECK_EQUAL(ouro_link_restore(&two.device.link, two.now_ms, 3600000, saved, len), OURO_OK);
        CHECK(pair_send(&two, PAIR_DEVICE, 20));
        CHECK(pair_send(&two, PAIR_GATEWAY, 20));
    }
    CHECK_EQUAL(two.established[PAIR_GATEWAY], 1);
    CHECK_EQUAL(two.trouble, 0);
}

static void fault_runs(void) {
    for (uint32_t seed = 1; seed <= FAULT_RUNS; seed++)
        fault_run(seed);
}

/* All other tests ran with the trap set: the engine and the crypto library load nothing so. */
static void an_unaligned_load_faults(void) {
    CHECK(board_unaligned_load_faults());
}

static void all(void *unused) {
    (void)unused;
    crypto_tests();
    vector_tests();
    RUN(a_thousand_messages);
    RUN(a_thousand_messages_prepared);
    RUN(sleep_and_restore);
    RUN(primitives_run);
    RUN(fault_runs);
    if (board_can_fault())
        RUN(an_unaligned_load_faults);
    else
        printf("unaligned loads: this emulated core carries them out, so none can be shown to "
               "fault\n");
}

int main(void) {
    crypto_pool_init();
    size_t deepest = stack_of(all, NULL);
    printf("stack: %lu bytes at the deepest, the tests' own frames included\n",
           (unsigned long)deepest);
    crypto_pool_print();
    return report_sum() ? 0 : 1;
}
