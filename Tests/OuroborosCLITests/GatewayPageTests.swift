import Foundation
import FoundationNetworking
import Subprocess
import TestSupport
import Testing

/// The page of a real gateway. Tests/page.sh looks at it in a browser.
@Suite(.timeLimit(.minutes(5))) struct GatewayPageTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func prepare() async throws {
        try await Tool.provision(device, ["--name", "Cellar"], in: scratch)
        let other = [
            "device", "add", "--store", "gw.sqlite", "--root-key-file", "root.key", "--device",
            "00000000000000ff", "--name", "<b>Attic</b>",
        ]
        #expect(try await Tool.run(other, in: scratch).succeeded)
    }

    private func send(_ gateway: RunningGateway, _ text: String) async throws {
        let outcome = try await Tool.run(
            [
                "send", "--to", gateway.address, "--device", device, "--root-key-file", "root.key",
                "--message", text,
            ], in: scratch)
        #expect(outcome.succeeded, "\(outcome.errors)")
    }

    @Test func devicesAndMessages() async throws {
        try await prepare()
        let arguments = ["--store", "gw.sqlite", "--metrics", "127.0.0.1:0", "--page-payloads"]
        let status = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let (response, before) = try await gateway.get("")
            #expect(response.statusCode == 200)
            #expect(response.value(forHTTPHeaderField: "Content-Security-Policy")?.contains("'none'") == true)
            #expect(before.contains("0 online, 0 sleeping, 2 offline"))
            #expect(before.contains("&lt;b&gt;Attic&lt;/b&gt;") && !before.contains("<b>"))
            try await send(gateway, "21.5 degrees")
            // The device has said goodbye, and is known by what it sent.
            let (_, page) = try await gateway.get("devices/\(device)")
            #expect(page.contains("Cellar") && page.contains("21.5 degrees"))
            #expect(try await gateway.get("?sort=colour").0.statusCode == 400)
            #expect(try await gateway.get("metrics").0.statusCode == 200)
            let key = try scratch.read("root.key").prefix(64)
            #expect(!page.contains(key) && !before.contains(key))
        }
        #expect(status == .exited(0))
    }

    @Test func payloadsAreOffUnlessAskedFor() async throws {
        try await prepare()
        let arguments = ["--store", "gw.sqlite", "--metrics", "127.0.0.1:0"]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            try await send(gateway, "21.5 degrees")
            let (_, page) = try await gateway.get("devices/\(device)")
            #expect(page.contains("--page-payloads") && !page.contains("21.5 degrees"))
        }
        let alone = try await Tool.run(
            ["gateway", "--store", "gw.sqlite", "--page-payloads"], in: scratch)
        #expect(alone.status == .exited(1))
        #expect(alone.errors.contains("“page-payloads” is for the page: give “metrics” HOST:PORT"))
    }

    private func curl(_ arguments: String...) async throws -> String {
        let asked = try await Tool.run("/usr/bin/curl", ["-s", "-o", "/dev/null"] + arguments, in: scratch)
        #expect(asked.succeeded, "\(asked.errors)")
        return asked.output
    }

    @Test func everyPathIsForThoseWhoAskByAName() async throws {
        try await prepare()
        try scratch.write("secret\n", to: "token")
        let arguments = [
            "--store", "gw.sqlite", "--metrics", "127.0.0.1:0", "--host-name", "gw.lan", "--host-name", "gw",
            "--downlink", "down.sqlite", "--downlink-token-file", "token", "--downlink-http", "127.0.0.1:0",
        ]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let metrics = "http://127.0.0.1:\(try await gateway.metricsPort())/"
            let downlink = "http://127.0.0.1:\(try await gateway.errors.port(after: "downlink on"))/"
            let paths = [
                (metrics + "metrics", "200"), (metrics + "healthz", "200"), (metrics, "200"),
                (metrics + "devices/\(device)", "200"), (metrics + "nothing", "404"),
                (downlink + "v1/devices/\(device)/messages/1", "401"),
            ]
            for (path, status) in paths {
                for host in ["localhost", "gw", "GW.lan:9700", "[::1]:80"] {
                    let got = try await curl("-w", "%{http_code}", "-H", "Host: \(host)", path)
                    #expect(got == status, "\(path) as \(host)")
                }
                for host in ["evil.example", "gw.evil.example"] {
                    let got = try await curl("-w", "%{http_code}", "-H", "Host: \(host)", path)
                    #expect(got == "421", "\(path) as \(host)")
                }
            }
        }
    }

    @Test func headIsAnsweredAsGetIs() async throws {
        try await prepare()
        let arguments = ["--store", "gw.sqlite", "--metrics", "127.0.0.1:0"]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let url = "http://127.0.0.1:\(try await gateway.metricsPort())/"
            for path in ["healthz", "metrics", "", "devices/\(device)", "events", "page.css"] {
                let got = try await curl("-I", "-m", "20", "-w", "%{http_code} %{size_download}", url + path)
                #expect(got == "200 0", "\(path)")
            }
        }
    }
}
