/* The way to a gateway that has a name, of the example as it ships. */
#include "check.h"

#include <string.h>

#include "../../ccore/examples/gateway_route.c"

enum { SOON = ROUTE_LOOK_UP_SOON_MS, LATE = ROUTE_LOOK_UP_MS, STEP = ROUTE_STEP_MS };

static route_address address(uint8_t number) {
    route_address made = {.len = 16};
    memset(made.bytes, number, made.len);
    return made;
}

/* What a look-up gives: the addresses `first` to `last`. */
static void name_has(gateway_route *route, uint8_t first, uint8_t last) {
    route_address found[255];
    size_t count = 0;
    for (uint8_t number = first; number <= last; number++)
        found[count++] = address(number);
    route_found(route, found, count);
}

/* Where a packet goes; 0: nowhere. */
static uint8_t goes_to(gateway_route *route, uint64_t now, bool hello) {
    const route_address *to = route_next(route, now, hello);
    return to != NULL ? to->bytes[0] : 0;
}

static bool hears(gateway_route *route, uint8_t number) {
    route_address from = address(number);
    return route_heard(route, &from);
}

/* A route at `now` that has looked up its name. */
static gateway_route looked_up(uint64_t now, uint8_t first, uint8_t last) {
    gateway_route route;
    memset(&route, 0, sizeof route);
    CHECK(route_begin_look_up(&route, now, true));
    name_has(&route, first, last);
    return route;
}

static void a_name_is_looked_up_first(void) {
    gateway_route route;
    memset(&route, 0, sizeof route);
    CHECK_EQUAL(goes_to(&route, 0, true), 0);
    CHECK_EQUAL(goes_to(&route, 0, false), 0);
    CHECK(route_begin_look_up(&route, 0, true));
    /* It is under way. */
    CHECK(!route_begin_look_up(&route, 0, true));
    name_has(&route, 1, 2);
    CHECK_EQUAL(goes_to(&route, 0, true), 1);
}

static void a_name_is_looked_up_each_five_minutes(void) {
    for (int hello = 0; hello < 2; hello++) {
        gateway_route route = looked_up(7, 1, 1);
        CHECK_EQUAL(goes_to(&route, 7, true), 1);
        CHECK(hears(&route, 1));
        CHECK(!route_begin_look_up(&route, 7 + LATE - 1, hello == 1));
        CHECK(route_begin_look_up(&route, 7 + LATE, hello == 1));
        CHECK(!route_begin_look_up(&route, 7 + LATE + 1, hello == 1));
    }
}

static void an_unanswered_hello_looks_up_anew(void) {
    gateway_route route = looked_up(0, 1, 1);
    CHECK_EQUAL(goes_to(&route, 0, true), 1);
    CHECK(!route_begin_look_up(&route, SOON - 1, true));
    CHECK(!route_begin_look_up(&route, SOON, false));
    CHECK(route_begin_look_up(&route, SOON, true));
    name_has(&route, 2, 2);
    CHECK_EQUAL(goes_to(&route, SOON, true), 2);
}

static void every_address_is_tried(void) {
    gateway_route route = looked_up(0, 1, 3);
    for (uint8_t turn = 0; turn < 8; turn++)
        CHECK_EQUAL(goes_to(&route, turn, true), turn % 3 + 1);
    /* Whoever answers, with a challenge or a WELCOME, gets what follows. */
    CHECK(hears(&route, 2));
    CHECK_EQUAL(goes_to(&route, 10, true), 2);
    CHECK(hears(&route, 2));
    CHECK_EQUAL(goes_to(&route, 10 + LATE, false), 2);
    CHECK_EQUAL(goes_to(&route, 10 + LATE, true), 2);
}

static void a_late_answer_counts(void) {
    gateway_route route = looked_up(0, 1, 3);
    CHECK_EQUAL(goes_to(&route, 0, true), 1);
    CHECK_EQUAL(goes_to(&route, 1, true), 2);
    CHECK(hears(&route, 1));
    CHECK_EQUAL(goes_to(&route, 2, false), 1);
    CHECK_EQUAL(goes_to(&route, 3, true), 1);
}

