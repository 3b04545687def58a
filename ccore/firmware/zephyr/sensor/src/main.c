/* Sends a reading in the saved session, saves it, waits: in place of the wait a board may power
 * off. */
#include "sensor.h"

#include <zephyr/kernel.h>
#include <zephyr/settings/settings.h>

int main(void) {
    if (settings_subsys_init() != 0)
        return 1;
    for (;;) {
        if (!sensor_night())
            printk("the reading may not have arrived\n");
        k_sleep(K_SECONDS(CONFIG_SENSOR_SLEEP_SECONDS));
    }
}
