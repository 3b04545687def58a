/* What the device and the gateway do around their links: events, packets in, packets out. */
#include "net_internal.h"

#include <string.h>

void net_init_link(net *n, int who) {
    net_side *s = &n->side[who];
    ouro_status status = ouro_link_init(&s->link, &s->settings, &s->memory,
                                        who == DEVICE ? &n->durable[DEVICE] : NULL, net_random(n));
    if (status != OURO_OK)
        net_trouble(n, "a link does not initialise");
    s->alive = true;
}

static void came(net *n, int who, const ouro_event *e) {
    net_message *other = n->side[1 - who].messages;
    uint32_t number = UINT32_MAX;
    if (n->message != NULL) {
        n->message(n, who, e);
        if (e->last && !n->side[who].unsafe)
            ouro_link_done(&n->side[who].link, e->session_id, e->counter);
        return;
    }
    if (e->len >= 4)
        memcpy(&number, e->data, 4);
    if (number >= n->side[1 - who].count) {
        net_trouble(n, "a message that was not sent");
        return;
    }
    for (size_t i = 4; i < e->len; i++)
        if (e->data[i] != (uint8_t)(number * 7 + i)) {
            net_trouble(n, "a message that was changed");
            return;
        }
    if (other[number].handed_on++ == 0)
        other[number].came_ms = n->now_ms;
    net_side *s = &n->side[who];
    if (!e->last || s->unsafe)
        return;
    if (s->queue_cap < 0) {
        ouro_link_done(&s->link, e->session_id, e->counter);
    } else {
        s->queue_sessions[s->queued] = e->session_id;
        s->queue_counters[s->queued++] = e->counter;
        size_t room = s->queued >= (uint32_t)s->queue_cap ? 0 : (size_t)s->queue_cap - s->queued;
        ouro_link_set_room(&s->link, room, (size_t)s->queue_cap);
        if (!s->late)
            ouro_link_done(&s->link, e->session_id, e->counter);
    }
}

void net_take(net *n, int who) {
    net_side *s = &n->side[who];
    if (s->queued == 0)
        return;
    if (s->late)
        ouro_link_done(&s->link, s->queue_sessions[0], s->queue_counters[0]);
    s->queued--;
    memmove(s->queue_sessions, s->queue_sessions + 1, s->queued * sizeof s->queue_sessions[0]);
    memmove(s->queue_counters, s->queue_counters + 1, s->queued * sizeof s->queue_counters[0]);
    ouro_link_set_room(&s->link, (size_t)s->queue_cap - s->queued, (size_t)s->queue_cap);
    net_pump(n, who);
}

static void ended(net *n, int who, uint32_t id, net_outcome outcome) {
    net_message *m = &n->side[who].messages[n->side[who].ids[id]];
    if (m->outcome != PENDING)
        net_trouble(n, "a message with two outcomes");
    m->outcome = outcome;
    m->ended_ms = n->now_ms;
}

static void stalled(net *n, int who, const ouro_event *e) {
    net_message *m = &n->side[who].messages[n->side[who].ids[e->message]];
    if (m->stalled || m->outcome != PENDING)
        net_trouble(n, "a message that is told as stalled twice, or after its end");
    m->stalled = true;
    m->stalled_len = e->len;
}

static void tell(net *n, int who, const ouro_event *e) {
    net_side *s = &n->side[who];
    uint8_t nonce[16];
    switch (e->type) {
    case OURO_EVENT_MESSAGE:
        came(n, who, e);
        break;
    case OURO_EVENT_DELIVERED:
        ended(n, who, e->message, DELIVERED);
        break;
    case OURO_EVENT_SENT:
        ended(n, who, e->message, SENT);
        break;
    case OURO_EVENT_UNKNOWN:
        ended(n, who, e->message, e->stalled ? STALLED : UNKNOWN);
        break;
    case OURO_EVENT_STALLED:
        stalled(n, who, e);
        break;
    case OURO_EVENT_FAILED:
        ended(n, who, e->message, FAILED);
        break;
    case OURO_EVENT_ESTABLISHED:
        s->established++;
        break;
    case OURO_EVENT_CLOSED:
        s->closed++;
        s->closed_reason = e->reason;
        s->closed_by_peer = e->by_peer;
        s->missing = e->missing;
        break;
    case OURO_EVENT_EPOCH:
        s->epochs++;
        if (s->no_storage)
            break;
        n->durable[who] = s->client.credential;
        ouro_link_epoch_saved(&s->link);
        break;
    case OURO_EVENT_NONCE:
        net_random_bytes(n, nonce, sizeof nonce);
        if (!n->stop_nonces && ouro_link_nonce(&s->link, nonce) != OURO_OK && !n->faulty)
            net_trouble(n, "a nonce that is not taken");
        break;
    case OURO_EVENT_DEAD:
        s->dead++;
        break;
    case OURO_EVENT_ALIVE:
        s->alive_again++;
        break;
    case OURO_EVENT_PONG:
        s->pongs++;
        break;
    default:
        net_trouble(n, "an event of no kind");
        break;
    }
}

static void tell_all(net *n, int who) {
    ouro_link *link = &n->side[who].link;
    ouro_event e;
    for (;;) {
        bool due = ouro_link_deadline(link, n->now_ms) <= n->now_ms;
        if (!ouro_link_next_event(link, &e))
            break;
        if (!due)
            net_trouble(n, "an event that was not due");
        tell(n, who, &e);
    }
}

