/* Packets out: PONG, a GAP, HELLO, what is sent again, new messages, PING, ACK, CLOSE. */
#include "transmit_internal.h"

#include "bytes.h"
#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "place_internal.h"
#include "policy_internal.h"
#include "pool_internal.h"
#include "session_internal.h"
#include "sessions_internal.h"
#include "stalled_internal.h"
#include <string.h>

static ouro_path *path_of(ouro_tail *tail) {
    ouro_session *session = ouro_tail_full(tail);
    return session != NULL ? session->path : NULL;
}

static const ouro_addr *known(ouro_tail *tail) {
    ouro_path *path = path_of(tail);
    return path != NULL ? &path->known : NULL;
}

static void emit(ouro_link *link, uint64_t now, ouro_datagram *out, const uint8_t *data, size_t len,
                 const ouro_addr *to) {
    out->data = data;
    out->len = len;
    out->to = to;
    link->sent_ms = now;
    link->stats.sent++;
}

static void write_block(uint8_t *body, const ouro_ack_block *block) {
    store_u64(body, block->highest);
    store_u64(body + 8, block->bitmap);
}

/* The block to send. In a stream everything below `highest` was handed on. */
static bool next_block(const ouro_link *link, const ouro_tail *tail, ouro_ack_block *block) {
    if (!ouro_tail_ack_block(tail, block))
        return false;
    if (link->settings->stream)
        block->bitmap = block->highest < 64 ? (UINT64_C(1) << block->highest) - 1 : UINT64_MAX;
    return true;
}

/* The acknowledgement that is owed is on its way. */
static void paid(ouro_link *link, ouro_tail *tail, uint64_t now) {
    if (tail->state & TAIL_OWES_AGAIN)
        link->duplicate_ms = now;
    tail->state &= (uint16_t) ~(TAIL_OWES | TAIL_OWES_AGAIN | TAIL_GAP);
    ouro_path *path = path_of(tail);
    if (path != NULL)
        path->reply_set = false;
}

static bool owes(const ouro_link *link, const ouro_tail *tail, uint64_t now) {
    if (tail->state & TAIL_OWES)
        return true;
    return (tail->state & TAIL_OWES_AGAIN) &&
           now >= ouro_again(link->duplicate_ms, DUPLICATE_PERIOD_MS);
}

/* Where an acknowledgement goes: to where the newest DATA came from that it answers. */
static const ouro_addr *reply_to(ouro_tail *tail) {
    ouro_path *path = path_of(tail);
    if (path == NULL)
        return NULL;
    return (tail->state & TAIL_OWES) && path->reply_set ? &path->reply : &path->known;
}

static bool goes_along(ouro_tail *tail) {
    const ouro_addr *reply = reply_to(tail);
    return reply == NULL || ouro_same_addr(reply, known(tail));
}

/* An ack block if there is one and it is wanted, then `len` bytes of its own; or as if lost. */
static ouro_status control(ouro_link *link, ouro_tail *tail, uint64_t now, uint8_t type, bool acks,
                           const uint8_t *own, size_t len, const ouro_addr *to, uint8_t *scratch,
                           ouro_datagram *out) {
    ouro_ack_block block;
    uint64_t counter;
    uint8_t *body = scratch + OURO_HEADER_SIZE;
    size_t at = 0;
    acks = acks && next_block(link, tail, &block);
    if (acks) {
        write_block(body, &block);
        at = OURO_ACK_BLOCK_SIZE;
    }
    if (len > 0)
        memcpy(body + at, own, len);
    ouro_status status =
        ouro_tail_protect(tail, type, acks ? OURO_FLAG_ACKS : 0, scratch, at + len, &counter);
    /* Near the end of the control counters all but ACK and CLOSE stay silent (section 6). */
    if (status == OURO_END_LIMIT)
        return OURO_OK;
    if (status != OURO_OK)
        return status;
    emit(link, now, out, scratch, OURO_OVERHEAD + at + len, to);
    return OURO_OK;
}

