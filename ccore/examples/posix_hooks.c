/*
 * Hooks of a sensor on a POSIX system: time, and a UDP socket to the gateway that the environment
 * names in OUROBOROS_HOST and OUROBOROS_PORT.
 */
#include "bare_hooks.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_WAIT_MS = 50 };

static int gateway(void) {
    static int fd = -1;
    struct addrinfo hints, *found = NULL;
    const char *host = getenv("OUROBOROS_HOST"), *port = getenv("OUROBOROS_PORT");
    if (fd >= 0)
        return fd;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_DGRAM;
    if (host == NULL || port == NULL || getaddrinfo(host, port, &hints, &found) != 0) {
        fputs("sensor: OUROBOROS_HOST and OUROBOROS_PORT do not name a gateway\n", stderr);
        exit(EXIT_FAILURE);
    }
    fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        perror("sensor: no socket to the gateway");
        exit(EXIT_FAILURE);
    }
    freeaddrinfo(found);
    return fd;
}

uint64_t hook_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A datagram that the system does not take is one that the network lost. */
void hook_send(const uint8_t *packet, size_t len) {
    if (send(gateway(), packet, len, 0) < 0)
        perror("sensor: send");
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    ssize_t len = recv(gateway(), packet, cap, MSG_DONTWAIT);
    return len > 0 ? (size_t)len : 0;
}

/* Short, so that the loop looks for a reading now and then. */
void hook_wait_until(uint64_t ms) {
    uint64_t now = hook_now_ms(), left = ms > now ? ms - now : 0;
    struct pollfd ready = {.fd = gateway(), .events = POLLIN};
    (void)poll(&ready, 1, left < LONGEST_WAIT_MS ? (int)left : LONGEST_WAIT_MS);
}
