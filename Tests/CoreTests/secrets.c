#include "secrets.h"

#include <stdio.h>
#include <string.h>

enum { SECRETS = 1 << 13, TABLE = 1 << 16, STACK = 12000, KEY = OURO_KEY_SIZE };

secrets_sum secrets;

static uint8_t seen[SECRETS][KEY];
static uint16_t table[TABLE]; /* by the first bytes: index + 1 */
static uint32_t used_at[SECRETS], round_number = 1;
static const uint32_t PUBLIC = UINT32_MAX;
static net *watched;
static bool watching;

static size_t place_of(const uint8_t *bytes) {
    uint64_t head;
    memcpy(&head, bytes, sizeof head);
    return (size_t)((head * UINT64_C(0x9e3779b97f4a7c15)) >> 48) % TABLE;
}

static unsigned find(const uint8_t *bytes) {
    for (size_t at = place_of(bytes); table[at] != 0; at = (at + 1) % TABLE)
        if (memcmp(seen[table[at] - 1], bytes, KEY) == 0)
            return table[at];
    return 0;
}

static void note(const uint8_t key[32]) {
    static const uint8_t zero[KEY];
    if (!watching || secrets.seen == SECRETS || memcmp(key, zero, KEY) == 0 || find(key) != 0)
        return;
    size_t at = place_of(key);
    while (table[at] != 0)
        at = (at + 1) % TABLE;
    memcpy(seen[secrets.seen], key, KEY);
    used_at[secrets.seen] = 0;
    table[at] = (uint16_t)++secrets.seen;
}

void secrets_watch(net *n) {
    memset(&secrets, 0, sizeof secrets);
    memset(table, 0, sizeof table);
    watched = n;
    watching = true;
    fault_secret = note;
}

void secrets_forget(void) {
    watching = false;
    watched = NULL;
    fault_secret = NULL;
    memset(seen, 0, sizeof seen);
}

void secrets_public(const uint8_t key[32]) {
    note(key);
    unsigned index = find(key);
    if (index != 0)
        used_at[index - 1] = PUBLIC;
}

/* A key that is in use is none that was left behind. */
static void use(const uint8_t *key) {
    unsigned index = find(key);
    if (index != 0 && used_at[index - 1] != PUBLIC)
        used_at[index - 1] = round_number;
}

static unsigned unused_in(const void *memory, size_t len) {
    const uint8_t *bytes = memory;
    unsigned count = 0;
    for (size_t i = 0; i + KEY <= len; i++) {
        unsigned index = find(bytes + i);
        count += index != 0 && used_at[index - 1] != round_number && used_at[index - 1] != PUBLIC;
    }
    return count;
}

unsigned secrets_in(const void *memory, size_t len) {
    round_number++;
    return unused_in(memory, len);
}

static void use_session(const ouro_session *session) {
    const ouro_window *window = &session->window;
    use(session->tx_enc);
    use(session->tx_scr);
    use(window->chain_enc);
    use(window->chain_scr);
    for (uint64_t n = window->keyed; n-- > 0;) {
        const ouro_slot *slot = ouro_window_slot(window, n);
        if (slot == NULL)
            break;
        if (slot->state != OURO_SLOT_KEYED)
            continue;
        use(slot->secret);
        use(slot->secret + KEY);
    }
    if (session->prepared != NULL && session->prepared->keyed) {
        use(session->prepared->secret);
        use(session->prepared->secret + KEY);
    }
}

static void use_tail(const ouro_tail *tail) {
    use(tail->tx_control);
    use(tail->rx_control);
    if (tail->state & OURO_TAIL_FULL)
        use_session((const ouro_session *)(const void *)tail);
}

