/* What the images of emulated boards ask of their start-up code. */
#ifndef OURO_BOARD_H
#define OURO_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Console of the host that emulates the board. */
void board_write(const char *text, size_t len);

/* Ends the emulation; the host sees `status` as the emulator's exit status. */
void board_exit(int status) __attribute__((noreturn));

/* Counts up, modulo 2^24; how fast in instructions is found with a calibrated loop. */
#define BOARD_TICK_MASK 0xffffffu
uint32_t board_ticks(void);

/* The lowest byte of the stack and the one past its highest. */
extern uint8_t board_stack_low[], board_stack_top[];

/* True if this emulated core faults on an unaligned load; RV32's does not. */
bool board_can_fault(void);

/* Loads a word from an odd address; true if that faulted. */
bool board_unaligned_load_faults(void);

int main(void);

#endif
