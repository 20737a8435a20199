import Synchronization

/// Hands elements from one task to another, in order. Who puts waits while as many are held as may be.
///
/// For one task that puts and one that takes.
package final class BoundedQueue<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        /// How it ended; nil while more may come.
        var end: Result<Void, any Error>?
        /// True once nobody takes any more.
        var isClosed = false
        /// Waits for room.
        var putting: CheckedContinuation<Void, Never>?
        /// Waits for an element, or the end.
        var taking: CheckedContinuation<Void, Never>?
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: Elements held before who puts the next one waits; at least 1.
    package init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    /// Puts an element, and waits until there is room for another one.
    ///
    /// - Returns: False where nobody takes any more.
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

    /// Tells the one who takes that nothing more comes, or why.
    package func finish(_ end: Result<Void, any Error>) {
        let taking = state.withLock { state in
            state.end = end
            return state.taking.take()
        }
        taking?.resume()
    }

    /// The next elements, at most so many: those that are there, or the first that comes. Empty at the end.
    ///
    /// - Throws: What the queue was finished with, behind the last element.
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

    /// Tells the one who puts that nobody takes any more. What is held is dropped.
    package func close() {
        let putting = state.withLock { state in
            state.isClosed = true
            state.elements = []
            return state.putting.take()
        }
        putting?.resume()
    }
}
