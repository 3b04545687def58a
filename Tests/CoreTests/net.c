#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void trouble(net *n, const char *what) {
    if (n->trouble++ < 5)
        printf("  at %llu ms: %s\n", (unsigned long long)n->now_ms, what);
}

uint32_t net_random(net *n) {
    /* splitmix64 */
    uint64_t z = (n->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 16);
}

double net_chance(net *n) {
    return net_random(n) / 4294967296.0;
}

static void random_bytes(net *n, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)net_random(n);
}

static ouro_addr address(uint8_t host, uint8_t port) {
    ouro_addr a;
    memset(&a, 0, sizeof a);
    a.len = 2;
    a.bytes[0] = host;
    a.bytes[1] = port;
    return a;
}

static void init_link(net *n, int who) {
    net_side *s = &n->side[who];
    ouro_status status = ouro_link_init(&s->link, &s->settings, &s->memory,
                                        who == DEVICE ? &n->durable[DEVICE] : NULL, net_random(n));
    if (status != OURO_OK)
        trouble(n, "a link does not initialise");
    s->alive = true;
}

static void init_server(net *n) {
    uint8_t key[32];
    random_bytes(n, key, sizeof key);
    if (ouro_server_init(&n->server, &n->server_settings, n->pending, 32, n->ahead,
                         n->ahead == NULL ? 0 : OURO_AHEAD_DEVICES, key, n->now_ms) != OURO_OK)
        trouble(n, "the server does not initialise");
    ouro_device_init(&n->device, &n->durable[GATEWAY]);
}

static void init_side(net *n, int who, const net_options *o) {
    net_side *s = &n->side[who];
    s->settings.role = who == DEVICE ? OURO_CLIENT : OURO_SERVER;
    s->settings.reach = o->reach[who] != 0 ? o->reach[who] : 16;
    s->settings.max_body = o->max_body[who] != 0 ? o->max_body[who] : 1200;
    s->settings.stream = o->stream;
    s->settings.keep_alive_ms = who == DEVICE ? o->keep_alive_ms : 0;
    s->settings.rekey_packets = o->rekey_packets;
    s->settings.rekey_age_ms = o->rekey_age_ms;
    s->queue_cap = -1;
    s->addr = address((uint8_t)(who + 1), 1);
    bool small = o->small && who == DEVICE;
    s->memory.sessions = s->sessions;
    s->memory.slots = o->stream ? NULL : s->slots;
    s->memory.tails = small ? s->tails : NULL;
    s->memory.tail_count = small ? 2 : 0;
    s->memory.session_count = small || o->stream ? 1 : who == DEVICE ? 3 : 2;
    s->memory.paths = who == GATEWAY ? s->paths : NULL;
    s->memory.client = who == DEVICE ? &s->client : NULL;
    s->memory.prepared = o->prepare ? &s->prepared : NULL;
    s->memory.pool = &s->pool;
    size_t places = o->places != 0 ? o->places : NET_PLACES;
    if (ouro_pool_init(&s->pool, s->pool_memory, ouro_pool_memory(places, OURO_MAX_PACKET),
                       OURO_MAX_PACKET) != OURO_OK)
        trouble(n, "a pool does not initialise");
}

net *net_new(const net_options *o) {
    net *n = calloc(1, sizeof *n);
    n->packets = calloc(NET_PACKETS, sizeof *n->packets);
    n->random = o->seed;
    n->now_ms = 1000;
    n->path.delay_ms = 50;
    for (int who = 0; who < 2; who++) {
        init_side(n, who, o);
        random_bytes(n, n->durable[DEVICE].key, 32);
        n->durable[who].evolving = o->evolving;
        memcpy(n->durable[who].device_id, "\1\2\3\4\5\6\7\10", 8);
    }
    n->durable[GATEWAY] = n->durable[DEVICE];
    if (o->evolving)
        n->ahead = calloc(OURO_AHEAD_DEVICES, sizeof *n->ahead);
    n->server_settings.reach = n->side[GATEWAY].settings.reach;
    n->server_settings.max_body = n->side[GATEWAY].settings.max_body;
    n->server_settings.stream = o->stream;
    init_server(n);
    init_link(n, DEVICE);
    return n;
}

