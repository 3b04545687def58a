/*
 * Hooks of the sensor on an STM32 with a random number generator and backup SRAM, whose network is
 * lwIP without an operating system. CubeMX makes the handles and MX_LWIP_Process.
 */
#include "bare_hooks.h"
#include "lwip.h"
#include "lwip/udp.h"
#include "main.h"
#include "sensor.h"
#include "sleepy_hooks.h"

#include <stdio.h>
#include <string.h>

#ifndef SENSOR_GATEWAY
#define SENSOR_GATEWAY "192.168.1.2"
#endif
#ifndef SENSOR_GATEWAY_PORT
#define SENSOR_GATEWAY_PORT 5700
#endif

extern RNG_HandleTypeDef hrng;

/* Outlives a reset and standby, as long as the backup domain has power. The provisioning step
 * writes the credential. */
typedef struct kept {
    ouro_credential credential;
    uint32_t session_len; /* 0: there is none */
    uint8_t session[OURO_SAVED_SIZE(SENSOR_REACH)];
} kept;

static kept *backup(void) {
    static bool opened;
    if (!opened) {
        HAL_PWR_EnableBkUpAccess();
        __HAL_RCC_BKPSRAM_CLK_ENABLE();
    }
    opened = true;
    return (kept *)BKPSRAM_BASE;
}

/* The one datagram that waits to be taken: lwIP hands it on, the loop takes it at once. */
static uint8_t waiting[SENSOR_PACKET];
static size_t waiting_len;

static void on_datagram(void *unused, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                        u16_t port) {
    (void)unused;
    (void)pcb;
    (void)from;
    (void)port;
    if (p->tot_len <= sizeof waiting)
        waiting_len = pbuf_copy_partial(p, waiting, p->tot_len, 0);
    pbuf_free(p);
}

/* Connected: lwIP hands on what comes from the gateway alone. */
static struct udp_pcb *gateway(void) {
    static struct udp_pcb *pcb;
    ip_addr_t to;
    if (pcb != NULL)
        return pcb;
    pcb = udp_new();
    if (pcb == NULL || !ipaddr_aton(SENSOR_GATEWAY, &to) ||
        udp_connect(pcb, &to, SENSOR_GATEWAY_PORT) != ERR_OK)
        Error_Handler();
    udp_recv(pcb, on_datagram, NULL);
    return pcb;
}

/* HAL's tick wraps after 49 days. */
uint64_t hook_now_ms(void) {
    static uint32_t last;
    static uint64_t wraps;
    uint32_t tick = HAL_GetTick();
    if (tick < last)
        wraps += UINT64_C(1) << 32;
    last = tick;
    return wraps + tick;
}

void hook_random(uint8_t *out, size_t len) {
    uint32_t word;
    for (size_t i = 0; i < len; i++) {
        if (i % sizeof word == 0 && HAL_RNG_GenerateRandomNumber(&hrng, &word) != HAL_OK)
            Error_Handler();
        out[i] = (uint8_t)(word >> (8 * (i % sizeof word)));
    }
}

/* What lwIP does not take is a datagram that the network lost. */
void hook_send(const uint8_t *packet, size_t len) {
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
    if (p == NULL)
        return;
    if (pbuf_take(p, packet, (u16_t)len) == ERR_OK)
        (void)udp_send(gateway(), p);
    pbuf_free(p);
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    (void)gateway();
    MX_LWIP_Process();
    size_t len = waiting_len <= cap ? waiting_len : 0;
    memcpy(packet, waiting, len);
    waiting_len = 0;
    return len;
}

void hook_load_credential(ouro_credential *credential) {
    *credential = backup()->credential;
}

void hook_store_credential(const ouro_credential *credential) {
    backup()->credential = *credential;
}

void hook_store_session(const uint8_t *saved, size_t len) {
    if (len > sizeof backup()->session)
        Error_Handler();
    memcpy(backup()->session, saved, len);
    backup()->session_len = (uint32_t)len;
}

/* Erased before it is used. How long the board slept its RTC knows; 0 is allowed. */
size_t hook_take_session(uint8_t *out, size_t cap, uint64_t *slept_ms) {
    size_t len = backup()->session_len;
    *slept_ms = 0;
    if (len > cap || len > sizeof backup()->session)
        len = 0;
    memcpy(out, backup()->session, len);
    backup()->session_len = 0;
    ouro_erase(backup()->session, sizeof backup()->session);
    return len;
}

/* One reading a night; put yours here. */
size_t hook_reading(uint8_t *out, size_t cap) {
    static bool sent;
    if (sent)
        return 0;
    sent = true;
    int len = snprintf((char *)out, cap, "{\"tick\":%lu}", (unsigned long)HAL_GetTick());
    return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

void hook_command(const uint8_t *data, size_t len) {
    printf("command: %.*s\n", (int)len, (const char *)data);
}

/* Until the next interrupt: the tick comes each millisecond. */
void hook_wait_until(uint64_t ms) {
    if (hook_now_ms() < ms && waiting_len == 0)
        __WFI();
}
