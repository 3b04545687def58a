# `make bench`: what is measured, and written into docs/BENCHMARKS.md. Included by the Makefile.

BENCH_PACKAGES = libssl-dev gnuplot-nox jq libcoap3-dev libcoap3-bin mosquitto mosquitto-clients
BENCH = Tests/Benchmarks
BENCHB = $(BUILD)/bench
PEERS = udp openssl mbedtls ouroboros ouroboros-unreliable
PEER_LOOP = $(addprefix $(BENCH)/peers/,bench.c traffic.c sessions.c wire.c)
FLEET_OTHERS = coap mqtt mqtt-psk
PEER_LIBS_openssl = -lssl -lcrypto
PEER_LIBS_mbedtls = -lmbedtls -lmbedx509 -lmbedcrypto
PEER_LIBS_ouroboros = $(BUILD)/libouroboros.a -lmbedcrypto
PEER_LIBS_coap = -lcoap-3-openssl
PEER_LIBS_mqtt = -lmosquitto
# QUICK=1: enough to see that all of it runs. Its numbers are too few, and its Swift is the debug build, so it
# writes no docs.
ifdef QUICK
SWIFT_BUILD = debug
PEER_RUNS = 1 2000 50
FLEET_RUNS = 1 2 "200:200"
SWIFT_RUNS = 1 500ms quick
REST_RUNS = 200 200 2
else
SWIFT_BUILD = release
PEER_RUNS = 5 20000 200
FLEET_RUNS = 3 10 "1000:500 5000:2500"
SWIFT_RUNS = 3 3s ""
REST_RUNS = 5000 10000 30
endif
BENCH_MACHINE = $(shell sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(shell nproc) cores, \
	Linux $(shell uname -r), commit $(shell git rev-parse --short HEAD)
BENCH_VERSIONS = $(shell $(CC) --version | head -n 1) -O2, OpenSSL $(shell dpkg-query -W -f '$${Version}' libssl3), \
	mbedTLS $(shell dpkg-query -W -f '$${Version}' libmbedtls-dev)
FLEET_VERSIONS = libcoap $(shell dpkg-query -W -f '$${Version}' libcoap3-bin), \
	mosquitto $(shell dpkg-query -W -f '$${Version}' mosquitto), OpenSSL $(shell dpkg-query -W -f '$${Version}' libssl3)

# $(1): program, $(2): file, $(3): further options
define peer_rule
$(BENCHB)/$(1): $(BENCH)/peers/$(2).c $(PEER_LOOP) $(wildcard $(BENCH)/peers/*.h) $(BUILD)/libouroboros.a
	@mkdir -p $$(@D)
	$(CC) $(C_FLAGS) -O2 -g -D_DEFAULT_SOURCE $(3) $$(filter %.c,$$^) $(PEER_LIBS_$(2)) -o $$@
endef
$(foreach p,udp openssl mbedtls ouroboros,$(eval $(call peer_rule,$(p),$(p),)))
$(eval $(call peer_rule,ouroboros-unreliable,ouroboros,-DUNRELIABLE))

# $(1): program, $(2): file, $(3): further options
define fleet_rule
$(BENCHB)/fleet/$(1): $(BENCH)/fleet/$(2).c $(BENCH)/fleet/load.c $(BENCH)/fleet/devices.h
	@mkdir -p $$(@D)
	$(CC) $(C_FLAGS) -O2 -g -D_DEFAULT_SOURCE $(3) $$(filter %.c,$$^) $(PEER_LIBS_$(2)) -o $$@
endef
$(foreach p,coap mqtt,$(eval $(call fleet_rule,$(p),$(p),)))
$(eval $(call fleet_rule,mqtt-psk,mqtt,-DPSK))

.PHONY: bench bench-core bench-peers bench-swift bench-fleet bench-registry bench-rest setup-bench
setup-bench: setup
	@Tests/install.sh $(BENCH_PACKAGES)

bench: bench-core bench-peers bench-swift bench-fleet bench-rest ## measure, into docs/BENCHMARKS.md; QUICK=1 only tries that it runs

bench-core: setup $(BUILD)/core_bench $(BUILD)/timing_bench
	@echo "== the engine in memory"
	@$(BUILD)/core_bench
	@echo "== whether times depend on secrets"
	@$(BUILD)/timing_bench

bench-peers: setup-bench $(PEERS:%=$(BENCHB)/%)
	@echo "== beside other protocols"
	@$(BENCH)/peers/run.sh $(BENCHB) $(PEER_RUNS) $(PEERS) >$(BENCHB)/peers.tsv
	@awk -v machine='$(BENCH_MACHINE)' -v versions='$(BENCH_VERSIONS)' -v messages=$(word 2,$(PEER_RUNS)) \
		-v sessions=$(word 3,$(PEER_RUNS)) -v data=$(BENCHB)/peers.data \
		-f $(BENCH)/median.awk -f $(BENCH)/peers/table.awk $(BENCHB)/peers.tsv >$(BENCHB)/peers.md
	@gnuplot -e "data='$(BENCHB)/peers.data'; out='$(BENCHB)/peers.svg'" $(BENCH)/peers/plot.gp
	@cat $(BENCHB)/peers.md
	@$(call put_bench,peers)
	@$(if $(QUICK),,cp $(BENCHB)/peers.svg docs/peers.svg)

bench-swift: setup-bench
	@echo "== the Swift package (building)"
	@$(SWIFT) build -c $(SWIFT_BUILD) --product ouroboros
	@for product in ouroboros-lean RPiSensor NIOBench; do $(SWIFT) build -c $(SWIFT_BUILD) --product $$product || exit 1; done
	@mkdir -p $(BENCHB)
	@$(BENCH)/swift.sh .build/$(SWIFT_BUILD) $(SWIFT_RUNS) >$(BENCHB)/swift.tsv
	@awk -v machine='$(BENCH_MACHINE)' -v seconds=$(word 2,$(SWIFT_RUNS)) -v build=$(SWIFT_BUILD) \
		-f $(BENCH)/median.awk -f $(BENCH)/swift_table.awk $(BENCHB)/swift.tsv >$(BENCHB)/swift.md
	@cat $(BENCHB)/swift.md
	@$(call put_bench,swift)

bench-fleet: setup-bench $(FLEET_OTHERS:%=$(BENCHB)/fleet/%)
	@echo "== a simulated fleet, beside other protocols"
	@$(SWIFT) build -c $(SWIFT_BUILD) --product ouroboros
	@$(BENCH)/fleet/run.sh .build/$(SWIFT_BUILD) $(BENCHB)/fleet $(FLEET_RUNS) >$(BENCHB)/fleet.tsv
	@awk -v machine='$(BENCH_MACHINE)' -v versions='$(FLEET_VERSIONS)' -v rounds=$(word 1,$(FLEET_RUNS)) \
		-v seconds=$(word 2,$(FLEET_RUNS)) \
		-f $(BENCH)/median.awk -f $(BENCH)/fleet/table.awk $(BENCHB)/fleet.tsv >$(BENCHB)/fleet.md
	@cat $(BENCHB)/fleet.md
	@$(call put_bench,fleet)

bench-registry: setup-bench ## messages a second into a PostgreSQL that is 0 and 2 ms away
	@$(SWIFT) build -c $(SWIFT_BUILD) --product ouroboros
	@$(BENCH)/registry/run.sh .build/$(SWIFT_BUILD) 3000 "0 2"

bench-rest: setup
	@echo "== a gateway at rest"
	@$(SWIFT) build -c $(SWIFT_BUILD) --product ouroboros
	@mkdir -p $(BENCHB)
	@$(BENCH)/rest/run.sh .build/$(SWIFT_BUILD) $(REST_RUNS) >$(BENCHB)/rest.tsv
	@awk -v machine='$(BENCH_MACHINE)' -v seconds=$(word 3,$(REST_RUNS)) -f $(BENCH)/rest/table.awk \
		$(BENCHB)/rest.tsv >$(BENCHB)/rest.md
	@cat $(BENCHB)/rest.md
	@$(call put_bench,rest)

put_bench = $(if $(QUICK),echo "QUICK: docs/BENCHMARKS.md stays as it is",\
	ccore/firmware/put_section.sh $(BENCHB)/$(1).md docs/BENCHMARKS.md)

$(BUILD)/%_bench: $(BENCH)/%_bench.c $(BUILD)/libouroboros.a
	$(CC) $(C_FLAGS) -O2 -g -D_POSIX_C_SOURCE=199309L $^ -lmbedcrypto -lm -o $@
