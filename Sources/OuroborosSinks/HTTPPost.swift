import CCurl
import LibC
import NIOCore
import OuroborosStore
import Synchronization

struct HTTPAnswer: Sendable {
    let status: Int
    let retryAfter: String?
}

/// A request that waits for its turn, and for its answer.
final class HTTPPost: Sendable {
    let settings: HTTPSinkSettings
    let body: [UInt8]
    let headers: HTTPHeaders
    let answer: EventLoopPromise<HTTPAnswer>
    private let cancelled = Atomic(false)

    init(
        _ settings: HTTPSinkSettings, headers: HTTPHeaders, body: [UInt8],
        answer: EventLoopPromise<HTTPAnswer>
    ) {
        self.settings = settings
        self.headers = headers
        self.body = body
        self.answer = answer
    }

    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }

    /// Nobody waits for the answer any more.
    func cancel() {
        cancelled.store(true, ordering: .releasing)
        answer.fail(CancellationError())
    }
}

/// Header lines as libcurl takes them. They erase themselves, as one may hold a token.
// @unchecked: `list` grows before the request is sent, and is only read then.
final class HTTPHeaders: @unchecked Sendable {
    private(set) var list: UnsafeMutablePointer<curl_slist>?

    func add(_ start: String, _ rest: some Collection<UInt8>) throws {
        var line: [UInt8] = []
        // One allocation: what moved would leave a token behind.
        line.reserveCapacity(start.utf8.count + rest.count + 1)
        line += start.utf8
        line += rest
        defer { Erasing.erase(&line) }
        guard line.allSatisfy({ (0x20..<0x7f).contains($0) }) else {
            throw SinkFailure("“\(start)” cannot hold what it is to: it is not printable ASCII")
        }
        line.append(0)
        let longer = line.withUnsafeBytes {
            curl_slist_append(list, $0.bindMemory(to: CChar.self).baseAddress)
        }
        guard let longer else { throw SinkFailure("there is no memory left") }
        list = longer
    }

    deinit {
        var next = list
        while let line = next {
            explicit_bzero(line.pointee.data, strlen(line.pointee.data))
            next = line.pointee.next
        }
        curl_slist_free_all(list)
    }
}
