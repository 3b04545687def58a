/// The way of a client's packets to its server, which is an address or a name with several of them.
///
/// A HELLO goes to the address that answered last; while it stays unanswered it goes to the others, a quarter of a second
/// apart (RFC 8305, 5), and the name is looked up again. What happens goes in, with the time in milliseconds; what is due
/// comes out.
package struct ServerRoute<Address: Hashable & Sendable>: Sendable {
    private struct Hello {
        let packet: [UInt8]
        var order: [Address]
        /// How many of them it went to.
        var sent = 0
        var nextAt: UInt64?
    }

    private enum LookUp {
        /// An address is one.
        case never
        case due(UInt64)
        case running
    }

    /// Between two addresses.
    package static var step: UInt64 { 250 }
    /// Between two looks at a name: while nobody answers, and otherwise.
    package static var lookUpSoon: UInt64 { 30_000 }
    package static var lookUpLate: UInt64 { 300_000 }
    /// Once it has other addresses a HELLO is sent there for so long, whatever the engine's pauses are.
    package static var freshTime: UInt64 { 600_000 }
    private static var mostTried: Int { 32 }

    package private(set) var addresses: [Address]
    /// The one that answered last.
    private var current: Address?
    private var sessions: [UInt32: Address] = [:]
    private var hello: Hello?
    /// Where HELLOs went since the last answer.
    private var asked: Set<Address> = []
    /// It asks for the HELLO that follows.
    private var challenger: Address?
    private var lookUp: LookUp
    private var lookedUpAt: UInt64?
    private var failures: UInt64 = 0
    private var freshUntil: UInt64 = 0

    /// To one address.
    package init(to address: Address) {
        addresses = [address]
        current = address
        lookUp = .never
    }

    /// To a name, which is to be looked up at once.
    package init(now: UInt64) {
        addresses = []
        lookUp = .due(now)
    }

    // MARK: What is so

    /// Whose packets are taken: what comes from elsewhere is not the server's.
    package var accepted: Set<Address> {
        asked.union(sessions.values).union([current, challenger].compactMap(\.self))
    }

    /// Where a packet of a session goes.
    package func address(ofSession id: UInt32) -> Address? { sessions[id] ?? current }

    /// Nothing is to be told of a packet that was taken.
    package func expects(_ id: UInt32, from address: Address) -> Bool {
        hello == nil && sessions[id] == address
    }

    /// When ``next(now:)`` or ``beginLookUp(now:)`` has something.
    package var deadline: UInt64? {
        var due = hello?.nextAt
        if case .due(let time) = lookUp { due = min(due ?? time, time) }
        return due
    }

    // MARK: HELLO

    /// The engine sends a HELLO: where it goes now, if there is an address. ``next(now:)`` tells the others.
    package mutating func hello(_ packet: [UInt8], now: UInt64) -> Address? {
        if let there = challenger {
            challenger = nil
            hello = Hello(packet: packet, order: [there], sent: 1)
            return there
        }
        if hello != nil, case .due(let time) = lookUp {
            // The one before was not answered.
            lookUp = .due(min(time, max(now, (lookedUpAt ?? 0) + 1000)))
        }
        hello = Hello(packet: packet, order: order)
        return next(now: now)?.address
    }

    private var order: [Address] {
        let last = current.flatMap { addresses.isEmpty || addresses.contains($0) ? $0 : nil }
        return [last].compactMap(\.self) + addresses.filter { $0 != last }
    }

    /// The HELLO that is unanswered, and the next address that it goes to.
    package mutating func next(now: UInt64) -> (packet: [UInt8], address: Address)? {
        guard var unanswered = hello, unanswered.sent < unanswered.order.count,
            unanswered.nextAt ?? now <= now
        else { return nil }
        defer { hello = unanswered }
        unanswered.sent += 1
        if asked.count < Self.mostTried {
            asked.insert(unanswered.order[unanswered.sent - 1])
        }
        unanswered.nextAt = unanswered.sent < unanswered.order.count ? now + Self.step : nil
        return (unanswered.packet, unanswered.order[unanswered.sent - 1])
    }

    /// The engine wants no answer any more.
    package mutating func helloEnded() {
        hello = nil
        challenger = nil
        asked = []
    }

    /// The engine took a packet, whose session id is 0 for a challenge. `held` are the sessions that it has now.
    package mutating func took(_ id: UInt32, from address: Address, held: [UInt32], isShakingHands: Bool) {
        if id == 0 {
            guard isShakingHands else { return }
            challenger = address
            // The HELLO that follows goes there alone.
            hello?.order = []
            hello?.sent = 0
            return
        }
        if held.contains(where: { sessions[$0] == nil }) {
            // What was at an address that is silent goes here, too: it may be the same server's.
            let there = sessions.filter { held.contains($0.key) && !asked.contains($0.value) }
            sessions = Dictionary(held.map { ($0, there[$0] ?? address) }, uniquingKeysWith: { $1 })
            current = address
        } else if held.contains(id), sessions[id] != address {
            sessions[id] = address
        }
        if !isShakingHands, hello != nil {
            helloEnded()
        }
    }

    // MARK: The name

    /// True when the name is to be looked up now: ``found(_:now:)`` or ``failed(now:)`` follows.
    package mutating func beginLookUp(now: UInt64) -> Bool {
        guard case .due(let time) = lookUp, time <= now else { return false }
        lookUp = .running
        lookedUpAt = now
        return true
    }

    package mutating func found(_ found: [Address], now: UInt64) {
        failures = 0
        if !addresses.isEmpty, !found.allSatisfy(addresses.contains) {
            freshUntil = now + Self.freshTime
        }
        addresses = found
        lookUp = .due(now + (hello == nil ? Self.lookUpLate : Self.lookUpSoon))
        guard challenger == nil, var unanswered = hello else { return }
        var tried = Array(unanswered.order[..<unanswered.sent])
        if now < freshUntil, tried.count == unanswered.order.count {
            tried = []
        }
        // What the name has no more is not tried any more.
        unanswered.order = tried + order.filter { !tried.contains($0) }.prefix(Self.mostTried - tried.count)
        unanswered.sent = tried.count
        unanswered.nextAt = tried.count < unanswered.order.count ? unanswered.nextAt ?? now : nil
        hello = unanswered
    }

    /// It is looked up again after 1, 2, 4, ... 30 seconds.
    package mutating func failed(now: UInt64) {
        failures += 1
        lookUp = .due(now + min(Self.lookUpSoon, 1000 << min(failures - 1, 5)))
    }
}
