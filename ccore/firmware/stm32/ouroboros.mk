# For a Makefile of STM32CubeMX, after its C_SOURCES and C_INCLUDES: include .../ccore/firmware/stm32/ouroboros.mk
OUROBOROS_ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../../..)
OUROBOROS_MBEDTLS ?= $(error set OUROBOROS_MBEDTLS to the folder of the sources of mbedTLS 3.6)
# What stands in for mbedTLS's own GCM and SHA-256 compression; empty if the chip's files do.
OUROBOROS_ALT ?= gcm_alt ghash sha256_process
OUROBOROS_REACH ?= 8
OUROBOROS_PLACES ?= 4
OUROBOROS_PACKET ?= 128

C_SOURCES += $(wildcard $(OUROBOROS_ROOT)/ccore/src/*.c) \
	$(OUROBOROS_ALT:%=$(OUROBOROS_ROOT)/ccore/firmware/alt/%.c) \
	$(addprefix $(OUROBOROS_MBEDTLS)/library/,aes.c sha256.c platform_util.c) \
	$(addprefix $(OUROBOROS_ROOT)/ccore/examples/,sensor.c sleepy_loop.c gateway_route.c stored_credential.c) \
	$(OUROBOROS_ROOT)/ccore/firmware/stm32/hooks.c
C_INCLUDES += -I$(OUROBOROS_ROOT)/include -I$(OUROBOROS_ROOT)/ccore/src -I$(OUROBOROS_ROOT)/ccore/examples \
	-I$(OUROBOROS_ROOT)/ccore/firmware -I$(OUROBOROS_ROOT)/ccore/firmware/alt -I$(OUROBOROS_MBEDTLS)/include
C_DEFS += -DMBEDTLS_CONFIG_FILE='<mbedtls_config.h>' -DSENSOR_REACH=$(OUROBOROS_REACH) \
	-DSENSOR_PLACES=$(OUROBOROS_PLACES) -DSENSOR_PACKET=$(OUROBOROS_PACKET)
