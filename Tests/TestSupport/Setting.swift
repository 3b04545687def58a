import Foundation

/// A number from the environment that makes a test longer, or replays it.
package func setting(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
}
