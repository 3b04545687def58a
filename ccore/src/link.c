/* A link's life: messages in, events out, closing. */
#include "ouroboros/link.h"

#include "bytes.h"
#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "once_internal.h"
#include "packet_internal.h"
#include "parameters.h"
#include "place_internal.h"
#include "policy_internal.h"
#include "pool_internal.h"
#include "session_internal.h"
#include "sessions_internal.h"
#include "settings_internal.h"
#include "stalled_internal.h"
#include "stream_internal.h"
#include "timer_internal.h"
#include "transmit_internal.h"
#include <string.h>

/* What is not a link, or none any more, is one that is closed. */
static void make_closed(ouro_link *link) {
    static const ouro_settings no_settings = {.role = OURO_SERVER};
    static const ouro_pool no_pool = {.packet_cap = OURO_OVERHEAD + OURO_ONCE_SIZE};
    /* Nothing is taken from a pool for a link that is closed. */
    static const ouro_memory no_memory = {.pool = (ouro_pool *)(uintptr_t)&no_pool};
    memset(link, 0, sizeof *link);
    link->settings = &no_settings;
    link->memory = &no_memory;
    link->flags = LINK_CLOSED;
}

ouro_status ouro_link_init(ouro_link *link, const ouro_settings *settings,
                           const ouro_memory *memory, const ouro_credential *credential,
                           uint32_t seed) {
    make_closed(link);
    if (settings == NULL || memory == NULL || !ouro_settings_fit(settings) ||
        !ouro_memory_fits(memory, settings) ||
        (credential == NULL) == (settings->role == OURO_CLIENT))
        return OURO_ERR_ARGUMENT;
    if (credential != NULL && !credential->evolving && credential->epoch != 0)
        return OURO_ERR_ARGUMENT;
    link->settings = settings;
    link->memory = memory;
    link->flags = 0;
    link->random = seed != 0 ? seed : 1;
    memset(memory->sessions, 0, memory->session_count * sizeof *memory->sessions);
    if (memory->tail_count > 0)
        memset(memory->tails, 0, memory->tail_count * sizeof *memory->tails);
    if (memory->prepared != NULL)
        memset(memory->prepared, 0, sizeof *memory->prepared);
    if (memory->client != NULL) {
        memset(memory->client, 0, sizeof *memory->client);
        memory->client->credential = *credential;
        memory->client->shorts = (uint8_t)OURO_MIN(credential->shorts, SHORTS_MAX);
    }
    ouro_flight_fresh(link);
    return OURO_OK;
}

ouro_status ouro_link_connect(ouro_link *link, uint64_t now) {
    if (link->settings->role != OURO_CLIENT || (link->flags & (LINK_CLOSING | LINK_CLOSED)))
        return OURO_ERR_STATE;
    link->flags &= (uint16_t)~LINK_ASLEEP;
    if (!ouro_link_is_open(link))
        ouro_client_begin(link, CAUSE_CONNECT, now);
    return OURO_OK;
}

void ouro_link_epoch_saved(ouro_link *link) {
    link->flags &= (uint16_t)~LINK_HOLD;
    link->events &= (uint16_t)~TELL_EPOCH;
}

/*
 * A hole is reported once, when three counters past it were handed on, so that the block which
 * reports it names them (section 6, NACK GAP).
 */
static void find_gaps(ouro_session *session) {
    ouro_ack_block block;
    if (!ouro_tail_ack_block(&session->tail, &block))
        return;
    uint64_t third = block.highest + 1;
    for (unsigned found = 0; found < 3; found += ouro_ack_block_names(&block, third))
        if (third-- == 0 || block.highest - third > 64)
            return;
    bool hole = false;
    for (uint64_t n = third; n-- > session->gap_next;) {
        const ouro_slot *slot = ouro_window_slot(&session->window, n);
        if (slot == NULL)
            break;
        hole |= slot->state != OURO_SLOT_OPENED;
    }
    session->gap_next = OURO_MAX(session->gap_next, third);
    if (hole)
        session->tail.state |= TAIL_GAP;
}

void ouro_link_done(ouro_link *link, uint32_t session_id, uint64_t counter) {
    ouro_tail *tail = ouro_sessions_find(link, session_id);
    ouro_session *session = ouro_tail_full(tail);
    if (tail == NULL || (session != NULL && counter >= session->window.next))
        return;
    if (link->settings->stream) {
        if (ouro_stream_done(tail, counter))
            tail->state |= TAIL_OWES;
        return;
    }
    const ouro_slot *slot = session != NULL ? ouro_window_slot(&session->window, counter) : NULL;
    if (slot != NULL && slot->state != OURO_SLOT_OPENED)
        return;
    ouro_tail_done(tail, counter);
    /* Without its slot, what it asked for is not known any more: an answer does no harm. */
    if (slot != NULL && !(slot->flags & OURO_FLAG_ACK_REQ))
        return;
    tail->state |= TAIL_OWES;
    if (session != NULL)
        find_gaps(session);
}

