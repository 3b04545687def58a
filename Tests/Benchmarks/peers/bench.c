/*
 * Measures the peer that it is linked with, and prints one line of tab-separated fields:
 *
 *     NAME  SIZE  then those of measure_traffic, then those of measure_sessions
 */
#include "bench.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

double cpu_us(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

int main(int argc, char **argv) {
    int size = argc == 6 ? atoi(argv[2]) : 0, round_trips = argc == 6 ? atoi(argv[3]) : 0;
    int one_way = argc == 6 ? atoi(argv[4]) : 0, sessions = argc == 6 ? atoi(argv[5]) : 0;
    if (size < 1 || size > 1200 || round_trips < 100 || one_way < 100 || sessions < 1 ||
        sessions > 400) {
        fputs("usage: peer NAME SIZE ROUND_TRIPS ONE_WAY SESSIONS (bytes up to 1200, at least 100 "
              "messages, 1 to 400 sessions)\n",
              stderr);
        return EXIT_FAILURE;
    }
    peer_start();
    printf("%s\t%d", argv[1], size);
    fflush(stdout); /* or a forked process has it in its buffer too */
    measure_traffic((size_t)size, round_trips, one_way);
    measure_sessions(sessions);
    putchar('\n');
    return EXIT_SUCCESS;
}
