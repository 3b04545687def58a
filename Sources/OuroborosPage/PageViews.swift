/// What the templates are filled with. Each field of these is escaped when it is rendered.
struct OverviewView {
    let title: String
    let status: String
    let notice: String?
    let traffic: TrafficView
    let presence: [PresenceView]
    let drops: [DropView]
    let columns: [ColumnView]
    let shown: String
    let rows: [DeviceView]
    let pages: PagesView
    let filter: FilterView
    let events: String
    let sharesDevices: Bool

    init(
        _ state: PageState, _ selection: PageSelection, _ query: PageQuery, of gateway: PageGateway,
        slots: Int, period: Duration
    ) {
        let counts = gateway.presences.map { presence in
            (presence, state.devices.all.count { $0.presence == presence })
        }
        title = gateway.title
        notice = state.devices.notice
        sharesDevices = gateway.sharesDevices
        status = counts.map { "\($0.1) \($0.0.rawValue)" }.joined(separator: ", ")
        presence = zip(counts, PageCharts.bar(counts.map(\.1))).map {
            PresenceView(state: $0.0.rawValue, count: $0.1, x: $1.x, width: $1.width)
        }
        traffic = TrafficView(state, slots: slots, period: period)
        drops = DropView.all(state.counts.drops)
        columns = PageQuery.Column.allCases.map { ColumnView($0, query) }
        rows = selection.devices.map(DeviceView.init)
        pages = PagesView(selection, query)
        filter = FilterView(query, gateway.presences)
        events = "/events" + query.text
        let first = (selection.page - 1) * PageQuery.pageSize
        shown =
            rows.isEmpty
            ? "No devices to show" : "Devices \(first + 1) to \(first + rows.count) of \(selection.count)"
    }
}

struct TrafficView {
    let now: String
    let most: String
    let span: String
    let messages: UInt64
    let sessions: Int
    let line: String
    let area: String

    init(_ state: PageState, slots: Int, period: Duration) {
        now = PageText.number(state.rates.last ?? 0, decimals: 1)
        most = PageText.number(state.rates.max() ?? 0, decimals: 1)
        span = "\(Int(period / .seconds(1) * Double(slots))) s"
        messages = state.counts.messages
        sessions = state.counts.sessions
        line = PageCharts.line(state.rates, of: slots)
        area = PageCharts.area(state.rates, of: slots)
    }
}

struct PresenceView {
    let state: String
    let count: Int
    let x: String
    let width: String
}

struct DropView {
    let reason: String
    let count: UInt64
    let width: String

    /// The most frequent first; what never happened is left out.
    static func all(_ drops: [PageCounts.Drop]) -> [DropView] {
        let seen = drops.filter { $0.count > 0 }
            .sorted { ($1.count, $0.reason) < ($0.count, $1.reason) }
        let most = Double(seen.first?.count ?? 1)
        return seen.map { drop in
            let width = max(Double(drop.count) / most * 100, 1)
            return DropView(
                reason: drop.reason.replacing("_", with: " "), count: drop.count,
                width: PageText.number(width, decimals: 1))
        }
    }
}

struct ColumnView {
    let title: String
    let link: String
    /// `aria-sort`; nil for columns that do not order the rows.
    let order: String?
    let isNumber: Bool

    init(_ column: PageQuery.Column, _ query: PageQuery) {
        title =
            switch column {
            case .name: "Device"
            case .state: "State"
            case .seen: "Last seen (UTC)"
            case .rtt: "Round trip"
            case .loss: "Loss"
            case .epoch: "Epoch"
            }
        link = "/" + query.sorted(by: column).text
        order = column == query.sort ? (query.isDescending ? "descending" : "ascending") : nil
        isNumber = [.rtt, .loss, .epoch].contains(column)
    }
}

struct DeviceView {
    let id: String
    let name: String?
    let presence: String
    let lastSeen: String?
    let roundTrip: String?
    let loss: String?
    let epoch: String?

    init(_ device: PageDevice) {
        id = device.id
        name = device.name.isEmpty ? nil : PageText.shown(device.name, atMost: 64)
        presence = device.presence.rawValue
        lastSeen = device.lastSeen.map(PageText.time)
        roundTrip = device.roundTripMilliseconds.map { "\($0) ms" }
        loss = device.loss.map { PageText.number($0 * 100, decimals: 1) + " %" }
        epoch = device.epoch.map { "\($0)" }
    }
}

struct PagesView {
    let page: Int
    let pages: Int
    let isOne: Bool
    let previous: String?
    let next: String?

    init(_ selection: PageSelection, _ query: PageQuery) {
        page = selection.page
        pages = selection.pages
        isOne = pages == 1
        previous = page > 1 ? "/" + query.at(page: page - 1).text : nil
        next = page < pages ? "/" + query.at(page: page + 1).text : nil
    }
}

struct FilterView {
    struct Choice {
        let value: String
        let title: String
        let isChosen: Bool
    }

    let find: String
    let sort: String?
    let order: String?
    let states: [Choice]

    init(_ query: PageQuery, _ presences: [PageDevice.Presence]) {
        find = query.find
        sort = query.sort == .name ? nil : query.sort.rawValue
        order = query.isDescending ? "desc" : nil
        states =
            [Choice(value: "", title: "all", isChosen: query.presence == nil)]
            + presences.map {
                Choice(value: $0.rawValue, title: $0.rawValue, isChosen: query.presence == $0)
            }
    }
}

/// A page of one device.
struct DevicePageView {
    let title: String
    let status: String
    let notice: String?
    let device: DeviceView
    let hidesPayloads: Bool
    let messages: [MessageView]
    let hasNone: Bool
    let events: String
    let sharesDevices: Bool

    /// Without messages their payloads are not to be shown.
    init(_ device: PageDevice, _ messages: [PageMessage]?, of gateway: PageGateway, notice: String?) {
        self.device = DeviceView(device)
        self.notice = notice
        title = gateway.title
        sharesDevices = gateway.sharesDevices
        status = device.presence.rawValue
        hidesPayloads = messages == nil
        self.messages = (messages ?? []).map(MessageView.init)
        hasNone = messages?.isEmpty ?? false
        events = "/devices/\(device.id)/events"
    }
}

struct MessageView {
    let time: String
    let bytes: Int
    let payload: String

    init(_ message: PageMessage) {
        time = PageText.time(message.receivedAt)
        bytes = message.size
        let isCut = message.size > message.beginning.count
        payload = PageText.shown(message.beginning, isCut: isCut)
    }
}
