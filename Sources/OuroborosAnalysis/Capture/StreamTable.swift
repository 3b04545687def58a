internal import COuroboros

/// Puts the segments of TCP streams in order and cuts packets out of them. What an attacker can make it keep is
/// bounded; a stream with a hole that does not fill is given up.
struct StreamTable {
    enum Output {
        case packet([UInt8])
        /// What was Ouroboros is none from here on.
        case broken
        /// Bytes are missing from the capture.
        case lost
    }

    private struct Key: Hashable {
        let source, destination: Endpoint
    }

    private struct Flow {
        enum State { case new, ours, over }

        var state = State.new
        var next: UInt32?
        var waiting: [UInt32: [UInt8]] = [:]
        var waitingBytes = 0
        var buffer: [UInt8] = []
    }

    private var flows: [Key: Flow] = [:]

    private static let mostFlows = 4096
    private static let mostWaiting = 256
    private static let mostWaitingBytes = 1 << 18

    mutating func take(_ segment: Segment, _ stream: Segment.Stream) -> [Output] {
        let key = Key(source: segment.source, destination: segment.destination)
        if flows.count >= Self.mostFlows, flows[key] == nil {
            flows = flows.filter { $0.value.state == .ours }
            if flows.count >= Self.mostFlows { flows.removeAll() }
        }
        var flow = flows[key] ?? Flow()
        if stream.isSyn {
            flow = Flow()
            flow.next = stream.sequence &+ 1
        }
        var output: [Output] = []
        if flow.state != .over, !segment.payload.isEmpty {
            if segment.isCut {
                output += end(&flow, .lost)
            } else {
                output += add(Array(segment.payload), at: stream.sequence, to: &flow)
            }
        }
        flows[key] = stream.isEnd && flow.waiting.isEmpty ? nil : flow
        return output
    }

    private func end(_ flow: inout Flow, _ how: Output) -> [Output] {
        let wasOurs = flow.state == .ours
        flow = Flow()
        flow.state = .over
        return wasOurs ? [how] : []
    }

    private func add(_ bytes: [UInt8], at sequence: UInt32, to flow: inout Flow) -> [Output] {
        let next = flow.next ?? sequence
        flow.next = next
        let ahead = Int32(bitPattern: sequence &- next)
        if ahead > 0 {
            flow.waitingBytes += bytes.count - (flow.waiting[sequence]?.count ?? 0)
            flow.waiting[sequence] = bytes
            let isFull =
                flow.waiting.count > Self.mostWaiting || flow.waitingBytes > Self.mostWaitingBytes
            return isFull ? end(&flow, .lost) : []
        }
        append(bytes, behind: -Int(ahead), to: &flow)
        while let (start, more) = flow.waiting.first(where: {
            Int32(bitPattern: $0.key &- (flow.next ?? 0)) <= 0
        }) {
            flow.waiting[start] = nil
            flow.waitingBytes -= more.count
            append(more, behind: -Int(Int32(bitPattern: start &- (flow.next ?? 0))), to: &flow)
        }
        return cut(&flow)
    }

    /// What lies before the next byte was there already.
    private func append(_ bytes: [UInt8], behind: Int, to flow: inout Flow) {
        guard behind < bytes.count else { return }
        flow.buffer += bytes[behind...]
        flow.next = (flow.next ?? 0) &+ UInt32(bytes.count - behind)
    }

    private func cut(_ flow: inout Flow) -> [Output] {
        var output: [Output] = []
        var offset = 0
        while offset < flow.buffer.count {
            let left = flow.buffer[offset...]
            let size = left.withUnsafeBufferPointer { Int(ouro_stream_packet_size($0.baseAddress, $0.count)) }
            guard size >= 0 else { return output + end(&flow, .broken) }
            guard size > 0, size <= left.count else { break }
            let packet = Array(left.prefix(size))
            if flow.state == .new {
                guard DecodedPacket(packet).flaw == nil else { return end(&flow, .broken) }
                flow.state = .ours
            }
            output.append(.packet(packet))
            offset += size
        }
        flow.buffer.removeFirst(offset)
        return output
    }
}
