#include <ouroboros/ouroboros.h>

#include <string.h>

int main(void) {
    uint8_t fleet[OURO_KEY_SIZE] = {1}, id[OURO_DEVICE_ID_SIZE] = {2}, root[OURO_KEY_SIZE] = {0};
    return ouro_fleet_root_key(fleet, id, root) == OURO_OK && memcmp(root, fleet, sizeof root) != 0
               ? 0
               : 1;
}
