/* A client's handshakes (section 3): one HELLO alive at a time. */
#include "client_internal.h"

#include "handshake_internal.h"
#include "link_state.h"
#include "numbers.h"
#include "ouroboros/stream.h"
#include "parameters.h"
#include "path_internal.h"
#include "sessions_internal.h"
#include <string.h>

static void want_nonce(ouro_link *link) {
    ouro_client *client = link->memory->client;
    client->phase = OURO_HANDSHAKE_NONCE;
    client->hello_len = 0;
    client->challenges = 0;
    link->events |= TELL_NONCE;
}

/* A session that is in use, or was until its path died. */
static bool has_session(const ouro_link *link) {
    return link->live[0] != NULL && !(link->live[0]->state & TAIL_OLDER);
}

/* Short sessions in a row once the newest one is over. What shortens the row is time that it lived.
 */
static uint8_t count(const ouro_link *link, bool lost) {
    const ouro_client *client = link->memory->client;
    if (lost && client->lived_ms < SHORT_MS)
        return (uint8_t)OURO_MIN(client->shorts + 1, SHORTS_MAX);
    uint32_t less = client->lived_ms / SHORT_MS;
    return (uint8_t)(client->shorts > less ? client->shorts - less : 0);
}

/* The time since the last HELLO that a handshake has to wait (section 3, the client). */
static uint64_t wait_after(const ouro_settings *settings, uint8_t shorts) {
    uint32_t most = settings->short_wait_ms != 0 ? settings->short_wait_ms : SHORT_WAIT_MAX_MS;
    if (shorts < SHORTS_WAIT)
        return 0;
    return OURO_MIN((uint32_t)SHORT_WAIT_MS << (shorts - SHORTS_WAIT), most);
}

static void put_off(ouro_link *link, uint64_t until) {
    ouro_client *client = link->memory->client;
    client->phase = OURO_HANDSHAKE_PUT_OFF;
    client->hello_len = 0;
    client->given_up = false;
    client->next_ms = until;
    link->events &= (uint16_t)~TELL_NONCE;
}

static void start(ouro_link *link, uint64_t now) {
    ouro_client *client = link->memory->client;
    client->attempts = 0;
    client->given_up = false;
    client->begun_ms = now;
    client->kept = client->cancelled_ms != 0 && now - client->cancelled_ms < KEPT_MS;
    want_nonce(link);
}

void ouro_client_begin(ouro_link *link, uint8_t cause, uint64_t now) {
    ouro_client *client = link->memory->client;
    if (client == NULL || client->phase != OURO_HANDSHAKE_IDLE || (link->flags & LINK_CLOSING))
        return;
    client->cause = cause;
    client->timeout_ms =
        link->settings->stream ? OURO_STREAM_HANDSHAKE_MS : ouro_path_first_timeout(link);
    uint8_t shorts = has_session(link) ? count(link, cause == CAUSE_DEAD_PATH) : client->shorts;
    /* After a restart the time runs from that, or from when a session is first wanted. */
    if (client->sent_ms == 0 && shorts >= SHORTS_WAIT)
        client->sent_ms = now;
    uint64_t from = client->sent_ms + wait_after(link->settings, shorts);
    if (now >= from)
        start(link, now);
    else
        put_off(link, from);
}

uint64_t ouro_link_connects_at(const ouro_link *link, uint64_t now) {
    const ouro_client *client = link->memory->client;
    if (client == NULL)
        return OURO_NEVER;
    uint64_t since = client->sent_ms != 0 ? client->sent_ms : now;
    return OURO_MAX(now, since + wait_after(link->settings, client->shorts));
}

void ouro_client_ended(ouro_link *link, bool lost) {
    ouro_client *client = link->memory->client;
    client->shorts = count(link, lost);
    client->lived_ms = 0;
}

void ouro_client_lives(ouro_link *link, uint64_t now) {
    ouro_client *client = link->memory->client;
    client->lived_ms = (uint32_t)OURO_MIN(now - client->welcome_ms, UINT32_MAX);
    /* What was written says that the session is short, should this device restart now. */
    if (!client->credential.evolving || client->credential.shorts < SHORTS_WAIT)
        return;
    client->credential.shorts = 0;
    link->flags |= LINK_HOLD;
    link->events |= TELL_EPOCH;
}

