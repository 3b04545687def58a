/*
 * Hooks of the sensor in QEMU beside those of file_hooks.c: the card that joins it to the gateway,
 * and the host's clock, for this board's own stops while it waits.
 */
#include "../examples/bare_hooks.h"
#include "board.h"
#include "network_card.h"
#include "semihost.h"
#include <stdio.h>

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SCB_ICSR (*(volatile uint32_t *)0xE000ED04u)

enum { TICKS_A_WAIT = 25000 /* 1 ms of the machines' 25 MHz */, NS_A_MS = 1000000 };
#define SYST_RUN_AND_INTERRUPT 7u
#define ICSR_CLEAR_SYSTICK 0x2000000u

/* Of newlib's rdimon: opens the console. */
void initialise_monitor_handles(void);

uint64_t hook_now_ms(void) {
    uint64_t nanoseconds = 0;
    (void)semihost(SYS_ELAPSED, &nanoseconds);
    return nanoseconds / NS_A_MS;
}

static void start_card(void) {
    static bool started;
    if (!started && !network_card_start())
        board_exit(1);
    started = true;
}

void hook_send(const uint8_t *packet, size_t len) {
    start_card();
    network_card_send(packet, len);
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    start_card();
    return network_card_receive(packet, cap);
}

/* A tick that is pending wakes the core though interrupts are masked: it needs no handler. */
void hook_wait_until(uint64_t ms) {
    if (hook_now_ms() >= ms)
        return;
    __asm__ volatile("cpsid i");
    SYST_RVR = TICKS_A_WAIT;
    SYST_CVR = 0;
    SYST_CSR = SYST_RUN_AND_INTERRUPT;
    __asm__ volatile("wfi");
    SYST_CSR = 0;
    SCB_ICSR = ICSR_CLEAR_SYSTICK;
    __asm__ volatile("cpsie i");
}

/* In place of the sensor's main, at which start-up calls: the C library's console comes first. */
int __real_main(void);
int __wrap_main(void);
int __wrap_main(void) {
    initialise_monitor_handles();
    int status = __real_main();
    (void)fflush(NULL);
    return status;
}
