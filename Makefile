# Ouroboros. `make help` lists what can be made.

SYSTEM_PACKAGES = libmbedtls-dev libsqlite3-dev
CHECK_PACKAGES = $(SYSTEM_PACKAGES) gcc libcjson-dev clang-format-14 cppcheck
BUILD = build
C_WARNINGS = -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
C_FLAGS = $(C_WARNINGS) -Iinclude
# Swift's own clang: it brings the sanitizers' runtimes along.
SANITIZER_CC = clang
RUNS = 500
comma = ,
SOAK_RUNS = 10000

CORE = $(wildcard ccore/src/*.c)
CORE_TESTS = $(wildcard Tests/CoreTests/*.c)
C_FILES = $(CORE) $(CORE_TESTS) $(wildcard include/ouroboros/*.h ccore/src/*.h ccore/examples/*.c \
	Tests/CoreTests/*.h Tests/Benchmarks/*.c)
SWIFT_PLACES = Package.swift Sources Tests
# The tests listen to every key that seals a packet.
TEST_LINK = -Wl,--wrap=ouro_aead_init,--wrap=ouro_aead_seal -lcjson -lmbedcrypto -lm

.PHONY: help setup setup-check lib swift demo check test-core test-swift sanitize soak bench lint \
	format clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install the system packages that building needs, if they are missing
	@Tests/install.sh $(SYSTEM_PACKAGES)

setup-check:
	@Tests/install.sh $(CHECK_PACKAGES)

lib: setup $(BUILD)/libouroboros.a ## the engine as a C library: build/libouroboros.a

$(BUILD)/core/%.o: ccore/src/%.c
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) -O2 -g -fPIC -MMD -c $< -o $@

$(BUILD)/libouroboros.a: $(CORE:ccore/src/%.c=$(BUILD)/core/%.o)
	@rm -f $@
	$(AR) rcs $@ $^

# $(1): directory, $(2): compiler and its options
define test_rules
$(BUILD)/$(1)/core/%.o: ccore/src/%.c
	@mkdir -p $$(@D)
	$(2) $(C_FLAGS) -Iccore/src -MMD -c $$< -o $$@
$(BUILD)/$(1)/tests/%.o: Tests/CoreTests/%.c
	@mkdir -p $$(@D)
	$(2) $(C_FLAGS) -Iccore/src -MMD -c $$< -o $$@
$(BUILD)/$(1)/core_tests: $(CORE:ccore/src/%.c=$(BUILD)/$(1)/core/%.o) \
		$(CORE_TESTS:Tests/CoreTests/%.c=$(BUILD)/$(1)/tests/%.o)
	$(2) $$^ $(TEST_LINK) -o $$@
endef
$(eval $(call test_rules,plain,$(CC) -O2 -g))
$(eval $(call test_rules,sanitized,$(SANITIZER_CC) -O1 -g -fsanitize=address$(comma)undefined \
	-fno-sanitize-recover=all))

test-core: setup-check $(BUILD)/plain/core_tests ## the engine's tests in C
	OURO_RUNS=$(RUNS) $(BUILD)/plain/core_tests

sanitize: setup-check $(BUILD)/sanitized/core_tests ## the same under the address and undefined-behaviour sanitizers
	OURO_RUNS=$(RUNS) $(BUILD)/sanitized/core_tests

soak: setup-check $(BUILD)/plain/core_tests ## the long versions of the tests
	OURO_RUNS=$(SOAK_RUNS) $(BUILD)/plain/core_tests network

swift: setup ## the Swift package, its command line among it, optimised
	swift build -c release --product ouroboros

test-swift: setup-check ## the tests in Swift
	swift test

demo: swift ## a sensor's readings travel to a gateway over UDP on loopback
	@Sources/Examples/demo.sh

check: setup-check ## every test, lint and format check; what CI runs
	@Tests/check.sh $(RUNS)

bench: setup-check $(BUILD)/bench ## measure: nothing here passes or fails
	$(BUILD)/bench
	swift build -c release --product NIOBench
	.build/release/NIOBench $(ONLY)

$(BUILD)/bench: Tests/Benchmarks/core_bench.c $(BUILD)/libouroboros.a
	$(CC) $(C_FLAGS) -O2 -g -D_POSIX_C_SOURCE=199309L $^ -lmbedcrypto -o $@

lint: setup-check ## formatting and static analysis
	clang-format-14 --dry-run --Werror $(C_FILES)
	cppcheck --quiet --std=c99 --error-exitcode=1 --enable=warning,portability \
		--suppress=ctuuninitvar:ccore/src/crypto_mbedtls.c \
		-Iinclude -Iccore/src ccore/src
	swift format lint --strict --recursive $(SWIFT_PLACES)

format: setup-check ## format all sources in place
	clang-format-14 -i $(C_FILES)
	swift format --in-place --recursive $(SWIFT_PLACES)

clean: ## remove what was built
	rm -rf $(BUILD) .build

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d)
