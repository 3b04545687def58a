#include "ouroboros/window.h"

#include "ouroboros/packet.h"
#include "ouroboros/ratchet.h"
#include <string.h>

/* Message counters are below 2^32: a division of 64 bits would be a library's on a 32-bit core. */
static ouro_slot *slot_of(const ouro_window *window, uint64_t counter) {
    return &window->slots[(uint32_t)counter % (2u * window->reach)];
}

/* The lowest counter that is still accepted: highest + 1 - reach, as `next` is highest + 1. */
static uint64_t lowest(const ouro_window *window) {
    return window->next > window->reach ? window->next - window->reach : 0;
}

void ouro_window_init(ouro_window *window, ouro_slot *slots, uint8_t reach) {
    memset(window, 0, sizeof *window);
    window->slots = slots;
    window->reach = reach;
    if (slots != NULL)
        ouro_erase(slots, 2u * reach * sizeof *slots);
}

ouro_status ouro_window_check(const ouro_window *window, uint64_t counter, const uint8_t tag[16]) {
    if (counter < lowest(window))
        return OURO_DROP_REPLAY;
    /* highest + R = next - 1 + R */
    if (counter >= window->next + window->reach)
        return OURO_DROP_AHEAD;
    const ouro_slot *slot = slot_of(window, counter);
    if (counter >= window->keyed || slot->state == OURO_SLOT_KEYED)
        return OURO_OK;
    return ouro_equal(slot->secret, tag, OURO_TAG_SIZE) ? OURO_DROP_DUPLICATE : OURO_DROP_REPLAY;
}

ouro_status ouro_window_keys(ouro_window *window, uint64_t counter, ouro_slot **slot) {
    ouro_status status = OURO_OK;
    while (window->keyed <= counter && status == OURO_OK) {
        ouro_slot *fresh = slot_of(window, window->keyed);
        status = ouro_chain_step(window->chain_enc, window->chain_scr, window->keyed, fresh->secret,
                                 fresh->secret + OURO_KEY_SIZE);
        if (status == OURO_OK) {
            fresh->state = OURO_SLOT_KEYED;
            window->keyed++;
        }
    }
    *slot = slot_of(window, counter);
    return status;
}

void ouro_window_commit(ouro_window *window, uint64_t counter, const uint8_t tag[16], uint8_t flags,
                        uint16_t length) {
    ouro_slot *slot = slot_of(window, counter);
    ouro_erase(slot, sizeof *slot);
    memcpy(slot->secret, tag, OURO_TAG_SIZE);
    slot->state = OURO_SLOT_OPENED;
    slot->flags = flags;
    slot->length = length;
    window->received++;
    uint64_t was = lowest(window);
    if (counter >= window->next)
        window->next = counter + 1;
    for (uint64_t fallen = was; fallen < lowest(window); fallen++)
        ouro_erase(slot_of(window, fallen), sizeof(ouro_slot));
}

const ouro_slot *ouro_window_slot(const ouro_window *window, uint64_t counter) {
    if (window->slots == NULL || counter < lowest(window) || counter >= window->keyed)
        return NULL;
    return slot_of(window, counter);
}

void ouro_window_move(ouro_window *window, ouro_slot *slots, uint8_t reach) {
    ouro_window from = *window;
    ouro_erase(slots, 2u * reach * sizeof *slots);
    window->slots = slots;
    window->reach = reach;
    for (uint64_t counter = lowest(&from); counter < from.keyed; counter++) {
        *slot_of(window, counter) = *slot_of(&from, counter);
        ouro_erase(slot_of(&from, counter), sizeof(ouro_slot));
    }
    ouro_erase(&from, sizeof from);
}

void ouro_window_erase(ouro_window *window) {
    if (window->slots != NULL)
        ouro_erase(window->slots, 2u * window->reach * sizeof *window->slots);
    ouro_erase(window, sizeof *window);
}
