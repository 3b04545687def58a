#include "settings_internal.h"

#include "packet_internal.h"
#include "parameters.h"
#include "pool_internal.h"

/* 0 stands for the default or for "off", `never` for no limit where there is such a value. */
static bool in_range(uint64_t value, uint64_t least, uint64_t most, uint64_t never) {
    return value == 0 || value == never || (value >= least && value <= most);
}

bool ouro_settings_fit(const ouro_settings *s) {
    return s->role <= OURO_SERVER && ouro_terms_fit(s->reach, s->max_body) &&
           in_range(s->keep_alive_ms, KEEP_ALIVE_MIN_MS, UINT32_MAX, 0) &&
           in_range(s->first_timeout_ms, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, 0) &&
           in_range(s->unreliable_ttl_ms, 1, TTL_MAX_MS, 0) &&
           in_range(s->rekey_age_ms, REKEY_AGE_MIN_MS, OURO_NEVER, OURO_NEVER) &&
           in_range(s->rekey_packets, REKEY_PACKETS_MIN, DEFAULT_REKEY_PACKETS, OURO_NEVER) &&
           in_range(s->idle_ms, IDLE_MIN_MS, OURO_NEVER, OURO_NEVER) &&
           in_range(s->short_wait_ms, SHORT_WAIT_MIN_MS, SHORT_WAIT_MAX_MS, 0) &&
           in_range(s->silence_ms, SILENCE_MIN_MS, UINT32_MAX, 0);
}

bool ouro_memory_fits(const ouro_memory *m, const ouro_settings *s) {
    if (m->sessions == NULL || m->session_count == 0 || m->session_count > OURO_MAX_SESSIONS ||
        m->pool == NULL || !ouro_pool_is_made(m->pool) || m->tail_count > OURO_MAX_SESSIONS ||
        (m->tail_count > 0 && m->tails == NULL))
        return false;
    if (s->stream != (m->slots == NULL))
        return false;
    if (s->role == OURO_SERVER)
        return m->client == NULL && m->session_count >= 2 - s->stream &&
               (s->stream || m->paths != NULL);
    /* A client holds two older sessions, whole or as tails (section 6). */
    return m->client != NULL &&
           (s->stream || m->session_count + m->tail_count >= OURO_MAX_SESSIONS);
}
