/*
 * Hooks of a sensor whose non-volatile memory is files of the directory that it runs in, for Linux
 * and for an emulated board that reaches its host's files:
 *
 *     credential   "DEVICE_ID EPOCH fixed|evolving KEY SHORTS", numbers in hexadecimal but for the
 *                  epoch and the short sessions in a row, which may be left out at first
 *     session      the saved session, while it sleeps, after the time of day in seconds
 *     readings     one reading a line, empty lines left out; all of them are sent
 *
 * What the gateway sends is printed. Whatever goes wrong with a file ends the program: a sensor
 * that cannot keep its state must not go on.
 */
#include "bare_hooks.h"
#include "sensor.h"
#include "sleepy_hooks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ID_DIGITS = 2 * OURO_DEVICE_ID_SIZE, KEY_DIGITS = 2 * OURO_KEY_SIZE, TEXT = 128 };

static void fail(const char *file, const char *what) {
    fprintf(stderr, "sensor: %s: %s\n", file, what);
    exit(EXIT_FAILURE);
}

/* The bytes of a file, at most `cap`; -1 if it is not there. */
static int read_file(const char *path, void *out, size_t cap) {
    int file = open(path, O_RDONLY);
    if (file < 0)
        return -1;
    int len = (int)read(file, out, cap);
    close(file);
    if (len < 0)
        fail(path, "cannot be read");
    return len;
}

/* Durable when it returns. */
static void write_file(const char *path, const void *bytes, size_t len) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_SYNC, 0600);
    if (file < 0 || write(file, bytes, len) != (ssize_t)len || close(file) != 0)
        fail(path, "cannot be written");
}

void hook_random(uint8_t *out, size_t len) {
    if (read_file("/dev/urandom", out, len) != (int)len)
        fail("/dev/urandom", "gives too few bytes");
}

static void from_hex(const char *text, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            fail("credential", "holds something that is not hexadecimal");
        out[i] = (uint8_t)byte;
    }
}

static void to_hex(const uint8_t *bytes, size_t len, char *text) {
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

void hook_load_credential(ouro_credential *credential) {
    char text[TEXT] = "", id[ID_DIGITS + 1], kind[9], key[KEY_DIGITS + 1];
    unsigned shorts = 0;
    memset(credential, 0, sizeof *credential);
    if (read_file("credential", text, sizeof text - 1) < 0)
        fail("credential", "is not there");
    int found =
        sscanf(text, "%16s %" SCNu64 " %8s %64s %u", id, &credential->epoch, kind, key, &shorts);
    credential->shorts = (uint8_t)shorts;
    if (found < 4 || strlen(id) != ID_DIGITS || strlen(key) != KEY_DIGITS ||
        (strcmp(kind, "fixed") != 0 && strcmp(kind, "evolving") != 0))
        fail("credential", "is not \"DEVICE_ID EPOCH fixed|evolving KEY SHORTS\"");
    credential->evolving = strcmp(kind, "evolving") == 0;
    from_hex(id, credential->device_id, OURO_DEVICE_ID_SIZE);
    from_hex(key, credential->key, OURO_KEY_SIZE);
    ouro_erase(text, sizeof text);
    ouro_erase(key, sizeof key);
}

/* The old one stays until the new one is whole. */
void hook_store_credential(const ouro_credential *credential) {
    char text[TEXT], id[ID_DIGITS + 1], key[KEY_DIGITS + 1];
    to_hex(credential->device_id, OURO_DEVICE_ID_SIZE, id);
    to_hex(credential->key, OURO_KEY_SIZE, key);
    int len =
        snprintf(text, sizeof text, "%s %" PRIu64 " %s %s %u\n", id, credential->epoch,
                 credential->evolving ? "evolving" : "fixed", key, (unsigned)credential->shorts);
    write_file("credential.new", text, (size_t)len);
    if (rename("credential.new", "credential") != 0)
        fail("credential", "cannot be replaced");
    ouro_erase(text, sizeof text);
    ouro_erase(key, sizeof key);
}

static uint8_t stored[sizeof(uint64_t) + OURO_SAVED_SIZE(OURO_MAX_REACH)];

void hook_store_session(const uint8_t *saved, size_t len) {
    uint64_t now = (uint64_t)time(NULL);
    if (len > sizeof stored - sizeof now)
        fail("session", "is too long");
    memcpy(stored, &now, sizeof now);
    memcpy(stored + sizeof now, saved, len);
    write_file("session", stored, sizeof now + len);
    ouro_erase(stored, sizeof stored);
}

size_t hook_take_session(uint8_t *out, size_t cap, uint64_t *slept_ms) {
    uint64_t then = 0, now = (uint64_t)time(NULL);
    int size = read_file("session", stored, sizeof stored);
    if (size <= (int)sizeof then)
        return 0;
    size_t len = (size_t)size - sizeof then;
    memcpy(&then, stored, sizeof then);
    *slept_ms = now > then ? (now - then) * 1000 : 0;
    if (len <= cap)
        memcpy(out, stored + sizeof then, len);
    /* Void before it is used: a copy that is taken twice would use keys twice. */
    ouro_erase(stored, sizeof stored);
    write_file("session", stored, (size_t)size);
    if (unlink("session") != 0)
        fail("session", "cannot be removed");
    return len <= cap ? len : 0;
}

size_t hook_reading(uint8_t *out, size_t cap) {
    static FILE *readings;
    char line[TEXT];
    if (readings == NULL && (readings = fopen("readings", "r")) == NULL)
        fail("readings", "is not there");
    size_t len = 0;
    while (len == 0) {
        if (fgets(line, sizeof line, readings) == NULL)
            return 0;
        len = strcspn(line, "\n");
    }
    if (len > cap)
        fail("readings", "holds a line that is too long");
    memcpy(out, line, len);
    return len;
}

void hook_command(const uint8_t *data, size_t len) {
    printf("%.*s\n", (int)len, (const char *)data);
}

int main(void) {
    return sensor_night() ? EXIT_SUCCESS : EXIT_FAILURE;
}
