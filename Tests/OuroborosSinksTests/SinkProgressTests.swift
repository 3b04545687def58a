import OuroborosStore
import Testing

@testable import OuroborosSinks

@Suite struct SinkProgressTests {
    @Test func whatASinkHasIsMoreThanTheSpoolKnows() {
        var progress = SinkProgress(SinkState(position: 5, batchEnd: 7))
        #expect(progress.isRecorded)
        #expect((progress.position, progress.recorded, progress.batchEnd) == (5, 5, 7))
        progress.delivered(through: 7)
        progress.begin(through: 9)
        progress.delivered(through: 9)
        #expect(!progress.isRecorded)
        #expect((progress.position, progress.recorded, progress.batchEnd) == (9, 5, 9))
        progress.record(through: 9)
        #expect(progress.isRecorded)
    }
}