static ouro_status pong(ouro_link *link, uint64_t now, uint8_t *scratch, ouro_datagram *out) {
    ouro_tail *tail = ouro_sessions_find(link, link->pong_session);
    link->flags &= (uint16_t)~LINK_PONG_DUE;
    if (tail == NULL)
        return OURO_OK;
    ouro_path *path = path_of(tail);
    return control(link, tail, now, OURO_PONG, true, link->pong, link->pong_len,
                   path != NULL ? &path->pong : NULL, scratch, out);
}

static ouro_status ping(ouro_link *link, ouro_tail *tail, uint64_t now, const ouro_addr *to,
                        bool with_acks, uint8_t *scratch, ouro_datagram *out) {
    uint8_t body[4];
    uint32_t seq = link->ping_seq++;
    store_u32(body, seq);
    link->ping_times[seq % 8] = (uint32_t)now;
    link->ping_waiting |= (uint8_t)(1u << (seq % 8));
    return control(link, tail, now, OURO_PING, with_acks, body, sizeof body, to, scratch, out);
}

static ouro_status main_ping(ouro_link *link, ouro_tail *tail, uint64_t now, uint8_t *scratch,
                             ouro_datagram *out) {
    bool again = (link->flags & LINK_PING_OUT) != 0;
    link->flags = (uint16_t)((link->flags & ~LINK_PING_DUE) | LINK_PING_OUT);
    link->ping_previous_ms = again ? link->ping_sent_ms : now;
    link->ping_sent_ms = now;
    if (!again) {
        link->ping_first_ms = now;
        link->ping_timeouts = 0;
    }
    bool acks = owes(link, tail, now) && goes_along(tail);
    ouro_status status = ping(link, tail, now, known(tail), acks, scratch, out);
    if (acks && out->len > 0)
        paid(link, tail, now);
    return status;
}

static ouro_status probe(ouro_link *link, ouro_tail *tail, ouro_path *path, uint64_t now,
                         uint8_t *scratch, ouro_datagram *out) {
    path->probe_due = false;
    path->probing = true;
    path->probe_ms = now;
    path->probe_seq = link->ping_seq;
    return ping(link, tail, now, &path->probe, false, scratch, out);
}

/* A sign of life in a stream, before there is a block to send: nobody waits for its answer. */
static ouro_status spare_ping(ouro_link *link, ouro_tail *tail, uint64_t now, uint8_t *scratch,
                              ouro_datagram *out) {
    uint8_t body[4];
    uint32_t seq = link->ping_seq++;
    store_u32(body, seq);
    link->ping_waiting &= (uint8_t) ~(1u << (seq % 8));
    return control(link, tail, now, OURO_PING, false, body, sizeof body, known(tail), scratch, out);
}

static ouro_status acknowledge(ouro_link *link, ouro_tail *tail, uint64_t now, uint8_t *scratch,
                               ouro_datagram *out) {
    static const uint8_t gap = OURO_NACK_GAP;
    ouro_ack_block block;
    const ouro_addr *to = reply_to(tail);
    bool hole = (tail->state & TAIL_GAP) != 0;
    if (!ouro_tail_ack_block(tail, &block)) {
        /* Nothing was handed on yet, so there is no block to send (section 2). */
        bool sign = link->settings->stream && (tail->state & TAIL_OPEN_DUE);
        tail->state &= (uint16_t) ~(TAIL_OPEN_DUE | TAIL_OWES_AGAIN);
        return sign ? spare_ping(link, tail, now, scratch, out) : OURO_OK;
    }
    ouro_status status = OURO_OK;
    if (hole)
        status = control(link, tail, now, OURO_NACK, true, &gap, 1, to, scratch, out);
    /* An ACK is also what a GAP becomes near the end of the counters, and what ends a BUSY. */
    if (status == OURO_OK && out->len == 0) {
        tail->state &= (uint16_t) ~(TAIL_OPEN_DUE | TAIL_BUSY_SENT);
        status = control(link, tail, now, OURO_ACK, true, NULL, 0, to, scratch, out);
    }
    paid(link, tail, now);
    return status;
}

