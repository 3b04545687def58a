import CMosquitto
import LibC
import NIOCore
import NIOPosix
import OuroborosStore

/// One connection to a broker, over Eclipse Mosquitto's library, until it ends; another one follows it.
///
/// The library is called on one thread of the connection's own alone. Tasks leave requests and ring; what the
/// library calls back fulfils promises.
// @unchecked: `client`, `acknowledgements`, `subscriptions`, `events` and `lastError` are touched on that thread
// alone; `requests` and `held` are locked.
final class MQTTConnection: @unchecked Sendable {
    private enum Request {
        case publish([MQTTPublication], EventLoopPromise<Void>)
        case subscribe(String, quality: Int32, options: Int32, EventLoopPromise<Void>)
        case close
    }

    let settings: MQTTSettings
    let onMessage: @Sendable (MQTTMessage) -> Bool
    /// Messages that nobody has made safe yet. The library acknowledges one when it has read it, and until they are safe
    /// nothing is written.
    let held = Locked(0)
    private let requests = Locked<(list: [Request], isOver: Bool)>(([], false))
    private let wake: WakePipe
    let client: OpaquePointer
    private let loop: any EventLoop
    let connected: EventLoopPromise<Void>
    private let ended: EventLoopPromise<String>
    var acknowledgements: [Int32: EventLoopPromise<Void>] = [:]
    var subscriptions: [Int32: EventLoopPromise<Void>] = [:]
    var events = 0
    var lastError: String?
    /// Why it is to end.
    var reason: String?
    /// The broker ended it over a message that it will never take.
    var endedOverContent = false

    /// Seconds: the broker says that the gateway is gone when it hears nothing for one and a half times as long.
    private static let keepAlive: Int32 = 30
    /// Seconds that the broker keeps what comes for a gateway that is away.
    private static let sessionExpiry: UInt32 = 86_400
    /// Milliseconds between two looks whether it is time to tell the broker that the gateway is there.
    private static let longestRest: Int32 = 5000
    /// Bytes that the broker may send at once.
    private static let largestPacket: UInt32 = 65_536
    private static let library: Int32 = mosquitto_lib_init()

    /// Connects; `onMessage` is called on the connection's thread. Where it says so the message is acknowledged after
    /// ``release()`` alone.
    static func open(
        _ settings: MQTTSettings, onMessage: @escaping @Sendable (MQTTMessage) -> Bool
    ) async throws -> MQTTConnection {
        let connection = try MQTTConnection(settings, onMessage)
        if !runDetached({ connection.work() }) {
            connection.reason = "the system gives no thread"
            connection.end()
        }
        try await withTaskCancellationHandler {
            try await connection.connected.futureResult.get()
        } onCancel: {
            // The thread may wait for a host that does not answer, and nobody waits for the thread.
            connection.connected.fail(CancellationError())
            connection.close()
        }
        return connection
    }

    private init(_ settings: MQTTSettings, _ onMessage: @escaping @Sendable (MQTTMessage) -> Bool) throws {
        guard Self.library == MOSQ_ERR_SUCCESS.rawValue,
            let client = mosquitto_new(settings.clientID, !settings.keepsSession, nil)
        else {
            throw SinkFailure("Mosquitto's library cannot be used: \(String(cString: strerror(errno)))")
        }
        self.settings = settings
        self.onMessage = onMessage
        self.client = client
        wake = try WakePipe()
        loop = MultiThreadedEventLoopGroup.singleton.any()
        connected = loop.makePromise()
        ended = loop.makePromise()
        mosquitto_user_data_set(client, Unmanaged.passUnretained(self).toOpaque())
        setCallbacks()
    }

    deinit {
        mosquitto_destroy(client)
    }

    // MARK: From tasks

    /// Returns once the broker has acknowledged them all; one that does not in time is left. What it refuses for good is told apart
    /// (``SinkFailure/Outlook/neverThese(_:)``).
    func publish(_ publications: [MQTTPublication]) async throws {
        guard !publications.isEmpty else { return }
        try await request { .publish(publications, $0) }
    }

    func subscribe(to filter: String, quality: Int32 = 0, options: mqtt5_sub_options) async throws {
        try await request { .subscribe(filter, quality: quality, options: Int32(options.rawValue), $0) }
    }

    /// A message that was held is safe.
    func release() {
        held.withLock { $0 -= 1 }
        wake.ring()
    }

    private func request(_ make: (EventLoopPromise<Void>) -> Request) async throws {
        let promise = loop.makePromise(of: Void.self)
        let answer = Promised<Void>()
        promise.futureResult.whenComplete(answer.finish)
        if !put(make(promise)) {
            promise.fail(SinkFailure("the connection to \(settings.broker.name) has ended"))
        }
        let limit = loop.scheduleTask(in: TimeAmount(settings.patience)) { [self] in
            let (broker, time) = (settings.broker.name, settings.patience)
            answer.finish(.failure(SinkFailure("\(broker) acknowledges nothing within \(time)")))
            close()
        }
        defer { limit.cancel() }
        try await answer.value()
    }

    /// Says goodbye; what is not acknowledged fails.
    func close() {
        _ = put(.close)
    }

