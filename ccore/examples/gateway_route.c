#include "gateway_route.h"

#include <string.h>

bool route_begin_look_up(gateway_route *route, uint64_t now, bool hello) {
    bool soon = route->count == 0 || (hello && route->unanswered);
    uint64_t pause = soon ? (uint64_t)ROUTE_LOOK_UP_SOON_MS << route->failures : ROUTE_LOOK_UP_MS;
    if (route->looked_up && now - route->looked_up_ms < pause)
        return false;
    route->looked_up = true;
    route->looked_up_ms = now;
    return true;
}

void route_found(gateway_route *route, const route_address *found, size_t count) {
    if (count == 0) {
        if (route->failures < ROUTE_FAILURES_MOST)
            route->failures++;
        return;
    }
    route->failures = 0;
    route->count = (uint8_t)(count < ROUTE_ADDRESSES ? count : ROUTE_ADDRESSES);
    memcpy(route->found, found, route->count * sizeof *found);
}

static bool same(const route_address *a, const route_address *b) {
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Of an address among those that were found; `count`: it is none of them. */
static size_t place(const gateway_route *route, const route_address *address) {
    size_t at = 0;
    while (at < route->count && !same(&route->found[at], address))
        at++;
    return at;
}

static void move(gateway_route *route, uint64_t now, size_t at) {
    route->current = route->found[at];
    route->moved_ms = now;
    route->settled = false;
}

const route_address *route_next(gateway_route *route, uint64_t now, bool hello) {
    if (route->count == 0)
        return NULL;
    size_t at = place(route, &route->current);
    bool lost =
        hello ? route->unanswered : !route->settled && now - route->moved_ms >= ROUTE_STEP_MS;
    if (at == route->count && (hello || !route->settled))
        move(route, now, 0);
    else if (lost)
        move(route, now, (at + 1) % route->count);
    route->unanswered = route->unanswered || hello;
    return &route->current;
}

/* The answer to a HELLO may come once another was sent elsewhere. */
bool route_heard(gateway_route *route, const route_address *from) {
    if (!same(from, &route->current) && place(route, from) == route->count)
        return false;
    if (!route->settled)
        route->current = *from;
    route->settled = true;
    route->unanswered = false;
    return true;
}
