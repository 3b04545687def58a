import Foundation
import LibC
import Ouroboros
import Synchronization

/// Looks through all that this process may write to: heap, stacks, globals; what is in use and what was.
enum MemoryScan {
    private static let pageSize = 4096
    private static let mostPages = 1024
    private static let chunk = 1 << 20
    private static let list = 1 << 20
    private static let mostPlaces = 64
    /// What is mapped beyond is a sanitizer's.
    private static let largestRegion = 1 << 30

    /// Left out by every scan: pages for what is looked for, a chunk of what is looked through, the list of what there is,
    /// and what was found.
    private nonisolated(unsafe) static let hidden: UnsafeMutableRawBufferPointer = {
        let count = mostPages * pageSize + chunk + list + mostPlaces * MemoryLayout<Int>.stride
        let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start, start != MAP_FAILED else { preconditionFailure("there is no memory for a scan") }
        return UnsafeMutableRawBufferPointer(start: start, count: count)
    }()
    private static let pages = Atomic(0)
    private static let turn = Locked(())

    private static func part(_ offset: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: hidden[offset..<offset + count])
    }

    /// A page that no scan looks through.
    static func hiddenPage() -> UnsafeMutableRawBufferPointer {
        let number = pages.add(1, ordering: .relaxed).oldValue
        precondition(number < mostPages, "a test takes one page a secret")
        return part(number * pageSize, pageSize)
    }

    /// Where one of three needles lies, all of one length; each in a hidden page.
    static func places(
        of first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ third: UnsafeRawBufferPointer
    ) throws -> [String] {
        try turn.withLock { _ in
            var search = Search(
                needles: (first, second, third), chunk: part(mostPages * pageSize, chunk),
                places: part(mostPages * pageSize + chunk + list, mostPlaces * MemoryLayout<Int>.stride)
                    .bindMemory(to: Int.self))
            // Nothing is allocated before the end: that could overwrite what is looked for.
            let own = Int(bitPattern: hidden.baseAddress)
            var regions = try Regions(part(mostPages * pageSize + chunk, list))
            while let region = regions.next() {
                guard region.isWritable, region.end - region.start <= largestRegion else { continue }
                // The kernel shows neighbours as one.
                search.look(from: region.start, to: min(region.end, own))
                search.look(from: max(region.start, own + hidden.count), to: region.end)
            }
            return search.places.prefix(search.count).map { regions.name(of: $0) }
        }
    }
}

private struct Search {
    let needles: (UnsafeRawBufferPointer, UnsafeRawBufferPointer, UnsafeRawBufferPointer)
    let chunk: UnsafeMutableRawBufferPointer
    let places: UnsafeMutableBufferPointer<Int>
    var count = 0

    mutating func look(from start: Int, to end: Int) {
        let memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC)
        defer { close(memory) }
        var at = start
        while at < end, count < places.count {
            let got = pread(memory, chunk.baseAddress, min(chunk.count, end - at), at)
            guard got >= needles.0.count else { return }
            if holds(needles.0, got) || holds(needles.1, got) || holds(needles.2, got) {
                places[count] = at
                count += 1
            }
            at += got < end - at ? got - needles.0.count + 1 : got
        }
    }

    private func holds(_ needle: UnsafeRawBufferPointer, _ count: Int) -> Bool {
        guard var at = chunk.baseAddress, let wanted = needle.baseAddress else { return false }
        let end = at + (count - needle.count + 1)
        while let found = memchr(at, Int32(needle[0]), end - at) {
            if memcmp(found, wanted, needle.count) == 0 { return true }
            at = found + 1
        }
        return false
    }
}

/// The lines of /proc/self/maps: `start-end rwxp offset device inode name`.
private struct Regions {
    private let text: UnsafeMutableRawBufferPointer
    private var length = 0
    private var at = 0

    init(_ room: UnsafeMutableRawBufferPointer) throws {
        text = room
        let file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        while length < room.count {
            let got = read(file, room.baseAddress.map { $0 + length }, room.count - length)
            guard got >= 0 else { throw POSIXError(.EIO) }
            if got == 0 { return }
            length += got
        }
        throw POSIXError(.ENOBUFS)
    }

    mutating func next() -> (start: Int, end: Int, isWritable: Bool)? {
        guard at < length else { return nil }
        let start = number(), end = number()
        let isWritable = text[at + 1] == UInt8(ascii: "w")
        while at < length, text[at] != UInt8(ascii: "\n") { at += 1 }
        at += 1
        return (start, end, isWritable)
    }

    /// Up to the character behind it, which is passed over.
    private mutating func number() -> Int {
        var value = 0
        while let digit = Hex.value(of: text[at]) {
            value = value << 4 | Int(digit)
            at += 1
        }
        at += 1
        return value
    }

    func name(of address: Int) -> String {
        for line in String(decoding: text[..<length], as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            let ends = fields[0].split(separator: "-").compactMap { Int($0, radix: 16) }
            if ends[0] <= address, address < ends[1] {
                return fields.count > 5 ? String(fields[5]) : "memory without a name"
            }
        }
        return "nowhere"
    }
}
