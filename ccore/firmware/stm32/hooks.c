/*
 * Hooks of the sensor on an STM32 with a random number generator and backup SRAM, whose network is
 * lwIP without an operating system. CubeMX makes the handles and MX_LWIP_Process.
 */
#include "bare_hooks.h"
#include "gateway_route.h"
#include "lwip.h"
#include "lwip/dns.h"
#include "lwip/udp.h"
#include "main.h"
#include "sensor.h"
#include "sleepy_hooks.h"
#include "stored_credential.h"

#include <stdio.h>
#include <string.h>

/* Name or address of the gateway where none came with the credential. */
#ifndef SENSOR_GATEWAY
#define SENSOR_GATEWAY "192.168.1.2"
#endif
#ifndef SENSOR_GATEWAY_PORT
#define SENSOR_GATEWAY_PORT 5700
#endif

extern RNG_HandleTypeDef hrng;

/* That the backup SRAM holds a `kept`, and not what it came up with. */
#define KEPT_MARK 0x4f55524fu

enum { BEFORE = 64, SECOND = OURO_BLOB_MAX - OURO_BLOB_SIZE };

/* Outlives a reset and standby, as long as the backup domain has power. */
typedef struct kept {
    uint8_t before[BEFORE]; /* of sensors before the blob: the engine's struct, then a length */
    uint8_t inbox[OURO_BLOB_MAX]; /* where a debugger loads a blob; zeros: there is none */
    uint32_t mark;
    uint32_t current; /* of the two, the one that holds */
    uint8_t blob[2][OURO_BLOB_SIZE];
    uint8_t second[SECOND];
    uint32_t session_len; /* 0: there is none */
    uint8_t session[OURO_SAVED_SIZE(SENSOR_REACH)];
} kept;

/* Makes the new layout, with the credential that a sensor before the blob left, if there is one. */
static void take_over(kept *k) {
    ouro_credential credential;
    uint32_t session_len;
    memcpy(&session_len, k->before + sizeof credential, sizeof session_len);
    bool was = stored_credential_read(k->before, sizeof credential, &credential) == OURO_BLOB_SOUND;
    ouro_erase(k->inbox, sizeof *k - BEFORE);
    if (was && session_len <= sizeof k->session)
        ouro_blob_write(&credential, k->blob[0]);
    ouro_erase(&credential, sizeof credential);
    __DSB();
    k->mark = KEPT_MARK;
}

static kept *backup(void) {
    static bool opened;
    kept *k = (kept *)BKPSRAM_BASE;
    if (opened)
        return k;
    HAL_PWR_EnableBkUpAccess();
    __HAL_RCC_BKPSRAM_CLK_ENABLE();
    if (k->mark != KEPT_MARK)
        take_over(k);
    ouro_erase(k->before, sizeof k->before);
    opened = true;
    return k;
}

/* What was loaded for this device holds from now on, and lies in the inbox no more. */
static void take_inbox(kept *k) {
    ouro_credential credential;
    ouro_gateway_name gateway;
    ouro_blob_flaw flaw = ouro_blob_read(k->inbox, OURO_BLOB_SIZE, &credential);
    if (flaw == OURO_BLOB_KEY)
        return;
    if (flaw == OURO_BLOB_SOUND)
        flaw = ouro_blob_gateway(k->inbox + OURO_BLOB_SIZE, SECOND, &gateway);
    if (flaw == OURO_BLOB_SOUND) {
        hook_store_credential(&credential);
        memcpy(k->second, k->inbox + OURO_BLOB_SIZE, SECOND);
        k->session_len = 0;
        ouro_erase(k->inbox, sizeof k->inbox);
    } else {
        printf("what was loaded into the backup SRAM %s\n", ouro_blob_flaw_text(flaw));
    }
    ouro_erase(&credential, sizeof credential);
}

static const ouro_gateway_name *gateway_name(void) {
    static ouro_gateway_name gateway;
    if (gateway.port != 0)
        return &gateway;
    if (ouro_blob_gateway(backup()->second, SECOND, &gateway) != OURO_BLOB_SOUND ||
        gateway.port == 0) {
        (void)snprintf(gateway.name, sizeof gateway.name, "%s", SENSOR_GATEWAY);
        gateway.port = SENSOR_GATEWAY_PORT;
    }
    return &gateway;
}

