/* Packets in: to whom, opened or not, and what follows. */
#include "receive_internal.h"

#include "bytes.h"
#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "path_internal.h"
#include "policy_internal.h"
#include "session_internal.h"
#include "sessions_internal.h"
#include <string.h>

/* A duplicate is answered at the known address, and never more than the rate allows. */
static void note_duplicate(ouro_tail *tail, const ouro_window *window, uint64_t counter) {
    const ouro_slot *slot = ouro_window_slot(window, counter);
    ouro_ack_block block;
    if (slot != NULL && (slot->flags & OURO_FLAG_ACK_REQ) && ouro_tail_ack_block(tail, &block) &&
        (ouro_ack_block_names(&block, counter) || counter + 65 < block.highest))
        tail->state |= TAIL_OWES_AGAIN;
}

/* What can be said of DATA before any key is derived. */
static ouro_status screen(ouro_link *link, uint64_t now, ouro_session *session,
                          const ouro_header *header, const uint8_t *packet) {
    ouro_tail *tail = &session->tail;
    if (tail->close_phase == CLOSE_SENT && tail->close_reason != OURO_REASON_REKEY)
        return OURO_DROP_CLOSED;
    ouro_status status = ouro_session_check(session, header, packet);
    if (status == OURO_DROP_DUPLICATE)
        note_duplicate(tail, &session->window, header->counter);
    if (status != OURO_OK)
        return status;
    if ((link->flags & LINK_FULL) && session->window.slots != NULL &&
        session->window.received > 0) {
        /* What is dropped once an ACK has ended the peer's wait is told at once. */
        bool waits = (tail->state & TAIL_BUSY_SENT) != 0;
        if (tail->done_next > 0 && (!waits || now >= ouro_again(link->busy_ms, BUSY_PERIOD_MS)))
            tail->state |= TAIL_BUSY_DUE;
        return OURO_DROP_BUSY;
    }
    return OURO_OK;
}

static ouro_status receive(ouro_link *link, uint64_t now, const ouro_addr *from, uint8_t *packet,
                           size_t len) {
    ouro_header header;
    ouro_body body;
    ouro_status status = ouro_packet_decode(packet, len, link->settings->max_body, &header);
    if (status != OURO_OK)
        return status;
    if (header.type == OURO_HELLO)
        return OURO_DROP_HANDSHAKE;
    if (header.type == OURO_WELCOME)
        return ouro_client_welcome(link, now, packet, len);
    ouro_tail *tail = ouro_sessions_find(link, header.session_id);
    if (tail == NULL)
        return OURO_DROP_SESSION;
    if (header.type == OURO_DATA) {
        ouro_session *session = ouro_tail_full(tail);
        if (session == NULL)
            return OURO_DROP_CLOSED;
        status = screen(link, now, session, &header, packet);
        if (status == OURO_OK)
            status = ouro_session_open_checked(session, &header, packet, &body);
    } else {
        /* A stream has no NACK, and brings counters in order without a gap. */
        if (link->settings->stream &&
            (header.type == OURO_NACK || header.counter != tail->rx_control_next))
            return OURO_DROP_REPLAY;
        status = ouro_tail_open(tail, &header, packet, &body);
    }
    if (status == OURO_OK || status == OURO_DROP_NONSENSE)
        ouro_receive_take(link, now, tail, from, &header, &body, status);
    return status;
}

ouro_status ouro_link_receive(ouro_link *link, uint64_t now, const ouro_addr *from, uint8_t *packet,
                              size_t len) {
    if (link->inbox_full)
        return OURO_ERR_STATE;
    if (!ouro_source_fits(link, from))
        return OURO_ERR_ARGUMENT;
    link->stats.received++;
    ouro_status status = receive(link, now, from, packet, len);
    if (ouro_is_drop(status))
        link->stats.drops[-status]++;
    if (link->settings->stream && status != OURO_OK) {
        /* Nothing may be wrong in a stream; DATA after this side's own CLOSE is no error. */
        if (status == OURO_DROP_CLOSED)
            return status;
        link->flags |= LINK_BROKEN;
        return OURO_END_STREAM;
    }
    return status;
}

/* Anything authentic was heard: what was thought dead is alive. */
static void heard(ouro_link *link, ouro_tail *tail, uint8_t type, uint64_t now) {
    ouro_path_heard(link, now);
    /* After the answer to CLOSE 2 a handshake follows in any case. */
    if (type != OURO_CLOSE || tail->close_phase != CLOSE_SENT ||
        tail->close_reason != OURO_REASON_REKEY)
        ouro_client_heard(link);
    if (tail == link->live[0] && !(tail->state & TAIL_OLDER)) {
        if (link->memory->client != NULL)
            ouro_client_lives(link, now);
        if (tail->state & TAIL_UNCONFIRMED)
            ouro_policy_confirmed(link, now);
    }
    if (link->flags & LINK_DEAD) {
        link->flags &= (uint16_t)~LINK_DEAD;
        link->events = (uint16_t)((link->events & ~TELL_DEAD) | TELL_ALIVE);
        link->ping_timeouts = 0;
        link->ping_first_ms = now;
        bool server = link->settings->role == OURO_SERVER;
        for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
            if (server)
                ouro_flight_all_lost(link, link->live[i], now);
            else
                ouro_flight_resend(link, link->live[i], now);
    }
}

static void take_data(ouro_link *link, const ouro_header *header, const ouro_body *body) {
    link->inbox = body->data;
    link->inbox_len = (uint16_t)body->len;
    link->inbox_offset = 0;
    link->inbox_box = body->box;
    link->inbox_seq = body->seq;
    link->inbox_counter = (uint32_t)header->counter;
    link->inbox_session = header->session_id;
    link->inbox_flags = header->flags;
    link->inbox_full = true;
}

