import Testing

@testable import OuroborosPage

/// Names and payloads are somebody else's: they are shown, and never mean anything.
@Suite struct HostileTests {
    private static let texts = [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>",
        "' onfocus='alert(1)' autofocus='", "\"\u{301} onmouseover=alert(1) x=\"", "<\u{301}b>",
        "</title><b>",
        "{{{name}}} {{> head}}", "&lt;script&gt;", "\u{202e}evil\u{2066}", "a\r\nevent: rows\r\ndata: b",
        "\0",
        String(repeating: "<", count: 500),
    ]

    /// The page's own tags and quotes, whatever the name is.
    private func marks(_ text: String) -> [Int] {
        ["<", ">", "\"", "'"].map { mark in text.unicodeScalars.count { $0 == mark.unicodeScalars.first } }
    }

    @Test(arguments: texts) func names(name: String) async throws {
        let plain = try Page(Facts([device(1, name: "plain")]))
        let hostile = try Page(Facts([device(1, name: name)]))
        for path in ["/", "/devices/0000000000000001"] {
            let text = try await hostile.text(path)
            #expect(marks(text) == marks(try await plain.text(path)))
            #expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .format || $0 == "\0" })
        }
    }

    @Test(arguments: texts) func payloads(payload: String) async throws {
        let id = device(1).id
        func page(_ text: String) throws -> Page {
            let bytes = Array(text.utf8)
            let message = PageMessage(receivedAt: 0, size: bytes.count, beginning: bytes)
            return try Page(Facts([device(1)], messages: [id: [message]]))
        }
        let path = "/devices/\(id)"
        #expect(marks(try await page(payload).text(path)) == marks(try await page("plain").text(path)))
    }

    @Test(arguments: texts) func searches(find: String) async throws {
        let page = try Page(Facts([device(1)]))
        let asked = PageQuery.with { $0.find = String(find.prefix(64)) }
        let plain = PageQuery.with { $0.find = "plain" }
        let text = try await page.text("/" + asked.text)
        #expect(marks(text) == marks(try await page.text("/" + plain.text)))
    }

    /// A line break in a name cannot begin another event.
    @Test func events() async throws {
        let page = try Page(Facts([device(1, name: "a\r\nevent: status\r\ndata: b\n\nevent: x")]))
        let lines = try await page.events("/events") {}.split(
            separator: "\n", omittingEmptySubsequences: false)
        let names = Set(lines.filter { $0.hasPrefix("event:") }.map { $0.dropFirst(7) })
        #expect(names.isSubset(of: Set(PageTemplates.overviewParts.map { $0[...] })))
        #expect(names.contains("rows"))
    }
}

extension PageQuery {
    static func with(_ change: (inout PageQuery) -> Void) -> PageQuery {
        var query = PageQuery()
        change(&query)
        return query
    }
}
