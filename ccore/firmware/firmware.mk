# The engine on microcontrollers and on other hosts, emulated. Included by the Makefile.

FIRMWARE_PACKAGES = gcc libcjson-dev libmbedtls-dev dpkg-dev gcc-arm-none-eabi \
	libnewlib-arm-none-eabi gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf \
	qemu-system-arm qemu-system-misc
CROSS_PACKAGES = libcjson-dev dpkg-dev qemu-user gcc-s390x-linux-gnu libc6-dev-s390x-cross gcc-arm-linux-gnueabihf \
	libc6-dev-armhf-cross gcc-aarch64-linux-gnu libc6-dev-arm64-cross
DROPIN_PACKAGES = cmake liblwip-dev
FW = ccore/firmware
FWB = $(BUILD)/firmware
# 3.6 is built with the files of alt/ in place of its own GCM and compression, 2.28 as it is.
MBEDTLS_FILES_3.6 = aes sha256 platform_util
ALT_FILES_3.6 = gcm_alt ghash sha256_process
ALT_FILES_2.28 =
MBEDTLS_FILES_2.28 = aes gcm sha256 cipher cipher_wrap memory_buffer_alloc platform platform_util \
	constant_time
# What the images for tests take of the host's core tests.
IMAGE_TESTS = check $(NET) keys faults vector_tests crypto_tests
IMAGE_OWN = libc_glue pair fault_run stack_paint crypto_pool aligned_copy
# A tenth faster than with -Os or -O2, and as small.
OPTION_aes = -O1
C_SECTIONS = -ffunction-sections -fdata-sections

CC_ARM = arm-none-eabi-gcc -mthumb -mfloat-abi=soft -mno-unaligned-access
CC_m0plus = $(CC_ARM) -mcpu=cortex-m0plus
CC_m3 = $(CC_ARM) -mcpu=cortex-m3
CC_m4 = $(CC_ARM) -mcpu=cortex-m4
# Swift takes an enumeration for 32 bits, as Linux does; GCC for bare metal takes the smallest type.
CC_m4swift = $(CC_m4) -fno-short-enums
CC_m33 = $(CC_ARM) -mcpu=cortex-m33+nodsp
CC_rv32imc = riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 -mstrict-align -msmall-data-limit=8 \
	--specs=picolibc.specs
# With A: without it the C library has to give the atomic operations that Swift counts references with.
CC_rv32imacswift = riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -mstrict-align -msmall-data-limit=8 \
	--specs=picolibc.specs
START_m0plus = arm
START_m3 = arm
START_m4 = arm
START_m4swift = arm
START_m33 = arm
START_rv32imc = riscv
START_rv32imacswift = riscv
# Cortex-M0+ code is a part of what a Cortex-M3 runs: its images run on the M3's machine.
LAYOUT_m0plus = mps2
LAYOUT_m3 = mps2
LAYOUT_m4 = mps2
LAYOUT_m4swift = mps2
LAYOUT_m33 = an505
LAYOUT_rv32imc = virt
LAYOUT_rv32imacswift = virt
LIBC_arm = --specs=nosys.specs
LIBC_riscv =

# Whatever else runs side by side waits for the tools, by way of mbedTLS's sources or at once.
$(BUILD)/mbedtls-%/library/aes.c: $(FW)/fetch_mbedtls.sh | setup-firmware
	$(FW)/fetch_mbedtls.sh $* $(BUILD)/mbedtls-$*
	@touch $@
.PRECIOUS: $(BUILD)/mbedtls-%/library/aes.c

$(FWB)/vectors_to_c: $(FW)/json/vectors_to_c.c | setup-firmware
	@mkdir -p $(@D)
	$(CC) $(C_WARNINGS) -O1 $< -lcjson -o $@

$(FWB)/vectors.c: $(FWB)/vectors_to_c Tests/Vectors/ouroboros-v1.json
	$< Tests/Vectors/ouroboros-v1.json >$@

