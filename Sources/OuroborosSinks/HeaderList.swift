import CCurl
import LibC
import Ouroboros

/// Header lines as libcurl takes them. They erase themselves, as one may hold a token.
// @unchecked: `list` grows before the request is sent, and is only read then.
final class HeaderList: @unchecked Sendable {
    private(set) var list: UnsafeMutablePointer<curl_slist>?

    func add(_ start: String, _ rest: some Collection<UInt8>) throws {
        guard rest.allSatisfy({ (0x20..<0x7f).contains($0) }) else {
            throw SinkFailure("“\(start)” cannot hold what it is to: it is not printable ASCII")
        }
        let head = start.utf8.count
        // The zero at its end stays.
        let line = SecretBytes.filled(count: head + rest.count + 1) { line in
            line.copyBytes(from: start.utf8)
            UnsafeMutableRawBufferPointer(rebasing: line[head...]).copyBytes(from: rest)
        }
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
