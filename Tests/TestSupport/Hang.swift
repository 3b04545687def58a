import LibC

/// A call that blocks its thread, as a disk or a reader does, until it is let go of.
package final class Hang: Sendable {
    private let isOver = Flag()
    private let isThere = Flag()

    package init() {}

    package var hasBegun: Bool { isThere.isSet }

    package func wait() {
        isThere.set()
        while !isOver.isSet { usleep(1000) }
    }

    package func end() {
        isOver.set()
    }
}
