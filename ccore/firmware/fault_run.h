/*
 * 200 messages each way at 20 % loss and 5 % corruption, reordered by jitter, with a silence of
 * 60 s in the middle, all on a virtual clock. The same on a host and on an emulated board.
 */
#ifndef OURO_FAULT_RUN_H
#define OURO_FAULT_RUN_H

#include <stdint.h>

enum { FAULT_RUNS = 2 };

void fault_run(uint32_t seed);

/*
 * Seals, scrambles and hashes bodies of 0 to 300 bytes and prints what it comes to: the small GCM
 * and SHA-256 against the library of the host.
 */
void primitives_run(void);

#endif
