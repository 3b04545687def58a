#include "ouroboros/stream.h"

#include "bytes.h"
#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "path_internal.h"
#include "policy_internal.h"
#include "sessions_internal.h"
#include "stream_internal.h"

int ouro_stream_packet_size(const uint8_t *bytes, size_t len) {
    if (len > 0 && bytes[0] >> 4 != OURO_VERSION)
        return OURO_END_STREAM;
    if (len < 4)
        return 0;
    uint16_t length = load_u16(bytes + 2);
    return length > OURO_MAX_BODY ? OURO_END_STREAM : OURO_OVERHEAD + length;
}

/* Bit i of the bitmap stands for the message done_next + 1 + i here: handed on, one below it not.
 */
bool ouro_stream_done(ouro_tail *tail, uint64_t counter) {
    if (counter < tail->done_next || counter - tail->done_next > STREAM_REACH)
        return false;
    if (counter > tail->done_next) {
        tail->done_bitmap |= UINT64_C(1) << (counter - tail->done_next - 1);
        return false;
    }
    bool next;
    do {
        next = (tail->done_bitmap & 1) != 0;
        tail->done_bitmap >>= 1;
        tail->done_next++;
    } while (next);
    return true;
}

bool ouro_stream_may_read(const ouro_link *link) {
    const ouro_session *session = ouro_sessions_newest(link);
    return session == NULL || session->window.next - session->tail.done_next <= STREAM_REACH;
}

/* Time in which this side does not read says nothing of the path: it is added to what is known. */
static void stands_still(uint64_t *since, uint64_t from, uint64_t now) {
    *since += now - OURO_MAX(*since, from);
}

void ouro_stream_set_reading(ouro_link *link, uint64_t now, bool reading) {
    if (reading && (link->flags & LINK_DEAF)) {
        link->flags &= (uint16_t)~LINK_DEAF;
        stands_still(&link->heard_ms, link->unread_ms, now);
        stands_still(&link->ping_sent_ms, link->unread_ms, now);
    } else if (!reading && !(link->flags & LINK_DEAF)) {
        link->flags |= LINK_DEAF;
        link->unread_ms = link->busy_ms = now;
    }
}

/* No timers send anything again: a PING finds out whether the path still works. */
static uint64_t unacknowledged_since(const ouro_link *link, uint64_t now) {
    const ouro_place *oldest =
        link->live[0] == NULL ? NULL : ouro_flight_lowest(link, link->live[0]);
    return oldest == NULL ? OURO_NEVER : ouro_then(now, oldest->sent_ms);
}

/* 15 s after the message, and after the last PONG. */
static uint64_t ping_due(const ouro_link *link, uint64_t now) {
    uint64_t since = unacknowledged_since(link, now);
    if (since == OURO_NEVER || (link->flags & (LINK_PING_OUT | LINK_PING_DUE)))
        return OURO_NEVER;
    return OURO_MAX(since, link->ping_sent_ms) + STREAM_PING_MS;
}

/* An unanswered PING, and nothing heard. */
static uint64_t dead_due(const ouro_link *link) {
    if (!(link->flags & LINK_PING_OUT) || (link->flags & LINK_DEAF))
        return OURO_NEVER;
    return OURO_MAX(link->heard_ms, link->ping_sent_ms) + STREAM_DEAD_MS;
}

/* Who does not read says every 15 s that it is there. */
static uint64_t sign_due(const ouro_link *link) {
    return link->flags & LINK_DEAF ? link->busy_ms + STREAM_PING_MS : OURO_NEVER;
}

uint64_t ouro_stream_deadline(const ouro_link *link, uint64_t now) {
    if (link->live[0] == NULL || (link->flags & LINK_BROKEN))
        return OURO_NEVER;
    uint64_t deadline = OURO_MIN(dead_due(link), sign_due(link));
    return OURO_MIN(deadline, ping_due(link, now));
}

void ouro_stream_tick(ouro_link *link, uint64_t now) {
    if (link->live[0] == NULL || (link->flags & LINK_BROKEN))
        return;
    if (now >= dead_due(link)) {
        ouro_path_dead(link, now);
        link->flags |= LINK_BROKEN;
        return;
    }
    if (now >= ping_due(link, now))
        link->flags |= LINK_PING_DUE;
    if (now >= sign_due(link)) {
        link->busy_ms = now;
        link->live[0]->state |= TAIL_OPEN_DUE;
    }
}

bool ouro_stream_is_broken(const ouro_link *link) {
    return (link->flags & LINK_BROKEN) != 0;
}

bool ouro_stream_ended(ouro_link *link) {
    ouro_tail *tail = link->live[0];
    bool closed = (link->flags & LINK_SAID_GOODBYE) && !(link->flags & LINK_BROKEN) &&
                  tail == NULL && link->closed_missing == 0;
    if (tail != NULL && link->memory->client != NULL)
        ouro_client_ended(link, true);
    if (tail != NULL)
        ouro_policy_end(link, tail, link->heard_ms);
    if (link->memory->client != NULL)
        ouro_client_cancel(link);
    link->flags &= (uint16_t) ~(LINK_BROKEN | LINK_DEAF);
    return closed;
}
