/// Who was told of lately, so that what goes on for days is a line a minute and not thousands.
package struct Telling<Subject: Hashable & Sendable>: Sendable {
    /// Others may make up subjects: more in a minute are left out.
    private static var most: Int { 64 }
    private static var period: Duration { .seconds(60) }

    private var told: [Subject: ContinuousClock.Instant] = [:]

    package init() {}

    /// True once a minute for each subject.
    package mutating func isDue(_ subject: Subject, now: ContinuousClock.Instant = .now) -> Bool {
        if let last = told[subject], now - last < Self.period { return false }
        if told.count >= Self.most {
            told = told.filter { now - $0.value < Self.period }
            guard told.count < Self.most else { return false }
        }
        told[subject] = now
        return true
    }
}
