import LibC
import Logging
import NIOCore
import Ouroboros

/// What a server's workers share: the queue to the application, the events, which of them has a device, and the way
/// of a packet that landed on the wrong one.
final class ServerHub: Sendable {
    let inbox = ServerInbox()
    let events = Broadcast<ServerEvent>()
    let numbers: SessionNumbers
    let ways = ServerWays()

    private struct State {
        var workers: [ServerEngine] = []
        var left = 0
        var fleet: FleetPort?
        /// The worker with the device's newest session.
        var places: [DeviceID: Int] = [:]
        var notices: Task<Void, Never>?
        var telling = Telling<ServerTelling>()
        var tellHeard: (@Sendable (DeviceID) -> Void)?
    }

    private let state = Locked(State())

    init(numbers: SessionNumbers) {
        self.numbers = numbers
    }

    var workers: [ServerEngine] { state.withLock(\.workers) }
    var fleet: FleetPort? { state.withLock(\.fleet) }

    func add(_ worker: ServerEngine) {
        state.withLock { state in
            state.workers.append(worker)
            state.left += 1
        }
    }

    func add(_ fleet: FleetPort) {
        state.withLock { $0.fleet = fleet }
    }

    /// With the last one the server is over.
    func workerEnded() {
        let (isOver, notices) = state.withLock { state in
            state.left -= 1
            guard state.left == 0 else { return (false, nil as Task<Void, Never>?) }
            // The workers hold the hub.
            state.workers = []
            state.fleet = nil
            return (true, state.notices.take())
        }
        guard isOver else { return }
        notices?.cancel()
        inbox.finish()
        events.finish()
    }

    /// True once a minute for each, whichever worker asks.
    func isDue(_ telling: ServerTelling) -> Bool {
        state.withLock { $0.telling.isDue(telling) }
    }

    // MARK: Packets

    /// Passes a packet on to the worker or the gateway whose session it is; false when that is nobody else.
    func passOn(
        _ packet: UnsafeRawBufferPointer, sessionID: UInt32, from address: PeerAddress, by worker: Int
    ) -> Bool {
        switch numbers.owner(of: sessionID) {
        case .worker(let owner) where owner != worker:
            deliver(packet, sessionID: sessionID, from: address)
            return true
        case .gateway(let gateway):
            guard gateway != 0, let fleet else { return false }
            fleet.pass(.toOwner, packet, address, to: gateway)
            return true
        case .worker, .nobody: return false
        }
    }

    /// To the worker whose session it is: nobody passes it on again.
    func deliver(_ packet: UnsafeRawBufferPointer, sessionID: UInt32, from address: PeerAddress) {
        guard case .worker(let owner) = numbers.owner(of: sessionID) else { return }
        let workers = workers
        if workers.indices.contains(owner) {
            workers[owner].take(packet, from: address)
        }
    }

    /// The answer to a packet that came through another gateway.
    func answer(_ packet: UnsafeRawBufferPointer, to address: PeerAddress) {
        fleet?.pass(.toDevice, packet, address, to: address.entry)
    }

    /// Another gateway's answer, the way that the device's packet came. On the loop of the first worker.
    func send(_ packet: UnsafeRawBufferPointer, to address: SocketAddress, over number: UInt8) {
        guard let way = ways.way(number) else { return }
        workers.first?.write(packet, to: address, over: way)
    }

    func flush() {
        workers.first?.flush()
    }

    // MARK: The application

    func confirm(_ messages: [ReceivedMessage]) {
        let workers = workers
        guard workers.count > 1 else {
            workers.first?.confirm(messages)
            return
        }
        for (index, messages) in Dictionary(grouping: messages, by: \.worker)
        where workers.indices.contains(index) {
            workers[index].confirm(messages)
        }
    }

    // MARK: Devices

    /// A device's newest session is this worker's: what others have of it drains.
    func confirmed(_ session: ConfirmedSession, by worker: Int) {
        let workers = workers
        guard workers.count > 1 else { return }
        state.withLock { $0.places[session.device] = worker }
        for (index, other) in workers.enumerated() where index != worker {
            other.loop.execute { other.heard(of: session) }
        }
    }

    func disconnected(_ device: DeviceID, by worker: Int) {
        guard numbers.workers > 1 else { return }
        state.withLock { state in
            if state.places[device] == worker {
                state.places[device] = nil
            }
        }
    }

    func tellHeard(_ tell: @escaping @Sendable (DeviceID) -> Void) {
        state.withLock { $0.tellHeard = tell }
    }

    /// A device that somebody waits for.
    func heard(_ device: DeviceID) {
        state.withLock(\.tellHeard)?(device)
    }

    func worker(of device: DeviceID) -> ServerEngine? {
        state.withLock { state in
            let place = state.places[device] ?? 0
            return state.workers.indices.contains(place) ? state.workers[place] : nil
        }
    }

    // MARK: The registry that gateways share

    func follow(_ registry: any SharedDeviceRegistry) {
        let task = Task { [weak self] in
            for await notice in registry.notices() {
                self?.take(notice)
            }
        }
        state.withLock { $0.notices = task }
    }

    private func take(_ notice: RegistryNotice) {
        for worker in workers {
            switch notice {
            case .confirmed(let session):
                // Its own come back too.
                guard case .gateway = numbers.owner(of: session.sessionID) else { continue }
                worker.loop.execute { worker.heard(of: session) }
            case .changed(let device):
                worker.loop.execute { worker.compare([device]) }
            case .missed:
                worker.loop.execute { worker.compare(worker.knownDevices) }
            }
        }
    }
}