/* A hole is told before anything else goes out, and in a packet of its own: it is the early one. */
static ouro_status tell_gaps(ouro_link *link, uint64_t now, uint8_t *scratch, ouro_datagram *out) {
    for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
        if ((link->live[i]->state & TAIL_GAP) && link->live[i]->done_next > 0)
            return acknowledge(link, link->live[i], now, scratch, out);
    return OURO_OK;
}

static ouro_status busy(ouro_link *link, ouro_tail *tail, uint64_t now, uint8_t *scratch,
                        ouro_datagram *out) {
    static const uint8_t reason = OURO_NACK_BUSY;
    tail->state = (uint16_t)((tail->state & ~TAIL_BUSY_DUE) | TAIL_BUSY_SENT);
    link->busy_ms = now;
    return control(link, tail, now, OURO_NACK, true, &reason, 1, known(tail), scratch, out);
}

static ouro_status close(ouro_link *link, ouro_tail *tail, uint64_t now, uint8_t *scratch,
                         ouro_datagram *out) {
    uint8_t body[9];
    ouro_path *path = path_of(tail);
    bool answer = tail->close_phase == CLOSE_ANSWERING;
    body[0] = tail->close_reason;
    store_u64(body + 1, tail->tx_next);
    tail->state &= (uint16_t)~TAIL_CLOSE_DUE;
    if (link->memory->client != NULL && tail == link->live[0])
        link->memory->client->close_previous_ms = tail->close_ms;
    tail->close_ms = (uint32_t)now;
    tail->close_count++;
    const ouro_addr *to = path == NULL ? NULL : answer ? &path->close : &path->known;
    ouro_status status =
        control(link, tail, now, OURO_CLOSE, true, body, sizeof body, to, scratch, out);
    paid(link, tail, now);
    if (answer && (tail->state & TAIL_ENDING)) {
        ouro_policy_end(link, tail, now);
    } else if (tail->close_reason == OURO_REASON_REKEY && !(tail->state & TAIL_RETIRING)) {
        tail->state |= TAIL_RETIRING | TAIL_REKEYED;
        tail->retire_ms = now + DRAIN_MS;
    }
    return status;
}

static void repeat(ouro_link *link, ouro_tail *tail, ouro_place *place, uint64_t now,
                   ouro_datagram *out) {
    ouro_stalled_count(link, place, now);
    place->flags = (uint16_t)((place->flags & ~(PLACE_RESEND | PLACE_LOST)) | PLACE_REPEATED);
    place->sent_ms = (uint32_t)now;
    place->mark = tail->tx_next;
    link->stats.retransmitted++;
    emit(link, now, out, ouro_place_packet(place), place->len, known(tail));
}

/* Sent again: lowest first; what counts as lost waits for the window. */
static ouro_place *next_again(const ouro_link *link, uint64_t now) {
    if (ouro_link_waits(link, now))
        return NULL;
    for (ouro_place *p = link->flight; p != NULL; p = p->next) {
        if (!(p->flags & (PLACE_RESEND | PLACE_LOST)))
            continue;
        const ouro_tail *tail = ouro_sessions_find(link, p->session_id);
        if ((p->flags & PLACE_RESEND) || ouro_flight_room(link, tail, p))
            return p;
    }
    return ouro_stalled_due(link, now);
}

static bool again(ouro_link *link, uint64_t now, ouro_datagram *out) {
    ouro_place *place = next_again(link, now);
    if (place == NULL)
        return false;
    ouro_tail *tail = ouro_sessions_find(link, place->session_id);
    repeat(link, tail, place, now, out);
    ouro_stalled_find(link, tail);
    return true;
}

/* Whether the newest session has a counter for one more message (section 5). */
static bool counter_fits(const ouro_link *link, const ouro_tail *tail, const ouro_place *place) {
    uint64_t n = tail->tx_next;
    const ouro_place *base = ouro_flight_lowest(link, tail);
    if (n == UINT32_MAX || link->settings->stream)
        return n != UINT32_MAX;
    uint64_t reach = tail->peer_reach;
    if ((tail->state & TAIL_UNCONFIRMED) && n >= UNCONFIRMED_REACH)
        return false;
    return n < (uint64_t)tail->acked_next + reach && (base == NULL || n < base->counter + reach) &&
           ouro_flight_room(link, tail, place);
}