void ouro_link_set_room(ouro_link *link, size_t free, size_t capacity) {
    if (free == 0)
        link->flags |= LINK_FULL;
    else
        link->flags &= (uint16_t)~LINK_FULL;
    for (size_t i = 0; free > 0 && i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++) {
        ouro_tail *tail = link->live[i];
        bool half_free = free >= capacity || free >= capacity - free;
        /* A BUSY that is due goes out first all the same: what was dropped comes again for it. */
        if (!half_free || !(tail->state & (TAIL_BUSY_DUE | TAIL_BUSY_SENT)))
            continue;
        tail->state = (uint16_t)((tail->state & ~TAIL_BUSY_SENT) | TAIL_OPEN_DUE);
    }
}

size_t ouro_link_max_message(const ouro_link *link, bool once) {
    size_t most = link->memory->pool->packet_cap - OURO_OVERHEAD;
    const ouro_session *session = ouro_sessions_newest(link);
    if (session != NULL && session->tail.peer_max_body < most)
        most = session->tail.peer_max_body;
    return once ? most - OURO_ONCE_SIZE : most;
}

static void fill(ouro_place *place, const ouro_message *message) {
    uint8_t *body = ouro_place_packet(place) + OURO_HEADER_SIZE;
    if (message->box != 0) {
        store_u32(body, message->box);
        store_u32(body + 4, message->seq);
        body += OURO_ONCE_SIZE;
        place->len = OURO_ONCE_SIZE;
        place->wire_flags |= OURO_FLAG_ONCE;
    }
    if (message->len > 0)
        memcpy(body, message->data, message->len);
    place->len = (uint16_t)(place->len + message->len);
    if (message->batch)
        place->wire_flags |= OURO_FLAG_BATCH;
    if (message->reliable)
        place->flags |= PLACE_RELIABLE;
    place->box = message->box;
    place->seq = message->seq;
}

static uint32_t time_to_live(const ouro_settings *settings, const ouro_message *message) {
    if (message->ttl_ms != 0 || message->reliable)
        return message->ttl_ms;
    return settings->unreliable_ttl_ms != 0 ? settings->unreliable_ttl_ms : UNRELIABLE_TTL_MS;
}

ouro_status ouro_link_send(ouro_link *link, uint64_t now, const ouro_message *message,
                           uint32_t *id) {
    const ouro_settings *settings = link->settings;
    if (link->flags & (LINK_CLOSING | LINK_CLOSED))
        return OURO_END_CLOSED;
    if (link->flags & LINK_ASLEEP)
        return OURO_ERR_STATE;
    if (message->ttl_ms > TTL_MAX_MS || (message->data == NULL && message->len > 0))
        return OURO_ERR_ARGUMENT;
    if (message->len > ouro_link_max_message(link, message->box != 0))
        return OURO_ERR_TOO_LARGE;
    if (message->batch && !ouro_batch_fits(message->data, message->len))
        return OURO_ERR_ARGUMENT;
    if (message->box != 0 && !ouro_once_may_give(link, message->box, message->seq))
        return OURO_ERR_SEQ;
    bool limited = settings->place_limit != 0 && link->place_count >= settings->place_limit;
    ouro_place *place = limited ? NULL : ouro_pool_take(link->memory->pool);
    if (place == NULL) {
        /* Where events that are not drained yet hold none. */
        if (link->ended == NULL)
            ouro_stalled_give_place(link);
        return OURO_ERR_NO_PLACE;
    }
    link->place_count++;
    if (message->box != 0)
        ouro_once_given(link, message->box, message->seq);
    fill(place, message);
    place->id = *id = link->next_id++;
    place->sent_ms = (uint32_t)now;
    place->counter = time_to_live(settings, message);
    ouro_place_append(&link->queue, place);
    /* A handshake follows by itself where the session is being closed for it. */
    bool follows = link->live[0] != NULL && (link->flags & LINK_RECONNECT) != 0;
    if (settings->role == OURO_CLIENT && !follows &&
        (!ouro_link_is_open(link) || ouro_client_busy(link)))
        ouro_client_wanted(link, now);
    return OURO_OK;
}