# $(1): architecture, $(2): option of the optimiser, $(3): mbedTLS
define firmware_rules
$(FWB)/$(1)$(2)-$(3)/mbedtls/%.o: $(BUILD)/mbedtls-$(3)/library/aes.c $(FW)/mbedtls_config.h $(FW)/firmware.mk
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $$(or $$(OPTION_$$*),$(2)) -std=c99 $(C_SECTIONS) -fcallgraph-info=su $$(DEFINE_$(3)) -I$(FW) \
		-I$(BUILD)/mbedtls-$(3)/include -c $(BUILD)/mbedtls-$(3)/library/$$*.c -o $$@
$(FWB)/$(1)$(2)-$(3)/alt/%.o: $(FW)/alt/%.c $(FW)/alt/gcm_alt.h $(FW)/alt/ghash.h $(FW)/mbedtls_config.h $(FW)/firmware.mk | $(BUILD)/mbedtls-$(3)/library/aes.c
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $(2) $(C_WARNINGS) $(C_SECTIONS) -fcallgraph-info=su $$(DEFINE_$(3)) -I$(FW) \
		-I$(FW)/alt -isystem $(BUILD)/mbedtls-$(3)/include -MMD -c $$< -o $$@
$(FWB)/$(1)$(2)-$(3)/core/%.o: ccore/src/%.c $(FW)/firmware.mk | $(BUILD)/mbedtls-$(3)/library/aes.c
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $(2) $(C_FLAGS) $(C_SECTIONS) -fcallgraph-info=su $$(DEFINE_$(3)) -I$(FW) \
		-isystem $(BUILD)/mbedtls-$(3)/include -MMD -c $$< -o $$@
$(FWB)/$(1)$(2)-$(3)/tests/%.o: Tests/CoreTests/%.c $(FW)/firmware.mk | $(BUILD)/mbedtls-$(3)/library/aes.c
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $(2) $(C_FLAGS) $(C_SECTIONS) -Iccore/src -I$(FW)/json -MMD -c $$< -o $$@
$(FWB)/$(1)$(2)-$(3)/own/%.o: $(FW)/%.c $(FW)/firmware.mk | $(BUILD)/mbedtls-$(3)/library/aes.c
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $(2) $(C_FLAGS) $(C_SECTIONS) $$(DEFINE_$(3)) -I$(FW) -I$(FW)/json -Iccore/src \
		-ITests/CoreTests -isystem $(BUILD)/mbedtls-$(3)/include -MMD -c $$< -o $$@
$(FWB)/$(1)$(2)-$(3)/own/%.o: ccore/examples/%.c $(FW)/firmware.mk | $(BUILD)/mbedtls-$(3)/library/aes.c
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $(2) $(C_FLAGS) $(C_SECTIONS) -D_POSIX_C_SOURCE=200809L -MMD -c $$< -o $$@
$(FWB)/$(1)$(2)-$(3)/own/built_in_json.o: $(FW)/json/built_in_json.c | setup-firmware
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $(2) $(C_FLAGS) $(C_SECTIONS) -I$(FW)/json -MMD -c $$< -o $$@
$(FWB)/$(1)$(2)-$(3)/own/vectors.o: $(FWB)/vectors.c
	@mkdir -p $$(@D)
	@$$(CC_$(1)) $(2) $(C_FLAGS) $(C_SECTIONS) -I$(FW)/json -ITests/CoreTests -c $$< -o $$@
$(FWB)/$(1)$(2)-$(3)/libcore.a: $(CORE:ccore/src/%.c=$(FWB)/$(1)$(2)-$(3)/core/%.o) \
		$(MBEDTLS_FILES_$(3):%=$(FWB)/$(1)$(2)-$(3)/mbedtls/%.o) \
		$(ALT_FILES_$(3):%=$(FWB)/$(1)$(2)-$(3)/alt/%.o)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
