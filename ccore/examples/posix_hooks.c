/*
 * Hooks of a sensor on a POSIX system: time, and a UDP socket to the gateway that the environment
 * names in OUROBOROS_HOST and OUROBOROS_PORT. A name is tried with all its addresses.
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

enum {
    LONGEST_WAIT_MS = 50,
    LOOK_UP_MS = 300000,     /* a name is looked up anew after that */
    LOOK_UP_AGAIN_MS = 1000, /* and not sooner than that */
};

static int gateway = -1;
static struct addrinfo *addresses, *next;
static uint64_t looked_up_ms;
/* Something has come since the last HELLO. */
static bool heard;

uint64_t hook_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* It blocks: a sensor that has other things to do gives this to a thread. */
static void look_up(void) {
    struct addrinfo hints;
    const char *host = getenv("OUROBOROS_HOST"), *port = getenv("OUROBOROS_PORT");
    if (host == NULL || port == NULL) {
        fputs("sensor: OUROBOROS_HOST and OUROBOROS_PORT do not name a gateway\n", stderr);
        exit(EXIT_FAILURE);
    }
    if (addresses != NULL)
        freeaddrinfo(addresses);
    addresses = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_DGRAM;
    int why = getaddrinfo(host, port, &hints, &addresses);
    if (why != 0) {
        fprintf(stderr, "sensor: cannot find %s: %s\n", host, gai_strerror(why));
        addresses = NULL;
    }
    next = addresses;
    looked_up_ms = hook_now_ms();
}

/* A socket to the next address of the gateway's name, which is looked up anew after the last. */
static void take_next(void) {
    uint64_t age = hook_now_ms() - looked_up_ms;
    if (next == NULL && looked_up_ms != 0 && age < LOOK_UP_AGAIN_MS)
        return;
    if (next == NULL || age >= LOOK_UP_MS)
        look_up();
    if (gateway >= 0)
        close(gateway);
    gateway = -1;
    for (; next != NULL && gateway < 0; next = next->ai_next) {
        gateway = socket(next->ai_family, next->ai_socktype, next->ai_protocol);
        if (gateway >= 0 && connect(gateway, next->ai_addr, next->ai_addrlen) != 0) {
            close(gateway);
            gateway = -1;
        }
    }
}

/*
 * A datagram that the system does not take is one that the network lost. A HELLO, which has no
 * session, goes to another address when the one before was not answered.
 */
void hook_send(const uint8_t *packet, size_t len) {
    bool hello = ouro_packet_session_id(packet, len) == 0;
    if (gateway < 0 || (hello && (!heard || hook_now_ms() - looked_up_ms >= LOOK_UP_MS)))
        take_next();
    if (hello)
        heard = false;
    if (gateway >= 0 && send(gateway, packet, len, 0) < 0)
        perror("sensor: send");
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    ssize_t len = recv(gateway, packet, cap, MSG_DONTWAIT);
    heard = heard || len > 0;
    return len > 0 ? (size_t)len : 0;
}

/* Short, so that the loop looks for a reading now and then. */
void hook_wait_until(uint64_t ms) {
    uint64_t now = hook_now_ms(), left = ms > now ? ms - now : 0;
    struct pollfd ready = {.fd = gateway, .events = POLLIN};
    (void)poll(&ready, 1, left < LONGEST_WAIT_MS ? (int)left : LONGEST_WAIT_MS);
}
