#!/bin/sh
# Turns the lines of measure.sh into the section "Microcontrollers" of docs/BENCHMARKS.md.
set -eu
awk '
$1 ~ /swift/ { value[$1, $2] = $3; next }
{ value[$1, $2] = $3; if (!($1 in seen)) { seen[$1] = 1; order[++count] = $1 } }

function get(build, what) {
    return (build, what) in value ? value[build, what] : "-"
}
# instructions x 1.4 cycles / clock
function ms(instructions, mhz) {
    return sprintf("%.2f", instructions * 1.4 / (mhz * 1000))
}
function title(build) {
    sub(/^m0plus/, "Cortex-M0+", build)
    sub(/^m33/, "Cortex-M33", build)
    sub(/^m3/, "Cortex-M3", build)
    sub(/^m4/, "Cortex-M4", build)
    sub(/^rv32imc/, "RV32IMC", build)
    gsub(/-O/, " -O", build)
    sub(/-3\.6$/, "", build)
    sub(/-2\.28$/, ", 2.28", build)
    return build
}
function row(build, list,   n, i, keys, line) {
    n = split(list, keys, " ")
    line = "| " title(build)
    for (i = 1; i <= n; i++)
        line = line " | " get(build, keys[i])
    print line " |"
}

END {
    print "## Microcontrollers"
    print ""
    print "Written by `make size`; `ccore/firmware/budget.txt` fails the build when a number grows. GCC 12,"
    print "mbedTLS 3.6 with `ccore/firmware/mbedtls_config.h` and the GCM and SHA-256 compression of"
    print "`ccore/firmware/alt/`, no FPU, no unaligned access. The image that is weighed is"
    print "`ccore/examples/bare_loop.c`: a client of reach 8 with 4 places of 128 bytes, 2 tails and a prepared"
    print "message; it makes handshakes, evolves credentials, sends and receives."
    print ""
    print "### Memory, bytes"
    print ""
    print "Flash is text, constants and data of the linked image less those of an empty one; what is neither engine"
    print "nor crypto is the example itself and the C library. RAM is the image'"'"'s static memory: the client'"'"'s state, its"
    print "packet buffer and its reading. Stack: the deepest call of the engine'"'"'s interface, by GCC'"'"'s call graph (calls"
    print "into the C library count as nothing there), and painted: measured on the emulated board, for a handshake,"
    print "a message out and a message in. 2.28: the lines of mbedTLS 2.28 with its own GCM and SHA-256, its contexts"
    print "not looked into (as with a chip'"'"'s own SHA-256); the pool is what it takes at a time, twice that while a"
    print "prepared message waits and a control packet goes out. Otherwise there is no heap."
    print ""
    print "| build | flash | engine | crypto | RAM | stack, call graph | stack, painted | pool |"
    print "|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= count; i++)
        row(order[i], "flash flash_engine flash_crypto ram stack_static stack_painted pool_peak")
    print ""
    print "State on a 32-bit core: link " get("m4-Os-3.6", "size_ouro_link") ", client " \
        get("m4-Os-3.6", "size_ouro_client") ", session " get("m4-Os-3.6", "size_ouro_session") \
        ", key slot " get("m4-Os-3.6", "size_ouro_slot") ", tail " get("m4-Os-3.6", "size_ouro_tail") \
        ", place " get("m4-Os-3.6", "size_ouro_place") " and its packet, prepared message " \
        get("m4-Os-3.6", "size_ouro_prepared") "; the small client in all " \
        get("m4-Os-3.6", "size_pair_device") "."
    print ""
    print "Embedded Swift (`ccore/firmware/swift`): an image in which a device and its gateway, both `Sources/Ouroboros`, talk;"
    print "Cortex-M4 " get("m4swift-Os-3.6", "flash_swift_image") " bytes of flash, of which engine and crypto " \
        get("m4swift-Os-3.6", "flash_core") " and Swift " get("m4swift-Os-3.6", "flash_swift") "; RV32IMAC " \
        get("rv32imacswift-Os-3.6", "flash_swift_image") ", " get("rv32imacswift-Os-3.6", "flash_core") " and " \
        get("rv32imacswift-Os-3.6", "flash_swift") "."
    print "The rest is the C library. It takes heap, which C does not."
    print ""
    print "### Instructions"
    print ""
    print "Of one call, the median of nine, in QEMU with `-icount shift=8,align=off,sleep=off` by SysTick or mtime"
    print "against a loop of known length. Opening derives the message'"'"'s keys. *Prepared*: what sending costs after"
    print "`ouro_link_prepare` ran in idle time (bodies above 96 bytes make their keystream anew). The handshake is what a"
    print "client computes for HELLO and WELCOME. Cortex-M0+ code runs on an emulated Cortex-M3: the numbers are its"
    print "instructions, its cycles are more."
    print ""
    print "| build | protect 16 | 64 | 256 | 1024 | open 16 | 64 | 256 | 1024 | prepared 16 | 64 | 256 | 1024 | handshake |"
    print "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= count; i++)
        row(order[i], "protect_16 protect_64 protect_256 protect_1024 open_16 open_64 open_256 open_1024 " \
            "protect_prepared_16 protect_prepared_64 protect_prepared_256 protect_prepared_1024 handshake")
    print ""
    print "### Time of 64 bytes, milliseconds"
    print ""
    print "Instructions x 1.4 cycles / clock. The 1.4 is an assumption (flash without wait states, or a cache before"
    print "it), not a measurement: no hardware was used."
    print ""
    print "| build | protect, 84 MHz | open, 84 MHz | protect, 64 MHz | open, 64 MHz | prepared, 64 MHz |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= count; i++)
        printf "| %s | %s | %s | %s | %s | %s |\n", title(order[i]), \
            ms(get(order[i], "protect_64"), 84), ms(get(order[i], "open_64"), 84), \
            ms(get(order[i], "protect_64"), 64), ms(get(order[i], "open_64"), 64), \
            ms(get(order[i], "protect_prepared_64"), 64)
}' "$1"
