// A sensor on an ESP32 board: wakes, joins the Wi-Fi, sends a reading in the session that it saved, sleeps again
// without power. sensor.c and sleepy_loop.c are the firmware, socket_hooks.c brings their packets to the gateway; this
// file is what else they ask of the board.

#include <Preferences.h>
#include <WiFi.h>
#include <esp_random.h>

#include "bare_hooks.h"
#include "sensor.h"
#include "sleepy_hooks.h"
#include "socket_hooks.h"
#include "stored_credential.h"

// Where NVS does not tell them.
static const char network[] = "network";
static const char password[] = "password";
static const char gatewayName[] = "gateway.local";
static const uint16_t gatewayPort = 5700;
static const uint64_t sleepSeconds = 60;
static const uint32_t joinMilliseconds = 15000;

// In NVS: turn its encryption on, keys lie there. The README says what stands there.
static Preferences store;

void setup() {
    Serial.begin(115200);
    store.begin("ouroboros");
    WiFi.begin(store.getString("wifi_ssid", network).c_str(), store.getString("wifi_pass", password).c_str());
    const uint32_t begun = millis();
    while (WiFi.status() != WL_CONNECTED && millis() - begun < joinMilliseconds)
        delay(10);
    if (WiFi.status() != WL_CONNECTED || !sensor_night())
        Serial.println("the reading may not have arrived");
    store.end();
    esp_deep_sleep(sleepSeconds * 1000000);
}

void loop() {
}

extern "C" {

uint64_t hook_now_ms(void) {
    return esp_timer_get_time() / 1000;
}

void hook_random(uint8_t *out, size_t len) {
    esp_fill_random(out, len);
}

// Both of them from one place.
const ouro_gateway_name *hook_gateway(void) {
    static ouro_gateway_name gateway;
    if (gateway.port != 0)
        return &gateway;
    gateway.port = store.getUShort("port", 0);
    if (gateway.port == 0 || store.getString("host", gateway.name, sizeof gateway.name) == 0) {
        strlcpy(gateway.name, gatewayName, sizeof gateway.name);
        gateway.port = gatewayPort;
    }
    return &gateway;
}

void hook_say(const char *line) {
    Serial.println(line);
}

bool hook_load_credential(ouro_credential *credential) {
    uint8_t bytes[STORED_CREDENTIAL_MAX];
    const size_t len = store.getBytes("credential", bytes, sizeof bytes);
    const ouro_blob_flaw flaw = stored_credential_read(bytes, len, credential);
    ouro_erase(bytes, sizeof bytes);
    if (len == 0)
        Serial.println("no credential in NVS: flash what `ouroboros device new --nvs` is made into");
    else if (flaw != OURO_BLOB_SOUND)
        Serial.printf("the credential in NVS %s\n", ouro_blob_flaw_text(flaw));
    return flaw == OURO_BLOB_SOUND;
}

// A device that cannot keep its state must not go on.
void hook_store_credential(const ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_write(credential, blob);
    if (store.putBytes("credential", blob, sizeof blob) != sizeof blob)
        abort();
    ouro_erase(blob, sizeof blob);
}

void hook_store_session(const uint8_t *saved, size_t len) {
    if (store.putBytes("session", saved, len) != len)
        abort();
}

size_t hook_take_session(uint8_t *out, size_t cap, uint64_t *slept_ms) {
    const size_t len = store.getBytes("session", out, cap);
    if (len > 0 && !store.remove("session"))
        abort();
    *slept_ms = sleepSeconds * 1000;
    return len;
}

// One reading a night; put yours here.
size_t hook_reading(uint8_t *out, size_t cap) {
    static bool sent = false;
    if (sent)
        return 0;
    sent = true;
    const int len = snprintf((char *)out, cap, "{\"rssi\":%d}", (int)WiFi.RSSI());
    return len > 0 && (size_t)len < cap ? len : 0;
}

void hook_command(const uint8_t *data, size_t len) {
    Serial.write(data, len);
    Serial.println();
}

}
