import Foundation

/// Which devices are shown, and in which order: the page's query string.
struct PageQuery: Sendable, Equatable {
    enum Column: String, Sendable, CaseIterable {
        case name, state, seen, rtt, loss, epoch
    }

    struct Problem: Error, Equatable {
        let text: String
    }

    static let pageSize = 50
    private static let longestFind = 64

    var sort = Column.name
    var isDescending = false
    var presence: PageDevice.Presence?
    var find = ""
    var page = 1

    init() {}

    /// Values that mean nothing are refused; names that mean nothing are not looked at.
    init(_ query: String?) throws(Problem) {
        // A form sends + for a space.
        guard let components = URLComponents(string: "/?" + (query ?? "").replacing("+", with: "%20")) else {
            throw Problem(text: "the query string cannot be read")
        }
        for item in components.queryItems ?? [] {
            guard let value = item.value, !value.isEmpty else { continue }
            switch item.name {
            case "sort": sort = try Self.choice(value, "sort")
            case "order":
                guard ["asc", "desc"].contains(value) else { throw Problem(text: "order is asc or desc") }
                isDescending = value == "desc"
            case "state": presence = try Self.choice(value, "state")
            case "find":
                guard value.count <= Self.longestFind else {
                    throw Problem(text: "find takes up to \(Self.longestFind) characters")
                }
                find = value
            case "page":
                guard let number = Int(value), number >= 1 else {
                    throw Problem(text: "page is a number from 1 on")
                }
                page = number
            default: break
            }
        }
    }

    private static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ value: String, _ name: String
    ) throws(Problem) -> Choice {
        guard let choice = Choice(rawValue: value) else {
            throw Problem(
                text: "\(name) is one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }

    /// As a query string; what is as usual is left out.
    var text: String {
        var items: [(String, String)] = []
        if sort != .name { items.append(("sort", sort.rawValue)) }
        if isDescending { items.append(("order", "desc")) }
        if let presence { items.append(("state", presence.rawValue)) }
        if !find.isEmpty { items.append(("find", find)) }
        if page > 1 { items.append(("page", "\(page)")) }
        guard !items.isEmpty else { return "" }
        return "?" + items.map { "\($0)=\(Self.encoded($1))" }.joined(separator: "&")
    }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }

    /// The same, from the first page on, ordered by a column: the other way round when it is already.
    func sorted(by column: Column) -> PageQuery {
        var other = self
        other.sort = column
        other.isDescending = column == sort && !isDescending
        other.page = 1
        return other
    }

    func at(page: Int) -> PageQuery {
        var other = self
        other.page = page
        return other
    }
}

/// The order of all devices.
struct DeviceOrder: Hashable, Sendable {
    let column: PageQuery.Column
    let isDescending: Bool

    init(_ query: PageQuery) {
        column = query.sort
        isDescending = query.isDescending
    }

    func sorted(_ devices: [PageDevice]) -> [PageDevice] {
        switch column {
        case .name: sorted(devices) { $0.name.isEmpty ? nil : $0.name }
        case .state: sorted(devices) { PageDevice.Presence.allCases.firstIndex(of: $0.presence) }
        case .seen: sorted(devices, \.lastSeen)
        case .rtt: sorted(devices, \.roundTripMilliseconds)
        case .loss: sorted(devices, \.loss)
        case .epoch: sorted(devices, \.epoch)
        }
    }

    /// What is not known comes last either way; equal ones stand in the order of their ids.
    private func sorted<Key: Comparable>(
        _ devices: [PageDevice], _ key: (PageDevice) -> Key?
    ) -> [PageDevice] {
        devices.map { ($0, key($0)) }.sorted { left, right in
            switch (left.1, right.1) {
            case (let a?, let b?) where a != b: isDescending ? a > b : a < b
            case (_?, nil): true
            case (nil, _?): false
            default: left.0.id < right.0.id
            }
        }.map(\.0)
    }
}

/// One page of the devices that a query asks for.
struct PageSelection {
    let devices: ArraySlice<PageDevice>
    let count: Int
    let page: Int
    let pages: Int

    /// Of all devices in the query's order. A page behind the last is the last.
    init(_ query: PageQuery, of all: [PageDevice]) {
        let found = all.filter { device in
            (query.presence == nil || device.presence == query.presence)
                && (query.find.isEmpty || device.name.localizedCaseInsensitiveContains(query.find)
                    || device.id.localizedCaseInsensitiveContains(query.find))
        }
        count = found.count
        pages = max(1, (count + PageQuery.pageSize - 1) / PageQuery.pageSize)
        page = min(query.page, pages)
        devices = found.dropFirst((page - 1) * PageQuery.pageSize).prefix(PageQuery.pageSize)
    }
}
