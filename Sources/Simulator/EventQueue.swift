/// Future events, ordered by time and, at equal times, by insertion. The queue is a binary heap of slot numbers; the
/// events themselves do not move.
package struct EventQueue<Event> {
    private struct Entry {
        let time: UInt64
        let number: UInt64
        let slot: Int

        func precedes(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : number < other.number
        }
    }

    private var heap: [Entry] = []
    private var slots: [Event?] = []
    private var freeSlots: [Int] = []
    private var nextNumber: UInt64 = 0

    /// The time of the next event; nil if there is none. Constant time.
    package var nextTime: UInt64? { heap.first?.time }
    /// The number of pending events.
    package var count: Int { heap.count }

    package init() {}

    /// Adds an event. Logarithmic.
    package mutating func add(_ event: Event, at time: UInt64) {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            slots[slot] = event
        } else {
            slot = slots.count
            slots.append(event)
        }
        let entry = Entry(time: time, number: nextNumber, slot: slot)
        nextNumber += 1
        var position = heap.count
        heap.append(entry)
        while position > 0 {
            let parent = (position - 1) / 2
            guard entry.precedes(heap[parent]) else { break }
            heap[position] = heap[parent]
            position = parent
        }
        heap[position] = entry
    }

    /// Removes and returns the first event. Logarithmic.
    package mutating func next() -> (time: UInt64, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            var position = 0
            while true {
                var child = 2 * position + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
                guard heap[child].precedes(last) else { break }
                heap[position] = heap[child]
                position = child
            }
            heap[position] = last
        }
        guard let event = slots[first.slot].take() else { return nil }
        freeSlots.append(first.slot)
        return (first.time, event)
    }
}
