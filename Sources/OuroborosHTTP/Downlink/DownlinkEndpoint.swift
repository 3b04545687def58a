import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Ouroboros
import OuroborosDownlink
import OuroborosStore

/// `POST /v1/devices/{device}/messages` and `GET /v1/devices/{device}/messages/{id}`, over HTTP.
package struct DownlinkEndpoint: Sendable {
    package let server: LocalServer
    private let token: BearerToken
    private let downlink: Downlink

    private static let timesToLive = 1...Int(DownlinkSettings.longestTimeToLive.components.seconds)

    package init(
        host: String, port: Int, names: [String], token: BearerToken, downlink: Downlink, logger: Logger
    ) {
        server = LocalServer(name: "downlink", host: host, port: port, names: names, logger: logger)
        self.token = token
        self.downlink = downlink
    }

    /// Serves until the task is cancelled or the program shuts down.
    package func run() async throws {
        let router = server.router()
        router.post("v1/devices/:device/messages") { request, context in
            await respond(request) { try await post(request, context) }
        }
        router.get("v1/devices/:device/messages/:id") { request, context in
            await respond(request) { try await fate(context) }
        }
        try await server.run(router)
    }

    /// Those who wait for an outcome hear how it is now.
    package func stopWaiting() {
        downlink.stopWaiting()
    }

    /// An answer that is no success.
    private struct Refusal: Error {
        let status: HTTPResponse.Status
        let reason: String

        init(_ status: HTTPResponse.Status, _ reason: String) {
            self.status = status
            self.reason = reason
        }
    }

    private func respond(_ request: Request, _ body: () async throws -> Response) async -> Response {
        guard token.isIn(request.headers[.authorization]) else {
            var response = Self.response(
                .unauthorized, DownlinkAnswer.refusal("give the token: Authorization: Bearer …"))
            response.headers[.wwwAuthenticate] = "Bearer"
            return response
        }
        do {
            return try await body()
        } catch let refusal as Refusal {
            return Self.response(refusal.status, DownlinkAnswer.refusal(refusal.reason))
        } catch let error as OuroborosError {
            let status: HTTPResponse.Status =
                switch error.code {
                case .limit: .tooManyRequests
                case .unknown: .gatewayTimeout
                default: .serviceUnavailable
                }
            return Self.response(status, DownlinkAnswer.refusal(error))
        } catch {
            return Self.response(.serviceUnavailable, DownlinkAnswer.refusal(error))
        }
    }

    private func post(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let device = try Self.device(context)
        let time = try request.uri.queryParameters["ttl"].map { text in
            guard let seconds = Int(text), Self.timesToLive.contains(seconds) else {
                throw Refusal(
                    .badRequest,
                    "ttl is whole seconds from \(Self.timesToLive.lowerBound) to \(Self.timesToLive.upperBound)"
                )
            }
            return Duration.seconds(seconds)
        }
        let payload = try await Self.payload(of: request)
        guard let queued = try await downlink.submit(payload, to: device, timeToLive: time) else {
            throw Refusal(.notFound, DownlinkAnswer.unknown(device))
        }
        let entry = try await downlink.answer(queued)
        let status: HTTPResponse.Status =
            switch DownlinkAnswer.state(of: entry) {
            case .delivered: .ok
            case .queued, .sending: .accepted
            case .failed: .badGateway
            case .unknown: .gatewayTimeout
            }
        return Self.response(status, DownlinkAnswer.body(for: entry))
    }

    private func fate(_ context: BasicRequestContext) async throws -> Response {
        let device = try Self.device(context)
        guard let id = Int64(context.parameters.get("id") ?? "") else {
            throw Refusal(.badRequest, "a message's id is a whole number")
        }
        guard let entry = try await downlink.entry(id, of: device) else {
            throw Refusal(.notFound, "device \(device) has no message \(id), or its fate was forgotten")
        }
        return Self.response(.ok, DownlinkAnswer.body(for: entry))
    }

    private static func device(_ context: BasicRequestContext) throws -> DeviceID {
        do {
            return try DeviceID(hex: context.parameters.get("device") ?? "")
        } catch {
            throw Refusal(.badRequest, error.message)
        }
    }

    private static func payload(of request: Request) async throws -> [UInt8] {
        do {
            return Array(try await request.body.collect(upTo: Downlink.mostBytes).readableBytesView)
        } catch is NIOTooManyBytesError {
            throw Refusal(
                .contentTooLarge,
                "a message has at most \(Downlink.mostBytes) bytes: it travels in one packet")
        }
    }

    private static func response(_ status: HTTPResponse.Status, _ body: [UInt8]) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: body + [UInt8(ascii: "\n")])))
    }
}