static gateway_route route;

/* Without the bytes between its fields. */
static route_address address_of(const ip_addr_t *ip) {
    route_address address = {.len = sizeof(ip_addr_t)};
    ip_addr_t clean;
    memset(&clean, 0, sizeof clean);
    ip_addr_copy(clean, *ip);
    memcpy(address.bytes, &clean, sizeof clean);
    return address;
}

static void on_found(const char *name, const ip_addr_t *ip, void *unused) {
    (void)unused;
    if (ip == NULL) {
        printf("cannot find %s: its name is tried again\n", name);
        route_found(&route, NULL, 0);
        return;
    }
    route_address found = address_of(ip);
    route_found(&route, &found, 1);
}

/* lwIP gives one address of a name, and keeps it as long as the name server lets it. */
static void look_up(void) {
    const char *name = gateway_name()->name;
    ip_addr_t known;
    err_t said = dns_gethostbyname(name, &known, on_found, NULL);
    if (said != ERR_INPROGRESS)
        on_found(name, said == ERR_OK ? &known : NULL, NULL);
}

/* The one datagram that waits to be taken: lwIP hands it on, the loop takes it at once. */
static uint8_t waiting[SENSOR_PACKET];
static size_t waiting_len;

/* What is not the gateway's is dropped. */
static void on_datagram(void *unused, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                        u16_t port) {
    route_address address = address_of(from);
    (void)unused;
    (void)pcb;
    if (p->tot_len <= sizeof waiting && port == gateway_name()->port &&
        route_heard(&route, &address))
        waiting_len = pbuf_copy_partial(p, waiting, p->tot_len, 0);
    pbuf_free(p);
}

static struct udp_pcb *udp(void) {
    static struct udp_pcb *pcb;
    if (pcb != NULL)
        return pcb;
    pcb = udp_new_ip_type(IPADDR_TYPE_ANY);
    if (pcb == NULL)
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
    bool hello = ouro_packet_session_id(packet, len) == 0;
    ip_addr_t address;
    if (route_begin_look_up(&route, hook_now_ms(), hello))
        look_up();
    const route_address *to = route_next(&route, hook_now_ms(), hello);
    struct pbuf *p = to != NULL ? pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM) : NULL;
    if (p == NULL)
        return;
    memcpy(&address, to->bytes, sizeof address);
    if (pbuf_take(p, packet, (u16_t)len) == ERR_OK)
        (void)udp_sendto(udp(), p, &address, gateway_name()->port);
    pbuf_free(p);
}

size_t hook_receive(uint8_t *packet, size_t cap) {
    MX_LWIP_Process();
    size_t len = waiting_len <= cap ? waiting_len : 0;
    memcpy(packet, waiting, len);
    waiting_len = 0;
    return len;
}

bool hook_load_credential(ouro_credential *credential) {
    kept *k = backup();
    take_inbox(k);
    ouro_blob_flaw flaw = ouro_blob_read(k->blob[k->current & 1], OURO_BLOB_SIZE, credential);
    if (flaw == OURO_BLOB_KEY)
        printf("no credential: load what `ouroboros device new --blob` writes at %p\n",
               (void *)k->inbox);
    else if (flaw != OURO_BLOB_SOUND)
        printf("the credential in the backup SRAM %s\n", ouro_blob_flaw_text(flaw));
    return flaw == OURO_BLOB_SOUND;
}

/* The one before holds until the new one is whole. */
void hook_store_credential(const ouro_credential *credential) {
    kept *k = backup();
    uint32_t other = (k->current & 1) ^ 1;
    ouro_blob_write(credential, k->blob[other]);
    __DSB();
    k->current = other;
    __DSB();
    ouro_erase(k->blob[other ^ 1], OURO_BLOB_SIZE);
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
    if (route_begin_look_up(&route, hook_now_ms(), false))
        look_up();
    if (hook_now_ms() < ms && waiting_len == 0)
        __WFI();
}
