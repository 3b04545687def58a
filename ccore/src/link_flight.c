/* Messages in flight: round trip, congestion window, acknowledged, lost, sent again (section 6). */
#include "link_internal.h"
#include <string.h>

static uint32_t random_bits(ouro_link *link) {
    /* xorshift32: spreads time-outs, no secret depends on it */
    uint32_t x = link->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    link->random = x;
    return x;
}

/* Times 1 to 1.5: RFC 7252 4.8 ACK_RANDOM_FACTOR. */
uint32_t ouro_link_first_timeout(ouro_link *link) {
    uint64_t first = link->settings->first_timeout_ms;
    if (first == 0)
        first = FIRST_TIMEOUT_MS;
    return (uint32_t)(first + ((first * (random_bits(link) >> 16)) >> 17));
}

void ouro_link_fresh_path(ouro_link *link) {
    link->first_timeout_ms = ouro_link_first_timeout(link);
    link->srtt8 = 0;
    link->rttvar4 = 0;
    link->window = WINDOW_START;
    link->threshold = WINDOW_MAX;
    link->window_part = 0;
    link->reduced_ms = 0;
}

/* RFC 6298 2, with srtt in eighths and rttvar in quarters; the clock's grain is 1 ms. */
void ouro_link_sample(ouro_link *link, uint64_t rtt64) {
    uint32_t rtt = (uint32_t)OURO_MIN(rtt64, 600000);
    if (link->srtt8 == 0) {
        link->srtt8 = OURO_MAX(rtt * 8, 1);
        link->rttvar4 = rtt * 2;
        return;
    }
    uint32_t srtt = link->srtt8 / 8;
    uint32_t off = srtt > rtt ? srtt - rtt : rtt - srtt;
    link->rttvar4 = link->rttvar4 - link->rttvar4 / 4 + off;
    link->srtt8 = OURO_MAX(link->srtt8 - srtt + rtt, 1);
}

uint32_t ouro_link_timeout(const ouro_link *link) {
    if (link->srtt8 == 0)
        return link->first_timeout_ms;
    uint32_t timeout = link->srtt8 / 8 + OURO_MAX(link->rttvar4, 1);
    return OURO_MIN(OURO_MAX(timeout, TIMEOUT_MIN_MS), TIMEOUT_MAX_MS);
}

uint32_t ouro_backed_off(const ouro_link *link, const ouro_tail *tail, unsigned timeouts) {
    uint32_t timeout = ouro_link_timeout(link);
    /* In an older session whose successor works, section 6. */
    bool replaced = (tail->state & TAIL_RETIRING) && !(tail->state & TAIL_REKEYED) &&
                    link->settings->role == OURO_CLIENT;
    if (replaced && timeout > OLD_TIMEOUT_MAX_MS)
        timeout = OLD_TIMEOUT_MAX_MS;
    while (timeouts-- > 0 && timeout < TIMEOUT_MAX_MS)
        timeout *= 2;
    return OURO_MIN(timeout, TIMEOUT_MAX_MS);
}

uint64_t ouro_due(const ouro_link *link, const ouro_tail *tail, uint64_t sent, unsigned timeouts) {
    if (!(link->flags & LINK_DEAD))
        return sent + ouro_backed_off(link, tail, timeouts);
    /* From 8 s on doubled up to 5 min: as long again as the path has been dead. */
    uint64_t dead = sent > link->dead_ms ? sent - link->dead_ms : 0;
    return sent + OURO_MIN(OURO_MAX(dead, TIMEOUT_MAX_MS), DEAD_TIMEOUT_MAX_MS);
}

static bool is_of(const ouro_place *place, const ouro_tail *tail) {
    return place->session_id == tail->id;
}

/* In flight: reliable and not counted lost, or an unreliable one that is not yet forgotten. */
size_t ouro_flight_count(const ouro_link *link, const ouro_tail *tail) {
    size_t count = 0;
    for (const ouro_place *p = link->flight; p != NULL; p = p->next)
        count += is_of(p, tail) && !(p->flags & PLACE_LOST);
    return count;
}

ouro_place *ouro_flight_lowest(const ouro_link *link, const ouro_tail *tail) {
    for (ouro_place *p = link->flight; p != NULL; p = p->next)
        if (is_of(p, tail) && (p->flags & PLACE_RELIABLE))
            return p;
    return NULL;
}