ouro_status ouro_link_withdraw(ouro_link *link, uint32_t id) {
    for (ouro_place *p = link->queue; p != NULL; p = p->next)
        if (p->id == id) {
            ouro_place_finish(link, &link->queue, p, PLACE_FAILED);
            return OURO_OK;
        }
    return OURO_ERR_STATE;
}

ouro_status ouro_link_ping(ouro_link *link) {
    if (!ouro_link_is_open(link))
        return OURO_ERR_STATE;
    if (!(link->flags & LINK_PING_OUT))
        link->flags |= LINK_PING_DUE;
    return OURO_OK;
}

ouro_status ouro_link_rekey(ouro_link *link, uint64_t now) {
    if (!ouro_link_is_open(link) || (link->flags & LINK_CLOSING))
        return OURO_ERR_STATE;
    ouro_policy_renew(link, now);
    return OURO_OK;
}

ouro_status ouro_link_close(ouro_link *link, uint64_t now, ouro_reason reason, bool at_once) {
    if (link->flags & LINK_CLOSED)
        return OURO_ERR_STATE;
    /* Reason 2 asks for another session: ouro_link_rekey. */
    if (reason > OURO_REASON_PROTOCOL || reason == OURO_REASON_REKEY)
        return OURO_ERR_ARGUMENT;
    if (!(link->flags & LINK_CLOSING)) {
        link->flags |= LINK_CLOSING;
        link->flags &= (uint16_t) ~(LINK_SUSPECT | LINK_RECONNECT);
        link->closing_ms = now;
        link->closed_reason = (uint8_t)reason;
    }
    if (link->live[0] != NULL)
        ouro_sessions_begin_close(link->live[0], now, (uint8_t)reason);
    /* Without a session there is nobody to tell; a handshake that carries messages goes on. */
    bool hopeless = link->live[0] == NULL && (link->queue == NULL || !ouro_client_busy(link));
    if (at_once || hopeless)
        ouro_policy_cut_short(link);
    return OURO_OK;
}

ouro_status ouro_link_prepare(ouro_link *link, size_t body_len) {
    ouro_session *session = ouro_sessions_newest(link);
    if (session == NULL || (session->tail.state & TAIL_NO_NEW))
        return OURO_OK;
    return ouro_session_prepare(session, body_len);
}

static bool next_item(ouro_link *link, ouro_event *event) {
    event->type = OURO_EVENT_MESSAGE;
    event->session_id = link->inbox_session;
    event->counter = link->inbox_counter;
    event->once = (link->inbox_flags & OURO_FLAG_ONCE) != 0;
    event->box = link->inbox_box;
    event->seq = link->inbox_seq;
    event->batch = (link->inbox_flags & OURO_FLAG_BATCH) != 0;
    event->data = link->inbox;
    event->len = link->inbox_len;
    event->last = true;
    if (event->batch) {
        size_t offset = link->inbox_offset;
        (void)ouro_batch_next(link->inbox, link->inbox_len, &offset, &event->data, &event->len);
        link->inbox_offset = (uint16_t)offset;
        event->last = offset >= link->inbox_len;
    }
    link->inbox_full = !event->last;
    return true;
}

static ouro_event_type outcome_of(const ouro_place *place) {
    if (place->flags & PLACE_DELIVERED)
        return OURO_EVENT_DELIVERED;
    if (place->flags & PLACE_UNKNOWN)
        return OURO_EVENT_UNKNOWN;
    return place->flags & PLACE_FAILED ? OURO_EVENT_FAILED : OURO_EVENT_SENT;
}

/* An unreliable message that went out, and whose place is still in use. */
static bool next_sent(ouro_link *link, ouro_place *list, ouro_event *event) {
    for (ouro_place *place = list; place != NULL; place = place->next) {
        if (!(place->flags & PLACE_SENT))
            continue;
        place->flags = (uint16_t)((place->flags & ~PLACE_SENT) | PLACE_QUIET);
        link->reports--;
        event->type = OURO_EVENT_SENT;
        event->message = place->id;
        return true;
    }
    return false;
}

static bool next_outcome(ouro_link *link, ouro_event *event) {
    ouro_place *place = link->ended;
    if (place != NULL) {
        event->type = outcome_of(place);
        event->message = place->id;
        event->stalled = (place->flags & PLACE_STALLED) != 0;
        link->ended = place->next;
        link->place_count--;
        ouro_pool_give(link->memory->pool, place);
        return true;
    }
    if (link->reports > 0)
        return next_sent(link, link->flight, event) || next_sent(link, link->stalled, event);
    place = ouro_stalled_untold(link);
    if (place == NULL)
        return false;
    place->flags |= PLACE_TOLD;
    event->type = OURO_EVENT_STALLED;
    event->message = place->id;
    event->len = ouro_stalled_size(place);
    return true;
}

