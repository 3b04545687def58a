/* Congestion window, acknowledged, lost, sent again (section 6). */
#include "flight_internal.h"

#include "link_state.h"
#include "numbers.h"
#include "once_internal.h"
#include "parameters.h"
#include "path_internal.h"
#include "place_internal.h"
#include "stalled_internal.h"

void ouro_flight_fresh(ouro_link *link) {
    ouro_path_fresh(link);
    link->window = WINDOW_START;
    link->threshold = WINDOW_MAX;
    link->window_part = 0;
    link->reduced_ms = 0;
}

static bool is_of(const ouro_place *place, const ouro_tail *tail) {
    return place->session_id == tail->id;
}

/* What is counted lost is not in flight. */
bool ouro_flight_room(const ouro_link *link, const ouro_tail *tail, const ouro_place *place) {
    size_t count = 0, stuck = 0;
    for (const ouro_place *p = link->flight; p != NULL; p = p->next) {
        if (!is_of(p, tail) || (p->flags & PLACE_LOST))
            continue;
        count++;
        stuck += (p->flags & PLACE_STUCK) != 0;
    }
    return count < link->window || (count == stuck && !(place->flags & PLACE_STUCK));
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

bool ouro_flight_moves(const ouro_link *link, const ouro_tail *tail) {
    const ouro_place *p = link->flight;
    while (p != NULL &&
           !(is_of(p, tail) && (p->flags & (PLACE_RELIABLE | PLACE_STUCK)) == PLACE_RELIABLE))
        p = p->next;
    return p != NULL;
}

uint64_t ouro_flight_due(const ouro_link *link, const ouro_tail *tail, const ouro_place *place,
                         uint64_t now) {
    return ouro_path_due(link, tail, ouro_then(now, place->sent_ms), place->timeouts);
}

void ouro_flight_end(ouro_link *link, const ouro_tail *tail) {
    for (ouro_place *p = link->flight, *next; p != NULL; p = next) {
        next = p->next;
        if (!is_of(p, tail))
            continue;
        if (!(p->flags & (PLACE_SENT | PLACE_QUIET)))
            ouro_once_unknown(link, p);
        ouro_place_finish(link, &link->flight, p, PLACE_UNKNOWN);
    }
    ouro_stalled_end(link, tail);
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

/* Its time-outs are forgotten, and giving up is counted from now on. */
static void count_anew(ouro_place *place, uint64_t now) {
    place->timeouts = place->silents = 0;
    place->first_ms = (uint32_t)now;
}

/* In a stream acknowledgements are cumulative: `highest` stands for every counter below it. */
static bool acknowledges(const ouro_link *link, const ouro_ack_block *block, uint64_t counter) {
    return link->settings->stream ? counter <= block->highest
                                  : ouro_ack_block_names(block, counter);
}

void ouro_flight_acked(ouro_link *link, ouro_tail *tail, const ouro_ack_block *block,
                       uint64_t now) {
    bool newly = block->highest >= tail->acked_next;
    bool newest = tail == link->live[0];
    for (ouro_place *p = link->flight, *next; p != NULL; p = next) {
        next = p->next;
        if (!is_of(p, tail) || !acknowledges(link, block, p->counter))
            continue;
        newly = true;
        bool sampled = p->counter == block->highest && (p->wire_flags & OURO_FLAG_ACK_REQ) &&
                       !(p->flags & PLACE_REPEATED);
        if (newest && sampled)
            ouro_path_sample(link, now - ouro_then(now, p->sent_ms));
        if (newest)
            grow_window(link);
        ouro_place_finish(link, &link->flight, p, PLACE_DELIVERED);
    }
    if (block->highest >= tail->acked_next)
        tail->acked_next = (uint32_t)block->highest + 1;
    if (newly) {
        for (ouro_place *p = link->flight; p != NULL; p = p->next)
            if (is_of(p, tail))
                count_anew(p, now);
        if (newest)
            link->busy_count = 0;
    }
    if (link->settings->stream)
        return;
    find_lost(link, tail, block, now);
    ouro_stalled_find(link, tail);
    ouro_stalled_acked(link, tail, block);
}

void ouro_flight_resend(ouro_link *link, const ouro_tail *tail, uint64_t now) {
    for (ouro_place *p = link->flight; p != NULL; p = p->next) {
        if (!is_of(p, tail) || !(p->flags & PLACE_RELIABLE))
            continue;
        p->flags = (uint16_t)((p->flags & ~PLACE_LOST) | PLACE_RESEND);
        count_anew(p, now);
        ouro_stalled_anew(p);
    }
}

void ouro_flight_all_lost(ouro_link *link, const ouro_tail *tail, uint64_t now) {
    for (ouro_place *p = link->flight; p != NULL; p = p->next) {
        if (!is_of(p, tail) || !(p->flags & PLACE_RELIABLE))
            continue;
        p->flags = (uint16_t)((p->flags & ~PLACE_RESEND) | PLACE_LOST);
        count_anew(p, now);
        ouro_stalled_anew(p);
    }
}

void ouro_flight_busy(ouro_link *link, ouro_tail *tail, uint64_t counter, uint64_t now) {
    if (tail != link->live[0] || counter < link->open_counter)
        return;
    if (ouro_link_waits(link, now)) {
        /* Somebody else may have drawn it: it ends later, no more. */
        link->wait_counter = OURO_MAX(link->wait_counter, (uint32_t)counter);
        return;
    }
    link->threshold = OURO_MAX(link->window / 2, WINDOW_MIN);
    link->window = link->threshold;
    link->window_part = 0;
    uint64_t wait = OURO_MAX(ouro_path_timeout(link), BUSY_WAIT_MS);
    for (unsigned i = 0; i < link->busy_count && wait < TIMEOUT_MAX_MS; i++)
        wait *= 2;
    link->wait_until_ms = now + OURO_MIN(wait, TIMEOUT_MAX_MS);
    link->wait_counter = (uint32_t)counter;
    if (link->busy_count < 8)
        link->busy_count++;
    ouro_flight_all_lost(link, tail, now);
}

void ouro_flight_timeout(ouro_link *link, ouro_tail *tail, ouro_place *place, uint64_t now) {
    bool newest = tail == link->live[0];
    bool silent = link->heard_ms <= ouro_then(now, place->sent_ms);
    link->stats.timeouts++;
    place->timeouts = (uint8_t)OURO_MIN(place->timeouts + 1, 100);
    place->silents = (uint8_t)(silent ? OURO_MIN(place->silents + 1, 100) : 0);
    if (newest) {
        halve_window(link, place, now);
        if (silent)
            link->window = 1;
    }
    if (newest && place->timeouts >= 2) {
        if (!(link->flags & LINK_PING_OUT))
            link->flags |= LINK_PING_DUE;
        ouro_path_suspect(link, ouro_then(now, place->previous_ms), now);
    }
    if (place->timeouts > GIVE_UP_ATTEMPTS && (uint32_t)now - place->first_ms >= GIVE_UP_MS &&
        now - link->heard_ms >= GIVE_UP_MS) {
        ouro_path_dead(link, now);
        if (link->settings->role == OURO_SERVER)
            return;
    }
    bool waits = place->silents >= 2 && place != ouro_flight_lowest(link, tail);
    place->flags |= waits ? PLACE_LOST : PLACE_RESEND;
    place->previous_ms = place->sent_ms;
}
