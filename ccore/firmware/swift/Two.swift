import Ouroboros

/// A device's link and its gateway's, joined without a network.
final class Two {
    private static let id = DeviceID(number: 0x0102_0304_0506_0708)
    private static let start: UInt64 = 1000
    private static let hour: UInt64 = 3_600_000

    private(set) var sessions = 0
    private(set) var handedOn = 0
    private(set) var epochs = 0

    private var device: Link
    private let acceptor: Acceptor
    private let accepted: AcceptedDevice
    private let gateway: Link
    private let address = PeerAddress(UnsafeRawBufferPointer(start: nil, count: 0))
    private var now = Two.start
    private var credential: Credential
    private var last: [UInt8] = []
    private var delivered = 0
    /// The packet that is under way.
    private let wire = UnsafeMutableRawBufferPointer.allocate(byteCount: Packet.maximumSize, alignment: 8)

    deinit {
        wire.deallocate()
    }

    init(_ kind: Credential.Kind) throws(OuroborosError) {
        let key = SecretKey.random()
        credential =
            kind == .fixed ? .fixed(device: Self.id, rootKey: key) : .evolving(device: Self.id, key: key)
        var settings = Acceptor.Configuration()
        settings.pendingSessions = 2
        settings.devicesAhead = 0
        acceptor = try Acceptor(configuration: settings, now: Self.start)
        accepted = AcceptedDevice(credential, acceptor: acceptor)
        gateway = try Link(serverWith: PlacePool(places: 4))
        device = try Link(client: credential, configuration: .small)
        try device.connect(now: Self.start)
        try carry()
    }

    func send(_ payload: [UInt8]) throws(OuroborosError) {
        try send(payload, from: device)
    }

    func answer(_ payload: [UInt8]) throws(OuroborosError) {
        try send(payload, from: gateway)
    }

    private func send(_ payload: [UInt8], from link: Link) throws(OuroborosError) {
        let before = delivered
        _ = try link.send(OutgoingMessage(payload), now: now)
        try carry()
        now += 1
        guard delivered == before + 1, last == payload else {
            throw OuroborosError(.failed, "a message did not come as it was sent")
        }
    }

    /// The device's memory is gone meanwhile; a new link takes the session up.
    func sleepOneHour() throws(OuroborosError) {
        try carry()
        let saved = try device.save(now: now)
        device = try Link(client: credential, configuration: .small)
        now += Self.hour
        try device.restore(saved, slept: Self.hour, now: now)
    }

    /// Carries packets until neither side has one.
    private func carry() throws(OuroborosError) {
        var isBusy = true
        while isBusy {
            isBusy = false
            while let packet = try next(of: device) {
                isBusy = true
                try toGateway(packet)
            }
            while let packet = try next(of: gateway) {
                isBusy = true
                try toDevice(packet)
            }
        }
    }

    private func next(of link: Link) throws(OuroborosError) -> UnsafeMutableRawBufferPointer? {
        try drain(link)
        var count = 0
        _ = try link.transmit(now: now) { packet, _ in
            wire.copyMemory(from: packet)
            count = packet.count
        }
        return count == 0 ? nil : UnsafeMutableRawBufferPointer(rebasing: wire[..<count])
    }

    private func toDevice(_ packet: UnsafeMutableRawBufferPointer) throws(OuroborosError) {
        _ = device.receive(packet, now: now)
        try drain(device)
    }

    private func toGateway(_ packet: UnsafeMutableRawBufferPointer) throws(OuroborosError) {
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        if id == 0 {
            try answerHello(packet)
        } else if acceptor.device(ofPending: id) == nil {
            _ = gateway.receive(packet, from: address, now: now)
        } else {
            try confirm(id, packet)
        }
        try drain(gateway)
    }

    private func answerHello(_ packet: UnsafeMutableRawBufferPointer) throws(OuroborosError) {
        let hello = UnsafeRawBufferPointer(packet)
        let answer = try acceptor.answer(
            hello: hello, of: accepted, link: gateway, now: now, isTaken: { _ in false })
        guard case .welcome(let welcome, _) = answer else {
            throw OuroborosError(.failed, "HELLO was not answered")
        }
        wire.copyBytes(from: welcome)
        try toDevice(UnsafeMutableRawBufferPointer(rebasing: wire[..<welcome.count]))
    }

    private func confirm(_ id: UInt32, _ packet: UnsafeMutableRawBufferPointer) throws(OuroborosError) {
        let confirmation = try acceptor.confirm(
            sessionID: id, packet: packet, from: address, device: accepted, now: now, link: { gateway })
        guard case .confirmed(let moved) = confirmation else {
            throw OuroborosError(.failed, "the first packet was dropped")
        }
        if moved != nil {
            epochs += 1
            gateway.epochSaved()
        }
    }

    private func drain(_ link: Link) throws(OuroborosError) {
        while let event = try link.nextEvent() {
            switch event {
            case .message(let message):
                last = message.payload
                handedOn += 1
                link.done(sessionID: message.sessionID, counter: message.counter)
            case .delivered: delivered += 1
            case .established: sessions += link === gateway ? 1 : 0
            case .epochMoved(let moved):
                credential = moved
                epochs += 1
                link.epochSaved()
            default: break
            }
        }
    }
}

extension LinkConfiguration {
    /// A small device's: the memory that the documentation promises.
    static var small: LinkConfiguration {
        var configuration = LinkConfiguration.client
        configuration.reach = 8
        configuration.sessions = 1
        configuration.tails = 2
        configuration.places = 4
        configuration.maxBody = 96
        return configuration
    }
}
