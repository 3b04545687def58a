import Ouroboros

/// Where a gateway keeps what came until it was worked off: ``Spool`` on SQLite, or a database that several
/// gateways share.
public protocol MessageStore: Sendable {
    /// Stores messages in one transaction, which is durable when this returns; gives which of them are new. The
    /// others came before: they are to be acknowledged and not handed on. `now` is in milliseconds since 1970.
    ///
    /// The messages of a packet come one after the other, as the server gives them.
    func store(_ messages: [(device: DeviceID, message: Message)], now: Int64) async throws -> [Bool]

    /// Messages after the one with that id, oldest first; rows that cannot be read are passed over.
    func messages(after id: Int64, limit: Int) async throws -> [SpooledMessage]

    /// Removes the messages up to that id, which were worked off; what is known of boxes stays. Gives how many.
    func remove(through id: Int64) async throws -> Int
}

extension Spool: MessageStore, ReadsRows {}

extension MessageStore {
    /// Inserts those that `take` finds to be new, within a transaction of the caller's; gives which they are. The items
    /// of a batch have one position: they are new, or came before, together.
    package static func store(
        _ messages: [(device: DeviceID, message: Message)],
        take: (OutboxPosition, DeviceID) throws -> Bool, insert: (Message, DeviceID) throws -> Void
    ) rethrows -> [Bool] {
        var isNew: [Bool] = []
        isNew.reserveCapacity(messages.count)
        var packet: PacketIdentity?
        for (device, message) in messages {
            let this = PacketIdentity(device: device, session: message.sessionID, counter: message.counter)
            if packet != this {
                packet = this
                isNew.append(try message.position.map { try take($0, device) } ?? true)
            } else {
                isNew.append(isNew[isNew.count - 1])
            }
            if isNew[isNew.count - 1] {
                try insert(message, device)
            }
        }
        return isNew
    }
}

private struct PacketIdentity: Equatable {
    let device: DeviceID
    let session: UInt32
    let counter: UInt64
}
