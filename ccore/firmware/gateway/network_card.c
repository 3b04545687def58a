/* Registers after the LAN9118's data sheet, 5.3 and 5.4; polled, one frame at a time. */
#include "network_card.h"

#define REGISTER(offset) (*(volatile uint32_t *)(0x40200000u + (offset)))
#define RX_DATA_FIFO REGISTER(0x00)
#define TX_DATA_FIFO REGISTER(0x20)
#define RX_STATUS_FIFO REGISTER(0x40)
#define TX_STATUS_FIFO REGISTER(0x48)
#define BYTE_TEST REGISTER(0x64)
#define TX_CFG REGISTER(0x70)
#define RX_FIFO_INF REGISTER(0x7c)
#define MAC_CSR_CMD REGISTER(0xa4)
#define MAC_CSR_DATA REGISTER(0xa8)

enum { MAC_CR = 1, CHECKSUM = 4, WORD = 4 };
#define BYTES_IN_ORDER 0x87654321u
#define CSR_BUSY 0x80000000u
#define TX_ON 2u
#define TX_FIRST_SEGMENT 0x2000u
#define TX_LAST_SEGMENT 0x1000u
#define MAC_SEND 0x8u
#define MAC_RECEIVE 0x4u
#define MAC_PROMISCUOUS 0x40000u

bool network_card_start(void) {
    if (BYTE_TEST != BYTES_IN_ORDER)
        return false;
    MAC_CSR_DATA = MAC_SEND | MAC_RECEIVE | MAC_PROMISCUOUS;
    MAC_CSR_CMD = CSR_BUSY | MAC_CR;
    while ((MAC_CSR_CMD & CSR_BUSY) != 0)
        ;
    TX_CFG = TX_ON;
    return true;
}

/* Two command words, then the frame in whole words, little-endian. */
void network_card_send(const uint8_t *frame, size_t len) {
    TX_DATA_FIFO = TX_FIRST_SEGMENT | TX_LAST_SEGMENT | (uint32_t)len;
    TX_DATA_FIFO = (uint32_t)len;
    for (size_t at = 0; at < len; at += WORD) {
        uint32_t word = 0;
        for (size_t i = 0; i < WORD && at + i < len; i++)
            word |= (uint32_t)frame[at + i] << (8 * i);
        TX_DATA_FIFO = word;
    }
    (void)TX_STATUS_FIFO;
}

size_t network_card_receive(uint8_t *frame, size_t cap) {
    if ((RX_FIFO_INF >> 16 & 0xff) == 0)
        return 0;
    size_t with_checksum = RX_STATUS_FIFO >> 16 & 0x3fff;
    size_t len = with_checksum - CHECKSUM;
    for (size_t at = 0; at < with_checksum; at += WORD) {
        uint32_t word = RX_DATA_FIFO;
        for (size_t i = 0; i < WORD && at + i < len; i++)
            if (at + i < cap)
                frame[at + i] = (uint8_t)(word >> (8 * i));
    }
    return len <= cap ? len : 0;
}