static void take_nack(ouro_link *link, ouro_tail *tail, const ouro_header *header,
                      const ouro_body *body, uint64_t now) {
    if (body->reason == OURO_NACK_BUSY)
        ouro_flight_busy(link, tail, header->counter, now);
}

/* An ACK newer than the BUSY says that there is room again. */
static void take_ack(ouro_link *link, const ouro_tail *tail, const ouro_header *header) {
    if (tail != link->live[0])
        return;
    if (header->counter >= link->open_counter)
        link->open_counter = (uint32_t)OURO_MIN(header->counter + 1, UINT32_MAX);
    if (link->wait_until_ms != 0 && header->counter > link->wait_counter)
        link->wait_until_ms = 0;
}

static void take_ping(ouro_link *link, ouro_tail *tail, const ouro_addr *from,
                      const ouro_body *body) {
    /* A PING whose PONG would not fit the peer is dropped (section 2). */
    if (body->len + OURO_ACK_BLOCK_SIZE > tail->peer_max_body)
        return;
    if (body->len > 0)
        memcpy(link->pong, body->data, body->len);
    link->pong_len = (uint8_t)body->len;
    link->pong_session = tail->id;
    link->flags |= LINK_PONG_DUE;
    ouro_session *session = ouro_tail_full(tail);
    if (session != NULL && session->path != NULL && from != NULL)
        session->path->pong = *from;
}

static void take_pong(ouro_link *link, const ouro_tail *tail, const ouro_body *body, uint64_t now) {
    if (body->len != 4)
        return;
    uint32_t seq = load_u32(body->data);
    uint8_t bit = (uint8_t)(1u << (seq % 8));
    /* One of the last eight, and not answered before. */
    if (link->ping_seq - seq - 1 >= 8 || !(link->ping_waiting & bit))
        return;
    link->ping_waiting &= (uint8_t)~bit;
    link->pong_rtt_ms = (uint32_t)((uint32_t)now - link->ping_times[seq % 8]);
    if (tail != link->live[0])
        return;
    ouro_path_sample(link, link->pong_rtt_ms);
    link->flags &= (uint16_t) ~(LINK_PING_OUT | LINK_PING_DUE);
    /* In a stream the next one is due a while after this. */
    if (link->settings->stream)
        link->ping_sent_ms = now;
    link->ping_timeouts = 0;
    link->events |= TELL_PONG;
}

static void take_close(ouro_link *link, ouro_tail *tail, const ouro_addr *from,
                       const ouro_body *body, uint64_t now) {
    ouro_session *session = ouro_tail_full(tail);
    uint8_t reason = body->reason > OURO_REASON_PROTOCOL ? OURO_REASON_NORMAL : body->reason;
    if (tail == link->live[0]) {
        uint64_t came = session != NULL ? session->window.received : body->sent;
        uint64_t missing = body->sent > came ? body->sent - came : 0;
        link->closed_missing = (uint32_t)OURO_MIN(missing, UINT32_MAX);
        if (!(link->flags & LINK_CLOSING))
            link->closed_reason = reason;
    }
    if (tail->close_phase == CLOSE_SENT && !(tail->state & TAIL_CLOSE_DUE)) {
        /* A server that shuts down is given time to come back, whatever this side closed for. */
        if (reason == OURO_REASON_SHUTDOWN) {
            tail->close_reason = reason;
            link->flags &= (uint16_t)~LINK_RECONNECT;
        }
        ouro_policy_end(link, tail, now);
        return;
    }
    if (session != NULL && session->path != NULL && from != NULL)
        session->path->close = *from;
    if (reason == OURO_REASON_REKEY) {
        /* Answered once nothing is in flight; a client makes its new session at once. */
        if (tail->close_phase != CLOSE_ANSWERING) {
            tail->close_phase = CLOSE_ANSWERING;
            tail->close_reason = reason;
            tail->state |= TAIL_NO_NEW;
            if (tail == link->live[0] && !link->settings->stream)
                ouro_client_begin(link, CAUSE_REKEY, now);
        }
        return;
    }
    tail->close_phase = CLOSE_ANSWERING;
    tail->close_reason = reason;
    tail->state |= TAIL_CLOSE_DUE | TAIL_ENDING | TAIL_NO_NEW;
}

void ouro_receive_take(ouro_link *link, uint64_t now, ouro_tail *tail, const ouro_addr *from,
                       const ouro_header *header, const ouro_body *body, ouro_status status) {
    ouro_session *session = ouro_tail_full(tail);
    heard(link, tail, header->type, now);
    if (status != OURO_OK) {
        /* Its counter shows in later ack blocks, so that it is not sent for ever. */
        if (header->type == OURO_DATA)
            ouro_tail_done(tail, header->counter);
        return;
    }
    if (session != NULL && session->path != NULL && from != NULL)
        ouro_path_follow(session, from, header, body, now);
    if (body->has_acks)
        ouro_flight_acked(link, tail, &body->acks, now);
    switch (header->type) {
    case OURO_DATA:
        take_data(link, header, body);
        break;
    case OURO_ACK:
        take_ack(link, tail, header);
        break;
    case OURO_NACK:
        take_nack(link, tail, header, body, now);
        break;
    case OURO_PING:
        take_ping(link, tail, from, body);
        break;
    case OURO_PONG:
        take_pong(link, tail, body, now);
        break;
    default:
        take_close(link, tail, from, body, now);
        break;
    }
    ouro_policy_settle(link, now);
}
