# Lines of run.sh -> the section "A fleet, beside other protocols" of docs/BENCHMARKS.md. With median.awk before it.
# `machine`, `versions`, `rounds`, `devices`, `rate` and `seconds` are told in the text.

BEGIN {
    FS = "\t"
    n = split("connected handshakes delivered lost late p50 p99 growth cpu", field, " ")
}
{
    if (!($1 in seen)) {
        seen[$1] = 1
        order[++servers] = $1
    }
    for (i = 1; i <= n; i++)
        add($1 "," field[i], $(1 + i) / (field[i] == "growth" ? 1024 : field[i] ~ /^p/ ? 1000 : 1))
}

END {
    sort_all()
    print "## A fleet, beside other protocols"
    print ""
    print "Written by `make bench` (`Tests/Benchmarks/fleet`): " devices " simulated devices in one process send messages of 64 bytes over"
    print "loopback, " rate " a second together for " seconds " s, to one server after the other; " rounds " rounds by turns, medians, and in"
    print "brackets the least and the greatest round. Server and devices share the machine: " machine "; "
    print versions "."
    print ""
    print "A message is *delivered* once the server has acknowledged it, and is timed from when it was due; *late* took over a second,"
    print "*lost* is what was not known to be delivered. Memory is the growth of the server's VmRSS from before the first device to the end,"
    print "processor time that of the server (`/proc/PID/stat`), handshakes included. [FLEET.md](FLEET.md#sizing) says what is not alike."
    print ""
    print "| server | connected | handshakes a second | delivered a second | lost | late | p50, ms | p99, ms | KB a device | processor time, s |"
    print "|---|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= servers; i++) {
        at = order[i] ","
        print "| " order[i] " | " middle(at "connected") " | " spread(at "handshakes", "%.0f") " | " \
            spread(at "delivered", "%.0f") " | " most(at "lost") " | " most(at "late") " | " \
            spread(at "p50", "%.2f") " | " spread(at "p99", "%.1f") " | " spread(at "growth", "%.1f") " | " \
            spread(at "cpu", "%.1f") " |"
    }
}
