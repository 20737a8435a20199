import Synchronization

/// Hands elements from one task to another, in order. The putting task waits while the queue is full.
///
/// For one putting and one taking task.
package final class BoundedQueue<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        /// The end of the queue; nil while more elements may come.
        var end: Result<Void, any Error>?
        /// True after the taking task has closed the queue.
        var isClosed = false
        /// The putting task, while it waits for room.
        var putting: CheckedContinuation<Void, Never>?
        /// The taking task, while it waits for an element or the end.
        var taking: CheckedContinuation<Void, Never>?
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: The number of held elements from which on the putting task waits; at least 1.
    package init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    /// Puts an element, then waits until the queue has room for another one.
    ///
    /// - Returns: False if the taking task has closed the queue.
    package func put(_ element: Element) async -> Bool {
        let taking = state.withLock { state in
            state.elements.append(element)
            return state.taking.take()
        }
        taking?.resume()
        await withCheckedContinuation { continuation in
            let hasRoom = state.withLock { state in
                if state.isClosed || state.elements.count < capacity { return true }
                state.putting = continuation
                return false
            }
            if hasRoom { continuation.resume() }
        }
        return state.withLock { !$0.isClosed }
    }

    /// Tells the taking task that nothing more comes, or the error that ended the queue.
    package func finish(_ end: Result<Void, any Error>) {
        let taking = state.withLock { state in
            state.end = end
            return state.taking.take()
        }
        taking?.resume()
    }

    /// Takes the next elements, at most `count`: those that the queue holds, or the first that comes. Empty at the end.
    ///
    /// - Throws: The error with which the queue was finished, after the last element.
    package func take(upTo count: Int) async throws -> [Element] {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.elements.isEmpty || state.end != nil { return true }
                state.taking = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        let (elements, end, putting) = state.withLock { state in
            let taken = Array(state.elements.prefix(count))
            state.elements.removeFirst(taken.count)
            let putting = state.elements.count < capacity ? state.putting.take() : nil
            return (taken, state.end, putting)
        }
        putting?.resume()
        if elements.isEmpty { try end?.get() }
        return elements
    }

    /// Tells the putting task that the taking task has stopped. Drops the held elements.
    package func close() {
        let putting = state.withLock { state in
            state.isClosed = true
            state.elements = []
            return state.putting.take()
        }
        putting?.resume()
    }
}
