#include "path_internal.h"

#include "bytes.h"
#include "link_state.h"
#include "numbers.h"
#include "parameters.h"

static uint32_t random_bits(ouro_link *link) {
    /* xorshift32: spreads time-outs, no secret depends on it */
    uint32_t x = link->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    link->random = x;
    return x;
}

/* Times 1 to 1.5: RFC 7252 4.8 ACK_RANDOM_FACTOR. */
uint32_t ouro_path_first_timeout(ouro_link *link) {
    uint64_t first = link->settings->first_timeout_ms;
    if (first == 0)
        first = FIRST_TIMEOUT_MS;
    return (uint32_t)(first + ((first * (random_bits(link) >> 16)) >> 17));
}

void ouro_path_fresh(ouro_link *link) {
    link->first_timeout_ms = ouro_path_first_timeout(link);
    link->srtt8 = 0;
    link->rttvar4 = 0;
}

/* RFC 6298 2, with srtt in eighths and rttvar in quarters; the clock's grain is 1 ms. */
void ouro_path_sample(ouro_link *link, uint64_t rtt64) {
    uint32_t rtt = (uint32_t)OURO_MIN(rtt64, 600000);
    if (link->srtt8 == 0) {
        link->srtt8 = OURO_MAX(rtt * 8, 1);
        link->rttvar4 = rtt * 2;
        return;
    }
    uint32_t srtt = link->srtt8 / 8;
    uint32_t off = srtt > rtt ? srtt - rtt : rtt - srtt;
    link->rttvar4 = link->rttvar4 - link->rttvar4 / 4 + off;
    link->srtt8 = OURO_MAX(link->srtt8 - srtt + rtt, 1);
}

uint32_t ouro_path_timeout(const ouro_link *link) {
    if (link->srtt8 == 0)
        return link->first_timeout_ms;
    uint32_t timeout = link->srtt8 / 8 + OURO_MAX(link->rttvar4, 1);
    return OURO_MIN(OURO_MAX(timeout, TIMEOUT_MIN_MS), TIMEOUT_MAX_MS);
}

uint32_t ouro_path_backed_off(const ouro_link *link, const ouro_tail *tail, unsigned timeouts) {
    uint32_t timeout = ouro_path_timeout(link);
    /* In an older session whose successor works, section 6. */
    bool replaced = (tail->state & TAIL_RETIRING) && !(tail->state & TAIL_REKEYED);
    if (replaced && timeout > OLD_TIMEOUT_MAX_MS)
        timeout = OLD_TIMEOUT_MAX_MS;
    while (timeouts-- > 0 && timeout < TIMEOUT_MAX_MS)
        timeout *= 2;
    return OURO_MIN(timeout, TIMEOUT_MAX_MS);
}

uint64_t ouro_path_due(const ouro_link *link, const ouro_tail *tail, uint64_t sent,
                       unsigned timeouts) {
    if (!(link->flags & LINK_DEAD))
        return sent + ouro_path_backed_off(link, tail, timeouts);
    /* From 8 s on doubled up to 5 min: as long again as the path has been dead. */
    uint64_t dead = sent > link->dead_ms ? sent - link->dead_ms : 0;
    return sent + OURO_MIN(OURO_MAX(dead, TIMEOUT_MAX_MS), DEAD_TIMEOUT_MAX_MS);
}

uint32_t ouro_path_silence(const ouro_link *link) {
    uint32_t silence = link->settings->silence_ms;
    return silence != 0 ? silence : SILENCE_MS;
}

void ouro_path_heard(ouro_link *link, uint64_t now) {
    link->heard_ms = now;
    link->ask_ms = now + ouro_path_silence(link);
    link->flags &= (uint16_t)~LINK_SUSPECT;
    /* It is 1 after a silent time-out. */
    link->window = OURO_MAX(link->window, WINDOW_MIN);
}

void ouro_path_dead(ouro_link *link, uint64_t now) {
    if (link->flags & LINK_DEAD)
        return;
    link->flags |= LINK_DEAD;
    link->dead_ms = now;
    link->events |= TELL_DEAD;
    link->events &= (uint16_t)~TELL_ALIVE;
}

void ouro_path_suspect(ouro_link *link, uint64_t since, uint64_t now) {
    if (link->heard_ms > since || link->settings->role != OURO_CLIENT ||
        (link->flags & (LINK_SUSPECT | LINK_CLOSING)) || ouro_client_busy(link))
        return;
    /* The PING of the second time-out goes out now, unless one is on its way already. */
    uint64_t ping = link->flags & LINK_PING_OUT ? link->ping_sent_ms : now;
    uint64_t wait = OURO_MAX(ouro_path_timeout(link), 1000);
    link->suspect_ms = OURO_MAX(since + 2000, ping + wait);
    link->flags |= LINK_SUSPECT;
}

void ouro_path_follow(ouro_session *session, const ouro_addr *from, const ouro_header *header,
                      const ouro_body *body, uint64_t now) {
    ouro_path *path = session->path;
    if (header->type == OURO_DATA) {
        if (header->counter + 1 == session->window.next)
            path->known = *from;
        if ((header->flags & OURO_FLAG_ACK_REQ) &&
            (!path->reply_set || header->counter >= path->reply_counter)) {
            path->reply = *from;
            path->reply_counter = header->counter;
            path->reply_set = true;
        }
        return;
    }
    if (header->type == OURO_PONG) {
        if (path->probing && now - path->probe_ms <= PROBE_MS && body->len == 4 &&
            load_u32(body->data) == path->probe_seq && ouro_same_addr(from, &path->probe)) {
            path->known = *from;
            path->probing = false;
        }
        return;
    }
    bool newest = header->counter + 1 == session->tail.rx_control_next;
    if (header->type == OURO_CLOSE || !newest || ouro_same_addr(from, &path->known))
        return;
    if (path->probe_due || now < ouro_again(path->probe_ms, PROBE_PERIOD_MS))
        return;
    path->probe = *from;
    path->probe_due = true;
    path->probing = false;
}
