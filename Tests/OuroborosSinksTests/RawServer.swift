import Foundation
import LibC
import Synchronization
import Testing

/// A server on loopback that answers with the bytes that a test wants, a thread a connection.
final class RawServer: Sendable {
    struct Request: Sendable {
        let head: String
        let body: String

        var lines: [String] { head.split(separator: "\r\n").map(String.init) }

        /// The value of the header line that begins so.
        func value(_ name: String) -> String? {
            lines.first { $0.lowercased().hasPrefix(name + ": ") }
                .map { String($0.dropFirst(name.count + 2)) }
        }
    }

    let port: Int
    private let listener: Int32
    private let isStopped = Atomic(false)
    private let seen = Locked<(connections: Int, requests: [Request], ended: Int)>((0, [], 0))

    var requests: [Request] { seen.withLock(\.requests) }
    var connections: Int { seen.withLock(\.connections) }
    /// Connections that are over.
    var ended: Int { seen.withLock(\.ended) }
    var url: String { "http://127.0.0.1:\(port)/in" }

    /// `answer` is called for each request, and ends the connection when it says false; `greet` has the connection before.
    init(
        _ answer: @Sendable @escaping (Request, Connection) -> Bool,
        greet: @Sendable @escaping (Connection) -> Void = { _ in }
    ) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isBound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        try #require(isBound)
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while case let file = accept(listener, nil, nil), file >= 0 {
                self?.serve(Connection(file), greet, answer)
            }
            close(listener)
        }
    }

    deinit { stop() }

    /// No more connections.
    func stop() {
        guard !isStopped.exchange(true, ordering: .relaxed) else { return }
        // It wakes the thread, which closes the socket.
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func serve(
        _ connection: Connection, _ greet: @Sendable @escaping (Connection) -> Void,
        _ answer: @Sendable @escaping (Request, Connection) -> Bool
    ) {
        seen.withLock { $0.connections += 1 }
        Thread.detachNewThread { [weak self] in
            greet(connection)
            while let request = connection.request() {
                self?.seen.withLock { $0.requests.append(request) }
                guard answer(request, connection) else { break }
            }
            connection.end()
            self?.seen.withLock { $0.ended += 1 }
        }
    }

    struct Connection: Sendable {
        private let file: Int32

        init(_ file: Int32) { self.file = file }

        fileprivate func end() { close(file) }

        fileprivate func request() -> Request? {
            var text = ""
            while true {
                if let head = text.range(of: "\r\n\r\n") {
                    let request = Request(
                        head: String(text[..<head.lowerBound]), body: String(text[head.upperBound...]))
                    guard let count = request.value("content-length").flatMap({ Int($0) }) else { return nil }
                    if request.body.utf8.count >= count { return request }
                }
                guard let more = read() else { return nil }
                text += more
            }
        }

        /// Nil once the other side has closed.
        func read() -> String? {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = recv(file, &bytes, bytes.count, 0)
            return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
        }

        /// False once the other side takes no more.
        @discardableResult
        func write(_ text: String) -> Bool {
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }

        func trickle(_ text: String) {
            while write(text) { usleep(20_000) }
        }

        func ok(_ status: String = "200 OK", _ headers: String = "") {
            write("HTTP/1.1 \(status)\r\n\(headers)Content-Length: 0\r\n\r\n")
        }
    }
}
