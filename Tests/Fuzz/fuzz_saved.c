/* A saved session from hostile storage; its checksum is made right in a second try. */
#include "crypto.h"
#include "net.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t copy[4096];
    net_options options;
    memset(&options, 0, sizeof options);
    options.seed = 1;
    options.places = 4;
    if (size < 32 || size > sizeof copy)
        return 0;
    for (int right = 0; right < 2; right++) {
        net *n = net_new(&options);
        memcpy(copy, data, size);
        ouro_span body = {copy, size - 32};
        if (right != 0 && ouro_sha256(&body, 1, copy + size - 32) != OURO_OK)
            abort();
        if (right != 0)
            memcpy(copy + 8, n->durable[DEVICE].device_id, size < 16 + 32 ? 0 : 8);
        if (ouro_link_restore(&n->side[DEVICE].link, n->now_ms, 5, copy, size) == OURO_OK) {
            (void)net_send(n, DEVICE, true, 20);
            net_run_for(n, 60000);
        }
        net_free(n);
    }
    return 0;
}
