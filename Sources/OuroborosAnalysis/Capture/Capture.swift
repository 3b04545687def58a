internal import CPcap
import LibC
import Ouroboros

/// What was on the link, as libpcap has it.
public struct Frame: Sendable {
    public let time: CaptureTime
    /// The capture's link type, a DLT_ value of libpcap's.
    public let linkType: Int32
    public let bytes: [UInt8]
    /// The length on the link: more than `bytes` when the capture cut it.
    public let originalLength: Int

    public init(time: CaptureTime, linkType: Int32, bytes: [UInt8], originalLength: Int? = nil) {
        self.time = time
        self.linkType = linkType
        self.bytes = bytes
        self.originalLength = originalLength ?? bytes.count
    }
}

/// A capture file, or an interface that is listened to, through libpcap.
public final class Capture {
    public enum Step {
        case frame(Frame)
        /// An interface: nothing came for a while.
        case quiet
        case end
    }

    private let handle: OpaquePointer
    private let bytes: UnsafeMutableRawBufferPointer?
    /// Why a file ended early: it was cut, or is damaged from here on.
    public private(set) var problem: String?
    private var isOver = false
    private let isLive: Bool

    private init(
        _ handle: OpaquePointer, bytes: UnsafeMutableRawBufferPointer? = nil, isLive: Bool = false
    ) {
        self.handle = handle
        self.isLive = isLive
        self.bytes = bytes
    }

    deinit {
        pcap_close(handle)
        bytes?.deallocate()
    }

    /// A pcap or pcapng file; `-` is standard input.
    public static func open(file path: String) throws -> Capture {
        try withError { error in
            guard let handle = pcap_open_offline(path, error) else {
                throw OuroborosError(.storage, "cannot read “\(path)”: \(text(error))")
            }
            return Capture(handle)
        }
    }

    /// A pcap or pcapng file in memory.
    public static func open(bytes source: [UInt8]) throws -> Capture {
        // Not empty: fmemopen takes no file of nothing.
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, source.count), alignment: 16)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        bytes.copyBytes(from: source)
        guard let file = fmemopen(bytes.baseAddress, bytes.count, "rb") else {
            bytes.deallocate()
            throw OuroborosError(.storage, "cannot read a capture from memory")
        }
        return try withError { error in
            guard let handle = pcap_fopen_offline(file, error) else {
                fclose(file)
                bytes.deallocate()
                throw OuroborosError(.storage, "that is no capture: \(text(error))")
            }
            return Capture(handle, bytes: bytes)
        }
    }

    /// Listens to an interface, which most systems allow root alone.
    public static func open(interface name: String) throws -> Capture {
        try withError { error in
            guard let handle = pcap_create(name, error) else {
                throw OuroborosError(.transport, "cannot listen on “\(name)”: \(text(error))")
            }
            pcap_set_snaplen(handle, 65_535)
            pcap_set_promisc(handle, 0)
            pcap_set_immediate_mode(handle, 1)
            let status = pcap_activate(handle)
            guard status >= 0 else {
                let why = String(cString: pcap_geterr(handle))
                let reason = why.isEmpty ? String(cString: pcap_statustostr(status)) : why
                pcap_close(handle)
                throw OuroborosError(
                    .transport, "cannot listen on “\(name)”: \(reason) (it takes root, or CAP_NET_RAW)")
            }
            guard pcap_setnonblock(handle, 1, error) == 0 else {
                pcap_close(handle)
                throw OuroborosError(.transport, "cannot listen on “\(name)”: \(text(error))")
            }
            return Capture(handle, isLive: true)
        }
    }

    /// libpcap's own waiting goes on through signals, and may know no time-out.
    private func wait() {
        var waiting = pollfd(fd: pcap_get_selectable_fd(handle), events: Int16(POLLIN), revents: 0)
        _ = poll(&waiting, 1, 100)
    }

    public func next() -> Step {
        guard !isOver else { return .end }
        var header: UnsafeMutablePointer<pcap_pkthdr>?
        var data: UnsafePointer<UInt8>?
        let status = pcap_next_ex(handle, &header, &data)
        switch status {
        case 0:
            if isLive { wait() }
            return .quiet
        case 1:
            guard let header, let data else { return .quiet }
            let time = CaptureTime(
                seconds: Int(header.pointee.ts.tv_sec), microseconds: Int(header.pointee.ts.tv_usec))
            return .frame(
                Frame(
                    time: time, linkType: pcap_datalink(handle),
                    bytes: Array(UnsafeBufferPointer(start: data, count: Int(header.pointee.caplen))),
                    originalLength: Int(header.pointee.len)))
        default:
            isOver = true
            if status == PCAP_ERROR { problem = String(cString: pcap_geterr(handle)) }
            return .end
        }
    }

    private static func withError<Result>(
        _ body: (UnsafeMutablePointer<CChar>) throws -> Result
    ) rethrows -> Result {
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PCAP_ERRBUF_SIZE)) { buffer in
            buffer.initialize(repeating: 0)
            guard let base = buffer.baseAddress else { preconditionFailure("the buffer is not empty") }
            return try body(base)
        }
    }

    private static func text(_ error: UnsafeMutablePointer<CChar>) -> String {
        String(cString: error)
    }
}
