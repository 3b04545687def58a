import Hummingbird
import NIOCore

/// Answers only those who ask for this server by its address or its own name.
///
/// A foreign site could have its name lead here, and read the page in the browser of somebody who may see it (DNS
/// rebinding). Its name is what gives it away.
struct OwnHost: RouterMiddleware {
    typealias Context = BasicRequestContext

    /// The name that the server was told to listen at.
    let name: String

    func handle(
        _ request: Request, context: BasicRequestContext,
        next: @concurrent (Request, BasicRequestContext) async throws -> Response
    ) async throws -> Response {
        guard accepts(request.head.authority) else {
            return Response(
                status: .misdirectedRequest, headers: [.contentType: "text/plain; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: "ask for this page by the gateway's address\n")))
        }
        return try await next(request, context)
    }

    func accepts(_ authority: String?) -> Bool {
        guard let authority, !authority.isEmpty else { return true }
        let host = Self.host(of: authority)
        return host.lowercased() == "localhost" || host.lowercased() == name.lowercased()
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
