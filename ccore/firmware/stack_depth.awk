# Reads GCC's call graphs (-fcallgraph-info=su) and prints the deepest stack below the calls of the
# engine's interface. Functions of the C library and calls through pointers count as nothing.
/^node:/ {
    split($0, part, "\"")
    if (match(part[4], /[0-9]+ bytes/))
        own[part[2]] = substr(part[4], RSTART, RLENGTH - 6) + 0
}
/^edge:/ {
    split($0, part, "\"")
    calls[part[2]] = calls[part[2]] SUBSEP part[4]
}
function depth(name,   list, count, i, below, most) {
    if (name in known)
        return known[name]
    known[name] = 0 # a cycle ends here
    most = 0
    count = split(calls[name], list, SUBSEP)
    for (i = 2; i <= count; i++) {
        below = depth(list[i])
        if (below > most)
            most = below
    }
    return known[name] = own[name] + most
}
END {
    for (name in own)
        if (name ~ /^ouro_link_(init|connect|nonce|receive|send|tick|transmit|next_event|deadline|prepare|done|close)$/) {
            value = depth(name)
            if (value > worst)
                worst = value
        }
    print worst
}
