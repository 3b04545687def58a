import LibC
import NIOCore

/// Stops accepting connections for a moment when the system has no descriptor or memory for another: they wait, and
/// everything else goes on. NIO by itself would try again at once, and again.
package final class AcceptPause: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    private let tell: (IOError) -> Void
    private var pause: Scheduled<Void>?

    private static let time = TimeAmount.seconds(1)
    private static let shortages: Set<CInt> = [EMFILE, ENFILE, ENOBUFS, ENOMEM]

    /// `tell` hears of each time.
    package init(_ tell: @escaping (IOError) -> Void) {
        self.tell = tell
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, Self.shortages.contains(error.errnoCode) else {
            context.fireErrorCaught(error)
            return
        }
        tell(error)
        guard pause == nil else { return }
        let channel = context.channel
        Self.accept(false, at: channel)
        pause = context.eventLoop.assumeIsolated().scheduleTask(in: Self.time) { [self] in
            pause = nil
            Self.accept(true, at: channel)
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        pause?.cancel()
        context.fireChannelInactive()
    }

    /// One that is closed is asked for nothing any more.
    private static func accept(_ accepts: Bool, at channel: any Channel) {
        try? channel.syncOptions?.setOption(.autoRead, value: accepts)
    }

    /// For people.
    package static func text(_ error: IOError) -> String {
        guard error.errnoCode == EMFILE, let limit = DescriptorLimit.now else {
            let reason = String(cString: strerror(error.errnoCode))
            return "TCP connections are not accepted for now, and wait: \(reason)"
        }
        return """
            TCP connections are not accepted for now, and wait: the process has all \(limit) files and sockets open that it \
            may have; raise that (ulimit -n, LimitNOFILE= of a unit), or lower max-streams
            """
    }
}
