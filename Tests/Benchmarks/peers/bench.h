/* What is measured of a peer; each part prints its own fields of the result line. */
#ifndef BENCH_H
#define BENCH_H

#include "wire.h"

/* CPU time of this process, user and system, in microseconds. */
double cpu_us(void);

/* Handshakes, and the memory of many sessions, all in this process. */
void measure_sessions(int sessions);

/* Round trips and one-way messages between two processes over UDP. */
void measure_traffic(size_t size, int round_trips, int one_way);

#endif
