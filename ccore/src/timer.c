/* What happens when nothing happens: the timers of section 6, and when the next is due. */
#include "timer_internal.h"

#include "client_internal.h"
#include "flight_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"
#include "path_internal.h"
#include "place_internal.h"
#include "policy_internal.h"
#include "sessions_internal.h"
#include "stalled_internal.h"
#include "stream_internal.h"

static bool timers_stopped(const ouro_link *link) {
    bool silent_device = link->settings->role == OURO_SERVER && (link->flags & LINK_DEAD);
    return silent_device || link->settings->stream;
}

/* A message that is too old to be sent fails; what arrives is not stale. */
static void expire_queue(ouro_link *link, uint64_t now) {
    for (ouro_place *p = link->queue, *next; p != NULL; p = next) {
        next = p->next;
        if (p->counter != 0 && now >= ouro_then(now, p->sent_ms) + p->counter)
            ouro_place_finish(link, &link->queue, p, PLACE_FAILED);
    }
}

/* To a silent device nothing is sent again; what is unreliable is forgotten all the same. */
static bool has_timer(const ouro_link *link, const ouro_place *place) {
    bool stopped = timers_stopped(link) && (place->flags & PLACE_RELIABLE);
    return !stopped && !(place->flags & (PLACE_LOST | PLACE_RESEND));
}

/* An unreliable message that asked for an answer and got none: is the server there? (section 6) */
static void ask_again(ouro_link *link, const ouro_tail *tail, const ouro_place *place,
                      uint64_t now) {
    if (link->settings->role == OURO_CLIENT && tail == link->live[0] &&
        (place->wire_flags & OURO_FLAG_ACK_REQ) && !(link->flags & LINK_PING_OUT) &&
        link->heard_ms <= ouro_then(now, place->sent_ms))
        link->flags |= LINK_PING_DUE;
}

static void time_out_flight(ouro_link *link, uint64_t now) {
    for (ouro_place *p = link->flight, *next; p != NULL; p = next) {
        next = p->next;
        ouro_tail *tail = ouro_sessions_find(link, p->session_id);
        if (!has_timer(link, p) || now < ouro_flight_due(link, tail, p, now))
            continue;
        if (p->flags & PLACE_RELIABLE) {
            ouro_flight_timeout(link, tail, p, now);
        } else {
            ask_again(link, tail, p, now);
            ouro_place_finish(link, &link->flight, p, PLACE_SENT);
        }
    }
}

static uint64_t ping_due(const ouro_link *link) {
    return ouro_path_due(link, link->live[0], link->ping_sent_ms, link->ping_timeouts);
}

/* An unanswered PING is followed by a new one, which counts as the same packet. */
static void time_out_ping(ouro_link *link, uint64_t now) {
    ouro_tail *tail = link->live[0];
    if (!(link->flags & LINK_PING_OUT) || (link->flags & LINK_PING_DUE) || now < ping_due(link))
        return;
    link->stats.timeouts++;
    if (link->ping_timeouts < 100)
        link->ping_timeouts++;

    bool needed = ouro_flight_reliable(link, tail) || link->settings->keep_alive_ms != 0 ||
                  (tail->state & TAIL_UNCONFIRMED);
    if (link->ping_timeouts >= PING_TIMEOUTS && !needed) {
        link->flags &= (uint16_t)~LINK_PING_OUT;
        return;
    }
    if (link->ping_timeouts >= 2)
        ouro_path_suspect(link, link->ping_previous_ms, now);
    if (link->ping_timeouts > GIVE_UP_ATTEMPTS && now - link->ping_first_ms >= GIVE_UP_MS &&
        now - link->heard_ms >= GIVE_UP_MS) {
        ouro_path_dead(link, now);
        if (timers_stopped(link))
            return;
    }
    link->flags |= LINK_PING_DUE;
}

static uint64_t keep_alive_due(const ouro_link *link) {
    return OURO_MAX(link->heard_ms, link->sent_ms) + link->settings->keep_alive_ms;
}

static bool keeps_alive(const ouro_link *link) {
    return link->settings->keep_alive_ms != 0 && link->live[0] != NULL &&
           !(link->live[0]->state & TAIL_NO_NEW) &&
           !(link->flags & (LINK_PING_OUT | LINK_PING_DUE | LINK_CLOSING));
}

/* CLOSE is sent up to three times; with reason 2 until it is answered or its 60 s are over. */
static uint64_t close_due(const ouro_link *link, const ouro_tail *tail, uint64_t now) {
    bool rekey = tail->close_reason == OURO_REASON_REKEY;
    uint64_t since = ouro_then(now, tail->close_ms);
    /* A stream loses nothing: CLOSE goes once, and the closer waits for the answer or the end. */
    if (tail->close_phase == CLOSE_DRAINING || link->settings->stream)
        return since + GIVE_UP_MS;
    return since + ouro_path_backed_off(link, tail, rekey ? tail->close_count - 1u : 0);
}

/* Closing a session to replace it waits as long for its flight as closing a link does. */
static bool closes_by_time(const ouro_tail *tail) {
    if (tail->close_phase == CLOSE_DRAINING)
        return tail->close_reason == OURO_REASON_REKEY;
    return tail->close_phase == CLOSE_SENT && !(tail->state & TAIL_CLOSE_DUE);
}

/* A one-window client has no other way out of a CLOSE 2 without an answer (section 6, CLOSE). */
static void suspect_unanswered(ouro_link *link, const ouro_tail *tail, uint64_t now) {
    if (link->settings->role == OURO_CLIENT && !link->settings->stream &&
        link->memory->session_count < 2 && tail == link->live[0] &&
        tail->close_phase == CLOSE_SENT && tail->close_reason == OURO_REASON_REKEY &&
        tail->close_count >= 2)
        ouro_path_suspect(link, ouro_then(now, link->memory->client->close_previous_ms), now);
}

