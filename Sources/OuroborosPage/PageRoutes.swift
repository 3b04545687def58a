import Foundation
import Hummingbird
import NIOCore

/// `/`, `/devices/…`, and what they need: HTML from the gateway itself, which no other site is part of.
public struct PageRoutes: Sendable {
    private let feed: PageFeed
    private let templates: PageTemplates

    public init(feed: PageFeed) throws {
        self.feed = feed
        templates = try PageTemplates()
    }

    public func add(to router: Router<BasicRequestContext>) {
        router.get("/") { request, _ in try await overview(request) }
        router.get("events") { request, _ in
            try await answer {
                let query = try PageQuery(request.uri.query)
                return try listen("/events" + query.text, PageTemplates.overviewParts) {
                    await view(of: $0, query)
                }
            }
        }
        router.get("devices/:id") { _, context in try await device(context) }
        router.get("devices/:id/events") { _, context in
            try await answer {
                let id = try context.parameters.require("id")
                return try listen("/devices/\(id)", PageTemplates.deviceParts) { await view(of: id, in: $0) }
            }
        }
        router.get("page.css") { _, _ in
            Self.response(.ok, "text/css; charset=utf-8", ByteBuffer(bytes: PageTemplates.style))
        }
        router.get("page.js") { _, _ in
            Self.response(.ok, "text/javascript; charset=utf-8", ByteBuffer(bytes: PageTemplates.script))
        }
    }

    private func overview(_ request: Request) async throws -> Response {
        try await answer {
            let query = try PageQuery(request.uri.query)
            return html(templates.render(await view(of: try await feed.current(), query), as: "overview"))
        }
    }

    private func device(_ context: BasicRequestContext) async throws -> Response {
        try await answer {
            let id = try context.parameters.require("id")
            let state = try await feed.current()
            guard let view = await view(of: id, in: state) else {
                if let notice = state.devices.notice {
                    return Self.text("\(notice)\n", .serviceUnavailable)
                }
                return Self.text(
                    "there is no such device: go back to / for those that there are\n", .notFound)
            }
            return html(templates.render(view, as: "device"))
        }
    }

    private func view(of state: PageState, _ query: PageQuery) async -> OverviewView {
        let order = DeviceOrder(query)
        let ordered = await state.orders.value(for: order) { order.sorted(state.devices.all) }
        return OverviewView(
            state, PageSelection(query, of: ordered), query, of: feed.source.gateway,
            slots: feed.settings.history, period: feed.settings.period)
    }

    private func view(of id: String, in state: PageState) async -> DevicePageView? {
        guard let device = state.devices.all.first(where: { $0.id == id }) else { return nil }
        return DevicePageView(
            device, await feed.source.messages(of: id), of: feed.source.gateway,
            notice: state.devices.notice)
    }

    /// Those who listen to the same share what is made for them.
    private func listen(
        _ path: String, _ parts: [String], _ view: @escaping @Sendable (PageState) async -> Any?
    ) throws -> Response {
        guard let states = feed.listen() else {
            return Self.text(
                "\(feed.settings.listeners) listen already: close one, or reload the page by hand\n",
                .serviceUnavailable)
        }
        let events = PageEvents(
            states: states, patience: feed.settings.patience, first: { try await feed.current() }
        ) { state in
            await state.parts.value(for: path) {
                guard let view = await view(state) else { return nil }
                return parts.map { ($0, templates.render(view, as: $0)) }
            }
        }
        var response = Self.response(.ok, "text/event-stream", ByteBuffer())
        response.body = events.body
        response.headers[.contentLength] = nil
        return response
    }

    // MARK: Answers

    private func answer(_ body: () async throws -> Response) async throws -> Response {
        do {
            return try await body()
        } catch let problem as PageQuery.Problem {
            return Self.text("\(problem.text)\n", .badRequest)
        } catch let error as HTTPError {
            throw error
        } catch {
            return Self.text("the gateway cannot tell its devices now: see its log\n", .serviceUnavailable)
        }
    }

    private func html(_ text: String) -> Response {
        Self.response(.ok, "text/html; charset=utf-8", ByteBuffer(string: text))
    }

    private static func text(_ text: String, _ status: HTTPResponse.Status) -> Response {
        response(status, "text/plain; charset=utf-8", ByteBuffer(string: text))
    }

    /// Nothing from elsewhere, nothing inline, in nobody's frame, kept by nobody.
    private static func response(
        _ status: HTTPResponse.Status, _ type: String, _ body: ByteBuffer
    ) -> Response {
        var headers: HTTPFields = [.contentType: type, .cacheControl: "no-store"]
        headers[.contentSecurityPolicy] =
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
            + "form-action 'self'; frame-ancestors 'none'"
        headers[.xContentTypeOptions] = "nosniff"
        for (name, value) in [
            ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
        ] {
            if let name = HTTPFields.Element.Name(name) { headers[name] = value }
        }
        return Response(status: status, headers: headers, body: .init(byteBuffer: body))
    }
}
