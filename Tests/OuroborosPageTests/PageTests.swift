import HTTPTypes
import NIOCore
import Testing

@testable import OuroborosPage

/// What the page shows, and what it does not.
@Suite struct PageTests {
    private func rows(_ text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("<th scope=\"row\"><a href=\"/devices/") }.map {
            String($0.dropFirst("<th scope=\"row\"><a href=\"/devices/".count).prefix(16))
        }
    }

    @Test func nothingFromElsewhere() async throws {
        let page = try Page(Facts([device(1, name: "one")]))
        for path in [
            "/", "/devices/0000000000000001", "/page.js", "/page.css", "/devices/nobody", "/?sort=x",
        ] {
            let response = try await page.get(path)
            let policy = try #require(response.headers[.contentSecurityPolicy])
            #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
            #expect(response.headers[.xContentTypeOptions] == "nosniff")
            #expect(response.headers[.cacheControl] == "no-store")
        }
        let text = try await page.text("/")
        #expect(!text.contains("style=") && !text.contains("http"))
        #expect(text.matches(of: /\son[a-z]+=/).isEmpty)
        #expect(text.count(of: "<script") == 1 && text.contains("<script src=\"/page.js\" defer></script>"))
        for link in text.matches(of: /(?:href|src|action)="([^"]*)"/) {
            #expect(link.1.hasPrefix("/") || link.1.hasPrefix("#"))
        }
    }

    @Test func tablesSayWhatTheyAre() async throws {
        let text = try await Page(Facts([device(1, name: "one")])).text("/")
        #expect(text.contains("<html lang=\"en\">"))
        #expect(text.contains("<caption id=\"shown\" data-live>Devices 1 to 1 of 1</caption>"))
        #expect(text.count(of: "<th scope=\"col\"") == PageQuery.Column.allCases.count + 3)
        #expect(text.count(of: "aria-sort=") == 1)
        #expect(text.contains("role=\"status\" aria-live=\"polite\""))
    }

    @Test func pagesOfManyDevices() async throws {
        let page = try Page(Facts((1...120).map { device($0) }.shuffled()))
        let first = try await page.text("/")
        #expect(rows(first) == (1...50).map { device($0).id })
        #expect(first.contains("Devices 1 to 50 of 120") && first.contains("Page 1 of 3"))
        #expect(first.contains("href=\"/?page=2\" rel=\"next\"") && !first.contains("rel=\"prev\""))
        let last = try await page.text("/?page=3")
        #expect(rows(last) == (101...120).map { device($0).id })
        #expect(last.contains("rel=\"prev\"") && !last.contains("rel=\"next\""))
        #expect(rows(try await page.text("/?page=99")) == rows(last))
    }

    @Test func sorted() async throws {
        let devices = (1...4).map { number in
            var device = device(number)
            device.roundTripMilliseconds = number < 4 ? 10 * (number % 3) : nil
            return device
        }
        let page = try Page(Facts(devices))
        func order(_ query: String) async throws -> [Int] {
            rows(try await page.text(query)).compactMap { Int($0) }
        }
        // What was not measured comes last either way.
        #expect(try await order("/?sort=rtt") == [3, 1, 2, 4])
        #expect(try await order("/?sort=rtt&order=desc") == [2, 1, 3, 4])
        let text = try await page.text("/?sort=rtt")
        #expect(
            text.contains("aria-sort=\"ascending\" class=\"number\"><a href=\"/?sort=rtt&amp;order=desc\""))
    }

    @Test func filtered() async throws {
        let page = try Page(
            Facts([device(1, name: "Kitchen 50%"), device(2, name: "Cellar", .sleeping), device(3, .offline)])
        )
        #expect(rows(try await page.text("/?find=kitchen+50%25")) == [device(1).id])
        #expect(rows(try await page.text("/?find=0003")) == [device(3).id])
        #expect(rows(try await page.text("/?state=sleeping")) == [device(2).id])
        let none = try await page.text("/?find=nobody")
        #expect(rows(none).isEmpty && none.contains("No devices to show"))
        #expect(none.contains("1 online, 1 sleeping, 1 offline"))
    }

    @Test(arguments: [
        ("sort=colour", "sort is one of name, state"), ("order=up", "order is asc or desc"),
        ("state=gone", "state is one of online"), ("page=0", "page is a number"),
        ("page=x", "page is a number"),
        ("find=" + String(repeating: "a", count: 65), "find takes up to 64"),
    ])
    func queriesThatMeanNothing(query: String, problem: String) async throws {
        let page = try Page(Facts())
        for path in ["/", "/events"] {
            let response = try await page.get("\(path)?\(query)")
            #expect(response.status == .badRequest)
            #expect(String(buffer: response.body).contains(problem))
        }
    }

    @Test(arguments: ["sort=%ff", "find=%", "%", "&&=&", "page=1;page=2", "state", "a=b#c"])
    func queriesThatAreNone(query: String) async throws {
        let response = try await Page(Facts([device(1)])).get("/?\(query)")
        #expect([.ok, .badRequest].contains(response.status))
    }

    @Test func dropsByReason() async throws {
        let facts = Facts()
        facts.set { counts in
            counts.drops = [("replay", 3), ("unknown_session", 12), ("limit", 0)].map {
                .init(reason: $0.0, count: $0.1)
            }
        }
        let text = try await Page(facts).text("/")
        let more = try #require(text.firstRange(of: "<th scope=\"row\">unknown session</th>"))
        let less = try #require(text.firstRange(of: "<th scope=\"row\">replay</th>"))
        #expect(more.lowerBound < less.lowerBound)
        #expect(!text.contains("limit"))
    }

    @Test func payloadsOnlyIfAllowed() async throws {
        let id = device(1).id
        let messages = [
            PageMessage(receivedAt: 1000, size: 5, beginning: Array("hello".utf8)),
            PageMessage(receivedAt: 0, size: 2, beginning: [0xff, 0x0a]),
            // Cut within a character.
            PageMessage(receivedAt: 0, size: 900, beginning: Array("caf\u{e9}".utf8.dropLast())),
        ]
        let open = try await Page(Facts([device(1)], messages: [id: messages])).text("/devices/\(id)")
        #expect(open.contains("<bdi>hello</bdi>") && open.contains("1970-01-01 00:00:01"))
        #expect(open.contains("<bdi>ff0a</bdi>") && open.contains("<bdi>caf…</bdi>"))
        let closed = try await Page(Facts([device(1)])).text("/devices/\(id)")
        #expect(closed.contains("--page-payloads") && !closed.contains("class=\"payload\""))
    }

    @Test func aGatewayOfSeveral() async throws {
        let gateway = PageGateway(number: 7, sharesDevices: true)
        let page = try Page(Facts([device(1, name: "one"), device(2, .away)], of: gateway))
        let text = try await page.text("/")
        #expect(
            text.contains("<title>Ouroboros gateway 7</title>")
                && text.contains("<h1>Ouroboros gateway 7</h1>"))
        #expect(text.contains("1 online, 0 sleeping, 1 away") && !text.contains("offline"))
        #expect(text.contains("<option value=\"away\">away</option>"))
        #expect(text.contains("may have one at another gateway"))
        #expect(rows(try await page.text("/?state=away")) == [device(2).id])
        let other = try await page.text("/devices/\(device(2).id)")
        #expect(other.contains("gateway 7</title>") && other.contains("may have one at another gateway"))
        let alone = try await Page(Facts([device(2, .offline)])).text("/")
        #expect(alone.contains("<h1>Ouroboros gateway</h1>"))
        #expect(alone.contains("1 offline") && !alone.contains("away") && !alone.contains("another gateway"))
    }

    @Test func whatIsNotShown() async throws {
        let facts = Facts()
        let page = try Page(facts) { $0.period = .zero }
        let whole = try await page.text("/")
        #expect(whole.contains("<div id=\"notice\" role=\"status\" data-live>\n<p hidden></p>"))
        facts.set(devices: [device(1)], notice: "The <registry> is away.")
        for path in ["/", "/devices/\(device(1).id)"] {
            let text = try await page.text(path)
            #expect(
                text.contains("role=\"status\" data-live>\n<p>The &lt;registry&gt; is away.</p>"), "\(path)")
        }
        // Nobody knows whether it exists.
        let other = try await page.get("/devices/\(device(2).id)")
        #expect(other.status == .serviceUnavailable)
        #expect(String(buffer: other.body) == "The <registry> is away.\n")
    }

    @Test func noSuchDevice() async throws {
        let page = try Page(Facts([device(1)]))
        #expect(try await page.get("/devices/0000000000000002").status == .notFound)
        #expect(try await page.get("/devices/%3Cscript%3E").status == .notFound)
    }

    @Test func manyLookingAskOnce() async throws {
        let facts = Facts([device(1)])
        let page = try Page(facts) { $0.period = .seconds(60) }
        for _ in 0..<10 { _ = try await page.text("/") }
        #expect(facts.asked == 1)
    }
}
