#!/bin/sh
# Weighs the images of one build and runs the one that measures: lines of "build what number".
# $1: directory of the builds   $2: build, e.g. m4-Os-3.6
set -eu
directory="$1/$2"
name="$2"
case "$name" in
rv32*) prefix=riscv64-unknown-elf ;;
*) prefix=arm-none-eabi ;;
esac
icount="-icount shift=8,align=off,sleep=off"

emulate() {
    case "$name" in
    m4-* | m4swift-*) machine=mps2-an386 ;;
    m33-*) machine=mps2-an505 ;;
    rv32*)
        # shellcheck disable=SC2086
        timeout 120 qemu-system-riscv32 -M virt -bios none -nographic -monitor none \
            -serial stdio $icount -kernel "$1" </dev/null
        return
        ;;
    *) machine=mps2-an385 ;;
    esac
    # shellcheck disable=SC2086
    timeout 120 qemu-system-arm -M "$machine" -nographic -monitor none -serial null $icount \
        -semihosting-config enable=on,target=native -kernel "$1" </dev/null
}

# Bytes of text and data, and of data and bss, of an image; its stack's room is no part of them.
weigh() {
    "$prefix-size" -A -d "$1" | awk '
        /^\.(text|ARM\.exidx|data)/ { flash += $2 }
        /^\.(data|bss)/ { ram += $2 }
        END { print flash + 0, ram + 0 }'
}

# Bytes that the linker kept of the files whose path holds $1, in the image $2 (client).
kept() {
    awk -v where="$1" '
        /^Linker script and memory map/ { on = 1 }
        on && /^ \.(text|rodata|data|srodata|sdata)/ {
            if (NF == 1) { getline; size = $2; file = $3 } else { size = $3; file = $4 }
            if (file ~ where) sum += hex(size)
        }
        function hex(text,   i, value) {
            value = 0
            for (i = 3; i <= length(text); i++)
                value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
            return value
        }
        END { print sum + 0 }' "$directory/${2:-client}.map"
}

say() {
    echo "$name $1 $2"
}

if [ -e "$directory/swift.elf" ]; then
    # shellcheck disable=SC2046
    set -- $(weigh "$directory/swift.elf") $(weigh "$directory/empty.elf")
    say flash_swift_image $(($1 - $3))
    say flash_swift "$(kept '/swift/(Ouroboros|SwiftImage).o|UnicodeData' swift)"
    say flash_core "$(kept libcore.a swift)"
    exit
fi
if [ -e "$directory/client.elf" ]; then
    # shellcheck disable=SC2046
    set -- $(weigh "$directory/client.elf") $(weigh "$directory/empty.elf")
    say flash $(($1 - $3))
    say ram $(($2 - $4))
    crypto="$(kept 'libcore.a.(aes|gcm|gcm_alt|ghash|sha256|sha256_process|cipher|platform|constant)')"
    say flash_crypto "$crypto"
    say flash_engine $(($(kept 'libcore.a') - crypto))
    # What a client that neither serves nor sleeps must not carry.
    say flash_left_out "$(kept 'libcore.a.(server|ahead|challenge|sleep|fleet)')"
fi
"$prefix-nm" -S --radix=d "$directory/own/state_sizes.o" |
    awk -v name="$name" 'NF == 4 { sub(/^size_of_/, "", $4); print name, "size_" $4, $2 + 0 }'
say stack_static "$(cat "$directory"/core/*.ci "$directory"/mbedtls/*.ci $(ls "$directory"/alt/*.ci 2>/dev/null) |
    awk -f ccore/firmware/stack_depth.awk)"
log="$directory/measure.log"
emulate "$directory/measure.elf" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
tr -d '\r' <"$log" | awk -v name="$name" '$1 == "measure" { print name, $2, $3 }'
