# Lines of run.sh -> the section "At rest" of docs/BENCHMARKS.md. `machine` and `seconds` are told in the text.

BEGIN {
    FS = "\t"
    print "## At rest"
    print ""
    print "Written by `make bench` (`Tests/Benchmarks/rest`): a gateway that has nothing to do, over " seconds " s, a minute after the last handshake."
    print "Sessions are of simulated devices that say nothing; messages wait, each for another device that is away. Processor time is that of"
    print "the gateway (`/proc/PID/stat`), as a share of one core; a wake-up is one of its threads that waited (`voluntary_ctxt_switches`)."
    print machine "."
    print ""
    print "| | sessions | messages that wait | share of a core | wake-ups a second |"
    print "|---|---|---|---|---|"
}
{ printf "| %s | %d | %d | %.2f %% | %.1f |\n", $1, $2, $3, $4, $5 }
