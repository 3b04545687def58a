/// What stands in a ``TimerHeap``.
protocol TimerNode: AnyObject {
    var deadline: UInt64 { get set }
    /// Its place in the heap; -1 outside.
    var heapIndex: Int { get set }
}

/// The deadlines of many links, soonest first. Each knows its place, so that it can be moved.
struct TimerHeap<Node: TimerNode> {
    private var nodes: [Node] = []

    var first: Node? { nodes.first }
    var count: Int { nodes.count }

    /// Sets a node's deadline, or takes it out with nil.
    mutating func set(_ node: Node, to deadline: UInt64?) {
        guard let deadline else {
            remove(node)
            return
        }
        if node.heapIndex < 0 {
            node.deadline = deadline
            node.heapIndex = nodes.count
            nodes.append(node)
            siftUp(node.heapIndex)
        } else if node.deadline != deadline {
            node.deadline = deadline
            siftUp(node.heapIndex)
            siftDown(node.heapIndex)
        }
    }

    mutating func remove(_ node: Node) {
        let index = node.heapIndex
        guard index >= 0 else { return }
        node.heapIndex = -1
        let last = nodes.removeLast()
        guard last !== node else { return }
        place(last, at: index)
        siftUp(index)
        siftDown(last.heapIndex)
    }

    private mutating func place(_ node: Node, at index: Int) {
        nodes[index] = node
        node.heapIndex = index
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        let node = nodes[index]
        while index > 0, nodes[(index - 1) / 2].deadline > node.deadline {
            place(nodes[(index - 1) / 2], at: index)
            index = (index - 1) / 2
        }
        place(node, at: index)
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        let node = nodes[index]
        while 2 * index + 1 < nodes.count {
            var child = 2 * index + 1
            if child + 1 < nodes.count, nodes[child + 1].deadline < nodes[child].deadline {
                child += 1
            }
            guard nodes[child].deadline < node.deadline else { break }
            place(nodes[child], at: index)
            index = child
        }
        place(node, at: index)
    }
}
