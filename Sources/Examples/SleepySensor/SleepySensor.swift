// A sensor that is off between two readings: each run of the program is one wake-up, from cron, a systemd timer
// or a real-time clock. The session sleeps in a file, so that only the first wake-up needs a handshake.

import ExampleKit
import Ouroboros

@main
enum SleepySensor {
    static func main() {
        let arguments = ExampleKit.arguments(
            "SleepySensor HOST PORT DEVICE KEYFILE SESSIONFILE TEXT", atLeast: 6)
        do {
            let credential = Credential.fixed(
                device: try DeviceID(hex: arguments[2]), rootKey: try ExampleKit.key(in: arguments[3]))
            let file = SessionFile(path: arguments[4])
            let wake = try WakeUp(credential: credential, host: arguments[0], port: arguments[1])
            // From here on the copy is void: a crash costs a handshake, never a key that is used twice.
            if let (session, slept) = try file.take() {
                try wake.resume(session, slept: slept)
            } else {
                try wake.connect()
            }
            try wake.send(Array(arguments[5].utf8), within: 10_000)
            if let session = try wake.sleep(within: 2_000) {
                try file.keep(session)
            }
            ExampleKit.say("delivered after \(wake.handshakes) handshakes")
        } catch {
            ExampleKit.fail("SleepySensor: \(error)")
        }
    }
}
