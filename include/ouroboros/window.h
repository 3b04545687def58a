/*
 * The ring of key slots of a receiver (section 5): 2 x reach slots that hold the keys of messages
 * still to come and the tags of messages that came. Keys are derived once, and stay.
 */
#ifndef OUROBOROS_WINDOW_H
#define OUROBOROS_WINDOW_H

#include "ouroboros/status.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { OURO_SLOT_EMPTY = 0, OURO_SLOT_KEYED = 1, OURO_SLOT_OPENED = 2 };

typedef struct ouro_slot {
    uint8_t secret[64]; /* message_enc || message_scr while KEYED; the tag (16) once OPENED */
    uint8_t state;
    uint8_t flags;   /* of the packet that was opened here */
    uint16_t length; /* of its body */
} ouro_slot;

typedef struct ouro_window {
    uint8_t chain_enc[32], chain_scr[32]; /* K_{keyed - 1} */
    ouro_slot *slots;                     /* 2 x reach of them; NULL in a stream */
    uint64_t keyed;                       /* the next counter whose keys are still to be derived */
    uint64_t next;                        /* highest authenticated counter + 1 */
    uint32_t received;                    /* how many messages were authenticated */
    uint8_t reach;
} ouro_window;

/* An empty window over `2 * reach` slots, which are erased; reach is 4 to 64. */
void ouro_window_init(ouro_window *window, ouro_slot *slots, uint8_t reach);

/*
 * Where a DATA counter stands, with nothing derived: OURO_OK (to be opened), DROP_REPLAY,
 * DROP_AHEAD, or DROP_DUPLICATE when the tag is that of the message opened under that counter.
 */
OURO_CHECKED ouro_status ouro_window_check(const ouro_window *window, uint64_t counter,
                                           const uint8_t tag[16]);

/*
 * Derives what is missing up to `counter` (one that ouro_window_check let pass) and gives its slot.
 * ERR_CRYPTO: what was derived stays, and the rest may be asked for again.
 */
OURO_CHECKED ouro_status ouro_window_keys(ouro_window *window, uint64_t counter, ouro_slot **slot);

/* The tag verified: the slot's keys are erased, its tag kept, and the window moves. */
void ouro_window_commit(ouro_window *window, uint64_t counter, const uint8_t tag[16], uint8_t flags,
                        uint16_t length);

/* The slot of a counter inside the window, else NULL. */
const ouro_slot *ouro_window_slot(const ouro_window *window, uint64_t counter);

/* Moves a window's slots into a larger or equal ring (a pending session that is confirmed). */
void ouro_window_move(ouro_window *window, ouro_slot *slots, uint8_t reach);

void ouro_window_erase(ouro_window *window);

#ifdef __cplusplus
}
#endif

#endif
