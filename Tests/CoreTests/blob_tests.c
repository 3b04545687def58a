/* A credential as bytes: appendix C, and what a sensor finds where it keeps its own. */
#include "check.h"
#include "hex.h"
#include "ouroboros/blob.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The example as it ships. */
#include "../../ccore/examples/stored_credential.c"

/* Written out by hand from the appendix: flags, id, key, epoch. */
static const char evolving_text[] = "0b0102030405060708a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5"
                                    "b6b7b8b9babbbcbdbebf1112131415161718";
static const char fixed_text[] = "000102030405060708a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b"
                                 "7b8b9babbbcbdbebf0000000000000000";

static ouro_credential a_credential(bool evolving) {
    ouro_credential c;
    memset(&c, 0, sizeof c);
    for (uint8_t i = 0; i < OURO_DEVICE_ID_SIZE; i++)
        c.device_id[i] = (uint8_t)(i + 1);
    for (uint8_t i = 0; i < OURO_KEY_SIZE; i++)
        c.key[i] = (uint8_t)(0xa0 + i);
    c.evolving = evolving;
    c.epoch = evolving ? UINT64_C(0x1112131415161718) : 0;
    c.shorts = evolving ? 5 : 0;
    return c;
}

static void same_credential(const ouro_credential *a, const ouro_credential *b) {
    CHECK_BYTES(a->device_id, b->device_id, OURO_DEVICE_ID_SIZE);
    CHECK_BYTES(a->key, b->key, OURO_KEY_SIZE);
    CHECK_EQUAL(a->epoch, b->epoch);
    CHECK_EQUAL(a->evolving, b->evolving);
    CHECK_EQUAL(a->shorts, b->shorts);
}

/* From a place of exactly that size, so that a read past it is seen; a flaw leaves no credential.
 */
static ouro_blob_flaw read_exactly(const uint8_t *bytes, size_t len, ouro_credential *out) {
    static const ouro_credential none;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    memset(out, 0xff, sizeof *out);
    ouro_blob_flaw flaw = ouro_blob_read(copy, len, out);
    if (flaw != OURO_BLOB_SOUND)
        same_credential(out, &none);
    free(copy);
    return flaw;
}

static void the_layout_is_the_appendix(void) {
    for (int evolving = 0; evolving < 2; evolving++) {
        uint8_t vector[2 * OURO_BLOB_SIZE], blob[OURO_BLOB_SIZE];
        ouro_credential c = a_credential(evolving == 1), read;
        CHECK_EQUAL(from_hex(evolving == 1 ? evolving_text : fixed_text, vector), OURO_BLOB_SIZE);
        memset(blob, 0xff, sizeof blob);
        ouro_blob_write(&c, blob);
        CHECK_BYTES(blob, vector, OURO_BLOB_SIZE);
        CHECK_EQUAL(read_exactly(vector, OURO_BLOB_SIZE, &read), OURO_BLOB_SOUND);
        same_credential(&read, &c);
    }
}

static void what_is_written_is_read(void) {
    static const uint64_t epochs[] = {0, 1, 300, UINT64_C(1) << 32, UINT64_MAX};
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_credential c = a_credential(true), read;
    for (size_t i = 0; i < sizeof epochs / sizeof epochs[0]; i++)
        for (uint8_t shorts = 0; shorts < 8; shorts++) {
            c.epoch = epochs[i];
            c.shorts = shorts;
            ouro_blob_write(&c, blob);
            CHECK_EQUAL(read_exactly(blob, sizeof blob, &read), OURO_BLOB_SOUND);
            same_credential(&read, &c);
        }
    /* A count above the protocol's is the protocol's highest, as for ouro_link_init. */
    c.shorts = 200;
    ouro_blob_write(&c, blob);
    CHECK_EQUAL(read_exactly(blob, sizeof blob, &read), OURO_BLOB_SOUND);
    CHECK_EQUAL(read.shorts, 7);
    /* A fixed credential has neither, whatever stands in the struct. */
    c.evolving = false;
    ouro_blob_write(&c, blob);
    CHECK_EQUAL(read_exactly(blob, sizeof blob, &read), OURO_BLOB_SOUND);
    CHECK_EQUAL(read.epoch, 0);
    CHECK_EQUAL(read.shorts, 0);
}