void net_free(net *n) {
    for (int who = 0; who < 2; who++)
        if (n->side[who].alive)
            ouro_link_erase(&n->side[who].link);
    ouro_server_erase(&n->server);
    free(n->ahead);
    free(n->packets);
    free(n->log);
    free(n);
}

void net_record(net *n) {
    if (n->log == NULL)
        n->log = calloc(NET_LOG, sizeof *n->log);
    n->log_len = 0;
}

const net_sent *net_find(const net *n, int from, int type, size_t nth) {
    for (size_t i = 0; i < n->log_len; i++)
        if (n->log[i].from == from && (n->log[i].bytes[0] & 15) == type && nth-- == 0)
            return &n->log[i];
    return NULL;
}

ouro_addr net_address(uint8_t port) {
    return address(1, port);
}

ouro_session *net_session(net *n, int who) {
    /* A full session begins with its tail. */
    return (ouro_session *)(void *)n->side[who].link.live[0];
}

static void record(net *n, int from, const uint8_t *data, size_t len, bool lost) {
    if (n->log == NULL || n->log_len == NET_LOG)
        return;
    net_sent *sent = &n->log[n->log_len++];
    sent->at_ms = n->now_ms;
    sent->from = from;
    sent->lost = lost;
    sent->to = n->to;
    sent->len = len;
    memcpy(sent->bytes, data, len);
}

/* The packet goes its way, or is lost, or goes twice, or is changed. */
static void carry(net *n, int from, const uint8_t *data, size_t len, const ouro_addr *to) {
    net_side *s = &n->side[from];
    s->packets++;
    n->hellos += (data[0] & 15) == OURO_HELLO;
    n->welcomes += (data[0] & 15) == OURO_WELCOME;
    memcpy(n->last[from], data, len);
    n->last_len[from] = len;
    s->types[data[0] & 15]++;
    n->to = to != NULL ? *to : n->side[GATEWAY].addr;
    bool lost = n->path.down || (n->drop[from] >> (data[0] & 15) & 1) != 0;
    if (n->filter != NULL)
        lost |= n->filter(n, from, data, len);
    record(n, from, data, len, lost);
    if (lost)
        return;
    /* What goes to an address that the device has left is lost. */
    if (from == GATEWAY &&
        (to == NULL || to->len != 2 || to->bytes[1] != n->side[DEVICE].addr.bytes[1]))
        return;
    unsigned copies = 1 + (net_chance(n) < n->path.duplicate);
    while (copies-- > 0) {
        if (net_chance(n) < n->path.loss || n->packet_count == NET_PACKETS)
            continue;
        net_packet *p = &n->packets[n->packet_count++];
        p->at_ms = n->now_ms + n->path.delay_ms;
        if (n->path.jitter_ms > 0)
            p->at_ms += net_random(n) % n->path.jitter_ms;
        p->order = n->order++;
        p->to = (uint8_t)(1 - from);
        p->from = s->addr;
        p->len = len;
        memcpy(p->bytes, data, len);
        if (net_chance(n) < n->path.corrupt)
            p->bytes[net_random(n) % len] ^= (uint8_t)(1u << (net_random(n) % 8));
    }
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
        trouble(n, "a message that was not sent");
        return;
    }
    for (size_t i = 4; i < e->len; i++)
        if (e->data[i] != (uint8_t)(number * 7 + i)) {
            trouble(n, "a message that was changed");
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
        ouro_link_done(&s->link, e->session_id, e->counter);
    }
}

void net_take(net *n, int who) {
    net_side *s = &n->side[who];
    if (s->queued == 0)
        return;
    s->queued--;
    ouro_link_set_room(&s->link, (size_t)s->queue_cap - s->queued, (size_t)s->queue_cap);
    net_pump(n, who);
}

