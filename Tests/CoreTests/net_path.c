/* The network between the two: packets under way, lost, late, twice, changed. */
#include "net_internal.h"

#include <stdlib.h>
#include <string.h>

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
void net_carry(net *n, int from, const uint8_t *data, size_t len, const ouro_addr *to) {
    net_side *s = &n->side[from];
    s->packets++;
    n->hellos += (data[0] & 15) == OURO_HELLO;
    n->welcomes += (data[0] & 15) == OURO_WELCOME;
    memcpy(n->last[from], data, len);
    n->last_len[from] = len;
    s->types[data[0] & 15]++;
    n->to = to != NULL ? *to : n->side[GATEWAY].addr;
    bool lost = n->path.down || (n->drop[from] >> (data[0] & 15) & 1) != 0;
    lost |= n->path.largest != 0 && len > n->path.largest;
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

void net_deliver_due(net *n) {
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