/* What comes from elsewhere is not the gateway's, and answers nothing. */
static void a_stranger_is_not_heard(void) {
    gateway_route route = looked_up(0, 1, 2);
    CHECK_EQUAL(goes_to(&route, 0, true), 1);
    CHECK(!hears(&route, 3));
    CHECK_EQUAL(goes_to(&route, 1, true), 2);
    CHECK(hears(&route, 2));
    /* The address of a session goes on to be the gateway's when the name has it no more. */
    CHECK(route_begin_look_up(&route, LATE, false));
    name_has(&route, 5, 6);
    CHECK(!hears(&route, 1));
    CHECK(hears(&route, 2));
    CHECK(hears(&route, 6));
    CHECK_EQUAL(goes_to(&route, LATE, false), 2);
}

/* Only a HELLO leaves an address that answered: who has a session there has it nowhere else. */
static void a_session_stays_where_it_is(void) {
    gateway_route route = looked_up(0, 1, 1);
    CHECK_EQUAL(goes_to(&route, 0, true), 1);
    CHECK(hears(&route, 1));
    CHECK(route_begin_look_up(&route, LATE, false));
    name_has(&route, 2, 3);
    CHECK_EQUAL(goes_to(&route, LATE, false), 1);
    CHECK_EQUAL(goes_to(&route, LATE, true), 2);
    CHECK_EQUAL(goes_to(&route, LATE, true), 3);
    CHECK_EQUAL(goes_to(&route, LATE, true), 2);
}

/* Nobody knows at which of the addresses a saved session was: it goes round until one answers. */
static void a_saved_session_finds_its_address(void) {
    gateway_route route = looked_up(0, 4, 6);
    CHECK_EQUAL(goes_to(&route, 100, false), 4);
    CHECK_EQUAL(goes_to(&route, 100 + STEP - 1, false), 4);
    CHECK_EQUAL(goes_to(&route, 100 + STEP, false), 5);
    CHECK_EQUAL(goes_to(&route, 100 + 2 * STEP - 1, false), 5);
    CHECK_EQUAL(goes_to(&route, 100 + 2 * STEP, false), 6);
    CHECK_EQUAL(goes_to(&route, 100 + 3 * STEP, false), 4);
    CHECK_EQUAL(goes_to(&route, 100 + 4 * STEP, false), 5);
    CHECK(hears(&route, 5));
    CHECK_EQUAL(goes_to(&route, LATE, false), 5);
}

/* A name server that is away costs no address, and is not asked each second for ever. */
static void a_failed_look_up_keeps_what_is_known(void) {
    gateway_route route = looked_up(0, 1, 2);
    uint64_t now = 0;
    CHECK_EQUAL(goes_to(&route, now, true), 1);
    for (uint64_t tries = 0; tries < 10; tries++) {
        uint64_t pause = (uint64_t)SOON << (tries < 5 ? tries : 5);
        CHECK(!route_begin_look_up(&route, now + pause - 1, true));
        CHECK(route_begin_look_up(&route, now += pause, true));
        route_found(&route, NULL, 0);
        CHECK_EQUAL(goes_to(&route, now, true), tries % 2 == 0 ? 2 : 1);
    }
    CHECK(route_begin_look_up(&route, now += 32 * SOON, true));
    name_has(&route, 9, 9);
    CHECK_EQUAL(goes_to(&route, now, true), 9);
    CHECK(route_begin_look_up(&route, now + SOON, true));
}

static void a_name_that_is_never_found_is_tried_again(void) {
    gateway_route route;
    memset(&route, 0, sizeof route);
    CHECK(route_begin_look_up(&route, 0, false));
    route_found(&route, NULL, 0);
    CHECK_EQUAL(goes_to(&route, 0, true), 0);
    CHECK(!route_begin_look_up(&route, 2 * SOON - 1, false));
    CHECK(route_begin_look_up(&route, 2 * SOON, false));
}

static void more_addresses_than_there_is_room_for(void) {
    gateway_route route = looked_up(0, 1, 255 - 1);
    for (uint8_t turn = 0; turn < 2 * ROUTE_ADDRESSES; turn++)
        CHECK_EQUAL(goes_to(&route, turn, true), turn % ROUTE_ADDRESSES + 1);
}

void route_tests(void) {
    RUN(a_name_is_looked_up_first);
    RUN(a_name_is_looked_up_each_five_minutes);
    RUN(an_unanswered_hello_looks_up_anew);
    RUN(every_address_is_tried);
    RUN(a_late_answer_counts);
    RUN(a_stranger_is_not_heard);
    RUN(a_session_stays_where_it_is);
    RUN(a_saved_session_finds_its_address);
    RUN(a_failed_look_up_keeps_what_is_known);
    RUN(a_name_that_is_never_found_is_tried_again);
    RUN(more_addresses_than_there_is_room_for);
}
