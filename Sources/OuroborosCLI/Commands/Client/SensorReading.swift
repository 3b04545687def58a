import NIOPosix
import SensorKit

extension SensorSource {
    /// A reading that keeps none of the tasks' threads while a command runs.
    func reading() async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive { try read() }
    }
}