static void ended(net *n, int who, uint32_t id, net_outcome outcome) {
    net_message *m = &n->side[who].messages[n->side[who].ids[id]];
    if (m->outcome != PENDING)
        trouble(n, "a message with two outcomes");
    m->outcome = outcome;
    m->ended_ms = n->now_ms;
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
        ended(n, who, e->message, UNKNOWN);
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
        random_bytes(n, nonce, sizeof nonce);
        if (!n->stop_nonces && ouro_link_nonce(&s->link, nonce) != OURO_OK)
            trouble(n, "a nonce that is not taken");
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
        trouble(n, "an event of no kind");
        break;
    }
}

static void tell_all(net *n, int who) {
    ouro_event e;
    while (ouro_link_next_event(&n->side[who].link, &e))
        tell(n, who, &e);
}

void net_pump(net *n, int who) {
    net_side *s = &n->side[who];
    uint8_t scratch[OURO_SCRATCH_SIZE];
    ouro_datagram out;
    if (!s->alive)
        return;
    tell_all(n, who);
    for (;;) {
        if (ouro_link_transmit(&s->link, n->now_ms, scratch, &out) != OURO_OK)
            trouble(n, "transmit fails");
        if (out.len == 0)
            break;
        carry(n, who, out.data, out.len, out.to);
        tell_all(n, who);
    }
    tell_all(n, who);
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
    random_bytes(n, nonce, sizeof nonce);
    const ouro_link *link = n->side[GATEWAY].alive ? &n->side[GATEWAY].link : NULL;
    status = ouro_server_hello(&n->server, n->now_ms, &n->device, link, packet, len,
                               net_random(n) | 1, nonce, welcome, &moved);
    if (moved && n->side[GATEWAY].no_storage)
        return status;
    if (moved)
        n->durable[GATEWAY] = n->device.credential;
    if (status == OURO_OK)
        carry(n, GATEWAY, welcome, sizeof welcome, from);
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
        init_link(n, GATEWAY);
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
    if (status == OURO_ERR_STATE || status == OURO_ERR_CRYPTO)
        trouble(n, "a packet is an error");
    net_pump(n, to);
    return status;
}

static void deliver_due(net *n) {
    for (;;) {
        size_t best = n->packet_count;
        for (size_t i = 0; i < n->packet_count; i++)
            if (n->packets[i].at_ms <= n->now_ms &&
                (best == n->packet_count || n->packets[i].at_ms < n->packets[best].at_ms ||
                 (n->packets[i].at_ms == n->packets[best].at_ms &&
                  n->packets[i].order < n->packets[best].order)))
                best = i;
        if (best == n->packet_count)
            return;
        net_packet p = n->packets[best];
        n->packets[best] = n->packets[--n->packet_count];
        (void)net_inject(n, p.to, &p.from, p.bytes, p.len);
    }
}

static uint64_t next_time(net *n) {
    uint64_t next = ouro_server_tick(&n->server, n->now_ms);
    for (size_t i = 0; i < n->packet_count; i++)
        if (n->packets[i].at_ms < next)
            next = n->packets[i].at_ms;
    for (int who = 0; who < 2; who++) {
        if (!n->side[who].alive)
            continue;
        uint64_t deadline = ouro_link_deadline(&n->side[who].link, n->now_ms);
        if (deadline < next)
            next = deadline;
    }
    return next;
}

static void tick(net *n) {
    for (int who = 0; who < 2; who++) {
        if (!n->side[who].alive)
            continue;
        ouro_link_tick(&n->side[who].link, n->now_ms);
        net_pump(n, who);
    }
}

void net_run_until(net *n, uint64_t until) {
    unsigned still = 0;
    for (;;) {
        deliver_due(n);
        tick(n);
        uint64_t next = next_time(n);
        if (next > until)
            break;
        /* A deadline that does not move on is a hang. */
        still = next <= n->now_ms ? still + 1 : 0;
        if (still > 1000) {
            trouble(n, "the clock stands still");
            break;
        }
        if (next > n->now_ms)
            n->now_ms = next;
    }
    n->now_ms = until;
}

