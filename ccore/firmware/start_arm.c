/*
 * Start-up for Cortex-M under QEMU: vector table, memory, a trap for every unaligned access, the
 * console and the exit by semihosting.
 */
#include "board.h"
#include "semihost.h"

#include <string.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SCB_CCR REGISTER(0xE000ED14u)
#define CCR_UNALIGN_TRP 0x8u
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define SYST_RUN 5u /* enabled, of the core's clock */

enum { FAULT_STATUS = 70 };

extern uint8_t image_data_from[], image_data[], image_data_end[], image_bss[], image_bss_end[];
extern uint8_t board_stack_low[], board_stack_top[];

static volatile bool fault_expected, fault_seen;

void board_write(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        (void)semihost(SYS_WRITEC, text + i);
}

void board_exit(int status) {
    const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};
    (void)semihost(SYS_EXIT_EXTENDED, block);
    for (;;)
        ;
}

uint32_t board_ticks(void) {
    return BOARD_TICK_MASK - SYST_CVR;
}

bool board_can_fault(void) {
    return true;
}

bool board_unaligned_load_faults(void) {
    static const uint32_t words[2] = {1, 2};
    uint32_t got;
    fault_seen = false;
    fault_expected = true;
    __asm__ volatile("ldr %0, [%1]" : "=l"(got) : "l"((uintptr_t)words + 1) : "memory");
    fault_expected = false;
    return fault_seen;
}

static void write_hex(uint32_t number) {
    char text[9];
    for (int i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[(number >> (28 - 4 * i)) & 15];
    text[8] = '\n';
    board_write(text, sizeof text);
}

/* The stacked program counter is moved past the load that was meant to fault. */
__attribute__((used)) static void fault(uint32_t *frame) {
    if (!fault_expected) {
        static const char text[] = "a fault that was not expected, at 0x";
        board_write(text, sizeof text - 1);
        write_hex(frame[6]);
        board_exit(FAULT_STATUS);
    }
    fault_seen = true;
    uint16_t first = *(const uint16_t *)(uintptr_t)frame[6];
    frame[6] += first >= 0xe800 ? 4 : 2;
}

__attribute__((naked)) static void on_fault(void) {
    __asm__ volatile("mov r0, sp\n"
                     "ldr r1, =fault\n"
                     "bx r1\n"
                     ".ltorg");
}

__attribute__((naked)) void board_reset(void);
__attribute__((naked, used)) void board_reset(void) {
    __asm__ volatile("ldr r0, =board_stack_top\n"
                     "mov sp, r0\n"
                     "bl board_start\n"
                     ".ltorg");
}

__attribute__((used, noreturn)) void board_start(void);
void board_start(void) {
    memcpy(image_data, image_data_from, (size_t)(image_data_end - image_data));
    memset(image_bss, 0, (size_t)(image_bss_end - image_bss));
    SCB_CCR |= CCR_UNALIGN_TRP;
    SYST_RVR = BOARD_TICK_MASK;
    SYST_CVR = 0;
    SYST_CSR = SYST_RUN;
    board_exit(main());
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)board_stack_top,
    board_reset,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
};
