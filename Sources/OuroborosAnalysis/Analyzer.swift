import Ouroboros

/// Follows the sessions in a capture, frame by frame. What hostile frames can make it keep is bounded.
public struct Analyzer {
    public struct Options: Sendable {
        /// Where gateways listen: what goes to or from here is Ouroboros, or malformed.
        public var port: UInt16 = 5700
        /// Keeps what is opened in the reports: ack blocks and messages.
        public var showsBodies = false

        public init() {}
    }

    let options: Options
    var keys: KeyRing
    var sums = Summary()
    var hellos = HelloTable()
    var sessions: [UInt32: TrackedSession] = [:]
    private var order: [UInt32] = []
    private var servers: Set<Endpoint> = []
    private var streams = StreamTable()

    private static let mostSessions = 16_384
    private static let mostServers = 4096

    public init(options: Options = .init(), keys: KeyRing = .init()) {
        self.options = options
        self.keys = keys
    }

    public mutating func take(_ frame: Frame) -> [PacketReport] {
        sums.frames += 1
        guard let packet = LinkLayer.internetPacket(frame) else {
            sums.others += 1
            return []
        }
        switch InternetLayer.content(packet) {
        case .segment(let segment):
            let reports = take(segment, frame.time)
            if reports.isEmpty, segment.stream == nil { sums.others += 1 }
            return reports
        case .fragment:
            sums.fragments += 1
            return []
        case .other:
            sums.others += 1
            return []
        }
    }

    private mutating func take(_ segment: Segment, _ time: CaptureTime) -> [PacketReport] {
        if let stream = segment.stream {
            return streams.take(segment, stream).map { take($0, segment, time) }
        }
        let packet = DecodedPacket(segment.payload)
        guard isOurs(packet, segment) else { return [] }
        var report = report(segment, packet, time)
        if segment.isCut {
            // Nothing of it can be checked.
            report.note(.cut, "\(segment.payload.count) of \(segment.length) bytes")
        } else {
            examine(Array(segment.payload), &report)
        }
        return [finished(report)]
    }

    private mutating func take(
        _ output: StreamTable.Output, _ segment: Segment, _ time: CaptureTime
    ) -> PacketReport {
        var report: PacketReport
        switch output {
        case .packet(let bytes):
            report = self.report(segment, DecodedPacket(bytes), time, size: bytes.count)
            examine(bytes, &report)
        case .broken:
            report = self.report(segment, DecodedPacket(segment.payload), time)
            report.note(.malformed, "the stream goes on with what is no packet")
        case .lost:
            report = self.report(segment, DecodedPacket(segment.payload), time)
            report.note(.lost, "the stream cannot be followed any more")
        }
        return finished(report)
    }

    private func report(
        _ segment: Segment, _ packet: DecodedPacket, _ time: CaptureTime, size: Int? = nil
    ) -> PacketReport {
        PacketReport(
            time: time, source: segment.source, destination: segment.destination,
            isStream: segment.stream != nil, size: size ?? segment.length, packet: packet)
    }

    private mutating func finished(_ report: PacketReport) -> PacketReport {
        sums.packets += 1
        sums.bytes += UInt64(report.size)
        if let type = report.packet.header?.type, report.packet.flaw == nil {
            sums.types[type, default: 0] += 1
        }
        for anomaly in report.anomalies { sums.anomalies[anomaly.kind, default: 0] += 1 }
        return report
    }

    /// A port is enough, and so is a server that was seen; elsewhere only what can hardly be anything else.
    private func isOurs(_ packet: DecodedPacket, _ segment: Segment) -> Bool {
        let ends = [segment.source, segment.destination]
        if ends.contains(where: { $0.port == options.port || servers.contains($0) }) { return true }
        guard packet.flaw == nil, let header = packet.header else { return false }
        if let hello = packet.hello { return hello.top < 16 }
        return sessions[header.sessionID] != nil
    }

    mutating func noteServer(_ endpoint: Endpoint) {
        if servers.count < Self.mostServers { servers.insert(endpoint) }
    }

    // MARK: Sessions

    mutating func add(_ session: TrackedSession) {
        if let old = sessions.updateValue(session, forKey: session.id) {
            close(old)
            return
        }
        order.append(session.id)
        if order.count > Self.mostSessions {
            for id in order.prefix(Self.mostSessions / 4) {
                if let old = sessions.removeValue(forKey: id) { close(old) }
            }
            order.removeFirst(Self.mostSessions / 4)
        }
    }

    private mutating func close(_ session: TrackedSession) {
        sums.fromClients.add(session.up.summary)
        sums.fromServers.add(session.down.summary)
    }

    /// As it stands now.
    public var summary: Summary {
        var summary = sums
        for session in sessions.values {
            summary.fromClients.add(session.up.summary)
            summary.fromServers.add(session.down.summary)
        }
        summary.unanswered = hellos.unanswered + hellos.waiting
        return summary
    }
}
