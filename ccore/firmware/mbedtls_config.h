/*
 * What the engine needs of mbedTLS and nothing else: AES, GCM, SHA-256, encryption's direction of
 * AES alone. Give it as MBEDTLS_CONFIG_FILE='<mbedtls_config.h>', in angle brackets: 3.6 has a file
 * of this name beside the one that includes it.
 *
 * GCM and the compression of SHA-256 come from alt/, by the hooks that mbedTLS has for hardware:
 * half the instructions, no heap, a third of the stack. With OURO_MBEDTLS_PLAIN they are mbedTLS's
 * own: 3.6 takes no heap then either; 2.28 asks for a cipher context a key, and gets it from a
 * static pool (memory_buffer_alloc). A chip's own AES or SHA goes in by the same hooks.
 *
 * FEWER_TABLES costs nothing on ARM, whose loads rotate for free, and saves 6 KB; ROM tables save
 * their making at start and 2 KB of RAM.
 */
#ifndef OURO_MBEDTLS_CONFIG_H
#define OURO_MBEDTLS_CONFIG_H

#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_GCM_C
#define MBEDTLS_SHA256_C

#ifndef OURO_MBEDTLS_PLAIN
#define MBEDTLS_GCM_ALT
#define MBEDTLS_SHA256_PROCESS_ALT
#endif

#ifdef MBEDTLS_BUILD_INFO_H
/* 3.6: its build_info.h includes this file. */
#define MBEDTLS_BLOCK_CIPHER_NO_DECRYPT
#elif defined(OURO_MBEDTLS_PLAIN)
#define MBEDTLS_CIPHER_C
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_MEMORY_BUFFER_ALLOC_C
#define MBEDTLS_MEMORY_DEBUG
#endif

#endif
