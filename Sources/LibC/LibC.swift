// The C library, by whichever name this system has it.
#if canImport(Glibc)
@_exported import Glibc
#elseif canImport(Musl)
@_exported import Musl
#else
#error("sockets and stores of Ouroboros are built for Linux, with glibc or musl: docs/USER_GUIDE.md, Systems")
#endif

/// What glibc imports as an enumeration and musl as numbers.
public enum SocketKind {
    #if canImport(Glibc)
    public static let datagram = Int32(SOCK_DGRAM.rawValue)
    public static let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)
    #else
    public static let datagram = SOCK_DGRAM
    public static let closeOnExec = SOCK_CLOEXEC
    #endif
}