/* Before its deadline a link does nothing: not now, and not a moment before it. */
static void check_deadline(net *n, int who) {
    enum { HORIZON = 864000000 }; /* 10 days: the engine keeps some times modulo 49 */
    ouro_link *link = &n->side[who].link;
    uint64_t deadline = ouro_link_deadline(link, n->now_ms);
    uint64_t last = deadline < n->now_ms + HORIZON ? deadline - 1 : n->now_ms + HORIZON;
    for (uint64_t at = n->now_ms; deadline > n->now_ms; at = last) {
        uint8_t scratch[OURO_SCRATCH_SIZE];
        ouro_datagram out;
        ouro_event event;
        ouro_link_tick(link, at);
        if (ouro_link_transmit(link, at, scratch, &out) != OURO_OK || out.len > 0)
            net_trouble(n, "a packet that has no deadline");
        if (ouro_link_next_event(link, &event))
            net_trouble(n, "an event that has no deadline");
        if (ouro_link_deadline(link, at) != deadline)
            net_trouble(n, "a deadline that moves by itself");
        if (at == last)
            break;
    }
}

void net_pump(net *n, int who) {
    net_side *s = &n->side[who];
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    if (!s->alive)
        return;
    tell_all(n, who);
    for (;;) {
        bool due = ouro_link_deadline(&s->link, n->now_ms) <= n->now_ms;
        if (ouro_link_transmit(&s->link, n->now_ms, scratch, &out) != OURO_OK && !n->faulty)
            net_trouble(n, "transmit fails");
        if (out.len == 0)
            break;
        if (!due)
            net_trouble(n, "a packet that was not due");
        net_carry(n, who, out.data, out.len, out.to);
        tell_all(n, who);
    }
    tell_all(n, who);
    check_deadline(n, who);
}

static ouro_status gateway_hello(net *n, const ouro_addr *from, const uint8_t *packet, size_t len) {
    ouro_hello hello;
    ouro_status status = ouro_hello_read(packet, len, &hello);
    if (status != OURO_OK)
        return status;
    if (memcmp(hello.device_id, n->device.credential.device_id, 8) != 0)
        return OURO_DROP_HANDSHAKE;
    uint8_t nonce[16], welcome[OURO_WELCOME_SIZE];
    bool moved;
    net_random_bytes(n, nonce, sizeof nonce);
    const ouro_link *link = n->side[GATEWAY].alive ? &n->side[GATEWAY].link : NULL;
    status = ouro_server_hello(&n->server, n->now_ms, &n->device, link, packet, len,
                               net_random(n) | 1, nonce, welcome, &moved);
    if (moved && n->side[GATEWAY].no_storage)
        return status;
    if (moved)
        n->durable[GATEWAY] = n->device.credential;
    if (status == OURO_OK)
        net_carry(n, GATEWAY, welcome, sizeof welcome, from);
    return status;
}

static ouro_status gateway_first(net *n, const ouro_addr *from, uint8_t *packet, size_t len) {
    ouro_pending *pending = ouro_server_pending(&n->server, ouro_packet_session_id(packet, len));
    ouro_opened opened;
    bool moved;
    if (pending == NULL)
        return OURO_DROP_SESSION;
    ouro_status status = ouro_server_open(&n->server, n->now_ms, pending, packet, len, &opened);
    if (status != OURO_OK)
        return status;
    if (!n->side[GATEWAY].alive)
        net_init_link(n, GATEWAY);
    status = ouro_server_adopt(&n->server, n->now_ms, pending, &n->side[GATEWAY].link, from,
                               &opened, &moved);
    if (moved && !n->side[GATEWAY].no_storage) {
        n->durable[GATEWAY] = n->device.credential;
        ouro_link_epoch_saved(&n->side[GATEWAY].link);
    }
    return status;
}

ouro_status net_inject(net *n, int to, const ouro_addr *from, uint8_t *packet, size_t len) {
    net_side *s = &n->side[to];
    ouro_status status = OURO_DROP_SESSION;
    if (to == DEVICE) {
        status = ouro_link_receive(&s->link, n->now_ms, NULL, packet, len);
    } else if (s->settings.stream && s->alive) {
        /* A stream is one link's: nothing is looked up. */
        status = ouro_link_receive(&s->link, n->now_ms, from, packet, len);
    } else if (len > 0 && (packet[0] & 15) == OURO_HELLO) {
        status = gateway_hello(n, from, packet, len);
    } else {
        bool mine = s->alive;
        if (mine) {
            mine = false;
            for (int i = 0; i < OURO_MAX_SESSIONS; i++)
                mine |= s->link.live[i] != NULL &&
                        s->link.live[i]->id == ouro_packet_session_id(packet, len);
        }
        status = mine ? ouro_link_receive(&s->link, n->now_ms, from, packet, len)
                      : gateway_first(n, from, packet, len);
    }
    s->stream_ends += status == OURO_END_STREAM;
    if (status == OURO_ERR_STATE || (status == OURO_ERR_CRYPTO && !n->faulty))
        net_trouble(n, "a packet is an error");
    net_pump(n, to);
    return status;
}
