# Ouroboros. `make help` lists what can be made.

SYSTEM_PACKAGES = gcc libc6-dev pkg-config libmbedtls-dev libsqlite3-dev libpcap-dev libpq-dev libmosquitto-dev \
	libssl-dev libcurl4-openssl-dev libqrencode-dev libcsv-dev
CHECK_PACKAGES = $(SYSTEM_PACKAGES) g++ libcjson-dev clang-format-14 cppcheck valgrind libc6-dbg tshark spin \
	iproute2 iptables conntrack postgresql mosquitto mosquitto-clients openssl stunnel4 \
	chromium chromium-driver python3-selenium curl prometheus jq \
	python3-markdown-it sudo procps tcpdump nftables sqlite3 faketime
BUILD = build
# SwiftPM names the traits to each compiler in the order of a hash that is another one at each start: without this a build whose
# manifest was read again looks at every module anew.
SWIFT = SWIFT_DETERMINISTIC_HASHING=1 swift
COMMIT := $(or $(shell git describe --always --dirty --exclude '*' --abbrev=12 2>/dev/null),unknown)
HASH := \#
COMMIT_LINE := $(HASH)define OURO_COMMIT "$(COMMIT)"
# The file is compiled anew when the commit is another one, and when none was told before.
ifneq ($(shell cat Sources/CBuild/commit.h 2>/dev/null),$(COMMIT_LINE))
$(shell echo '$(COMMIT_LINE)' >Sources/CBuild/commit.h; touch Sources/CBuild/build.c)
endif
C_WARNINGS = -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
C_FLAGS = $(C_WARNINGS) -Iinclude
# Swift's own clang: it brings the sanitizers' runtimes along.
SANITIZER_CC = clang
RUNS = 500
SECONDS = 60
# Where `make install` puts the command; DESTDIR goes before it, for packages.
PREFIX = /usr/local
DESTDIR =
DOCS_TARGETS = Ouroboros OuroborosNIO OuroborosPOSIX OuroborosTesting OuroborosStore OuroborosMetrics OuroborosAnalysis
UNITS = docs/systemd
comma = ,
SOAK_RUNS = 10000
SOAK_KILLS = 500
SOAK_SEEDS = 20