/* The last counter that may be used until something is acknowledged. */
static bool is_last(const ouro_link *link, const ouro_tail *tail) {
    const ouro_place *base = ouro_flight_lowest(link, tail);
    uint64_t next = tail->tx_next + UINT64_C(1), reach = tail->peer_reach;
    return next >= tail->acked_next + reach || (base != NULL && next >= base->counter + reach);
}

static ouro_place *next_message(const ouro_link *link, uint64_t now) {
    ouro_session *session = ouro_sessions_newest(link);
    ouro_place *place = link->queue;
    if (place == NULL || session == NULL || (session->tail.state & TAIL_NO_NEW) ||
        session->tail.close_phase == CLOSE_SENT || ouro_link_waits(link, now))
        return NULL;
    return counter_fits(link, &session->tail, place) ? place : NULL;
}

/* Which flags a message carries now; an unreliable one may have to ask for an answer. */
static uint8_t flags_of(const ouro_link *link, const ouro_tail *tail, ouro_place *place,
                        uint64_t now) {
    bool silence = link->settings->role == OURO_CLIENT && now >= link->ask_ms;
    uint8_t flags = place->wire_flags;
    uint64_t n = (uint64_t)tail->tx_next + 1; /* compared with acked_next: acked + 1 */
    uint64_t acked = tail->acked_next;
    if (!(place->flags & PLACE_RELIABLE) && !link->settings->stream) {
        bool nothing_moves = n >= acked + tail->peer_reach / 2 && !ouro_flight_moves(link, tail);
        if (nothing_moves || is_last(link, tail))
            place->flags |= PLACE_RELIABLE;
        else if (silence || n >= acked + (unsigned)OURO_MAX(1, link->window / 2))
            flags |= OURO_FLAG_ACK_REQ;
    }
    if (place->flags & PLACE_RELIABLE)
        flags |= OURO_FLAG_ACK_REQ;
    return flags;
}

static ouro_status first(ouro_link *link, ouro_place *place, uint64_t now, ouro_datagram *out) {
    ouro_session *session = ouro_sessions_newest(link);
    ouro_tail *tail = &session->tail;
    uint8_t *packet = ouro_place_packet(place), *body = packet + OURO_HEADER_SIZE;
    size_t len = place->len;
    ouro_place_unlink(&link->queue, place);
    ouro_place_append(&link->flight, place);
    place->session_id = tail->id;
    if (len > tail->peer_max_body) {
        ouro_place_finish(link, &link->flight, place, PLACE_FAILED);
        return OURO_OK;
    }
    bool reliable = (place->flags & PLACE_RELIABLE) != 0;
    uint8_t flags = flags_of(link, tail, place, now);
    bool room = len + OURO_ACK_BLOCK_SIZE <= tail->peer_max_body &&
                OURO_OVERHEAD + OURO_ACK_BLOCK_SIZE + len <= link->memory->pool->packet_cap;
    ouro_ack_block block;
    bool acks = room && owes(link, tail, now) && goes_along(tail) && next_block(link, tail, &block);
    if (acks) {
        memmove(body + OURO_ACK_BLOCK_SIZE, body, len);
        write_block(body, &block);
        len += OURO_ACK_BLOCK_SIZE;
        flags |= OURO_FLAG_ACKS;
    }
    uint64_t counter = 0;
    ouro_status status = ouro_session_protect(session, OURO_DATA, flags, packet, len, &counter);
    if (status != OURO_OK) {
        ouro_place_finish(link, &link->flight, place, PLACE_FAILED);
        return status;
    }
    ouro_stalled_make_way(link, place);
    if (acks)
        paid(link, tail, now);
    place->wire_flags = flags;
    place->counter = (uint32_t)counter;
    place->mark = tail->tx_next;
    place->len = (uint16_t)(OURO_OVERHEAD + len);
    place->sent_ms = place->first_ms = place->previous_ms = (uint32_t)now;
    emit(link, now, out, packet, place->len, known(tail));
    if (!reliable) {
        /* It has ended for the application; its place stays for one time-out at most. */
        place->flags |= PLACE_SENT;
        link->reports++;
        /* In a stream, nothing is waited for. */
        if (link->settings->stream)
            ouro_place_finish(link, &link->flight, place, PLACE_SENT);
    }
    return OURO_OK;
}