/* What was held back cancels one handshake, not each (section 6, a dead path). */
void ouro_client_heard(ouro_link *link) {
    ouro_client *client = link->memory->client;
    if (client == NULL || !ouro_client_busy(link) || client->cause != CAUSE_DEAD_PATH ||
        (client->kept && !client->given_up))
        return;
    if (client->phase != OURO_HANDSHAKE_PUT_OFF)
        client->cancelled_ms = client->begun_ms;
    ouro_client_cancel(link);
}

void ouro_client_cancel(ouro_link *link) {
    ouro_client *client = link->memory->client;
    if (client == NULL)
        return;
    client->phase = OURO_HANDSHAKE_IDLE;
    ouro_erase(client->hello, sizeof client->hello);
    client->hello_len = 0;
    link->events &= (uint16_t)~TELL_NONCE;
}

void ouro_client_wanted(ouro_link *link, uint64_t now) {
    ouro_client *client = link->memory->client;
    if (link->settings->stream)
        return;
    if (client->phase == OURO_HANDSHAKE_IDLE) {
        ouro_client_begin(link, CAUSE_CONNECT, now);
        /* A server that shut down is given time to come back. */
        if (client->phase == OURO_HANDSHAKE_NONCE && link->closed_reason == OURO_REASON_SHUTDOWN)
            put_off(link, now + client->timeout_ms);
    } else if (client->given_up && client->phase == OURO_HANDSHAKE_WAIT &&
               now - client->sent_ms >= HELLO_AGAIN_MS) {
        client->next_ms = now;
    }
}

static ouro_status write_hello(ouro_client *client, const ouro_settings *settings,
                               const uint8_t nonce[16], const uint8_t *challenge) {
    ouro_hello hello;
    uint8_t auth[32];
    size_t len = 0;
    memset(&hello, 0, sizeof hello);
    memcpy(hello.device_id, client->credential.device_id, sizeof hello.device_id);
    memcpy(hello.nonce, nonce, sizeof hello.nonce);
    hello.epoch = client->credential.epoch;
    hello.evolving = client->credential.evolving;
    hello.stream = settings->stream;
    hello.reach = settings->reach;
    hello.max_body = settings->max_body;
    hello.has_challenge = challenge != NULL;
    if (challenge != NULL)
        memcpy(hello.challenge, challenge, sizeof hello.challenge);
    ouro_status status = ouro_auth_key(client->credential.key, client->credential.epoch, auth);
    if (status == OURO_OK)
        status = ouro_hello_write(&hello, auth, client->hello, &len);
    ouro_erase(auth, sizeof auth);
    /* One that cannot be made is as one that was lost: after a time-out there is another, anew. */
    client->hello_len = status == OURO_OK ? (uint8_t)len : 0;
    client->phase = status == OURO_OK ? OURO_HANDSHAKE_SEND : OURO_HANDSHAKE_WAIT;
    client->next_ms = client->begun_ms + client->timeout_ms;
    return status;
}

ouro_status ouro_link_nonce(ouro_link *link, const uint8_t nonce[16]) {
    ouro_client *client = link->memory->client;
    if (client == NULL || client->phase != OURO_HANDSHAKE_NONCE)
        return OURO_ERR_STATE;
    return write_hello(client, link->settings, nonce, NULL);
}

bool ouro_client_says_hello(const ouro_link *link) {
    const ouro_client *client = link->memory->client;
    return client != NULL && client->phase == OURO_HANDSHAKE_SEND;
}

bool ouro_client_transmit(ouro_link *link, uint64_t now, ouro_datagram *out) {
    ouro_client *client = link->memory->client;
    if (!ouro_client_says_hello(link))
        return false;
    client->phase = OURO_HANDSHAKE_WAIT;
    client->sent_ms = now;
    client->next_ms = link->settings->stream ? client->begun_ms + OURO_STREAM_HANDSHAKE_MS
                                             : now + client->timeout_ms;
    out->data = client->hello;
    out->len = client->hello_len;
    link->sent_ms = now;
    link->stats.sent++;
    return true;
}

static void double_timeout(ouro_client *client, uint32_t most) {
    client->timeout_ms = OURO_MIN(client->timeout_ms * 2, most);
}

bool ouro_client_waits(const ouro_link *link) {
    const ouro_client *client = link->memory->client;
    return client->phase == OURO_HANDSHAKE_WAIT || client->phase == OURO_HANDSHAKE_PUT_OFF;
}

