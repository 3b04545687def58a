# Lines of run.sh -> the section "Beside other protocols" of docs/BENCHMARKS.md, and in the file `data` what plot.gp
# draws. With median.awk before it. `machine`, `versions`, `messages` and `sessions` are told in the text.

BEGIN {
    FS = "\t"
    title["udp"] = "UDP, unprotected"
    title["openssl"] = "OpenSSL, DTLS 1.2"
    title["mbedtls"] = "mbedTLS, DTLS 1.2"
    title["ouroboros"] = "Ouroboros, reliable"
    title["ouroboros-unreliable"] = "Ouroboros, unreliable"
    n = split("handshake_bytes handshake_packets p50 p99 cpu bytes rate one_way_cpu one_way_bytes " \
        "handshake_cpu client server", field, " ")
}
{
    rounds = $1
    peer = $2
    size = $3
    if (!(peer in seen)) {
        seen[peer] = 1
        order[++peers] = peer
    }
    for (i = 1; i <= n; i++)
        add(peer "," size "," field[i], $(3 + i))
    work[$1, peer, size] = $8
}

function ratios(peer, size,   at, i) {
    at = peer "," size ","
    for (i = 1; i <= rounds; i++) {
        add(at "openssl", work[i, peer, size] / work[i, "openssl", size])
        add(at "mbedtls", work[i, peer, size] / work[i, "mbedtls", size])
    }
}
function traffic(size,   i, at) {
    print ""
    print "Messages of " size " bytes:"
    print ""
    print "| | round trip p50, µs | p99, µs | CPU a message, µs | bytes more | CPU, beside OpenSSL | CPU, beside mbedTLS |"
    print "|---|---|---|---|---|---|---|"
    for (i = 1; i <= peers; i++) {
        at = order[i] "," size ","
        print "| " title[order[i]] " | " spread(at "p50", "%.1f") " | " spread(at "p99", "%.0f") " | " \
            spread(at "cpu", "%.2f") " | " sprintf("%.1f", middle(at "bytes")) " | " \
            spread(at "openssl", "%.2f") " | " spread(at "mbedtls", "%.2f") " |"
    }
    print ""
    print "| one way, " size " bytes | messages a second | CPU a message, µs | bytes more |"
    print "|---|---|---|---|"
    for (i = 1; i <= peers; i++) {
        at = order[i] "," size ","
        print "| " title[order[i]] " | " spread(at "rate", "%.0f") " | " spread(at "one_way_cpu", "%.2f") " | " \
            sprintf("%.1f", middle(at "one_way_bytes")) " |"
    }
}

END {
    for (i = 1; i <= peers; i++) {
        ratios(order[i], 64)
        ratios(order[i], 1024)
    }
    sort_all()
    print "## Beside other protocols"
    print ""
    print "Written by `make bench` (`Tests/Benchmarks/peers`): one loop for all of them, client and server a process each, UDP over"
    print "loopback, one 256-bit pre-shared key, AES-256-GCM (the DTLS suites are PSK with SHA-384, without cookies, tickets or"
    print "resumption). " rounds " interleaved rounds of " messages " round trips and " messages " one-way messages, after a tenth more to warm up;"
    print "medians, and in brackets the least and the greatest round. "
    print machine "; " versions "."
    print ""
    print "**Not the same service**: DTLS and UDP send a datagram once and tell nobody what became of it, and so does *Ouroboros,"
    print "unreliable* but for an acknowledgement now and then. *Ouroboros, reliable* acknowledges every message, keeps it until then,"
    print "and would send it again. Each message of Ouroboros has keys of its own (four HKDF-Expands an end) and is scrambled; those of"
    print "DTLS share the connection's. A round trip is a message to the server's application and its copy back, one at a time; CPU is"
    print "user and system time of both processes (`getrusage`) by messages, of which a round trip has two. One way, the server's"
    print "application answers each 32nd message, so that no socket overflows. *Bytes more* are those of all datagrams, counted where"
    print "they are sent, beyond the messages' own. *Beside* is the median of the rounds' ratios; Ouroboros has its AES-GCM from mbedTLS,"
    print "so that column compares protocols, and the other also libraries. Debian's wolfSSL has no DTLS 1.3."
    traffic(64)
    traffic(1024)
    print ""
    print "![Round trips and CPU of the peers](peers.svg)"
    print ""
    print "Handshake and memory, of " sessions " sessions in one process over local sockets: CPU of both ends, their making included; memory is"
    print "what `malloc` has given out (`mallinfo2`) for an established session after a message each way. Ouroboros's client has"
    print "reach 32 and 32 places of 1,232 bytes for messages in flight, which are most of it; its server two sessions of reach 32, and"
    print "the places of all sessions are in one pool, not counted here. DTLS keeps no messages; its buffers are the libraries' defaults."
    print ""
    print "| | handshake, bytes | packets | CPU, µs | client, bytes | server, bytes |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= peers; i++) {
        at = order[i] ",64,"
        if (order[i] != "udp" && order[i] != "ouroboros-unreliable")
            print "| " title[order[i]] " | " middle(at "handshake_bytes") " | " middle(at "handshake_packets") " | " \
                spread(at "handshake_cpu", "%.0f") " | " middle(at "client") " | " middle(at "server") " |"
    }
    for (i = 1; i <= peers; i++) {
        printf "\"%s\"", title[order[i]] >data
        for (size = 64; size <= 1024; size += 960)
            for (j = 3; j <= 5; j += 2) {
                at = order[i] "," size "," field[j]
                printf "\t%s\t%s\t%s", middle(at), least(at), most(at) >data
            }
        printf "\n" >data
    }
}