static bool next_tell(ouro_link *link, ouro_event *event) {
    static const struct {
        uint16_t bit;
        ouro_event_type type;
    } tells[] = {{TELL_NONCE, OURO_EVENT_NONCE}, {TELL_ESTABLISHED, OURO_EVENT_ESTABLISHED},
                 {TELL_DEAD, OURO_EVENT_DEAD},   {TELL_ALIVE, OURO_EVENT_ALIVE},
                 {TELL_PONG, OURO_EVENT_PONG},   {TELL_CLOSED, OURO_EVENT_CLOSED}};
    for (size_t i = 0; i < sizeof tells / sizeof tells[0]; i++) {
        if (!(link->events & tells[i].bit))
            continue;
        event->type = tells[i].type;
        event->session_id = link->established_id;
        event->rtt_ms = link->pong_rtt_ms;
        event->reason = link->closed_reason;
        event->missing = link->closed_missing;
        event->by_peer = (link->events & TELL_CLOSED_BY_PEER) != 0;
        link->events &= (uint16_t)~tells[i].bit;
        if (event->type == OURO_EVENT_CLOSED) {
            link->events &= (uint16_t)~TELL_CLOSED_BY_PEER;
        }
        return true;
    }
    return false;
}

bool ouro_link_next_event(ouro_link *link, ouro_event *event) {
    memset(event, 0, sizeof *event);
    /* Nothing is handed on before the epoch is durable (section 3). */
    if (link->events & TELL_EPOCH) {
        link->events &= (uint16_t)~TELL_EPOCH;
        event->type = OURO_EVENT_EPOCH;
        event->shorts = link->memory->client->credential.shorts;
        return true;
    }
    if (link->flags & LINK_HOLD)
        return false;
    if (link->inbox_full)
        return next_item(link, event);
    return next_outcome(link, event) || next_tell(link, event);
}

/* True if ouro_link_next_event has one to tell. */
static bool has_event(const ouro_link *link) {
    if (link->flags & LINK_HOLD)
        return (link->events & TELL_EPOCH) != 0;
    return link->inbox_full || link->ended != NULL || link->reports > 0 ||
           ouro_stalled_untold(link) != NULL || (link->events & ~TELL_CLOSED_BY_PEER) != 0;
}

/* Whatever can go out, or be told, is due: a caller who waits as told misses nothing. */
uint64_t ouro_link_deadline(const ouro_link *link, uint64_t now) {
    if (has_event(link) || ouro_transmit_is_due(link, now) || !ouro_policy_is_settled(link, now))
        return now;
    return ouro_timer_next(link, now);
}

bool ouro_link_is_open(const ouro_link *link) {
    return ouro_sessions_newest(link) != NULL && !(link->live[0]->state & TAIL_NO_NEW) &&
           !(link->flags & (LINK_CLOSED | LINK_BROKEN));
}

bool ouro_link_is_closed(const ouro_link *link) {
    return (link->flags & LINK_CLOSED) != 0;
}

size_t ouro_link_pending(const ouro_link *link) {
    size_t count = 0;
    for (const ouro_place *p = link->queue; p != NULL; p = p->next)
        count++;
    for (const ouro_place *p = link->flight; p != NULL; p = p->next)
        count += !(p->flags & PLACE_QUIET);
    return count;
}

uint32_t ouro_link_rtt(const ouro_link *link) {
    return link->srtt8 == 0 ? 0 : OURO_MAX(link->srtt8 / 8, 1);
}

uint64_t ouro_link_sent_messages(const ouro_link *link) {
    return link->live[0] != NULL ? link->live[0]->tx_next : 0;
}

static void give_all(ouro_link *link, ouro_place **list) {
    while (*list != NULL) {
        ouro_place *place = *list;
        *list = place->next;
        ouro_pool_give(link->memory->pool, place);
    }
}

void ouro_link_erase(ouro_link *link) {
    if (link->settings == NULL)
        return;
    ouro_sessions_erase(link);
    give_all(link, &link->queue);
    give_all(link, &link->flight);
    give_all(link, &link->stalled);
    give_all(link, &link->ended);
    if (link->memory->client != NULL)
        ouro_erase(link->memory->client, sizeof *link->memory->client);
    ouro_erase(link, sizeof *link);
    make_closed(link);
}
