# Lines of swift.sh -> the section "The Swift package" of docs/BENCHMARKS.md. With median.awk before it.
# `machine`, `build` and `seconds` are told in the text.

BEGIN {
    FS = "\t"
}
$1 == "rate" {
    at = $2 "," $3 "," $4
    if (!(at in seen)) {
        seen[at] = 1
        order[++settings] = at
    }
    add(at ",rate", $5)
}
$1 == "trip" {
    add($2 "," $3 "," $4 ",p50", $5)
    add($2 "," $3 "," $4 ",p99", $6)
}
$1 == "handshakes" {
    handshakes[$2] = $3
}
$1 == "idle client" {
    memory[++lines] = $1 " | " $2 " | "
}
$1 == "sensor" {
    memory[++lines] = "sensor" ($2 == "usual" ? "" : ", `" $2 "`") " | " $3 " | "
}
$1 == "gateway" {
    memory[++lines] = "gateway, " $2 " | " $4 " | " $5
}

END {
    sort_all()
    print "## The Swift package"
    print ""
    print "Written by `make bench` (`Tests/Benchmarks/swift.sh`), " build " build, loopback. " machine "."
    print "`ouroboros bench` against `ouroboros gateway` in a process of its own, which writes its JSON lines to /dev/null, " seconds " a"
    print "measurement after 500 ms to warm up. *Messages a second*: reliable ones, each counted once its sender knows that it was"
    print "delivered, 64 under way with one client, 8 of each with 100. *Round trip*: to the gateway's application and the copy back, one"
    print "at a time a client, so that with 100 clients it is mostly waiting for the others. Medians, in brackets the least and the greatest."
    print ""
    print "| transport | bytes | clients | messages a second | round trip p50, µs | p99, µs |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= settings; i++) {
        split(order[i], part, ",")
        print "| " part[1] " | " part[2] " | " part[3] " | " spread(order[i] ",rate", "%.0f") " | " \
            spread(order[i] ",p50", "%.0f") " | " spread(order[i] ",p99", "%.0f") " |"
    }
    print ""
    print "Handshakes a second, from nothing to a confirmed session and its end, a socket each, 32 at a time: " handshakes["udp"] \
        " over UDP, " handshakes["tcp"]
    print "over TCP (`Tests/Benchmarks/NIOBench`, as the clients and gateways below; the sensors are `ouroboros sensor`"
    print "and the example RPiSensor)."
    print ""
    print "| resident memory (VmRSS) of | KB | more KB a session |"
    print "|---|---|---|"
    for (i = 1; i <= lines; i++)
        print "| " memory[i] " |"
}
