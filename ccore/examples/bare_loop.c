/* A sensor with power: one main loop for ever, the next message's keys made while it waits. */
#include "bare_hooks.h"
#include "sensor.h"

int main(void) {
    if (!sensor_start() || ouro_link_connect(&sensor_link, hook_now_ms()) != OURO_OK)
        return 1;
    for (;;) {
        (void)sensor_step();
        /* Where the crypto hardware is busy, another turn. */
        if (ouro_link_prepare(&sensor_link, SENSOR_READING) != OURO_OK)
            continue;
        hook_wait_until(ouro_link_deadline(&sensor_link, hook_now_ms()));
    }
}
