/* Start-up for QEMU's RV32 machine `virt`: memory, console on its UART, exit by its test device. */
#include "board.h"

#include <string.h>

#define UART ((volatile uint8_t *)0x10000000u)
#define TEST_DEVICE (*(volatile uint32_t *)0x100000u)
#define MTIME (*(volatile uint32_t *)0x0200bff8u)

enum { TEST_PASS = 0x5555, TEST_FAIL = 0x3333, FAULT_STATUS = 70 };

extern uint8_t image_data_from[], image_data[], image_data_end[], image_bss[], image_bss_end[];

void board_write(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        *UART = (uint8_t)text[i];
}

void board_exit(int status) {
    TEST_DEVICE = status == 0 ? TEST_PASS : (uint32_t)status << 16 | TEST_FAIL;
    for (;;)
        ;
}

uint32_t board_ticks(void) {
    return MTIME & BOARD_TICK_MASK;
}

/* This emulated core carries unaligned loads out; -mstrict-align keeps the compiler from them. */
bool board_can_fault(void) {
    return false;
}

bool board_unaligned_load_faults(void) {
    return false;
}

__attribute__((used, aligned(4))) static void fault(void) {
    static const char text[] = "a trap that was not expected\n";
    board_write(text, sizeof text - 1);
    board_exit(FAULT_STATUS);
}

__attribute__((naked, section(".start"), used)) void board_reset(void);
void board_reset(void) {
    __asm__ volatile(".option push\n"
                     ".option arch, +zicsr\n"
                     ".option norelax\n"
                     "la gp, __global_pointer$\n"
                     "la tp, image_tls\n"
                     "la sp, board_stack_top\n"
                     "la t0, fault\n"
                     "csrw mtvec, t0\n"
                     ".option pop\n"
                     "j board_start\n");
}

__attribute__((used, noreturn)) void board_start(void);
void board_start(void) {
    memcpy(image_data, image_data_from, (size_t)(image_data_end - image_data));
    memset(image_bss, 0, (size_t)(image_bss_end - image_bss));
    board_exit(main());
}