static void other_lengths_are_refused(void) {
    uint8_t bytes[2 * OURO_BLOB_SIZE] = {0};
    ouro_credential read;
    (void)from_hex(evolving_text, bytes);
    for (size_t len = 0; len <= sizeof bytes; len++)
        CHECK_EQUAL(read_exactly(bytes, len, &read),
                    len == OURO_BLOB_SIZE ? OURO_BLOB_SOUND : OURO_BLOB_LENGTH);
}

static void every_flag_has_a_meaning_or_is_refused(void) {
    uint8_t bytes[OURO_BLOB_SIZE];
    ouro_credential read;
    (void)from_hex(fixed_text, bytes);
    for (unsigned flags = 0; flags < 256; flags++) {
        ouro_blob_flaw expected = OURO_BLOB_SOUND;
        if (flags > 0x0f)
            expected = OURO_BLOB_FLAGS;
        else if (flags % 2 == 0 && flags != 0)
            expected = OURO_BLOB_FIXED;
        bytes[0] = (uint8_t)flags;
        CHECK_EQUAL(read_exactly(bytes, sizeof bytes, &read), expected);
    }
}

static void a_fixed_credential_has_no_epoch(void) {
    uint8_t bytes[OURO_BLOB_SIZE];
    ouro_credential read;
    for (size_t bit = 0; bit < 64; bit++) {
        (void)from_hex(fixed_text, bytes);
        bytes[41 + bit / 8] = (uint8_t)(1u << bit % 8);
        CHECK_EQUAL(read_exactly(bytes, sizeof bytes, &read), OURO_BLOB_FIXED);
        bytes[0] = 1;
        CHECK_EQUAL(read_exactly(bytes, sizeof bytes, &read), OURO_BLOB_SOUND);
    }
}

/* Flash that was erased, memory of zeros, the text that sensors kept once: none is a credential. */
static void what_was_never_written_is_refused(void) {
    uint8_t bytes[OURO_BLOB_SIZE];
    ouro_credential read;
    memset(bytes, 0xff, sizeof bytes);
    CHECK_EQUAL(read_exactly(bytes, sizeof bytes, &read), OURO_BLOB_FLAGS);
    memset(bytes, 0, sizeof bytes);
    CHECK_EQUAL(read_exactly(bytes, sizeof bytes, &read), OURO_BLOB_KEY);
    for (char digit = '0'; digit <= 'f'; digit++) {
        memset(bytes, digit, sizeof bytes);
        CHECK_EQUAL(read_exactly(bytes, sizeof bytes, &read), OURO_BLOB_FLAGS);
    }
    for (size_t bit = 0; bit < 256; bit++) {
        memset(bytes, 0, sizeof bytes);
        bytes[9 + bit / 8] = (uint8_t)(1u << bit % 8);
        CHECK_EQUAL(read_exactly(bytes, sizeof bytes, &read), OURO_BLOB_SOUND);
    }
}

/* From a place of exactly that size; a flaw leaves no gateway. */
static ouro_blob_flaw gateway_of(const uint8_t *bytes, size_t len, ouro_gateway_name *out) {
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    memset(out, 0xff, sizeof *out);
    ouro_blob_flaw flaw = ouro_blob_gateway(copy, len, out);
    if (flaw != OURO_BLOB_SOUND) {
        CHECK_EQUAL(out->port, 0);
        CHECK_EQUAL(out->name[0], 0);
    }
    free(copy);
    return flaw;
}

static void the_second_part_is_the_appendix(void) {
    uint8_t bytes[40];
    ouro_gateway_name gateway;
    size_t len = from_hex("16440867772e6c6f63616c", bytes);
    CHECK_EQUAL(gateway_of(bytes, len, &gateway), OURO_BLOB_SOUND);
    CHECK_EQUAL(gateway.port, 5700);
    CHECK(strcmp(gateway.name, "gw.local") == 0);
    /* A name cut short is none; what lies behind it is not its. */
    for (size_t cut = 1; cut < len; cut++)
        CHECK_EQUAL(gateway_of(bytes, cut, &gateway), OURO_BLOB_NAME);
    memset(bytes + len, 0xff, sizeof bytes - len);
    CHECK_EQUAL(gateway_of(bytes, sizeof bytes, &gateway), OURO_BLOB_SOUND);
    CHECK(strcmp(gateway.name, "gw.local") == 0);
}

