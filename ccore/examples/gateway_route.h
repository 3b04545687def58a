/*
 * Where a sensor's packets go: its gateway has a name, and a name has addresses, which change. Here
 * stands when the name is looked up and which address is next; the board looks up, and sends. An
 * address is the platform's own, as bytes. A route begins as zeros.
 */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ROUTE_ADDRESSES = 8,
    ROUTE_ADDRESS_SIZE = 28,      /* a struct sockaddr_in6 */
    ROUTE_LOOK_UP_MS = 300000,    /* a name is looked up anew after that, */
    ROUTE_LOOK_UP_SOON_MS = 1000, /* while nobody answers as soon as after that, */
    ROUTE_FAILURES_MOST = 5,      /* doubled by each look-up that failed, so often */
    ROUTE_STEP_MS = 250,          /* between two addresses (RFC 8305, 5) */
};

typedef struct route_address {
    uint8_t bytes[ROUTE_ADDRESS_SIZE];
    uint8_t len; /* 0: none */
} route_address;

typedef struct gateway_route {
    route_address found[ROUTE_ADDRESSES]; /* what the name had last */
    route_address current;                /* where packets go */
    uint64_t looked_up_ms, moved_ms;
    uint8_t count;
    uint8_t failures; /* look-ups in a row that found nothing */
    bool looked_up;
    bool unanswered; /* a HELLO went out, and nothing came since */
    bool settled;    /* something came from `current` */
} gateway_route;

/*
 * True when the name is to be looked up now, which counts as begun: before a packet goes out (HELLO
 * has no session), and now and then while nothing does.
 */
bool route_begin_look_up(gateway_route *route, uint64_t now_ms, bool hello);

/* What a look-up has found. With nothing, those of before stay; above ROUTE_ADDRESSES are left. */
void route_found(gateway_route *route, const route_address *found, size_t count);

/*
 * Where a packet goes; NULL as long as there is no address. A HELLO goes on to the next address
 * when the one before was not answered, and so does a saved session until something has come. Then
 * it stays where it is.
 */
const route_address *route_next(gateway_route *route, uint64_t now_ms, bool hello);

/* A packet came from there; false where that is no address of the gateway. */
bool route_heard(gateway_route *route, const route_address *from);

#ifdef __cplusplus
}
#endif

#endif
