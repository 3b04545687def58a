#include "csizes.h"

#include <ouroboros/ouroboros.h>

#define ROW(type) {#type, sizeof(type), _Alignof(type)}

const size_of *c_sizes(void) {
    static const size_of rows[] = {
        ROW(ouro_addr),     ROW(ouro_aead),    ROW(ouro_client),  ROW(ouro_credential),
        ROW(ouro_datagram), ROW(ouro_device),  ROW(ouro_event),   ROW(ouro_hello),
        ROW(ouro_link),     ROW(ouro_memory),  ROW(ouro_message), ROW(ouro_opened),
        ROW(ouro_path),     ROW(ouro_pending), ROW(ouro_place),   ROW(ouro_pool),
        ROW(ouro_prepared), ROW(ouro_server),  ROW(ouro_session), ROW(ouro_settings),
        ROW(ouro_slot),     ROW(ouro_stats),   ROW(ouro_tail),    ROW(ouro_window),
        ROW(ouro_ahead),    {NULL, 0, 0}};
    return rows;
}
