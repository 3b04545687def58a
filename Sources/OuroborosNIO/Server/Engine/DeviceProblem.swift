import Logging
import NIOCore
import Ouroboros

/// What keeps a device from being served until somebody mends it.
enum DeviceProblem: Hashable {
    case unknown, key, epoch, twoPlaces(String, String)

    var text: String {
        switch self {
        case .unknown:
            """
            a device that is not known here, or is disabled, asks to connect: add it (device new) or enable it, or \
            switch it off; if its id is wrong, provision it anew
            """
        case .key:
            """
            what names this device has another key than the one here, so it cannot connect: provision the device anew, \
            or give it a new key here (device rotate); if it is not the device, somebody tries to be it
            """
        case .epoch:
            """
            the device is at an epoch that was left, or is too far ahead, so it cannot connect: its state or the \
            gateway's was restored from a copy, or another device holds a copy of its state; give it a new key \
            (device rotate)
            """
        case .twoPlaces(let first, let second):
            """
            its sessions come from \(first) and \(second) in turn: two devices hold this credential, of which one is a \
            copy, or one device has two ways to here; give each device an id and a key of its own
            """
        }
    }

    /// What is told once a minute: two devices that take turns come from either place first.
    var subject: DeviceProblem {
        if case .twoPlaces = self { .twoPlaces("", "") } else { self }
    }

    /// What a dropped HELLO of a device that is known tells.
    init?(_ reason: DropReason) {
        switch reason {
        case .authentication: self = .key
        case .epoch: self = .epoch
        default: return nil
        }
    }
}

/// Where a device's last sessions came from.
struct SessionPlaces {
    private static let period: UInt64 = 600_000
    private static let count = 4

    private var last: [(host: String, port: Int, at: UInt64)] = []

    /// Where the newest session came from.
    var newest: (address: String, at: UInt64)? {
        last.last.map { (HostAndPort(host: $0.host, port: $0.port).description, $0.at) }
    }

    /// The two places between which the device goes back and forth, now that it has a session from this one.
    mutating func note(_ address: SocketAddress, now: UInt64) -> (String, String)? {
        last.append((address.ipAddress ?? "", address.port ?? 0, now))
        last = last.suffix(Self.count).filter { now - $0.at < Self.period }
        guard last.count == Self.count else { return nil }
        let (first, second) = (last[0], last[1])
        // Each session of a program that is started anew has another port.
        if first.host != second.host {
            guard last[2].host == first.host, last[3].host == second.host else { return nil }
            return (first.host, second.host)
        }
        let isInTurn =
            first.port != second.port && last[2].port == first.port && last[3].port == second.port
            && last[2].host == first.host && last[3].host == first.host
        return isInTurn ? ("\(first.host) port \(first.port)", "port \(second.port)") : nil
    }
}

extension ServerEngine {
    /// In the log, once a minute at most.
    func tell(_ problem: DeviceProblem, of device: DeviceID) {
        guard hub.isDue(.device(device, problem.subject)) else { return }
        logger?.warning("\(problem.text)", metadata: ["device": "\(device)"])
    }

    func tellRefusedStream(from host: String) {
        let isFull = streams.connections.count >= configuration.maximumStreams
        guard hub.isDue(.stream(isFull ? "" : host)) else { return }
        let limit =
            isFull
            ? "there are \(configuration.maximumStreams) (max-streams)"
            : "\(configuration.streamsPerAddress) came from there (streams-per-address)"
        logger?.warning(
            """
            a TCP connection from \(host) is refused: of those that are open, \(limit); devices behind one router or \
            proxy count together
            """)
    }

    func tellShortage(_ error: IOError) {
        guard hub.isDue(.shortage) else { return }
        logger?.warning("\(AcceptPause.text(error))")
    }

    /// A session of the device was confirmed.
    func note(_ address: SocketAddress?, ofSessionOf device: DeviceID, in places: inout SessionPlaces) {
        guard let address, let (first, second) = places.note(address, now: now) else { return }
        tell(.twoPlaces(first, second), of: device)
    }
}

/// What is told in the log once a minute at most.
enum ServerTelling: Hashable {
    case device(DeviceID, DeviceProblem)
    case stream(String)
    case shortage
}