bool ouro_flight_any(const ouro_link *link, const ouro_tail *tail) {
    const ouro_place *p = link->flight;
    while (p != NULL && !is_of(p, tail))
        p = p->next;
    return p != NULL;
}

bool ouro_flight_reliable(const ouro_link *link, const ouro_tail *tail) {
    return ouro_flight_lowest(link, tail) != NULL;
}

uint64_t ouro_place_due(const ouro_link *link, const ouro_tail *tail, const ouro_place *place,
                        uint64_t now) {
    return ouro_due(link, tail, ouro_then(now, place->sent_ms), place->timeouts);
}

void ouro_place_unlink(ouro_place **list, ouro_place *place) {
    while (*list != place)
        list = &(*list)->next;
    *list = place->next;
    place->next = NULL;
}

void ouro_place_finish(ouro_link *link, ouro_place **list, ouro_place *place, uint16_t outcome) {
    ouro_place_unlink(list, place);
    if (place->flags & PLACE_SENT) {
        /* It went out, and that was all that was promised. */
        outcome = PLACE_SENT;
        link->reports--;
    } else if (place->flags & PLACE_QUIET) {
        link->place_count--;
        ouro_pool_give(link->memory->pool, place);
        return;
    }
    place->flags = outcome;
    ouro_place **last = &link->ended;
    while (*last != NULL)
        last = &(*last)->next;
    *last = place;
}

void ouro_flight_end(ouro_link *link, const ouro_tail *tail) {
    for (ouro_place *p = link->flight, *next; p != NULL; p = next) {
        next = p->next;
        if (is_of(p, tail))
            ouro_place_finish(link, &link->flight, p, PLACE_UNKNOWN);
    }
}

static void grow_window(ouro_link *link) {
    if (link->window >= WINDOW_MAX)
        return;
    if (link->window < link->threshold) {
        link->window++;
    } else if (++link->window_part >= link->window) {
        link->window_part = 0;
        link->window++;
    }
}

/* Once a round trip: only what was sent after the last reduction counts. */
static void halve_window(ouro_link *link, const ouro_place *place, uint64_t now) {
    if (link->reduced_ms != 0 && ouro_then(now, place->sent_ms) <= link->reduced_ms)
        return;
    link->threshold = OURO_MAX(link->window / 2, WINDOW_MIN);
    link->window = OURO_MIN(link->window, link->threshold);
    link->window_part = 0;
    link->reduced_ms = now;
}

static unsigned named_from(const ouro_ack_block *block, uint64_t mark) {
    unsigned count = 0;
    for (uint64_t n = mark; n <= block->highest && count < 3; n++)
        count += ouro_ack_block_names(block, n);
    return count;
}

/* RFC 9002 6.1.1: three counters first sent after its last transmission were acknowledged. */
static void find_lost(ouro_link *link, const ouro_tail *tail, const ouro_ack_block *block,
                      uint64_t now) {
    for (ouro_place *p = link->flight; p != NULL; p = p->next) {
        if (!is_of(p, tail) || !(p->flags & PLACE_RELIABLE) ||
            (p->flags & (PLACE_LOST | PLACE_RESEND)))
            continue;
        if (p->mark + UINT64_C(2) > block->highest || named_from(block, p->mark) < 3)
            continue;
        p->flags |= PLACE_RESEND;
        if (tail == link->live[0])
            halve_window(link, p, now);
    }
}

void ouro_flight_acked(ouro_link *link, ouro_tail *tail, const ouro_ack_block *block,
                       uint64_t now) {
    bool newly = block->highest >= tail->acked_next;
    bool newest = tail == link->live[0];
    for (ouro_place *p = link->flight, *next; p != NULL; p = next) {
        next = p->next;
        if (!is_of(p, tail) || !ouro_ack_block_names(block, p->counter))
            continue;
        newly = true;
        bool sampled = p->counter == block->highest && (p->wire_flags & OURO_FLAG_ACK_REQ) &&
                       !(p->flags & PLACE_REPEATED);
        if (newest && sampled)
            ouro_link_sample(link, now - ouro_then(now, p->sent_ms));
        if (newest)
            grow_window(link);
        ouro_place_finish(link, &link->flight, p, PLACE_DELIVERED);
    }
    if (block->highest >= tail->acked_next)
        tail->acked_next = (uint32_t)block->highest + 1;
    if (newly) {
        for (ouro_place *p = link->flight; p != NULL; p = p->next)
            if (is_of(p, tail)) {
                p->timeouts = p->silents = p->attempts = 0;
                p->first_ms = (uint32_t)now;
            }
        if (newest)
            link->busy_count = 0;
    }
    if (!link->settings->stream)
        find_lost(link, tail, block, now);
}