static ouro_status for_session(ouro_link *link, ouro_tail *tail, uint64_t now, uint8_t *scratch,
                               ouro_datagram *out) {
    ouro_path *path = path_of(tail);
    if (tail == link->live[0] && (link->flags & LINK_PING_DUE))
        return main_ping(link, tail, now, scratch, out);
    if (path != NULL && path->probe_due)
        return probe(link, tail, path, now, scratch, out);
    if (tail->state & TAIL_BUSY_DUE)
        return busy(link, tail, now, scratch, out);
    if (owes(link, tail, now) || (tail->state & TAIL_OPEN_DUE)) {
        ouro_status status = acknowledge(link, tail, now, scratch, out);
        if (status != OURO_OK || out->len > 0)
            return status;
    }
    if (tail->state & TAIL_CLOSE_DUE)
        return close(link, tail, now, scratch, out);
    return OURO_OK;
}

/* A client confirms at once, and keeps something outstanding that will be answered (section 3). */
static bool confirms_with_ping(const ouro_link *link) {
    const ouro_tail *tail = link->live[0];
    return tail != NULL && (tail->state & TAIL_UNCONFIRMED) && !(link->flags & LINK_PING_OUT) &&
           !ouro_flight_reliable(link, tail);
}

static bool has_control(const ouro_link *link, ouro_tail *tail, uint64_t now) {
    const ouro_path *path = path_of(tail);
    return owes(link, tail, now) ||
           (tail->state & (TAIL_GAP | TAIL_BUSY_DUE | TAIL_OPEN_DUE | TAIL_CLOSE_DUE)) != 0 ||
           (path != NULL && path->probe_due);
}

bool ouro_transmit_is_due(const ouro_link *link, uint64_t now) {
    if (link->flags & LINK_HOLD)
        return false;
    for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
        if (has_control(link, link->live[i], now))
            return true;
    return (link->flags & LINK_PONG_DUE) != 0 || ouro_client_says_hello(link) ||
           (link->live[0] != NULL && (link->flags & LINK_PING_DUE)) || confirms_with_ping(link) ||
           next_again(link, now) != NULL || next_message(link, now) != NULL;
}

ouro_status ouro_link_transmit(ouro_link *link, uint64_t now, uint8_t scratch[OURO_SCRATCH_SIZE],
                               ouro_datagram *out) {
    memset(out, 0, sizeof *out);
    if (link->flags & LINK_HOLD)
        return OURO_OK;
    ouro_policy_settle(link, now);
    ouro_status status = OURO_OK;
    while ((link->flags & LINK_PONG_DUE) && status == OURO_OK && out->len == 0)
        status = pong(link, now, scratch, out);
    if (status != OURO_OK || out->len > 0)
        return status;
    status = tell_gaps(link, now, scratch, out);
    if (status != OURO_OK || out->len > 0)
        return status;
    if (ouro_client_transmit(link, now, out) || again(link, now, out))
        return OURO_OK;
    for (ouro_place *place; status == OURO_OK && out->len == 0;) {
        place = next_message(link, now);
        if (place == NULL)
            break;
        status = first(link, place, now, out);
    }
    if (status != OURO_OK || out->len > 0)
        return status;
    if (confirms_with_ping(link))
        link->flags |= LINK_PING_DUE;
    for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++) {
        status = for_session(link, link->live[i], now, scratch, out);
        if (status != OURO_OK || out->len > 0)
            return status;
    }
    return OURO_OK;
}

ouro_status ouro_link_transmit_pong(ouro_link *link, uint64_t now,
                                    uint8_t scratch[OURO_SCRATCH_SIZE], ouro_datagram *out) {
    memset(out, 0, sizeof *out);
    if ((link->flags & LINK_HOLD) || !(link->flags & LINK_PONG_DUE))
        return OURO_OK;
    return pong(link, now, scratch, out);
}
