/// How many files and sockets the process may have open at once (RLIMIT_NOFILE).
public enum DescriptorLimit {
    /// Nil when the system does not tell.
    public static var now: Int? { limit.map { Int(clamping: $0.rlim_cur) } }

    /// Raises it, unless it is high enough, as far as the system lets this process; gives what it is then.
    public static func raise(to wanted: Int) -> Int? {
        guard var limit else { return nil }
        let allowed = min(rlim_t(max(0, wanted)), limit.rlim_max)
        if limit.rlim_cur < allowed {
            limit.rlim_cur = allowed
            _ = setrlimit(resource, &limit)
        }
        return now
    }

    #if canImport(Glibc)
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    private static let resource = RLIMIT_NOFILE
    #endif

    private static var limit: rlimit? {
        var limit = rlimit()
        return getrlimit(resource, &limit) == 0 ? limit : nil
    }
}
