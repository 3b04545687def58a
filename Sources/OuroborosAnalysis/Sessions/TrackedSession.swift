import Ouroboros

/// A session as a capture shows it.
final class TrackedSession {
    struct Direction {
        var messages: CounterTrack
        var controls: CounterTrack
        /// A PING of this direction that waits for its PONG; nil as well when two might be meant.
        var ping: CaptureTime?
        var hasClosed = false

        init(beginsAtZero: Bool) {
            messages = CounterTrack(beginsAtZero: beginsAtZero)
            controls = CounterTrack(beginsAtZero: beginsAtZero)
        }

        func verdict(_ header: PacketHeader, tag: [UInt8]) -> CounterTrack.Verdict {
            header.type == .data
                ? messages.verdict(header.counter, tag: tag) : controls.verdict(header.counter, tag: tag)
        }

        func isNewest(_ header: PacketHeader) -> Bool {
            guard let highest = header.type == .data ? messages.highest : controls.highest else {
                return true
            }
            return header.counter > highest
        }

        mutating func add(_ header: PacketHeader, _ sighting: CounterTrack.Sighting) {
            if header.type == .data {
                messages.add(header.counter, sighting)
            } else {
                controls.add(header.counter, sighting)
            }
        }

        var summary: Summary.Direction {
            var summary = Summary.Direction()
            summary.messages = messages.unique
            summary.controls = controls.unique
            summary.missingMessages = messages.missing
            summary.missingControls = controls.missing
            summary.retransmissions = messages.copies
            return summary
        }
    }

    let id: UInt32
    let device: DeviceID?
    let welcome: [UInt8]?
    let server: Endpoint
    var client: Endpoint
    var up: Direction
    var down: Direction
    var opener: SessionOpener?
    var isConfirmed = false

    init(id: UInt32, device: DeviceID?, welcome: [UInt8]?, server: Endpoint, client: Endpoint) {
        self.id = id
        self.device = device
        self.welcome = welcome
        self.server = server
        self.client = client
        up = Direction(beginsAtZero: welcome != nil)
        down = Direction(beginsAtZero: welcome != nil)
    }

    /// The server's address stays, the client's may change.
    func isFromClient(_ source: Endpoint, _ destination: Endpoint) -> Bool {
        if source == server { return false }
        if destination == server { return true }
        return source.port != server.port
    }

    /// In place: a copy of what is kept would cost its size with each packet.
    func with<Result>(_ isUp: Bool, _ body: (inout Direction) -> Result) -> Result {
        isUp ? body(&up) : body(&down)
    }
}
