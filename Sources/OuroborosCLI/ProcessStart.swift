import LibC

/// What a process is given, made to be what the rest of it relies on.
enum ProcessStart {
    static func prepare() {
        // A reader that went away is an error of the write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        occupyClosedStreams()
        endAtSignals()
    }

    /// A stream that was closed must not be the next file that is opened: keys and packets would go through it. What is
    /// there in its place fails when it is used.
    private static func occupyClosedStreams() {
        for file in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(file, F_GETFD) < 0 {
            _ = open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

    /// The first process of a container hears of no signal that it has not asked for.
    private static func endAtSignals() {
        guard getpid() == 1 else { return }
        for number in [SIGHUP, SIGINT, SIGTERM] {
            signal(number) { _exit(128 + $0) }
        }
    }
}