CORE = $(wildcard ccore/src/*.c)
CORE_TESTS = $(wildcard Tests/CoreTests/*.c)
# The simulated network, which others take from the core tests.
NET = net net_path net_side
C_FILES = $(CORE) $(CORE_TESTS) $(wildcard include/ouroboros/*.h ccore/src/*.h ccore/examples/*.c \
	Tests/CoreTests/*.h Tests/Benchmarks/*.c Tests/Benchmarks/*/*.[ch] Tests/Flood/*.c Tests/Fuzz/*.c \
	Tests/SideChannel/*.c ccore/firmware/*.[ch] ccore/firmware/*/*.[ch] ccore/firmware/*/*/*.[ch] \
	ccore/firmware/*/*/*/*.[ch] ccore/examples/*.h \
	Sources/CSeal/*.c Sources/CSeal/include/*.h Sources/CBuild/*.c Sources/CBuild/include/*.h)
SWIFT_PLACES = Package.swift Sources Tests ccore/firmware/swift
# The tests listen to every key that seals a packet and to every question to a window, and let a call of the crypto library fail.
WRAP_KEYS = -Wl,--wrap=ouro_aead_init,--wrap=ouro_aead_seal,--wrap=ouro_aead_seal_once,--wrap=ouro_window_check
WRAP_FAULTS = -Wl,--wrap=ouro_hmac_init,--wrap=ouro_hmac_mac,--wrap=ouro_sha256,--wrap=ouro_aead_open \
	-Wl,--wrap=ouro_aead_open_once,--wrap=ouro_keystream_init,--wrap=ouro_keystream_read
# Memory and stack are looked through after these; a function that is bound late leaves registers, and what is in them, on the stack.
WRAP_CALLS = -Wl,--wrap=ouro_link_receive,--wrap=ouro_link_transmit,--wrap=ouro_link_nonce,--wrap=ouro_link_send \
	-Wl,--wrap=ouro_link_prepare,--wrap=ouro_link_save,--wrap=ouro_link_restore,--wrap=ouro_server_hello \
	-Wl,--wrap=ouro_server_open,--wrap=ouro_server_adopt,--wrap=ouro_link_tick,--wrap=ouro_server_tick
WRAP_STEPS = -Wl,--wrap=ouro_session_open_checked,--wrap=ouro_session_protect,--wrap=ouro_epoch_advance \
	-Wl,--wrap=ouro_session_secrets,--wrap=ouro_auth_key,--wrap=ouro_handshake_session
TEST_LINK = -Wl,-z,now $(WRAP_KEYS) $(WRAP_FAULTS) $(WRAP_CALLS) $(WRAP_STEPS) -lcjson -lmbedcrypto -lm

include ccore/firmware/firmware.mk

.DEFAULT_GOAL = help
.PHONY: FORCE help setup setup-check lib layers cxx erasure mutants swift install uninstall docs formal demo check test-core test-swift \
	sanitize soak test-threads flood netns fuzz fuzz-test secrets page-test monitoring lint format clean \
	consumer doc-commands check-hard check-built-c check-built-swift check-built-analyzer setup-all

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install the system packages that building needs, if they are missing
	@Tests/install.sh $(SYSTEM_PACKAGES)

setup-check:
	@Tests/install.sh $(CHECK_PACKAGES)

lib: setup $(BUILD)/libouroboros.a ## the engine as a C library: build/libouroboros.a

$(BUILD)/core/%.o: ccore/src/%.c | setup
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) -O2 -g -fPIC -MMD -c $< -o $@

CORE_OBJECTS = $(CORE:ccore/src/%.c=$(BUILD)/core/%.o)
$(BUILD)/libouroboros.a: $(CORE_OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

layers: setup $(CORE_OBJECTS) ## the engine's calls go down only: ccore/layers.txt
	@ccore/layers.sh ccore/layers.txt $(CC) $(CORE_OBJECTS)

cxx: setup-check $(BUILD)/libouroboros.a ## the headers in C++11 to C++20, and every function of theirs linked from C++
	@Tests/cxx.sh $(CXX) $(BUILD)/libouroboros.a

# $(1): directory, $(2): compiler and its options
define test_rules
$(BUILD)/$(1)/core/%.o: ccore/src/%.c | setup-check
	@mkdir -p $$(@D)
	$(2) $(C_FLAGS) -Iccore/src -MMD -c $$< -o $$@
$(BUILD)/$(1)/tests/%.o: Tests/CoreTests/%.c | setup-check
	@mkdir -p $$(@D)
	$(2) $(C_FLAGS) -Iccore/src -MMD -c $$< -o $$@
$(BUILD)/$(1)/core_tests: $(CORE:ccore/src/%.c=$(BUILD)/$(1)/core/%.o) \
		$(CORE_TESTS:Tests/CoreTests/%.c=$(BUILD)/$(1)/tests/%.o)
	$(2) $$^ $(TEST_LINK) -o $$@
endef
$(eval $(call test_rules,plain,$(CC) -O2 -g))
$(eval $(call test_rules,sanitized,$(SANITIZER_CC) -O1 -g -fsanitize=address$(comma)undefined \
	-fno-sanitize-recover=all))

# Keys that are left behind depend on how the compiler uses the stack.
$(eval $(call test_rules,erase-O0,$(CC) -O0 -g))
$(eval $(call test_rules,erase-Os,$(CC) -Os -g))
ERASE_TESTS = $(BUILD)/erase-O0/core_tests $(BUILD)/erase-Os/core_tests
erasure: setup-check $(ERASE_TESTS) $(BUILD)/plain/core_tests ## no key is left in memory or on the stack, at -O0, -O2 and -Os
	@for tests in $(ERASE_TESTS) $(BUILD)/plain/core_tests; do $$tests erasure || exit 1; done

mutants: setup-check ## each of a list of mutants of the engine is killed by the core tests: a minute or two, no part of check
	@Tests/Mutants/run.sh $(BUILD)/mutants "$(TEST_LINK)"

test-core: setup-check $(BUILD)/plain/core_tests ## the engine's tests in C
	OURO_RUNS=$(RUNS) $(BUILD)/plain/core_tests

sanitize: setup-check $(BUILD)/sanitized/core_tests ## the same under the address and undefined-behaviour sanitizers
	OURO_RUNS=$(RUNS) $(BUILD)/sanitized/core_tests

soak: setup-check $(BUILD)/plain/core_tests ## the long versions of the tests, and the Swift tests under the thread sanitizer
	OURO_RUNS=$(SOAK_RUNS) $(BUILD)/plain/core_tests network
	$(MAKE) test-threads
	OURO_KILLS=$(SOAK_KILLS) swift test --filter CrashTests
	OURO_SOAK=$(SOAK_SEEDS) swift test --no-parallel --filter 'HostileNetworkTests|LibCryptoTests'
	OURO_BROKER_AWAY=60 swift test --no-parallel --filter FleetFaultTests
	$(MAKE) flood

# The command's own tests run a command that is not built so: they stay out.
test-threads: setup-check ## the Swift tests of the libraries under the thread sanitizer
	$(SWIFT) build --build-tests --sanitize thread --scratch-path .build-threads
	NO_COLOR=1 .build-threads/debug/ouroborosPackageTests.xctest --testing-library swift-testing --no-parallel \
		--skip '^OuroborosCLITests\.'

flood: setup-check ## good traffic beside 10,000 forged packets a second, for SECONDS=60
	$(SWIFT) build -c release --product ouroboros
	$(SWIFT) build -c release --product NIOBench
	$(SWIFT) build -c release --product Flood
	.build/release/NIOBench flood $(SECONDS)

netns: setup-check $(FWB)/posix_sensor ## the real command across network namespaces (root): loss, rate, MTU, NAT, a restart
	$(SWIFT) build --product ouroboros
	@Tests/netns.sh .build/debug/ouroboros $(FWB)/posix_sensor

FUZZERS = packet handshake saved links analyzer
# Bytes of an input: a packet is at most 1,232, a capture holds a few.
FUZZ_MAX = 2048

$(BUILD)/fuzz/fuzz_%: Tests/Fuzz/fuzz_%.c $(NET:%=Tests/CoreTests/%.c) $(CORE) | setup-check
	@mkdir -p $(@D)
	@echo $(@F)
	@rm -f $@
	@$(SANITIZER_CC) $(C_FLAGS) -Iccore/src -ITests/CoreTests -O1 -g \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $^ -lmbedcrypto -o $@ 2>&1 | \
		grep -v 'Cannot export local symbol' >&2; test -x $@

# The analyzer is Swift: a package of its own, Tests/Fuzz/Analyzer.
$(BUILD)/fuzz/fuzz_analyzer: FORCE
	@mkdir -p $(@D)
	@echo $(@F)
	@$(SWIFT) build --quiet -c release --package-path Tests/Fuzz/Analyzer --scratch-path $(BUILD)/fuzz/analyzer-build \
		--sanitize fuzzer --sanitize address -Xcc -fsanitize=fuzzer-no-link
	@ln -sf analyzer-build/release/fuzz_analyzer $@

fuzz: setup-check $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%) ## feed the engine and the analyzer what nobody would: SECONDS=60 for each target
	@$(MAKE) -s fuzz-test SECONDS=$(SECONDS)
fuzz-test:
	@Tests/Fuzz/run.sh $(BUILD)/fuzz $(SECONDS) $(FUZZ_MAX) $(FUZZERS)

# With Swift's own libraries inside: they run where no Swift is installed, and take less memory.
swift: setup ## the command line, optimised: .build/release/ouroboros
	for product in ouroboros ouroboros-lean; do \
		$(SWIFT) build -c release --static-swift-stdlib --product $$product || exit 1; done

install: swift ## install the command and its systemd units below PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system \
		$(DESTDIR)$(PREFIX)/share/ouroboros
	install -s -m 755 .build/release/ouroboros .build/release/ouroboros-lean $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(UNITS)/gateway.yaml $(DESTDIR)$(PREFIX)/share/ouroboros/gateway.yaml
	for unit in gateway sensor; do \
		sed 's|@PREFIX@|$(PREFIX)|g' $(UNITS)/ouroboros-$$unit.service \
			>$(DESTDIR)$(PREFIX)/lib/systemd/system/ouroboros-$$unit.service; \
	done

uninstall: ## remove what `make install` put there; configuration and stores stay
	rm -f $(DESTDIR)$(PREFIX)/bin/ouroboros $(DESTDIR)$(PREFIX)/bin/ouroboros-lean $(DESTDIR)$(PREFIX)/share/ouroboros/gateway.yaml \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/ouroboros-gateway.service \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/ouroboros-sensor.service
	-rmdir $(DESTDIR)$(PREFIX)/share/ouroboros

formal: ## the formal models of docs/formal: SPIN, and ProVerif where it is installed
	@Tests/install.sh gcc libc6-dev spin
	@docs/formal/run.sh $(BUILD)/formal

docs: setup ## the Swift modules' documentation, as a web site in build/docs
	@mkdir -p $(BUILD)
	$(SWIFT) build --build-tests
	@Tests/Docs/modules.sh $(BUILD)/docs $(DOCS_TARGETS)

test-swift: setup-check ## the tests in Swift
	swift test --no-parallel

page-test: setup-check ## the gateway's page in headless Chromium; screenshots go to build/page
	$(SWIFT) build --product ouroboros
	Tests/Page/page.sh .build/debug

consumer: setup-check ## packages that depend on this one, and the Swift that the documentation prints
	$(SWIFT) build
	@Tests/consumer.sh
	@Tests/Docs/swift_blocks.py check

doc-commands: setup-check $(BUILD)/plain/core_tests $(BUILD)/firmware/posix_sensor ## the commands that the documentation prints (root)
	$(SWIFT) build
	@Tests/Docs/commands.py

monitoring: setup-check ## alert rules and dashboard, read by promtool
	Tests/Monitoring/monitoring.sh

demo: setup ## a sensor's readings travel to a gateway over UDP on loopback
	@echo "building the command with swift build (about two minutes the first time)"
	@$(SWIFT) build --product ouroboros
	@Sources/Examples/demo.sh .build/debug/ouroboros

check: setup ## every test, lint and format check; what CI runs
	@Tests/check.sh $(RUNS)

HARD_RUNS = 10
HARD_AT_ONCE = 2
check-hard: setup-check check-built-swift ## the Swift tests HARD_RUNS=10 times, HARD_AT_ONCE=2 at a time, beside four busy threads
	@Tests/check-hard.sh $(HARD_RUNS) $(HARD_AT_ONCE)

# Everything that the steps of `make check` run. Nothing of it is made while a test runs.
check-built-c: setup-all $(BUILD)/plain/core_tests $(BUILD)/sanitized/core_tests $(ERASE_TESTS) $(BUILD)/secrets_test \
	$(BUILD)/secrets_leak $(BUILD)/ghash_long $(BUILD)/ghash_short \
	$(patsubst %,$(BUILD)/fuzz/fuzz_%,$(filter-out analyzer,$(FUZZERS))) \
	firmware $(FWB)/host_faults $(SIZE_FILES) $(SWIFT_FILES) $(CROSS:%=$(BUILD)/cross-%/core_tests)
check-built-swift: setup
	$(SWIFT) build --build-tests
check-built-analyzer: setup $(BUILD)/fuzz/fuzz_analyzer
setup-all:
	@Tests/install.sh $(CHECK_PACKAGES) $(FIRMWARE_PACKAGES) $(CROSS_PACKAGES) $(DROPIN_PACKAGES)

# $(1): what is built, $(2): further options
define secrets_rule
$(BUILD)/$(1): Tests/SideChannel/secrets_test.c $(CORE)
	@mkdir -p $$(@D)
	$(CC) $(C_FLAGS) -Wno-pedantic -O2 -g -DOURO_TRACK_SECRETS $(2) -Iccore/src $$^ -lmbedcrypto -o $$@
endef
$(eval $(call secrets_rule,secrets_test))
$(eval $(call secrets_rule,secrets_leak,-DLEAK))

# $(1): which of the two products of ghash.c, $(2): its option
define ghash_rule
$(BUILD)/ghash_$(1): Tests/SideChannel/ghash_test.c ccore/firmware/alt/ghash.c ccore/firmware/alt/ghash.h
	@mkdir -p $$(@D)
	$(CC) $(C_FLAGS) -Wno-pedantic -O2 -g $(2) -Iccore/firmware/alt $$(filter %.c,$$^) -o $$@
endef
$(eval $(call ghash_rule,long,))
$(eval $(call ghash_rule,short,-DGHASH_SHORT_PRODUCTS))

MEMCHECK = valgrind -q --error-exitcode=9 --suppressions=Tests/SideChannel/secrets.supp
secrets: setup-check $(BUILD)/secrets_test $(BUILD)/secrets_leak $(BUILD)/ghash_long $(BUILD)/ghash_short ## no branch and no address depends on a secret (valgrind)
	$(MEMCHECK) $(BUILD)/ghash_long
	$(MEMCHECK) $(BUILD)/ghash_short
	$(MEMCHECK) $(BUILD)/secrets_test
	@if $(MEMCHECK) $(BUILD)/secrets_leak >$(BUILD)/secrets_leak.log 2>&1; \
		then echo "a branch on a secret was not seen" >&2; exit 1; fi

lint: setup-check ## formatting and static analysis
	clang-format-14 --dry-run --Werror $(C_FILES)
	cppcheck --quiet --std=c99 --error-exitcode=1 --enable=warning,portability \
		--suppress=ctuuninitvar:ccore/src/crypto_mbedtls.c \
		-Iinclude -Iccore/src ccore/src
	swift format lint --strict --recursive $(SWIFT_PLACES)
	Tests/versions.sh

format: setup-check ## format all sources in place
	clang-format-14 -i $(C_FILES)
	swift format --in-place --recursive $(SWIFT_PLACES)

include Tests/Benchmarks/bench.mk

clean: ## remove what was built
	rm -rf $(BUILD) .build

# A header that is gone: what was made with it is made anew.
ccore/src/%.h include/ouroboros/%.h Tests/CoreTests/%.h: ;

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d $(BUILD)/*/*/*/*.d)
