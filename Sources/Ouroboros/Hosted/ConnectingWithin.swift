extension LinkConfiguration {
    /// The same for a program that gives up connecting after so long: the wait after sessions that did not last leaves half
    /// of that to connect. Else one that starts again and again would never come to its end (PROTOCOL.md, Appendix B 19).
    package func connecting(within limit: Duration?) -> LinkConfiguration {
        guard let limit else { return self }
        var link = self
        let half = max(1000, min(limit / .milliseconds(2), Double(shortSessionWait)))
        link.shortSessionWait = min(shortSessionWait, UInt32(half))
        return link
    }
}
