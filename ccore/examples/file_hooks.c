/*
 * Hooks of a sensor whose non-volatile memory is files of the directory that it runs in, for Linux
 * and for an emulated board that reaches its host's files:
 *
 *     credential   a blob (appendix C of docs/PROTOCOL.md) and behind it, where the environment
 *                  does not tell them, port and name of the gateway
 *     session      the saved session, while it sleeps, after the time of day in seconds
 *     readings     one reading a line, empty lines left out; all of them are sent
 *
 * What the gateway sends is printed. Whatever goes wrong with a file ends the program: a sensor
 * that cannot keep its state must not go on.
 */
#include "bare_hooks.h"
#include "sensor.h"
#include "sleepy_hooks.h"
#include "socket_hooks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 128 };

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

/* What stands behind the credential stays there, whatever it is. */
static uint8_t second[OURO_BLOB_MAX - OURO_BLOB_SIZE];
static size_t second_len;
static ouro_gateway_name gateway;

bool hook_load_credential(ouro_credential *credential) {
    uint8_t bytes[OURO_BLOB_MAX + 1];
    int size = read_file("credential", bytes, sizeof bytes);
    if (size < 0)
        fail("credential", "is not there");
    size_t len = (size_t)size;
    if (len > OURO_BLOB_MAX)
        fail("credential", "is too long for one");
    second_len = len > OURO_BLOB_SIZE ? len - OURO_BLOB_SIZE : 0;
    memcpy(second, bytes + OURO_BLOB_SIZE, second_len);
    ouro_blob_flaw flaw = ouro_blob_read(bytes, len - second_len, credential);
    if (flaw == OURO_BLOB_SOUND)
        flaw = ouro_blob_gateway(second, second_len, &gateway);
    ouro_erase(bytes, sizeof bytes);
    if (flaw != OURO_BLOB_SOUND)
        fail("credential", ouro_blob_flaw_text(flaw));
    return true;
}

/* The old one stays until the new one is whole. */
void hook_store_credential(const ouro_credential *credential) {
    uint8_t bytes[OURO_BLOB_MAX];
    ouro_blob_write(credential, bytes);
    memcpy(bytes + OURO_BLOB_SIZE, second, second_len);
    write_file("credential.new", bytes, OURO_BLOB_SIZE + second_len);
    ouro_erase(bytes, sizeof bytes);
    if (rename("credential.new", "credential") != 0)
        fail("credential", "cannot be replaced");
}

/* The environment, if it tells any, before what came with the credential. */
const ouro_gateway_name *hook_gateway(void) {
    static ouro_gateway_name named;
    const char *host = getenv("OUROBOROS_HOST"), *port = getenv("OUROBOROS_PORT");
    if (host == NULL && port == NULL && gateway.port == 0)
        fail("credential", "tells no gateway, and OUROBOROS_HOST and OUROBOROS_PORT neither");
    if (host == NULL && port == NULL)
        return &gateway;
    unsigned long number = port != NULL ? strtoul(port, NULL, 10) : 0;
    if (host == NULL || strlen(host) > OURO_GATEWAY_NAME_MAX || number == 0 || number > UINT16_MAX)
        fail("OUROBOROS_HOST and OUROBOROS_PORT", "do not tell a gateway");
    named.port = (uint16_t)number;
    memcpy(named.name, host, strlen(host) + 1);
    return &named;
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