void net_run_for(net *n, uint64_t ms) {
    net_run_until(n, n->now_ms + ms);
}

uint32_t net_send_message(net *n, int from, const ouro_message *message) {
    net_side *s = &n->side[from];
    uint32_t number = s->count, id = 0;
    if (!s->alive || number == NET_MESSAGES ||
        ouro_link_send(&s->link, n->now_ms, message, &id) != OURO_OK)
        return UINT32_MAX;
    s->count++;
    s->ids[id] = number;
    memset(&s->messages[number], 0, sizeof s->messages[number]);
    s->messages[number].sent_ms = n->now_ms;
    s->messages[number].reliable = message->reliable;
    net_pump(n, from);
    return number;
}

uint32_t net_send(net *n, int from, bool reliable, size_t len) {
    uint8_t data[OURO_MAX_BODY];
    uint32_t number = n->side[from].count;
    memcpy(data, &number, 4);
    for (size_t i = 4; i < len; i++)
        data[i] = (uint8_t)(number * 7 + i);
    ouro_message m;
    memset(&m, 0, sizeof m);
    m.data = data;
    m.len = len;
    m.reliable = reliable;
    return net_send_message(n, from, &m);
}

void net_connect(net *n) {
    if (ouro_link_connect(&n->side[DEVICE].link, n->now_ms) != OURO_OK)
        trouble(n, "connect fails");
    net_pump(n, DEVICE);
}

net *net_connected(const net_options *options, uint64_t one_way) {
    net *n = net_new(options);
    n->path.delay_ms = one_way;
    net_connect(n);
    net_run_for(n, 10000 + 6 * one_way);
    if (n->side[GATEWAY].established != 1 || n->side[DEVICE].established != 1)
        trouble(n, "the handshake fails");
    net_record(n);
    return n;
}

uint64_t net_counter(const uint8_t *packet) {
    uint64_t counter = 0;
    for (size_t i = 8; i < 16; i++)
        counter = counter << 8 | packet[i];
    return counter;
}

size_t net_make(net *n, int from, uint8_t type, uint8_t flags, const uint8_t *body, size_t len,
                uint8_t packet[OURO_MAX_PACKET]) {
    uint64_t counter;
    if (len > 0)
        memcpy(packet + OURO_HEADER_SIZE, body, len);
    if (ouro_session_protect(net_session(n, from), type, flags, packet, len, &counter) != OURO_OK)
        trouble(n, "a packet is not made");
    return len + OURO_OVERHEAD;
}

static bool all_ended(const net *n) {
    for (int who = 0; who < 2; who++)
        for (uint32_t i = 0; i < n->side[who].count; i++)
            if (n->side[who].messages[i].outcome == PENDING)
                return false;
    return true;
}

bool net_settle(net *n, uint64_t limit) {
    uint64_t end = n->now_ms + limit;
    while (!all_ended(n) && n->now_ms < end) {
        uint64_t step = n->now_ms + 1000;
        net_run_until(n, step);
    }
    return all_ended(n);
}

void net_restart(net *n, int who) {
    net_side *s = &n->side[who];
    /* Messages without an outcome are the restarted application's problem. */
    for (uint32_t i = 0; i < s->count; i++)
        if (s->messages[i].outcome == PENDING)
            s->messages[i].outcome = UNKNOWN;
    if (s->alive)
        ouro_link_erase(&s->link);
    s->alive = false;
    if (who == DEVICE) {
        init_link(n, DEVICE);
    } else {
        ouro_server_forget(&n->server, &n->device);
        ouro_server_erase(&n->server);
        init_server(n);
    }
}

void net_move(net *n, uint8_t port) {
    n->side[DEVICE].addr = address(1, port);
}

uint32_t net_count(const net *n, int from, net_outcome outcome) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->side[from].count; i++)
        count += n->side[from].messages[i].outcome == outcome;
    return count;
}
