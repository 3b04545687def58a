# Lines of run.sh -> the section "A fleet, beside other protocols" of docs/BENCHMARKS.md. With median.awk before it.
# `machine`, `versions`, `rounds` and `seconds` are told in the text.

BEGIN {
    FS = "\t"
    n = split("connected handshakes delivered lost late p50 p99 growth cpu", field, " ")
}
{
    fleet = $1 "," $2
    if (!(fleet in devices)) {
        devices[fleet] = $1
        rate[fleet] = $2
        order[++fleets] = fleet
    }
    if (!($3 in seen)) {
        seen[$3] = 1
        server[++servers] = $3
    }
    for (i = 1; i <= n; i++)
        add(fleet "," $3 "," field[i], $(3 + i) / (field[i] == "growth" ? 1024 : field[i] ~ /^p/ ? 1000 : 1))
}

END {
    sort_all()
    print "## A fleet, beside other protocols"
    print ""
    print "Written by `make bench` (`Tests/Benchmarks/fleet`): simulated devices in one process send messages of 64 bytes over loopback"
    print "for " seconds " s, to one server after the other; " rounds " rounds by turns, medians, and in brackets the least and the greatest"
    print "round. Server and devices share the machine: " machine ";"
    print versions "."
    print ""
    print "A message is *delivered* once the server has acknowledged it, and is timed from when it was due; *late* took over a second,"
    print "*lost* is what was not known to be delivered: of both the worst round. Memory is the growth of the server's VmRSS from before the"
    print "first device to the end; processor time is that of the server (`/proc/PID/stat`), handshakes included."
    print "[FLEET.md](FLEET.md#sizing) says what is not alike."
    for (f = 1; f <= fleets; f++)
        table(order[f])
}

function table(fleet,   i, at) {
    print ""
    print devices[fleet] " devices, " rate[fleet] " messages a second:"
    print ""
    print "| server | connected | handshakes a second | delivered a second | lost | late | p50, ms | p99, ms | KB a device | processor time, s |"
    print "|---|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= servers; i++) {
        at = fleet "," server[i] ","
        print "| " server[i] " | " least(at "connected") " | " spread(at "handshakes", "%.0f") " | " \
            spread(at "delivered", "%.0f") " | " most(at "lost") " | " most(at "late") " | " \
            spread(at "p50", "%.2f") " | " spread(at "p99", "%.1f") " | " spread(at "growth", "%.1f") " | " \
            spread(at "cpu", "%.1f") " |"
    }
}
