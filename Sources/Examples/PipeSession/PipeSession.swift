// A device and its gateway over two pipes, which lose nothing: a `Session`, without timers and acknowledgements. A serial
// line or a connection over SSH on standard input and output does as well:
//
//     mkfifo back
//     PipeSession gateway DEVICE KEYFILE <back | PipeSession device DEVICE KEYFILE TEXT... >back

import ExampleKit
import Ouroboros

@main
enum PipeSession {
    static func main() {
        let arguments = ExampleKit.arguments(
            "PipeSession gateway|device DEVICE KEYFILE [TEXT...]", atLeast: 3)
        do {
            let credential = Credential.fixed(
                device: try DeviceID(hex: arguments[1]), rootKey: try ExampleKit.key(in: arguments[2]))
            switch arguments[0] {
            case "gateway": try receive(credential)
            case "device": try send(Array(arguments[3...]), credential)
            default: ExampleKit.fail("PipeSession: “\(arguments[0])” is neither gateway nor device")
            }
        } catch {
            ExampleKit.fail("PipeSession: \(error)")
        }
    }

    private static func send(_ texts: [String], _ credential: Credential) throws {
        let pipe = PacketPipe()
        let handshake = try ClientHandshake(credential, configuration: Session.Configuration().overStream)
        try pipe.send(handshake.hello)
        guard case .session(let session) = try handshake.receive(pipe.receive()) else {
            throw OuroborosError(.wrongState, "the gateway’s answer is of another key, or no answer")
        }
        for text in texts {
            try pipe.send(session.seal(Array(text.utf8)))
            // What the two say to each other is theirs: here each message is echoed.
            guard case .messages(let echoes) = try session.open(pipe.receive()) else {
                throw OuroborosError(.failed, "the gateway did not echo “\(text)”")
            }
            for echo in echoes { ExampleKit.note("echo \(String(decoding: echo.payload, as: UTF8.self))") }
        }
        try pipe.send(session.close())
    }

    private static func receive(_ credential: Credential) throws {
        let pipe = PacketPipe()
        let handshake = try ServerHandshake(credential, configuration: Session.Configuration().overStream)
        guard case .send(let welcome) = try handshake.receive(pipe.receive()) else {
            throw OuroborosError(.wrongState, "what came is no HELLO of the device under this key")
        }
        try pipe.send(welcome)
        guard case .session(let session, var opened) = try handshake.receive(pipe.receive()) else {
            throw OuroborosError(.wrongState, "the device’s first packet does not open")
        }
        while case .messages(let messages) = opened {
            for message in messages {
                ExampleKit.note("got \(String(decoding: message.payload, as: UTF8.self))")
                try pipe.send(session.seal(message.payload))
            }
            opened = try session.open(pipe.receive())
        }
        guard case .closed(_, let missing) = opened else {
            throw OuroborosError(.failed, "a packet does not open: something is wrong with the pipe")
        }
        ExampleKit.note("closed, \(missing) missing")
    }
}
