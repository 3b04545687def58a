import LibC
import NIOCore

/// Items from any task to an event loop: many that come together cost one hop.
final class Handoff<Item: Sendable>: Sendable {
    private let loop: any EventLoop
    private let items = Locked<[Item]>([])

    init(to loop: any EventLoop) {
        self.loop = loop
    }

    /// `receive` runs on the loop once items are there; it takes them with ``take()``.
    func put(_ item: Item, _ receive: @escaping @Sendable () -> Void) {
        put(contentsOf: CollectionOfOne(item), receive)
    }

    func put(contentsOf new: some Collection<Item>, _ receive: @escaping @Sendable () -> Void) {
        let isFirst = items.withLock { items in
            defer { items.append(contentsOf: new) }
            return items.isEmpty
        }
        if isFirst, !new.isEmpty {
            loop.execute(receive)
        }
    }

    func take() -> [Item] {
        items.withLock { items in
            defer { items = [] }
            return items
        }
    }
}
