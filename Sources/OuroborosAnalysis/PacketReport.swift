import Ouroboros

/// One packet of a capture.
public struct PacketReport: Sendable {
    public let time: CaptureTime
    public let source: Endpoint
    public let destination: Endpoint
    public let isStream: Bool
    /// Of the whole packet.
    public let size: Int
    public let packet: DecodedPacket
    /// Nil where it is not known.
    public internal(set) var isFromClient: Bool?
    public internal(set) var device: DeviceID?
    public internal(set) var anomalies: [Anomaly] = []
    /// Only when bodies were asked for, and the keys are there.
    public internal(set) var body: OpenedBody?

    mutating func note(_ kind: Anomaly.Kind, _ detail: String = "") {
        anomalies.append(Anomaly(kind, detail))
    }
}
