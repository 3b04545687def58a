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

void ouro_client_begin(ouro_link *link, uint8_t cause, uint64_t now) {
    ouro_client *client = link->memory->client;
    if (client == NULL || client->phase != OURO_HANDSHAKE_IDLE || (link->flags & LINK_CLOSING))
        return;
    client->cause = cause;
    client->attempts = 0;
    client->given_up = false;
    client->begun_ms = now;
    client->timeout_ms =
        link->settings->stream ? OURO_STREAM_HANDSHAKE_MS : ouro_path_first_timeout(link);
    want_nonce(link);
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
        if (client->phase == OURO_HANDSHAKE_NONCE && link->closed_reason == OURO_REASON_SHUTDOWN) {
            client->phase = OURO_HANDSHAKE_WAIT;
            client->next_ms = now + client->timeout_ms;
            link->events &= (uint16_t)~TELL_NONCE;
        }
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

void ouro_client_tick(ouro_link *link, uint64_t now) {
    ouro_client *client = link->memory->client;
    if (client->phase != OURO_HANDSHAKE_WAIT || now < client->next_ms)
        return;
    if (link->settings->stream) {
        link->flags |= LINK_BROKEN;
        return;
    }
    if (client->hello_len == 0) {
        /* The wait after a server's shutdown is over, or that for a HELLO that was not made. */
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
    if (client->cause == CAUSE_REKEY && link->live[0] != NULL)
        link->live[0]->state |= TAIL_REKEYED;
    ouro_client_cancel(link);
    /* A WELCOME is fresh, by nonce_c: the server was heard from. */
    link->heard_ms = now;
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
