/*
 * What the sensor's hooks keep in the backup SRAM, on the host: each start of the board is a
 * process that finds the memory as the one before left it.
 */
#define _DEFAULT_SOURCE
#include <stdint.h>
static uint8_t *backup_sram;
#define BKPSRAM_BASE backup_sram
#include "../hooks.c"

#include "check.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SRAM = 4096, INBOX = 64 };

static const char gateway[] = "\x16\x44\x08gw.local";

RNG_HandleTypeDef hrng;

void HAL_PWR_EnableBkUpAccess(void) {
}

void Error_Handler(void) {
    abort();
}

/* What a start finds; it goes back by way of memory that is shared. */
typedef struct found {
    bool loaded;
    ouro_credential credential;
    ouro_gateway_name gateway;
} found;
static found *last;

static void *shared(size_t len) {
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

/* The board starts, and if `store` is there makes that its credential. */
static const found *start(const ouro_credential *store) {
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL)
            abort();
        last->loaded = hook_load_credential(&last->credential);
        last->gateway = *gateway_name();
        if (store != NULL)
            hook_store_credential(store);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    return last;
}

static ouro_credential a_credential(uint64_t epoch) {
    ouro_credential c = {.epoch = epoch, .evolving = true, .shorts = 1};
    memset(c.device_id, 1, sizeof c.device_id);
    memset(c.key, (int)(epoch + 1), sizeof c.key);
    return c;
}

static void load_inbox(uint64_t epoch, const char *second, size_t len) {
    ouro_credential c = a_credential(epoch);
    ouro_blob_write(&c, backup_sram + INBOX);
    memcpy(backup_sram + INBOX + OURO_BLOB_SIZE, second, len);
}

static void has_epoch(const found *f, uint64_t epoch) {
    ouro_credential c = a_credential(epoch);
    CHECK(f->loaded);
    CHECK_EQUAL(f->credential.epoch, epoch);
    CHECK_EQUAL(f->credential.shorts, 1);
    CHECK_BYTES(f->credential.key, c.key, OURO_KEY_SIZE);
}

static bool lies_anywhere(uint64_t epoch) {
    ouro_credential c = a_credential(epoch);
    for (size_t at = 0; at + OURO_KEY_SIZE <= SRAM; at++)
        if (memcmp(backup_sram + at, c.key, OURO_KEY_SIZE) == 0)
            return true;
    return false;
}

/* As it comes up without power before. */
static void fresh(void) {
    for (size_t i = 0; i < SRAM; i++)
        backup_sram[i] = (uint8_t)(i * 151 + 37);
}

static void a_board_without_credential_says_so(void) {
    fresh();
    CHECK(!start(NULL)->loaded);
    CHECK(!start(NULL)->loaded);
    CHECK_EQUAL(last->gateway.port, SENSOR_GATEWAY_PORT);
}

static void what_is_loaded_is_taken_once(void) {
    fresh();
    (void)start(NULL);
    load_inbox(0, gateway, sizeof gateway - 1);
    has_epoch(start(NULL), 0);
    CHECK_EQUAL(last->gateway.port, 5700);
    CHECK(strcmp(last->gateway.name, "gw.local") == 0);
    for (size_t i = 0; i < OURO_BLOB_MAX; i++)
        CHECK_EQUAL(backup_sram[INBOX + i], 0);
    ouro_credential moved = a_credential(1);
    has_epoch(start(&moved), 0);
    has_epoch(start(NULL), 1);
    CHECK(strcmp(last->gateway.name, "gw.local") == 0);
    CHECK(!lies_anywhere(0));
}

static void what_is_loaded_and_bad_changes_nothing(void) {
    fresh();
    (void)start(NULL);
    load_inbox(3, gateway, sizeof gateway - 1);
    has_epoch(start(NULL), 3);
    load_inbox(4, "\x16\x44\x08gw local", sizeof gateway - 1);
    has_epoch(start(NULL), 3);
    load_inbox(4, gateway, sizeof gateway - 1);
    backup_sram[INBOX] = 0x80;
    has_epoch(start(NULL), 3);
    CHECK(strcmp(last->gateway.name, "gw.local") == 0);
}

/* A reset after any byte of a new credential: the old one holds, until the word that says which. */
static void a_reset_in_a_write_costs_nothing(void) {
    static uint8_t before[SRAM], after[SRAM];
    fresh();
    (void)start(NULL);
    load_inbox(7, gateway, sizeof gateway - 1);
    has_epoch(start(NULL), 7);
    memcpy(before, backup_sram, SRAM);
    ouro_credential moved = a_credential(8);
    (void)start(&moved);
    memcpy(after, backup_sram, SRAM);
    const kept *was = (const kept *)before;
    size_t slot = offsetof(kept, blob) + (was->current ^ 1) * OURO_BLOB_SIZE;
    for (size_t written = 0; written <= OURO_BLOB_SIZE; written++) {
        memcpy(backup_sram, before, SRAM);
        memcpy(backup_sram + slot, after + slot, written);
        has_epoch(start(NULL), 7);
    }
    memcpy(backup_sram + offsetof(kept, current), after + offsetof(kept, current), 4);
    has_epoch(start(NULL), 8);
}

static void the_struct_of_before_is_taken_over(void) {
    ouro_credential c = a_credential(9);
    uint32_t session_len = 500;
    fresh();
    memcpy(backup_sram, &c, sizeof c);
    memcpy(backup_sram + sizeof c, &session_len, sizeof session_len);
    has_epoch(start(NULL), 9);
    has_epoch(start(NULL), 9);
    for (size_t i = 0; i < INBOX; i++)
        CHECK_EQUAL(backup_sram[i], 0);
    /* Once there is the new layout nothing of that place is looked at. */
    ouro_credential other = a_credential(20);
    memcpy(backup_sram, &other, sizeof other);
    has_epoch(start(NULL), 9);
}

int main(void) {
    backup_sram = shared(SRAM);
    last = shared(sizeof *last);
    RUN(a_board_without_credential_says_so);
    RUN(what_is_loaded_is_taken_once);
    RUN(what_is_loaded_and_bad_changes_nothing);
    RUN(a_reset_in_a_write_costs_nothing);
    RUN(the_struct_of_before_is_taken_over);
    return report_sum() ? EXIT_SUCCESS : EXIT_FAILURE;
}
