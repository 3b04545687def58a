/* Wakes, joins the Wi-Fi, sends a reading in the saved session, sleeps again without power. */
#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_sleep.h"
#include "esp_wifi.h"
#include "freertos/FreeRTOS.h"
#include "freertos/event_groups.h"
#include "nvs_flash.h"
#include "ouroboros/secret.h"
#include "provisioned.h"
#include "sensor.h"

#include <string.h>

#define JOINED BIT0
enum { JOIN_MS = 15000, WIFI_TEXT = 65 };

static EventGroupHandle_t network;

static void on_event(void *unused, esp_event_base_t base, int32_t id, void *data) {
    (void)unused;
    (void)data;
    if (base == WIFI_EVENT && (id == WIFI_EVENT_STA_START || id == WIFI_EVENT_STA_DISCONNECTED))
        esp_wifi_connect();
    else if (base == IP_EVENT && id == IP_EVENT_STA_GOT_IP)
        xEventGroupSetBits(network, JOINED);
}

/* What NVS tells, or else the configuration; a name of 32 bytes stands there without NUL. */
static void tell(const char *name, const char *otherwise, uint8_t *out, size_t cap) {
    char text[WIFI_TEXT];
    if (!provisioned(name, text, sizeof text))
        strlcpy(text, otherwise, sizeof text);
    memcpy(out, text, strnlen(text, cap));
    ouro_erase(text, sizeof text);
}

static bool join(void) {
    wifi_init_config_t defaults = WIFI_INIT_CONFIG_DEFAULT();
    wifi_config_t station = {0};
    tell("wifi_ssid", CONFIG_SENSOR_WIFI_SSID, station.sta.ssid, sizeof station.sta.ssid);
    tell("wifi_pass", CONFIG_SENSOR_WIFI_PASSWORD, station.sta.password,
         sizeof station.sta.password);
    network = xEventGroupCreate();
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    esp_netif_create_default_wifi_sta();
    ESP_ERROR_CHECK(esp_wifi_init(&defaults));
    ESP_ERROR_CHECK(esp_event_handler_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_event, NULL));
    ESP_ERROR_CHECK(esp_event_handler_register(IP_EVENT, IP_EVENT_STA_GOT_IP, on_event, NULL));
    ESP_ERROR_CHECK(esp_wifi_set_mode(WIFI_MODE_STA));
    ESP_ERROR_CHECK(esp_wifi_set_config(WIFI_IF_STA, &station));
    ouro_erase(&station, sizeof station);
    ESP_ERROR_CHECK(esp_wifi_start());
    return (xEventGroupWaitBits(network, JOINED, pdFALSE, pdTRUE, pdMS_TO_TICKS(JOIN_MS)) &
            JOINED) != 0;
}

void app_main(void) {
    ESP_ERROR_CHECK(nvs_flash_init());
    if (!join())
        ESP_LOGW("sensor", "no Wi-Fi: next time");
    else if (!sensor_night())
        ESP_LOGW("sensor", "the reading may not have arrived");
    esp_wifi_stop();
    esp_deep_sleep((uint64_t)CONFIG_SENSOR_SLEEP_SECONDS * 1000000);
}
