/* Hooks of a sensor on a POSIX system beside those of file_hooks.c and socket_hooks.c. */
#include "bare_hooks.h"
#include "socket_hooks.h"

#include <stdio.h>
#include <time.h>

uint64_t hook_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void hook_say(const char *line) {
    fprintf(stderr, "sensor: %s\n", line);
}