void ouro_flight_resend(ouro_link *link, const ouro_tail *tail, uint64_t now) {
    for (ouro_place *p = link->flight; p != NULL; p = p->next) {
        if (!is_of(p, tail) || !(p->flags & PLACE_RELIABLE))
            continue;
        p->flags = (uint16_t)((p->flags & ~PLACE_LOST) | PLACE_RESEND);
        p->timeouts = p->silents = p->attempts = 0;
        p->first_ms = (uint32_t)now;
    }
}

void ouro_flight_busy(ouro_link *link, ouro_tail *tail, uint64_t counter, uint64_t now) {
    if (tail != link->live[0] || counter < link->open_counter)
        return;
    link->threshold = OURO_MAX(link->window / 2, WINDOW_MIN);
    link->window = link->threshold;
    link->window_part = 0;
    uint64_t wait = OURO_MAX(ouro_link_timeout(link), BUSY_WAIT_MS);
    for (unsigned i = 0; i < link->busy_count && wait < TIMEOUT_MAX_MS; i++)
        wait *= 2;
    link->wait_until_ms = now + OURO_MIN(wait, TIMEOUT_MAX_MS);
    link->wait_counter = (uint32_t)counter;
    if (link->busy_count < 8)
        link->busy_count++;
    for (ouro_place *p = link->flight; p != NULL; p = p->next) {
        if (!is_of(p, tail) || !(p->flags & PLACE_RELIABLE))
            continue;
        p->flags = (uint16_t)((p->flags & ~PLACE_RESEND) | PLACE_LOST);
        p->timeouts = p->silents = p->attempts = 0;
        p->first_ms = (uint32_t)now;
    }
}

void ouro_link_dead(ouro_link *link, uint64_t now) {
    if (link->flags & LINK_DEAD)
        return;
    link->flags |= LINK_DEAD;
    link->dead_ms = now;
    link->events |= TELL_DEAD;
    link->events &= (uint16_t)~TELL_ALIVE;
}

void ouro_link_suspect(ouro_link *link, uint64_t since, uint64_t now) {
    if (link->heard_ms > since || link->settings->role != OURO_CLIENT ||
        (link->flags & (LINK_SUSPECT | LINK_CLOSING)) || ouro_client_busy(link))
        return;
    /* The PING of the second time-out goes out now, unless one is on its way already. */
    uint64_t ping = link->flags & LINK_PING_OUT ? link->ping_sent_ms : now;
    uint64_t wait = OURO_MAX(ouro_link_timeout(link), 1000);
    link->suspect_ms = OURO_MAX(since + 2000, ping + wait);
    link->flags |= LINK_SUSPECT;
}

void ouro_flight_timeout(ouro_link *link, ouro_tail *tail, ouro_place *place, uint64_t now) {
    bool newest = tail == link->live[0];
    bool silent = link->heard_ms <= ouro_then(now, place->sent_ms);
    link->stats.timeouts++;
    place->timeouts = (uint8_t)OURO_MIN(place->timeouts + 1, 100);
    place->attempts = (uint8_t)OURO_MIN(place->attempts + 1, 100);
    place->silents = (uint8_t)(silent ? OURO_MIN(place->silents + 1, 100) : 0);
    if (newest) {
        halve_window(link, place, now);
        if (silent)
            link->window = 1;
    }
    if (newest && place->timeouts >= 2) {
        if (!(link->flags & LINK_PING_OUT))
            link->flags |= LINK_PING_DUE;
        ouro_link_suspect(link, ouro_then(now, place->previous_ms), now);
    }
    if (silent && place->attempts > GIVE_UP_ATTEMPTS &&
        (uint32_t)now - place->first_ms >= GIVE_UP_MS) {
        ouro_link_dead(link, now);
        if (link->settings->role == OURO_SERVER)
            return;
    }
    bool waits = place->silents >= 2 && place != ouro_flight_lowest(link, tail);
    place->flags |= waits ? PLACE_LOST : PLACE_RESEND;
    place->previous_ms = place->sent_ms;
}
