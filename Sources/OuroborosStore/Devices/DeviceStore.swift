import Ouroboros

/// A gateway's devices as those who look after them see them: an SQLite file, or a database that gateways share.
public protocol DeviceStore: Sendable {
    var isSealed: Bool { get }
    /// Throws when the keys are sealed and the key that opens them was not given.
    func requireKeys() throws
    /// All of them or, when one is there already, none.
    func add(_ devices: [StoredDevice]) throws
    /// Gives a device a new root key, at epoch 0.
    func rotate(_ device: DeviceID, to rootKey: RootKey) throws
    /// False when there is no such device.
    func change(_ device: DeviceID, _ change: DeviceChange) throws -> Bool
    /// False when there is no such device.
    func remove(_ device: DeviceID) throws -> Bool
    func list() throws -> [DeviceRecord]
    func record(of device: DeviceID) throws -> DeviceRecord?
    /// The devices with their keys: all, or some.
    func devices(_ wanted: [DeviceID]?) throws -> [StoredDevice]
}

/// Who belongs to a gateway, for those who must not wait on a thread for a database.
public protocol DeviceDirectory: Sendable {
    /// All devices, or those of these that are there.
    func records(of devices: Set<DeviceID>?) async throws -> [DeviceRecord]
}

/// Where what the devices did is counted.
public protocol ActivityStore: Sendable {
    /// Adds to what is counted of the devices, which were all seen at `time`, seconds since 1970.
    func count(_ activities: [DeviceID: DeviceActivity], at time: Int64) async throws
}

extension GatewayStore: DeviceStore, ReadsRows {}
