import Dispatch
import Synchronization

/// Runs what is ready one after the other, and knows whether something is.
final class VirtualTimeJobs: TaskExecutor {
    /// A task that only yields is never through; time has to pass for it, too.
    private static let rounds = 100

    private let queue = DispatchQueue(label: "ouroboros.virtual-time")
    private let ready = Atomic(0)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        ready.add(1, ordering: .sequentiallyConsistent)
        queue.async {
            job.runSynchronously(on: self.asUnownedTaskExecutor())
            self.ready.subtract(1, ordering: .sequentiallyConsistent)
        }
    }

    /// Returns once nothing is ready, or after ``rounds`` of all that was.
    func settle() async {
        for _ in 0..<Self.rounds where ready.load(ordering: .sequentiallyConsistent) > 0 {
            await withCheckedContinuation { continuation in
                queue.async { continuation.resume() }
            }
        }
    }
}