    /// Why it ended, once it has. A task that is cancelled ends it, and does not wait for that.
    func whenEnded() async -> String {
        let reason = Promised<String>()
        ended.futureResult.whenComplete(reason.finish)
        do {
            return try await reason.value()
        } catch {
            close()
            return "closed"
        }
    }

    private func put(_ request: Request) -> Bool {
        let isTaken = requests.withLock { requests in
            guard !requests.isOver else { return false }
            requests.list.append(request)
            return true
        }
        wake.ring()
        return isTaken
    }

    // MARK: The thread

    private func work() {
        do {
            try connect()
            while reason == nil {
                takeRequests()
                wake.wait(
                    beside: mosquitto_socket(client), wantsWrite: mayWrite, milliseconds: Self.longestRest)
                try turn()
            }
        } catch {
            reason = reason ?? "\(error)"
        }
        end()
    }

    private var mayWrite: Bool { mosquitto_want_write(client) && held.withLock { $0 == 0 } }

    private func connect() throws {
        try MQTTSetup.prepare(client, settings)
        // Else it writes what it has to write at once.
        try check(mosquitto_threaded_set(client, true))
        var properties: OpaquePointer?
        defer { mosquitto_property_free_all(&properties) }
        try check(
            mosquitto_property_add_int32(
                &properties, Int32(MQTT_PROP_MAXIMUM_PACKET_SIZE.rawValue), Self.largestPacket))
        if settings.keepsSession {
            try check(
                mosquitto_property_add_int32(
                    &properties, Int32(MQTT_PROP_SESSION_EXPIRY_INTERVAL.rawValue), Self.sessionExpiry))
        }
        try check(
            mosquitto_connect_bind_v5(
                client, settings.broker.host, settings.broker.port, Self.keepAlive, nil, properties))
    }

    private func turn() throws {
        // TLS may hold more than the socket shows: until nothing more comes.
        var before = -1
        while before != events, reason == nil {
            before = events
            try check(mosquitto_loop_read(client, 1))
        }
        if mayWrite {
            try check(mosquitto_loop_write(client, 1))
        }
        try check(mosquitto_loop_misc(client))
    }

    private func takeRequests() {
        let list = requests.withLock { requests in
            defer { requests.list = [] }
            return requests.list
        }
        for request in list {
            switch request {
            case .publish(let publications, let promise): send(publications, promise)
            case .subscribe(let filter, let quality, let options, let promise):
                var id: Int32 = 0
                let result = mosquitto_subscribe_v5(client, &id, filter, quality, options, nil)
                if result == MOSQ_ERR_SUCCESS.rawValue {
                    subscriptions[id] = promise
                } else {
                    promise.fail(Self.failure(result))
                }
            case .close:
                mosquitto_disconnect_v5(client, 0, nil)
                reason = reason ?? "closed"
            }
        }
    }

    private func send(_ publications: [MQTTPublication], _ promise: EventLoopPromise<Void>) {
        var acknowledged: [EventLoopFuture<Void>] = []
        for publication in publications {
            var id: Int32 = 0
            let one = loop.makePromise(of: Void.self)
            acknowledged.append(one.futureResult)
            do {
                let result = try publication.withProperties { properties in
                    mosquitto_publish_v5(
                        client, &id, publication.topic, Int32(publication.payload.count), publication.payload,
                        1,
                        publication.isRetained, properties)
                }
                guard result == MOSQ_ERR_SUCCESS.rawValue else {
                    throw SinkFailure(
                        "MQTT: \(String(cString: mosquitto_strerror(result)))",
                        result == MOSQ_ERR_OVERSIZE_PACKET.rawValue ? .never : .later)
                }
                acknowledgements[id] = one
            } catch {
                one.fail(error)
            }
        }
        EventLoopFuture.whenAllComplete(acknowledged, on: loop).flatMapThrowing { results in
            try MQTTPublication.check(results, of: publications)
        }.cascade(to: promise)
    }

    private func end() {
        let reason = reason ?? "ended"
        let failure = SinkFailure("the connection to \(settings.broker.name) has ended: \(reason)")
        let left = requests.withLock { requests in
            requests.isOver = true
            defer { requests.list = [] }
            return requests.list
        }
        for case .publish(_, let promise) in left { promise.fail(failure) }
        for case .subscribe(_, _, _, let promise) in left { promise.fail(failure) }
        // One of these may be what the broker will never take.
        let inFlight = SinkFailure(failure.description, endedOverContent ? .smaller : .later)
        for promise in acknowledgements.values { promise.fail(inFlight) }
        for promise in subscriptions.values { promise.fail(failure) }
        connected.fail(SinkFailure("cannot connect to \(settings.broker.name): \(reason)"))
        ended.succeed(reason)
    }

    private func check(_ result: Int32) throws {
        guard result == MOSQ_ERR_SUCCESS.rawValue else {
            let system = errno
            let text =
                result == MOSQ_ERR_ERRNO.rawValue
                ? String(cString: strerror(system)) : String(cString: mosquitto_strerror(result))
            throw SinkFailure([text, lastError].compactMap(\.self).joined(separator: " "))
        }
    }

    static func failure(_ result: Int32) -> SinkFailure {
        SinkFailure("MQTT: \(String(cString: mosquitto_strerror(result)))")
    }
}