$(FWB)/$(1)$(2)-$(3)/test.elf: $(FWB)/$(1)$(2)-$(3)/own/test_main.o \
		$(FWB)/$(1)$(2)-$(3)/own/start_$(START_$(1)).o \
		$(IMAGE_TESTS:%=$(FWB)/$(1)$(2)-$(3)/tests/%.o) \
		$(IMAGE_OWN:%=$(FWB)/$(1)$(2)-$(3)/own/%.o) \
		$(FWB)/$(1)$(2)-$(3)/own/built_in_json.o $(FWB)/$(1)$(2)-$(3)/own/vectors.o \
		$(FWB)/$(1)$(2)-$(3)/libcore.a $(FW)/image.ld $(FW)/$(LAYOUT_$(1)).ld
	@echo $$@
	@$$(CC_$(1)) $(2) $(LIBC_$(START_$(1))) -nostartfiles -L$(FW) -T$(LAYOUT_$(1)).ld -Wl,--gc-sections \
		$(WRAP_KEYS) $(WRAP_FAULTS) $$(filter %.o %.a,$$^) -o $$@
$(FWB)/$(1)$(2)-$(3)/measure.elf: $(FWB)/$(1)$(2)-$(3)/own/measure.o \
		$(FWB)/$(1)$(2)-$(3)/own/start_$(START_$(1)).o \
		$(MEASURE_OWN:%=$(FWB)/$(1)$(2)-$(3)/own/%.o) \
		$(FWB)/$(1)$(2)-$(3)/libcore.a $(FW)/image.ld $(FW)/$(LAYOUT_$(1)).ld
	@echo $$@
	@$$(CC_$(1)) $(2) $(LIBC_$(START_$(1))) -nostartfiles -L$(FW) -T$(LAYOUT_$(1)).ld -Wl,--gc-sections \
		$$(filter %.o %.a,$$^) -o $$@
$(FWB)/$(1)$(2)-$(3)/sensor.elf: $(SENSOR_OWN:%=$(FWB)/$(1)$(2)-$(3)/own/%.o) \
		$(FWB)/$(1)$(2)-$(3)/own/start_$(START_$(1)).o \
		$(FWB)/$(1)$(2)-$(3)/libcore.a $(FW)/image.ld $(FW)/$(LAYOUT_$(1)).ld
	@echo $$@
	@$$(CC_$(1)) $(2) --specs=rdimon.specs -nostartfiles -L$(FW) -T$(LAYOUT_$(1)).ld -Wl,--gc-sections \
		-Wl,--wrap=main -Wl,--defsym=end=board_stack_low -Wl,--defsym=rename=_rename \
		$$(filter %.o %.a,$$^) -o $$@
# The images that are weighed take the smallest of the C library.
$(FWB)/$(1)$(2)-$(3)/client.elf: $(FWB)/$(1)$(2)-$(3)/own/bare_loop.o $(FWB)/$(1)$(2)-$(3)/own/sensor.o \
		$(FWB)/$(1)$(2)-$(3)/own/hooks_stub.o \
		$(FWB)/$(1)$(2)-$(3)/own/start_$(START_$(1)).o $(WEIGH_$(3):%=$(FWB)/$(1)$(2)-$(3)/own/%.o) \
		$(FWB)/$(1)$(2)-$(3)/libcore.a $(FW)/image.ld $(FW)/$(LAYOUT_$(1)).ld
	@echo $$@
	@$$(CC_$(1)) $(2) $(NANO_$(START_$(1))) -nostartfiles -L$(FW) -T$(LAYOUT_$(1)).ld -Wl,--gc-sections \
		-Wl,-Map=$$(@:.elf=.map) $$(filter %.o %.a,$$^) -o $$@
