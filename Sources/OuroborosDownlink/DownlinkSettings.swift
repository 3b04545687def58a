import OuroborosStore

package struct DownlinkSettings: Sendable {
    /// The queue's file, or ``registry``.
    package var queue: String
    package var limits = DownlinkLimits()
    /// How long a message waits for its device, unless it says so itself.
    package var timeToLive = Duration.seconds(86_400)
    /// How long one who sends waits for the outcome before he is told that the message is queued.
    package var answerWithin = Duration.seconds(10)
    /// The silence after which a device counts as asleep: messages wait until it is heard.
    package var sleepingAfter = Duration.seconds(120)
    /// Messages to devices that the server has room for.
    package var places = 1024

    /// The queue's name when it is in the registry that gateways share.
    package static let registry = "registry"
    package static let longestTimeToLive = Duration.seconds(7 * 86_400)

    package init(queue: String) {
        self.queue = queue
    }
}
