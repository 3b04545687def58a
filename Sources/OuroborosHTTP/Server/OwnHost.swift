import Hummingbird
import NIOCore

/// Answers only those who ask for this server by its address or a name of its own.
///
/// A foreign site could have its name lead here, and read what is served in the browser of somebody who may see it
/// (DNS rebinding). Its name is what gives it away.
package struct OwnHost: RouterMiddleware {
    package typealias Context = BasicRequestContext

    private let names: Set<String>

    /// The names that the server was told, where to listen among them.
    package init(names: [String]) {
        self.names = Set((names + ["localhost"]).map { $0.lowercased() })
    }

    package func handle(
        _ request: Request, context: BasicRequestContext,
        next: @concurrent (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        guard accepts(request.head.authority) else {
            return Response(
                status: .misdirectedRequest, headers: [.contentType: "text/plain; charset=utf-8"],
                body: .init(
                    byteBuffer: ByteBuffer(string: "ask by the gateway's address, or see host-name\n")))
        }
        return try await next(request, context)
    }

    package func accepts(_ authority: String?) -> Bool {
        guard let authority, !authority.isEmpty else { return true }
        let host = Self.host(of: authority)
        return names.contains(host.lowercased())
            || (try? SocketAddress(ipAddress: String(host), port: 0)) != nil
    }

    /// Without the port, and without an IPv6 address' brackets.
    private static func host(of authority: String) -> Substring {
        if authority.hasPrefix("[") {
            return authority.dropFirst().prefix { $0 != "]" }
        }
        return authority.prefix { $0 != ":" }
    }
}