$(FWB)/$(1)$(2)-$(3)/empty.elf: $(FWB)/$(1)$(2)-$(3)/own/empty.o $(FWB)/$(1)$(2)-$(3)/own/start_$(START_$(1)).o \
		$(FW)/image.ld $(FW)/$(LAYOUT_$(1)).ld
	@$$(CC_$(1)) $(2) $(NANO_$(START_$(1))) -nostartfiles -L$(FW) -T$(LAYOUT_$(1)).ld -Wl,--gc-sections \
		$$(filter %.o %.a,$$^) -o $$@
endef

NANO_arm = --specs=nano.specs --specs=nosys.specs
NANO_riscv =
WEIGH_3.6 =
WEIGH_2.28 = libc_glue
# The sleeping sensor in QEMU, whose network is a UDP socket and whose flash is files.
# newlib would rename a file by a link, which semihosting has not: its _rename asks the host.
SENSOR_OWN = sleepy_loop sensor file_hooks gateway/emulated_hooks gateway/network_card aligned_copy
MEASURE_OWN = libc_glue pair stack_paint crypto_pool aligned_copy
DEFINE_3.6 = -DMBEDTLS_CONFIG_FILE='<mbedtls_config.h>' -I$(FW)/alt
DEFINE_2.28 = -DMBEDTLS_CONFIG_FILE='<mbedtls_config.h>' -DOURO_MBEDTLS_PLAIN \
	-DOURO_SHA256_OPAQUE
BUILDS_3.6 = $(foreach a,m0plus m3 m4 m33 rv32imc,$(a)-Os $(a)-O2)
BUILDS_2.28 = m4-Os rv32imc-Os
$(foreach a,m0plus m3 m4 m4swift m33 rv32imc rv32imacswift,$(foreach o,-Os -O2,\
	$(foreach v,3.6 2.28,$(eval $(call firmware_rules,$(a),$(o),$(v))))))

IMAGES = $(BUILDS_3.6:%=$(FWB)/%-3.6/test.elf) $(BUILDS_2.28:%=$(FWB)/%-2.28/test.elf)

$(FWB)/host_faults: $(FW)/fault_host.c $(FW)/fault_run.c Tests/CoreTests/check.c \
		$(NET:%=Tests/CoreTests/%.c) $(patsubst %,Tests/CoreTests/%.c,keys faults) $(BUILD)/libouroboros.a
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) -O2 -Iccore/src -ITests/CoreTests $^ \
		$(WRAP_KEYS) $(WRAP_FAULTS) -lmbedcrypto -o $@

# The same sensor on this machine and in two emulated ones.
SENSORS = $(FWB)/posix_sensor $(FWB)/m4-Os-3.6/sensor.elf $(FWB)/m3-Os-3.6/sensor.elf

POSIX_SENSOR = sleepy_loop sensor file_hooks posix_hooks socket_hooks gateway_route
$(FWB)/posix_sensor: $(POSIX_SENSOR:%=ccore/examples/%.c) $(BUILD)/libouroboros.a
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) -O2 -D_POSIX_C_SOURCE=200809L $^ -lmbedcrypto -o $@

# Embedded Swift: the library's own files but those of Hosted, and an image of two links.
SWIFT_BUILDS = m4swift-Os-3.6 rv32imacswift-Os-3.6
SWIFT_FLAGS = -enable-experimental-feature Embedded -wmo -Osize -swift-version 6 -parse-as-library -package-name ouroboros \
	-warnings-as-errors -Xfrontend -disable-stack-protector -Xfrontend -function-sections -Xcc -ffreestanding
SWIFT_m4swift = -target armv7em-none-none-eabi -Xcc -mfloat-abi=soft -Xcc -mno-unaligned-access
SWIFT_rv32imacswift = -target riscv32-none-none-eabi -Xcc -march=rv32imac -Xcc -mabi=ilp32 -Xcc -mstrict-align
SWIFT_TABLES_m4swift = armv7em-none-none-eabi
SWIFT_TABLES_rv32imacswift = riscv32-none-none-eabi
SWIFT_EMBEDDED = $(dir $(realpath $(shell command -v swiftc)))../lib/swift/embedded
SWIFT_OWN = libc_glue swift/runtime aligned_copy

