import NIOCore
import Ouroboros

/// A device as the server has it, on the server's event loop: its credential, and its link while it has one. Over
/// datagrams there is one, over TCP one a connection.
final class ServerPeer: TimerNode, RoomTaker {
    let device: DeviceID
    var accepted: AcceptedDevice
    var link: Link?
    /// The connection it came over, if it is one.
    let stream: ServerStream?
    /// Which link of the device's it is: what is confirmed late does not count for the next.
    var linkNumber: UInt64 = 0
    var sessions: [UInt32] = []
    /// What its newest session was confirmed with: an epoch, or a generation.
    var number: UInt64 = 0
    var sends = SendQueue()
    var share = ReceiveShare()
    var isClosing = false
    /// As the ``Agenda`` has it.
    var isTouched = false
    var awaitsPlace = false
    var places = SessionPlaces()
    /// It has a newer session elsewhere: when this one ends.
    var retires: UInt64?
    var lastHeard: UInt64
    var deadline: UInt64 = 0
    var heapIndex = -1
    private var lastRoute: (peer: PeerAddress, route: Route)?

    struct Route {
        let address: SocketAddress
        let way: ServerWays.Way
    }

    init(_ accepted: AcceptedDevice, device: DeviceID, now: UInt64, stream: ServerStream? = nil) {
        self.accepted = accepted
        self.stream = stream
        self.device = device
        lastHeard = now
    }

    /// The same few addresses come again and again.
    func route(to address: PeerAddress, _ ways: ServerWays) -> Route? {
        if let lastRoute, lastRoute.peer == address {
            return lastRoute.route
        }
        guard let socket = address.socketAddress, let way = ways.way(address.way) else { return nil }
        let route = Route(address: socket, way: way)
        lastRoute = (address, route)
        return route
    }
}
