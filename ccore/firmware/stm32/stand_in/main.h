/*
 * The names of ST's HAL that hooks.c uses, as declarations: enough to compile and link it without
 * ST's files, and no proof that it runs. A project of CubeMX brings its own main.h.
 */
#ifndef STAND_IN_MAIN_H
#define STAND_IN_MAIN_H

#include <stdint.h>

typedef enum { HAL_OK, HAL_ERROR, HAL_BUSY, HAL_TIMEOUT } HAL_StatusTypeDef;
typedef struct {
    uint32_t State;
} RNG_HandleTypeDef;

/* A test on the host has a place of its own, and neither instruction. */
#ifndef BKPSRAM_BASE
#define BKPSRAM_BASE 0x40024000UL
#endif
#define __HAL_RCC_BKPSRAM_CLK_ENABLE() ((void)0)

uint32_t HAL_GetTick(void);
HAL_StatusTypeDef HAL_RNG_GenerateRandomNumber(RNG_HandleTypeDef *rng, uint32_t *number);
void HAL_PWR_EnableBkUpAccess(void);
void Error_Handler(void);

static inline void __WFI(void) {
#ifdef __arm__
    __asm__ volatile("wfi");
#endif
}
static inline void __DSB(void) {
#ifdef __arm__
    __asm__ volatile("dsb" ::: "memory");
#endif
}

#endif
