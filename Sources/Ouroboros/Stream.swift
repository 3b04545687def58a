internal import COuroboros

extension Packet {
    /// The size of the packet that a stream goes on with: 0 while too little of it is there, nil when no packet
    /// can start so.
    public static func size(inStream bytes: UnsafeRawBufferPointer) -> Int? {
        guard let octets = bytes.octets else { return 0 }
        let size = ouro_stream_packet_size(octets, bytes.count)
        return size < 0 ? nil : Int(size)
    }
}

extension Link {
    /// False once as many messages were read as may wait to be handed on: read no further until it is true again.
    public var mayReadStream: Bool { ouro_stream_may_read(raw) }

    /// To be told when this side stops reading as its application is slow, and when it reads again: meanwhile the other
    /// side hears that it is there.
    public func setStreamReading(_ isReading: Bool, now: UInt64) {
        ouro_stream_set_reading(raw, now, isReading)
    }

    /// The stream has to be ended: a rule was broken, or nothing came in time. To be asked after ``tick(now:)``.
    public var isStreamBroken: Bool { ouro_stream_is_broken(raw) }

    /// The stream is over: messages in flight become *unknown*. True when it ended well, by CLOSE and with
    /// nothing missing.
    @discardableResult
    public func streamEnded() -> Bool { ouro_stream_ended(raw) }
}
