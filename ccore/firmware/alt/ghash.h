/*
 * The multiplication of GHASH (NIST SP 800-38D 6.3) without a branch or an address that depends on
 * its operands. A block is four words, big-endian: the top bit of the first is the coefficient of
 * x^0.
 */
#ifndef GHASH_H
#define GHASH_H

#include <stdint.h>

/* Makes a hash key ready: what is kept is H divided by x, which saves each product a shift. */
void ghash_prepare(uint32_t h[4]);

/* y times the hash key that was made ready. */
void ghash_multiply(uint32_t y[4], const uint32_t h[4]);

#endif
