import Foundation
import LibC
import NIOCore
import Ouroboros
import Subprocess
import SystemPackage

/// A directory with what the real gateway needs, and with what an attacker hears.
final class FloodPlace: Sendable {
    private let path: String
    private let heard: Locked<FileHandle>
    let credential: Credential

    private static let device = "0102030405060708"
    /// Where this program lies, and the others that it starts.
    private static let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().path

    init() throws {
        path = NSTemporaryDirectory() + "ouroboros-flood-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let key = SecretKey.random()
        credential = .fixed(device: try DeviceID(hex: Self.device), rootKey: key)
        let text = key.withUnsafeBytes { $0.map { String(format: "%02x", $0) }.joined() }
        for (name, content) in [("/root.key", text), ("/heard", "")] {
            try Data(content.utf8).write(to: URL(fileURLWithPath: path + name))
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600], ofItemAtPath: path + name)
        }
        heard = Locked(try FileHandle(forWritingTo: URL(fileURLWithPath: path + "/heard")))
    }

    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The attacker hears a packet.
    func hear(_ packet: [UInt8]) {
        let length = withUnsafeBytes(of: UInt16(packet.count).bigEndian) { Array($0) }
        heard.withLock { try? $0.write(contentsOf: Data(length + packet)) }
    }

    /// Runs `body` with the gateway, which knows the device.
    func withGateway(_ body: @Sendable @escaping (FloodGateway) async throws -> Void) async throws {
        let added = try await Subprocess.run(
            .path(.init(Self.programs + "/ouroboros")),
            arguments: [
                "device", "add", "--store", "gw.sqlite", "--device", Self.device, "--root-key-file",
                "root.key",
            ], workingDirectory: .init(path), output: .discarded, error: .string(limit: 4096))
        guard added.terminationStatus.isSuccess else {
            throw OuroborosError(.failed, "device add: \(added.standardError)")
        }
        _ = try await Subprocess.run(
            .path(.init(Self.programs + "/ouroboros")),
            arguments: ["gateway", "--store", "gw.sqlite", "--bind", "127.0.0.1:0"],
            workingDirectory: .init(path), input: .none, output: .sequence, error: .sequence
        ) { execution in
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { try? execution.send(signal: .kill) }
                var listening: String?
                for try await line in execution.standardError.strings() where line.contains("listening on") {
                    listening = line
                    break
                }
                guard let port = listening?.split(whereSeparator: \.isWhitespace).last.flatMap({ Int($0) })
                else {
                    throw OuroborosError(.transport, "the gateway did not start")
                }
                let gateway = FloodGateway(
                    address: try SocketAddress(ipAddress: "127.0.0.1", port: port),
                    process: pid_t(execution.processIdentifier.value))
                group.addTask {
                    for try await line in execution.standardOutput.strings() { gateway.add(line) }
                }
                try await body(gateway)
                group.cancelAll()
            }
        }
    }

    /// Gives what the attacker says that it sent. It has a core of its own where there are several.
    func flood(_ address: SocketAddress, rate: Int, seconds: Int, seed: Int) async throws -> String {
        let arguments = [
            Self.programs + "/Flood", "\(address.port ?? 0)", "\(rate)", "\(seconds)", "\(seed)",
            path + "/heard",
        ]
        let core = ProcessInfo.processInfo.activeProcessorCount - 1
        let isPinned = FileManager.default.isExecutableFile(atPath: "/usr/bin/taskset")
        let command = (isPinned ? ["/usr/bin/taskset", "-c", "\(core)"] : []) + arguments
        let result = try await Subprocess.run(
            .path(.init(command[0])), arguments: .init(Array(command.dropFirst())), input: .none,
            output: .string(limit: 4096), error: .string(limit: 4096))
        guard result.terminationStatus.isSuccess else {
            throw OuroborosError(.failed, "the flood ended: \(result.standardError)")
        }
        return result.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// The real gateway, and what it printed.
final class FloodGateway: Sendable {
    let address: SocketAddress
    let process: pid_t
    private let printed = Locked<[String]>([])

    init(address: SocketAddress, process: pid_t) {
        self.address = address
        self.process = process
    }

    var texts: [String] {
        printed.withLock { $0 }.compactMap { line in
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return object?["text"] as? String
        }
    }

    func add(_ line: String) {
        printed.withLock { $0.append(line) }
    }

    /// A line is written before its message is acknowledged: it only has to get through the pipe.
    func waitForLines(_ count: Int) async throws {
        for _ in 0..<100 where printed.withLock({ $0.count }) < count {
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