static void no_gateway_is_told(void) {
    uint8_t bytes[OURO_BLOB_MAX - OURO_BLOB_SIZE] = {1};
    ouro_gateway_name gateway;
    CHECK_EQUAL(gateway_of(bytes, 0, &gateway), OURO_BLOB_SOUND);
    CHECK_EQUAL(gateway.port, 0);
    for (int value = 0; value < 256; value += 255) {
        memset(bytes, value, sizeof bytes);
        CHECK_EQUAL(gateway_of(bytes, sizeof bytes, &gateway), OURO_BLOB_SOUND);
        CHECK_EQUAL(gateway.port, 0);
        CHECK_EQUAL(gateway.name[0], 0);
    }
}

static void what_is_no_gateway_is_refused(void) {
    uint8_t bytes[3 + 255];
    ouro_gateway_name gateway;
    memset(bytes, 'x', sizeof bytes);
    for (size_t name_len = 0; name_len < 256; name_len++) {
        bytes[2] = (uint8_t)name_len;
        bool fits = name_len >= 1 && name_len <= OURO_GATEWAY_NAME_MAX;
        CHECK_EQUAL(gateway_of(bytes, sizeof bytes, &gateway),
                    fits ? OURO_BLOB_SOUND : OURO_BLOB_NAME);
        if (fits)
            CHECK_EQUAL(strlen(gateway.name), name_len);
    }
    bytes[2] = 5;
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 3; at < 8; at++) {
            memset(bytes + 3, 'x', 5);
            bytes[at] = (uint8_t)byte;
            CHECK_EQUAL(gateway_of(bytes, 8, &gateway),
                        byte > ' ' && byte != 0x7f ? OURO_BLOB_SOUND : OURO_BLOB_NAME);
        }
    memset(bytes, 0, 2);
    CHECK_EQUAL(gateway_of(bytes, 8, &gateway), OURO_BLOB_PORT);
}

static void each_flaw_is_told_apart(void) {
    for (int a = OURO_BLOB_SOUND; a <= OURO_BLOB_NAME; a++)
        for (int b = OURO_BLOB_SOUND; b <= OURO_BLOB_NAME; b++)
            CHECK_EQUAL(strcmp(ouro_blob_flaw_text((ouro_blob_flaw)a),
                               ouro_blob_flaw_text((ouro_blob_flaw)b)) == 0,
                        a == b);
    CHECK(strlen(ouro_blob_flaw_text((ouro_blob_flaw)99)) > 0);
}

/* A board that stored the engine's struct goes on with it; what is no such struct is refused. */
static void the_struct_of_before_is_taken(void) {
    uint8_t bytes[sizeof(ouro_credential)], blob[OURO_BLOB_SIZE];
    ouro_credential read;
    for (int evolving = 0; evolving < 2; evolving++) {
        ouro_credential c = a_credential(evolving == 1);
        memcpy(bytes, &c, sizeof c);
        CHECK_EQUAL(stored_credential_read(bytes, sizeof bytes, &read), OURO_BLOB_SOUND);
        same_credential(&read, &c);
        ouro_blob_write(&c, blob);
        CHECK_EQUAL(stored_credential_read(blob, sizeof blob, &read), OURO_BLOB_SOUND);
        same_credential(&read, &c);
    }
    CHECK_EQUAL(stored_credential_read(bytes, sizeof bytes - 1, &read), OURO_BLOB_LENGTH);
    CHECK_EQUAL(stored_credential_read(bytes, 0, &read), OURO_BLOB_LENGTH);
    for (unsigned value = 2; value < 256; value++) {
        bytes[offsetof(ouro_credential, evolving)] = (uint8_t)value;
        CHECK_EQUAL(stored_credential_read(bytes, sizeof bytes, &read), OURO_BLOB_FLAGS);
        CHECK_EQUAL(read.key[0], 0);
    }
    memset(bytes, 0, sizeof bytes);
    CHECK_EQUAL(stored_credential_read(bytes, sizeof bytes, &read), OURO_BLOB_KEY);
}

void blob_tests(void) {
    RUN(the_layout_is_the_appendix);
    RUN(what_is_written_is_read);
    RUN(other_lengths_are_refused);
    RUN(every_flag_has_a_meaning_or_is_refused);
    RUN(a_fixed_credential_has_no_epoch);
    RUN(what_was_never_written_is_refused);
    RUN(the_second_part_is_the_appendix);
    RUN(no_gateway_is_told);
    RUN(what_is_no_gateway_is_refused);
    RUN(each_flaw_is_told_apart);
    RUN(the_struct_of_before_is_taken);
}
