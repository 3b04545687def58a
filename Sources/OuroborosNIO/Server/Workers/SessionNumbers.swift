/// How the upper bits of a session id tell the gateway and, in it, the worker whose session it is.
struct SessionNumbers: Sendable {
    enum Owner: Equatable {
        case gateway(UInt8)
        case worker(Int)
        case nobody
    }

    let gateway: UInt8?
    let workers: Int

    private var gatewayBits: Int { gateway == nil ? 0 : 8 }
    private var workerBits: Int { workers < 2 ? 0 : Int.bitWidth - (workers - 1).leadingZeroBitCount }

    var prefixBits: Int { gatewayBits + workerBits }

    func prefix(ofWorker worker: Int) -> UInt16 {
        UInt16(gateway ?? 0) << UInt16(workerBits) | UInt16(worker)
    }

    func owner(of sessionID: UInt32) -> Owner {
        if let gateway, sessionID >> 24 != gateway {
            return .gateway(UInt8(sessionID >> 24))
        }
        let worker = Int(sessionID >> UInt32(32 - prefixBits)) & (1 << workerBits - 1)
        return worker < workers ? .worker(worker) : .nobody
    }
}
