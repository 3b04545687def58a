/* Hooks of a board that does not exist: enough to link ccore/examples/bare_loop.c and weigh it. */
#include "../examples/bare_hooks.h"

#define PORT(number) (*(volatile uint32_t *)(0x40000000u + 4u * (number)))

uint64_t hook_now_ms(void) {
    return PORT(0);
}

void hook_random(uint8_t *out, size_t len) {
    while (len-- > 0)
        *out++ = (uint8_t)PORT(1);
}

void hook_send(const uint8_t *packet, size_t len) {
    while (len-- > 0)
        PORT(2) = *packet++;
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    size_t len = PORT(3);
    for (size_t i = 0; i < len && i < cap; i++)
        packet[i] = (uint8_t)PORT(4);
    return len < cap ? len : cap;
}

bool hook_load_credential(ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_flaw flaw = ouro_blob_read(blob, hook_receive(blob, sizeof blob), credential);
    ouro_erase(blob, sizeof blob);
    return flaw == OURO_BLOB_SOUND;
}

void hook_store_credential(const ouro_credential *credential) {
    uint8_t blob[OURO_BLOB_SIZE];
    ouro_blob_write(credential, blob);
    hook_send(blob, sizeof blob);
    ouro_erase(blob, sizeof blob);
}

size_t hook_reading(uint8_t *out, size_t cap) {
    return hook_receive(out, cap);
}

void hook_command(const uint8_t *data, size_t len) {
    hook_send(data, len);
}

void hook_wait_until(uint64_t ms) {
    while (hook_now_ms() < ms && PORT(5) == 0)
        ;
}
