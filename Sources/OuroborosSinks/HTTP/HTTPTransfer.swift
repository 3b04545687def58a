import CCurl
import LibC

/// One request as libcurl carries it out, on the connection's thread.
final class HTTPTransfer {
    private let easy: UnsafeMutableRawPointer
    private let post: HTTPPost
    /// In the library's words, for which it wants a place.
    private let problem = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var receivedBytes = 0
    private var hasHead = false

    /// Of an answer: the rest is not waited for.
    private static let mostAnswerBytes = 65_536

    /// The body, to which the library keeps a pointer, has to stay until the transfer is over.
    init(_ easy: UnsafeMutableRawPointer, _ post: HTTPPost, body: UnsafeRawBufferPointer) throws {
        self.easy = easy
        self.post = post
        problem.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        curl_easy_reset(easy)
        try setRequest(body)
        try setLimits()
        try setTLS()
        try setCallbacks()
    }

    deinit {
        // The pointers that it was given go away.
        curl_easy_reset(easy)
        problem.deallocate()
    }

    private func setRequest(_ body: UnsafeRawBufferPointer) throws {
        try set(CURLOPT_URL, post.settings.url)
        try set(CURLOPT_HTTPHEADER, UnsafeRawPointer(post.headers.list))
        try set(CURLOPT_POST, 1)
        try set(CURLOPT_POSTFIELDSIZE, body.count)
        try set(CURLOPT_POSTFIELDS, body.baseAddress)
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_FOLLOWLOCATION, 0)
        // What the environment says of proxies is for other programs.
        try set(CURLOPT_PROXY, "")
    }

    private func setLimits() throws {
        // 0 would be for ever, and the library counts in 32 bits.
        let milliseconds = post.settings.timeout / .milliseconds(1)
        try set(CURLOPT_TIMEOUT_MS, Int(min(max(milliseconds, 1), Double(Int32.max))))
        try set(CURLOPT_NOSIGNAL, 1)
        // A name that is still looked up does not hold up the thread.
        try set(CURLOPT_QUICK_EXIT, 1)
    }

    private func setTLS() throws {
        try set(CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        guard let authorities = post.settings.authorities else { return }
        try set(CURLOPT_CAINFO, authorities)
        // Those of the system vouch for nothing then.
        try set(CURLOPT_CAPATH, nil as UnsafeRawPointer?)
    }

    private func setCallbacks() throws {
        let this = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
        try set(CURLOPT_ERRORBUFFER, problem)
        try set(CURLOPT_HEADERDATA, this)
        try set(CURLOPT_WRITEDATA, this)
        try check(
            ouro_curl_set_callback(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, this in
                let line = UnsafeBufferPointer(start: bytes, count: size * count)
                return HTTPTransfer.of(this).takeHeader(line)
            })
        try check(
            ouro_curl_set_callback(easy, CURLOPT_WRITEFUNCTION) { _, size, count, this in
                HTTPTransfer.of(this).take(size * count)
            })
    }

    // MARK: What comes

    private static func of(_ this: UnsafeMutableRawPointer?) -> HTTPTransfer {
        guard let this else { preconditionFailure("libcurl lost what it was given") }
        return Unmanaged<HTTPTransfer>.fromOpaque(this).takeUnretainedValue()
    }

    /// A count that is not the whole ends the transfer.
    private func take(_ count: Int) -> Int {
        receivedBytes += count
        return receivedBytes <= Self.mostAnswerBytes ? count : 0
    }

    private func takeHeader(_ line: UnsafeBufferPointer<CChar>) -> Int {
        // An empty line ends the head.
        hasHead = line.allSatisfy { $0 == 0x0d || $0 == 0x0a }
        return take(line.count)
    }

    /// What was answered, however the body ended after it.
    func answer(_ result: CURLcode) throws -> HTTPAnswer {
        let status = ouro_curl_number(easy, CURLINFO_RESPONSE_CODE)
        guard hasHead, status >= 200 else {
            throw SinkFailure(failure(result))
        }
        return HTTPAnswer(status: status, retryAfter: header("retry-after"))
    }

    private func header(_ name: String) -> String? {
        var found: UnsafeMutablePointer<curl_header>?
        let result = curl_easy_header(easy, name, 0, UInt32(CURLH_HEADER), -1, &found)
        guard result == CURLHE_OK else { return nil }
        return found.map { String(cString: $0.pointee.value) }
    }

    /// The same words for the same reason: those of the library hold times.
    private func failure(_ result: CURLcode) -> String {
        let system = ouro_curl_number(easy, CURLINFO_OS_ERRNO)
        switch result {
        case CURLE_OK:
            return "its answer ends within its head"
        case CURLE_OPERATION_TIMEDOUT:
            return "none within \(post.settings.timeout)"
        case CURLE_COULDNT_CONNECT where system != 0:
            return String(cString: strerror(Int32(system)))
        case CURLE_WRITE_ERROR:
            return "the head of its answer is longer than \(Self.mostAnswerBytes) bytes"
        default:
            let words = String(cString: problem)
            return words.isEmpty ? String(cString: curl_easy_strerror(result)) : words
        }
    }

    // MARK: Options

    private func set(_ option: CURLoption, _ number: Int) throws {
        try check(ouro_curl_set_number(easy, option, number))
    }

    private func set(_ option: CURLoption, _ pointer: UnsafeRawPointer?) throws {
        try check(ouro_curl_set_pointer(easy, option, pointer))
    }

    private func check(_ result: CURLcode) throws {
        guard result == CURLE_OK else {
            throw SinkFailure("libcurl: \(String(cString: curl_easy_strerror(result)))")
        }
    }
}
