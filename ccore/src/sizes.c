/*
 * The sizes that the documentation promises, checked where the compiler knows them (C99 has no
 * static assertion: an array of a negative size stops the build). `small` is a client of receive
 * reach R with 4 places of 128 bytes, one message window, two older sessions as tails.
 */
#include "ouroboros/ouroboros.h"

#define PLACES (4 * (sizeof(ouro_place) + 128) + sizeof(ouro_pool))
#define SMALL(reach)                                                                               \
    (sizeof(ouro_link) + sizeof(ouro_client) + sizeof(ouro_session) + 2 * sizeof(ouro_tail) +      \
     2 * (reach) * sizeof(ouro_slot) + PLACES)

#define AT_MOST(name, size, limit) typedef char name[(size) <= (limit) ? 1 : -1]

AT_MOST(a_slot_is_68_bytes, sizeof(ouro_slot), 68);
AT_MOST(a_tail_is_136_bytes, sizeof(ouro_tail), 136);
AT_MOST(a_session_is_328_bytes, sizeof(ouro_session), 328);
AT_MOST(a_client_is_192_bytes, sizeof(ouro_client), 192);
AT_MOST(a_prepared_message_is_872_bytes, sizeof(ouro_prepared), 872);
AT_MOST(a_place_is_56_bytes, sizeof(ouro_place), 56);
AT_MOST(a_link_is_504_bytes, sizeof(ouro_link), 504);
AT_MOST(small_at_reach_8_prepared, SMALL(8) + sizeof(ouro_prepared), 4096);
#if UINTPTR_MAX <= 0xffffffffu
AT_MOST(small_at_reach_16, SMALL(16), 4160);
#else
/* Pointers of 8 bytes: 80 bytes above what a microcontroller needs. */
AT_MOST(small_at_reach_16, SMALL(16), 4240);
#endif