static void time_out_close(ouro_link *link, ouro_tail *tail, uint64_t now) {
    if (!closes_by_time(tail) || now < close_due(link, tail, now))
        return;
    suspect_unanswered(link, tail, now);
    bool again = tail->close_reason == OURO_REASON_REKEY || tail->close_count < CLOSE_COPIES;
    if (tail->close_phase == CLOSE_DRAINING || (again && !link->settings->stream)) {
        tail->close_phase = CLOSE_SENT;
        tail->state |= TAIL_CLOSE_DUE;
    } else {
        ouro_policy_end(link, tail, now);
    }
}

static bool is_idle_server(const ouro_link *link) {
    return link->settings->role == OURO_SERVER && link->live[0] != NULL &&
           link->live[0]->close_phase != CLOSE_SENT;
}

static uint64_t idle_due(const ouro_link *link) {
    uint64_t idle = link->settings->idle_ms;
    return ouro_after(link->heard_ms, idle != 0 ? idle : DEFAULT_IDLE_MS);
}

void ouro_link_tick(ouro_link *link, uint64_t now) {
    expire_queue(link, now);
    if (!ouro_link_waits(link, now))
        link->wait_until_ms = 0;
    if (link->settings->stream) {
        ouro_stream_tick(link, now);
    } else {
        if (!ouro_link_waits(link, now))
            time_out_flight(link, now);
        if (link->live[0] != NULL && !timers_stopped(link))
            time_out_ping(link, now);
    }
    if (keeps_alive(link) && now >= keep_alive_due(link))
        link->flags |= LINK_PING_DUE;
    if ((link->flags & LINK_SUSPECT) && now >= link->suspect_ms) {
        link->flags &= (uint16_t)~LINK_SUSPECT;
        ouro_client_begin(link, CAUSE_DEAD_PATH, now);
    }
    if (link->memory->client != NULL)
        ouro_client_tick(link, now);
    for (size_t i = OURO_MAX_SESSIONS; i-- > 0;)
        if (link->live[i] != NULL)
            time_out_close(link, link->live[i], now);
    if (ouro_policy_closing_waits(link) && now >= link->closing_ms + GIVE_UP_MS)
        ouro_policy_cut_short(link);
    if (is_idle_server(link) && now >= idle_due(link))
        ouro_policy_goodbye(link, link->live[0], OURO_REASON_IDLE);
    ouro_policy_settle(link, now);
}

static void earlier(uint64_t *deadline, uint64_t time) {
    if (time < *deadline)
        *deadline = time;
}

static uint64_t flight_deadline(const ouro_link *link, uint64_t now) {
    uint64_t deadline = ouro_stalled_deadline(link, now);
    for (const ouro_place *p = link->flight; p != NULL; p = p->next)
        if (has_timer(link, p))
            earlier(&deadline,
                    ouro_flight_due(link, ouro_sessions_find(link, p->session_id), p, now));
    return deadline;
}

static uint64_t session_deadline(const ouro_link *link, const ouro_tail *tail, uint64_t now) {
    uint64_t deadline = OURO_NEVER;
    if (tail->state & TAIL_RETIRING)
        earlier(&deadline, tail->retire_ms);
    if (closes_by_time(tail))
        earlier(&deadline, close_due(link, tail, now));
    if ((tail->state & TAIL_OWES_AGAIN) && !(link->flags & LINK_HOLD))
        earlier(&deadline, ouro_again(link->duplicate_ms, DUPLICATE_PERIOD_MS));
    return deadline;
}

static uint64_t client_deadline(const ouro_link *link) {
    const ouro_client *client = link->memory->client;
    uint64_t deadline = OURO_NEVER;
    if (client == NULL || (link->flags & LINK_BROKEN))
        return deadline;
    if (ouro_client_waits(link))
        earlier(&deadline, client->next_ms);
    if (link->flags & LINK_SUSPECT)
        earlier(&deadline, link->suspect_ms);
    return deadline;
}

uint64_t ouro_timer_next(const ouro_link *link, uint64_t now) {
    uint64_t deadline = client_deadline(link);
    for (const ouro_place *p = link->queue; p != NULL; p = p->next)
        if (p->counter != 0)
            earlier(&deadline, ouro_then(now, p->sent_ms) + p->counter);
    /* Its end counts when it has passed, too: ouro_link_tick forgets it. */
    if (link->wait_until_ms != 0)
        earlier(&deadline, link->wait_until_ms);
    if (!ouro_link_waits(link, now) && !link->settings->stream)
        earlier(&deadline, flight_deadline(link, now));
    if (link->settings->stream)
        earlier(&deadline, ouro_stream_deadline(link, now));
    else if (!timers_stopped(link) && (link->flags & LINK_PING_OUT) &&
             !(link->flags & LINK_PING_DUE) && link->live[0] != NULL)
        earlier(&deadline, ping_due(link));
    if (keeps_alive(link))
        earlier(&deadline, keep_alive_due(link));
    for (size_t i = 0; i < OURO_MAX_SESSIONS && link->live[i] != NULL; i++)
        earlier(&deadline, session_deadline(link, link->live[i], now));
    if (ouro_policy_closing_waits(link))
        earlier(&deadline, link->closing_ms + GIVE_UP_MS);
    if (is_idle_server(link))
        earlier(&deadline, idle_due(link));
    if (link->settings->role == OURO_CLIENT && ouro_policy_may_renew(link))
        earlier(&deadline, ouro_sessions_newest(link)->renew_ms);
    return deadline;
}