void ouro_client_tick(ouro_link *link, uint64_t now) {
    ouro_client *client = link->memory->client;
    if (!ouro_client_waits(link) || now < client->next_ms)
        return;
    if (client->phase == OURO_HANDSHAKE_PUT_OFF) {
        start(link, now);
        return;
    }
    if (link->settings->stream) {
        link->flags |= LINK_BROKEN;
        return;
    }
    if (client->hello_len == 0) {
        /* The wait for a HELLO that could not be made is over. */
        client->begun_ms = now;
        want_nonce(link);
        return;
    }
    if (client->given_up) {
        double_timeout(client, DEAD_TIMEOUT_MAX_MS);
        want_nonce(link);
        return;
    }
    if (client->attempts >= GIVE_UP_ATTEMPTS && now - client->begun_ms >= GIVE_UP_MS) {
        client->given_up = true;
        /* Beside a session that works nobody is told: the server does not answer HELLOs now. */
        if (now - link->heard_ms >= GIVE_UP_MS)
            ouro_path_dead(link, now);
        double_timeout(client, DEAD_TIMEOUT_MAX_MS);
        want_nonce(link);
        return;
    }
    if (client->attempts < UINT8_MAX)
        client->attempts++;
    link->stats.timeouts++;
    double_timeout(client, TIMEOUT_MAX_MS);
    client->phase = OURO_HANDSHAKE_SEND;
}

static ouro_status establish(ouro_link *link, uint64_t now, const uint8_t *packet) {
    ouro_client *client = link->memory->client;
    ouro_slot *slots;
    bool replaces = has_session(link);
    ouro_session *session = ouro_sessions_new(link, &slots);
    ouro_status status =
        ouro_handshake_session(session, OURO_CLIENT, &client->credential, client->hello,
                               client->hello_len, packet, slots, link->settings->reach);
    if (status != OURO_OK)
        return status;
    if (client->credential.evolving) {
        status = ouro_epoch_advance(client->credential.key, client->credential.epoch, 1);
        if (status != OURO_OK) {
            ouro_session_erase(session);
            return status;
        }
        client->credential.epoch++;
        link->flags |= LINK_HOLD;
        link->events |= TELL_EPOCH;
    }
    if (replaces)
        ouro_client_ended(link, client->cause == CAUSE_DEAD_PATH);
    /* One that was closed with reason 2, and whose path is dead, is not rekeyed any more. */
    if (client->cause == CAUSE_REKEY && link->live[0] != NULL)
        link->live[0]->state |= TAIL_REKEYED;
    else if (client->cause == CAUSE_DEAD_PATH && link->live[0] != NULL)
        link->live[0]->state &= (uint16_t)~TAIL_REKEYED;
    /* Written with the epoch: the new session counts as a short one until something is heard. */
    client->credential.shorts =
        client->credential.evolving ? (uint8_t)OURO_MIN(client->shorts + 1, SHORTS_MAX) : 0;
    client->welcome_ms = now;
    ouro_client_cancel(link);
    /* A WELCOME is fresh, by nonce_c: the server was heard from. */
    ouro_path_heard(link, now);
    if (link->flags & LINK_DEAD)
        link->events |= TELL_ALIVE;
    link->flags &= (uint16_t)~LINK_DEAD;
    ouro_sessions_enter(link, session, now);
    session->tail.state |= TAIL_UNCONFIRMED;
    return OURO_OK;
}

ouro_status ouro_client_welcome(ouro_link *link, uint64_t now, const uint8_t *packet, size_t len) {
    ouro_client *client = link->memory->client;
    ouro_welcome welcome;
    uint8_t auth[32];
    if (client == NULL || client->hello_len == 0 ||
        (client->phase != OURO_HANDSHAKE_WAIT && client->phase != OURO_HANDSHAKE_SEND))
        return OURO_DROP_HANDSHAKE;
    ouro_status status = ouro_auth_key(client->credential.key, client->credential.epoch, auth);
    if (status == OURO_OK)
        status = ouro_welcome_read(auth, client->hello, client->hello_len, packet, len, &welcome);
    ouro_erase(auth, sizeof auth);
    if (status != OURO_OK)
        return status;
    if (welcome.session_id == 0) {
        uint8_t nonce[OURO_NONCE_SIZE];
        if (client->challenges >= 2)
            return OURO_DROP_LIMIT;
        client->challenges++;
        memcpy(nonce, ouro_hello_nonce(client->hello), sizeof nonce);
        return write_hello(client, link->settings, nonce, welcome.nonce);
    }
    if (ouro_sessions_find(link, welcome.session_id) != NULL)
        return OURO_DROP_HANDSHAKE;
    return establish(link, now, packet);
}