# $(1): architecture; its enumerations and the library's have to be of one size.
define swift_rules
$(FWB)/$(1)-Os-3.6/swift/Ouroboros.o: $(wildcard Sources/Ouroboros/*.swift include/ouroboros/*.h) $(FW)/firmware.mk
	@mkdir -p $$(@D)
	@swiftc $(SWIFT_FLAGS) $$(SWIFT_$(1)) -Iinclude -module-name Ouroboros \
		-emit-module -emit-module-path $$(@:.o=.swiftmodule) -c -o $$@ $$(filter %.swift,$$^)
$(FWB)/$(1)-Os-3.6/swift/SwiftImage.o: $(FWB)/$(1)-Os-3.6/swift/Ouroboros.o \
		$(wildcard $(FW)/swift/*.swift $(FW)/swift/*.modulemap) $(FW)/board.h
	@swiftc $(SWIFT_FLAGS) $$(SWIFT_$(1)) -Iinclude -I$$(@D) -Xcc -fmodule-map-file=$(FW)/swift/Board.modulemap \
		-module-name SwiftImage -c -o $$@ $$(filter %.swift,$$^)
$(FWB)/$(1)-Os-3.6/swift.elf: $(FWB)/$(1)-Os-3.6/swift/SwiftImage.o $(FWB)/$(1)-Os-3.6/swift/Ouroboros.o \
		$(FWB)/$(1)-Os-3.6/own/start_$(START_$(1)).o $(SWIFT_OWN:%=$(FWB)/$(1)-Os-3.6/own/%.o) \
		$(FWB)/$(1)-Os-3.6/libcore.a $(FW)/image.ld $(FW)/$(LAYOUT_$(1)).ld
	@echo $$@
	@$$(CC_$(1)) -Os $(NANO_$(START_$(1))) -nostartfiles -L$(FW) -T$(LAYOUT_$(1)).ld -Wl,--gc-sections \
		$(SWIFT_LINK_$(START_$(1))) -Wl,-Map=$$(@:.elf=.map) $$(filter %.o %.a,$$^) \
		-L$(SWIFT_EMBEDDED)/$$(SWIFT_TABLES_$(1)) -lswiftUnicodeDataTables -lm -o $$@
endef
# newlib was built with enumerations of the smallest type, and has none in its interface.
SWIFT_LINK_arm = -Wl,--no-enum-size-warning -Wl,--no-warn-execstack
SWIFT_LINK_riscv =
$(foreach a,m4swift rv32imacswift,$(eval $(call swift_rules,$(a))))

.PHONY: setup-firmware setup-cross firmware firmware-test cross-test size
setup-firmware:
	@Tests/install.sh $(FIRMWARE_PACKAGES)

firmware: setup-firmware $(IMAGES) $(SWIFT_BUILDS:%=$(FWB)/%/swift.elf) $(FWB)/m4-Os-3.6/client.elf $(SENSORS) ## images of the engine for Cortex-M and RV32, with mbedTLS 3.6 and 2.28

firmware-test: firmware $(FWB)/host_faults ## run them in QEMU
	@$(FW)/run_images.sh $(FWB) "$(SWIFT_BUILDS)" $(BUILDS_3.6:%=%-3.6) $(BUILDS_2.28:%=%-2.28)

# The host's core tests on other hosts: big-endian, and 32 and 64 bits of ARM as the Raspberry Pis are.
CROSS_s390x = s390x-linux-gnu-gcc
CROSS_arm = arm-linux-gnueabihf-gcc
CROSS_aarch64 = aarch64-linux-gnu-gcc
CROSS = s390x arm aarch64
CROSS_SUITES = crypto vectors packet blob window session handshake sleep network
CROSS_RUNS = 50

define cross_rules
$(BUILD)/cross-$(1)/mbedtls/%.o: $(BUILD)/mbedtls-3.6/library/aes.c $(FW)/mbedtls_config.h $(FW)/firmware.mk | setup-cross
	@mkdir -p $$(@D)
	@$(CROSS_$(1)) -O2 -std=c99 $(DEFINE_3.6) -I$(FW) -I$(BUILD)/mbedtls-3.6/include \
		-c $(BUILD)/mbedtls-3.6/library/$$*.c -o $$@
$(BUILD)/cross-$(1)/alt/%.o: $(FW)/alt/%.c $(FW)/alt/gcm_alt.h $(FW)/alt/ghash.h | setup-cross $(BUILD)/mbedtls-3.6/library/aes.c
	@mkdir -p $$(@D)
	@$(CROSS_$(1)) -O2 $(C_WARNINGS) $(DEFINE_3.6) -I$(FW) -isystem $(BUILD)/mbedtls-3.6/include \
		-MMD -c $$< -o $$@
$(BUILD)/cross-$(1)/core/%.o: ccore/src/%.c $(FW)/firmware.mk | setup-cross $(BUILD)/mbedtls-3.6/library/aes.c
	@mkdir -p $$(@D)
	@$(CROSS_$(1)) -O2 $(C_FLAGS) $(DEFINE_3.6) -I$(FW) -isystem $(BUILD)/mbedtls-3.6/include \
		-MMD -c $$< -o $$@
$(BUILD)/cross-$(1)/tests/%.o: Tests/CoreTests/%.c | setup-cross
	@mkdir -p $$(@D)
	@$(CROSS_$(1)) -O2 $(C_FLAGS) -Iccore/src -I$(FW)/json -MMD -c $$< -o $$@
$(BUILD)/cross-$(1)/built_in_json.o: $(FW)/json/built_in_json.c | setup-cross
	@mkdir -p $$(@D)
	@$(CROSS_$(1)) -O2 $(C_FLAGS) -I$(FW)/json -c $$< -o $$@
$(BUILD)/cross-$(1)/vectors.o: $(FWB)/vectors.c | setup-cross
	@mkdir -p $$(@D)
	@$(CROSS_$(1)) -O2 $(C_FLAGS) -I$(FW)/json -ITests/CoreTests -c $$< -o $$@
$(BUILD)/cross-$(1)/core_tests: $(CORE:ccore/src/%.c=$(BUILD)/cross-$(1)/core/%.o) \
		$(patsubst Tests/CoreTests/%.c,$(BUILD)/cross-$(1)/tests/%.o,\
			$(filter-out %/vectors_file.c,$(CORE_TESTS))) \
		$(MBEDTLS_FILES_3.6:%=$(BUILD)/cross-$(1)/mbedtls/%.o) \
		$(ALT_FILES_3.6:%=$(BUILD)/cross-$(1)/alt/%.o) \
		$(BUILD)/cross-$(1)/built_in_json.o $(BUILD)/cross-$(1)/vectors.o
	@echo $$@
	@$(CROSS_$(1)) -static $(WRAP_KEYS) $(WRAP_FAULTS) $(WRAP_CALLS) $(WRAP_STEPS) $$^ -lm -o $$@
endef
$(foreach c,$(CROSS),$(eval $(call cross_rules,$(c))))

setup-cross:
	@Tests/install.sh $(CROSS_PACKAGES)

cross-test: setup-cross $(CROSS:%=$(BUILD)/cross-%/core_tests) ## core tests on s390x, 32-bit ARM and AArch64, in qemu-user
	@OURO_RUNS=$(CROSS_RUNS) $(FW)/run_cross.sh $(BUILD) "$(CROSS)" $(CROSS_SUITES)

WEIGHED = $(BUILDS_3.6:%=%-3.6)
MEASURED = $(WEIGHED) $(BUILDS_2.28:%=%-2.28)
SWIFT_FILES = $(foreach b,$(SWIFT_BUILDS),$(FWB)/$(b)/swift.elf $(FWB)/$(b)/empty.elf)
SIZE_FILES = $(foreach b,$(WEIGHED),$(FWB)/$(b)/client.elf $(FWB)/$(b)/empty.elf) \
	$(foreach b,$(MEASURED),$(FWB)/$(b)/measure.elf $(FWB)/$(b)/own/state_sizes.o)

$(FWB)/sizes.txt: $(SIZE_FILES) $(SWIFT_FILES) $(FW)/measure.sh $(FW)/stack_depth.awk
	@for build in $(MEASURED) $(SWIFT_BUILDS); do $(FW)/measure.sh $(FWB) $$build || exit 1; done >$@.new
	@mv $@.new $@

size: setup-firmware $(FWB)/sizes.txt ## flash, RAM, stack and instructions of each build, into docs/BENCHMARKS.md
	@$(FW)/size_table.sh $(FWB)/sizes.txt >$(FWB)/sizes.md
	@$(FW)/put_section.sh $(FWB)/sizes.md docs/BENCHMARKS.md
	@cat $(FWB)/sizes.md
	@$(FW)/check_budget.sh $(FWB)/sizes.txt $(FW)/budget.txt

budget: setup-firmware $(FWB)/sizes.txt ## fails when a number has grown past ccore/firmware/budget.txt
	@$(FW)/check_budget.sh $(FWB)/sizes.txt $(FW)/budget.txt
.PHONY: budget

# The CMake files, for the host with the system's mbedTLS and for Cortex-M4 with the fetched one; the
# host's is installed, found again and linked.
setup-dropins: setup-firmware
	@Tests/install.sh $(DROPIN_PACKAGES)
cmake-test: setup-dropins $(BUILD)/mbedtls-3.6/library/aes.c ## build and install with CMake, for the host and for Cortex-M4
	@$(FW)/cmake/test.sh $(BUILD)
.PHONY: setup-dropins cmake-test

# What goes into other people's build systems: what of it can be compiled here is.
ARDUINO = $(BUILD)/arduino/Ouroboros
arduino: ## the engine as an Arduino and PlatformIO library, in build/arduino/Ouroboros
	@$(FW)/arduino/pack.sh $(ARDUINO)
	@echo $(ARDUINO)

dropin-test: setup-dropins arduino $(BUILD)/mbedtls-3.6/library/aes.c $(BUILD)/libouroboros.a ## compile the Arduino library and the STM32Cube project for Cortex-M4
	@$(MAKE) -s -f $(FW)/stm32/stand_in/Makefile BUILD_DIR=$(BUILD)/stm32 \
		OUROBOROS_MBEDTLS=$(abspath $(BUILD)/mbedtls-3.6)
	@test -s $(BUILD)/stm32/sensor.elf
	@$(MAKE) -s -f $(FW)/stm32/stand_in/Makefile BUILD_DIR=$(BUILD)/stm32 OUROBOROS_MBEDTLS=$(abspath $(BUILD)/mbedtls-3.6) \
		ENGINE=$(BUILD)/libouroboros.a HOST_CC=$(CC) $(BUILD)/stm32/kept_test
	@$(BUILD)/stm32/kept_test
	@$(FW)/arduino/test.sh $(ARDUINO) $(BUILD)/mbedtls-3.6/include $(CC_m4)
.PHONY: arduino dropin-test

interop: setup-firmware $(SENSORS) ## sensors in C, on Linux and in QEMU, talk to the gateway in Swift over UDP, and sleep
	$(SWIFT) build --product ouroboros
	@$(MAKE) -s interop-test
interop-test: $(SENSORS)
	@ccore/examples/interop.sh .build/debug/ouroboros $(SENSORS)
.PHONY: interop interop-test
