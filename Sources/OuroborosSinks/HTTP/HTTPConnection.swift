import CCurl
import LibC
import NIOCore
import NIOPosix

/// A connection to a server over libcurl, which opens it again when it has to: one request after the other.
///
/// The library is called on one thread of the connection's own alone, but for waking that one. Tasks leave requests;
/// the thread fulfils their promises.
// @unchecked: `easy` is touched on that thread alone, and so is `multi`, except by `curl_multi_wakeup`, which any thread
// may call; `orders` is locked.
final class HTTPConnection: @unchecked Sendable {
    private struct Orders {
        var waiting: [HTTPPost] = []
        var isClosing = false
    }

    private let multi: UnsafeMutableRawPointer
    private let easy: UnsafeMutableRawPointer
    private let orders = Locked(Orders())
    private let loop: any EventLoop
    private let ended: EventLoopPromise<Void>

    /// The longest that the thread sleeps, should it not be woken: while a request is under way, and while none is.
    private static let longestSleep: Int32 = 1000
    private static let longestRest: Int32 = 600_000
    private static let closed = SinkFailure("the sink was closed")
    private static let library = curl_global_init(Int(CURL_GLOBAL_ALL))

    static func open() throws -> HTTPConnection {
        let connection = try HTTPConnection()
        guard runDetached({ connection.work() }) else {
            connection.ended.succeed()
            throw SinkFailure("the system gives no thread")
        }
        return connection
    }

    private init() throws {
        guard Self.library == CURLE_OK, let multi = curl_multi_init() else {
            throw SinkFailure("libcurl cannot be used")
        }
        guard let easy = curl_easy_init() else {
            curl_multi_cleanup(multi)
            throw SinkFailure("libcurl cannot be used")
        }
        self.multi = multi
        self.easy = easy
        loop = MultiThreadedEventLoopGroup.singleton.any()
        ended = loop.makePromise()
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
    }

    // MARK: From tasks

    /// Returns at once when the task is cancelled: the request is given up.
    func post(
        _ body: [UInt8], headers: HeaderList, _ settings: HTTPSinkSettings
    ) async throws -> HTTPAnswer {
        let post = HTTPPost(settings, headers: headers, body: body, answer: loop.makePromise())
        return try await withTaskCancellationHandler {
            let isTaken = orders.withLock { orders in
                guard !orders.isClosing else { return false }
                orders.waiting.append(post)
                return true
            }
            if !isTaken { post.answer.fail(Self.closed) }
            curl_multi_wakeup(multi)
            return try await post.answer.futureResult.get()
        } onCancel: {
            post.cancel()
            curl_multi_wakeup(multi)
        }
    }

    /// Gives up what is under way, and returns once the thread has ended, or the task is cancelled.
    func close() async {
        orders.withLock { $0.isClosing = true }
        curl_multi_wakeup(multi)
        let end = Promised<Void>()
        ended.futureResult.whenComplete(end.finish)
        try? await end.value()
    }

    // MARK: The thread

    private func work() {
        while let post = nextPost() {
            post.answer.completeWith(Result { try perform(post) })
        }
        ended.succeed()
    }

    /// Waits for one; nil when it is to end.
    private func nextPost() -> HTTPPost? {
        while true {
            let (post, isClosing) = orders.withLock { orders in
                (orders.waiting.isEmpty ? nil : orders.waiting.removeFirst(), orders.isClosing)
            }
            if let post { return post }
            if isClosing { return nil }
            if curl_multi_poll(multi, nil, 0, Self.longestRest, nil) != CURLM_OK {
                // Without memory it does not wait.
                usleep(100_000)
            }
        }
    }

    private func perform(_ post: HTTPPost) throws -> HTTPAnswer {
        try post.body.withUnsafeBytes { body in
            let transfer = try HTTPTransfer(easy, post, body: body)
            return try withExtendedLifetime(transfer) {
                try check(curl_multi_add_handle(multi, easy))
                // What is not done is broken off.
                defer { curl_multi_remove_handle(multi, easy) }
                return try transfer.answer(drive(post))
            }
        }
    }

    /// Until the transfer is done.
    private func drive(_ post: HTTPPost) throws -> CURLcode {
        while true {
            guard !post.isCancelled else { throw CancellationError() }
            guard !orders.withLock(\.isClosing) else { throw Self.closed }
            var running: Int32 = 0
            try check(curl_multi_perform(multi, &running))
            var left: Int32 = 0
            if let message = curl_multi_info_read(multi, &left), message.pointee.msg == CURLMSG_DONE {
                return message.pointee.data.result
            }
            try check(curl_multi_poll(multi, nil, 0, Self.longestSleep, nil))
        }
    }

    private func check(_ result: CURLMcode) throws {
        guard result == CURLM_OK else {
            throw SinkFailure(String(cString: curl_multi_strerror(result)))
        }
    }
}
