// A sensor on an ESP32 board: wakes, joins the Wi-Fi, sends a reading in the session that it saved, sleeps again
// without power. sensor.c and sleepy_loop.c are the firmware; this file is what they ask of the board.

#include <Preferences.h>
#include <WiFi.h>
#include <WiFiUdp.h>
#include <esp_random.h>

extern "C" {
#include "bare_hooks.h"
#include "sensor.h"
#include "sleepy_hooks.h"
}

static const char network[] = "network";
static const char password[] = "password";
static const IPAddress gateway(192, 168, 1, 2);
static const uint16_t gatewayPort = 5700;
static const uint16_t ownPort = 5701;
static const uint64_t sleepSeconds = 60;
static const uint32_t joinMilliseconds = 15000;

static WiFiUDP udp;
// In NVS: turn its encryption on, keys lie there. The provisioning step writes the engine's own struct.
static Preferences store;

void setup() {
    Serial.begin(115200);
    store.begin("ouroboros");
    WiFi.begin(network, password);
    const uint32_t begun = millis();
    while (WiFi.status() != WL_CONNECTED && millis() - begun < joinMilliseconds)
        delay(10);
    udp.begin(ownPort);
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

void hook_send(const uint8_t *packet, size_t len) {
    udp.beginPacket(gateway, gatewayPort);
    udp.write(packet, len);
    udp.endPacket();
}

// Only the gateway's packets are given to the link.
size_t hook_receive(uint8_t *packet, size_t cap) {
    while (udp.parsePacket() > 0)
        if (udp.remoteIP() == gateway && udp.remotePort() == gatewayPort)
            return udp.read(packet, cap);
    return 0;
}

// A device that cannot keep its state must not go on.
void hook_load_credential(ouro_credential *credential) {
    if (store.getBytes("credential", credential, sizeof *credential) != sizeof *credential)
        abort();
}

void hook_store_credential(const ouro_credential *credential) {
    if (store.putBytes("credential", credential, sizeof *credential) != sizeof *credential)
        abort();
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

void hook_wait_until(uint64_t ms) {
    if (hook_now_ms() < ms)
        delay(1);
}

}