static void use_server(const net *n) {
    use(n->server.challenge_key);
    use(n->server.second_challenge_key);
    use(n->device.credential.key);
    for (const ouro_pending *p = n->device.pending; p != NULL; p = p->next) {
        if (!p->derived)
            continue;
        use_tail(&p->session.tail);
        use(p->next_key);
    }
    for (size_t i = 0; i < n->server.ahead_count; i++)
        for (size_t k = 0; n->ahead[i].device != NULL && k < OURO_EPOCHS_AHEAD - 1; k++)
            use(n->ahead[i].auth[k]);
}

static unsigned left_at_side(const net_side *s) {
    return unused_in(&s->link, sizeof s->link) + unused_in(s->sessions, sizeof s->sessions) +
           unused_in(s->slots, sizeof s->slots) + unused_in(s->tails, sizeof s->tails) +
           unused_in(s->paths, sizeof s->paths) + unused_in(&s->client, sizeof s->client) +
           unused_in(&s->prepared, sizeof s->prepared);
}

unsigned secrets_left(const net *n) {
    round_number++;
    for (int who = 0; who < 2; who++) {
        const net_side *s = &n->side[who];
        for (size_t i = 0; s->alive && i < OURO_MAX_SESSIONS && s->link.live[i] != NULL; i++)
            use_tail(s->link.live[i]);
        if (s->alive && s->memory.client != NULL)
            use(s->memory.client->credential.key);
    }
    use_server(n);
    unsigned left = unused_in(&n->server, sizeof n->server) +
                    unused_in(n->pending, sizeof n->pending) +
                    unused_in(&n->device, sizeof n->device);
    if (n->ahead != NULL)
        left += unused_in(n->ahead, sizeof *n->ahead);
    return left + left_at_side(&n->side[DEVICE]) + left_at_side(&n->side[GATEWAY]);
}

/* Of a place that nobody has, only the link to the next is not zero. */
static unsigned left_in_places(const net_side *s) {
    unsigned left = 0;
    for (const ouro_place *p = s->pool.free; p != NULL; p = p->next) {
        const uint8_t *bytes = (const uint8_t *)p;
        for (size_t i = sizeof p->next; i < sizeof *p + s->pool.packet_cap; i++)
            left += bytes[i] != 0;
    }
    return left;
}

/* The address sanitizer keeps a stack of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define STACK_IS_PLAIN 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STACK_IS_PLAIN 0
#endif
#endif
#ifndef STACK_IS_PLAIN
#define STACK_IS_PLAIN 1
#endif

/* The stack below the caller, where the call that is looked after is about to work, or did. */
__attribute__((noinline)) static unsigned below(bool clear) {
    uint8_t area[STACK];
    __asm__ __volatile__("" : : "r"(area) : "memory");
    if (clear) {
        memset(area, 0, sizeof area);
        __asm__ __volatile__("" : : "r"(area) : "memory");
        return 0;
    }
    return secrets_in(area, sizeof area);
}

void secrets_before_call(void) {
    if (watching && STACK_IS_PLAIN)
        (void)below(true);
}

void secrets_after_step(const char *call) {
    unsigned on_stack = watching && STACK_IS_PLAIN ? below(false) : 0;
    if (on_stack != 0 && secrets.on_stack == 0)
        printf("  %s leaves %u keys on the stack\n", call, on_stack);
    secrets.on_stack += on_stack;
}

void secrets_after_call(const char *call) {
    if (!watching)
        return;
    unsigned on_stack = STACK_IS_PLAIN ? below(false) : 0, in_memory = 0, in_places = 0;
    secrets.calls++;
    if (watched != NULL) {
        in_memory = secrets_left(watched);
        in_places =
            left_in_places(&watched->side[DEVICE]) + left_in_places(&watched->side[GATEWAY]);
    }
    if ((on_stack | in_memory | in_places) != 0 &&
        (secrets.on_stack | secrets.in_memory | secrets.in_places) == 0)
        printf("  %s leaves %u keys on the stack, %u in memory, %u bytes in places\n", call,
               on_stack, in_memory, in_places);
    secrets.on_stack += on_stack;
    secrets.in_memory += in_memory;
    secrets.in_places += in_places;
}
