import Synchronization

/// Carries elements from one producer to one consumer, in order and with back-pressure: the producer suspends while the
/// stream holds the maximum number of elements or bytes.
///
/// Cancellation of a task ends no wait here, so a cancelled producer can still send its last results. The consumer ends
/// the producer with ``close()``.
package final class BoundedStream<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var byteCount = 0
        /// How the producer ended; nil while more may come.
        var end: Result<Void, any Error>?
        /// True after the consumer has closed the stream.
        var isClosed = false
        /// True if ``wake()`` was called since the last take.
        var isWoken = false
        /// The producer that waits for room.
        var sending: CheckedContinuation<Void, Never>?
        /// The consumer that waits for an element, the end, or a wake-up.
        var taking: CheckedContinuation<Void, Never>?
    }

    private let countMax: Int
    private let bytesMax: Int
    private let size: @Sendable (Element) -> Int
    private let state = Mutex(State())

    /// An empty stream.
    ///
    /// - Parameters:
    ///   - countMax: Elements held before the producer suspends; at least 1.
    ///   - bytesMax: Bytes held before the producer suspends. One element may be larger.
    ///   - size: The bytes of an element.
    package init(countMax: Int, bytesMax: Int = .max, size: @escaping @Sendable (Element) -> Int = { _ in 0 }) {
        self.countMax = max(1, countMax)
        self.bytesMax = bytesMax
        self.size = size
    }

    private func hasRoom(_ state: State) -> Bool {
        state.elements.count < countMax && state.byteCount < bytesMax
    }

    private func append(_ element: Element, _ state: inout State) -> CheckedContinuation<Void, Never>? {
        guard !state.isClosed else { return nil }
        state.elements.append(element)
        state.byteCount += size(element)
        return state.taking.take()
    }

    /// Sends an element, then suspends until there is room for another one.
    ///
    /// - Throws: `CancellationError` if the consumer has closed the stream.
    package func send(_ element: Element) async throws {
        state.withLock { append(element, &$0) }?.resume()
        await withCheckedContinuation { continuation in
            let goesOn = state.withLock { state in
                if state.isClosed || hasRoom(state) { return true }
                state.sending = continuation
                return false
            }
            if goesOn { continuation.resume() }
        }
        if state.withLock({ $0.isClosed }) { throw CancellationError() }
    }

    /// Sends an element if there is room for it now, else drops it. For code that cannot suspend.
    package func offer(_ element: Element) {
        state.withLock { state in hasRoom(state) ? append(element, &state) : nil }?.resume()
    }

    /// Ends the stream after its last element.
    ///
    /// - Parameter end: The error that the consumer gets at the end, or none.
    package func finish(_ end: Result<Void, any Error>) {
        state.withLock { state in
            state.end = end
            return state.taking.take()
        }?.resume()
    }

    /// Makes the consumer's present or next ``take(upTo:)`` return without an element.
    package func wake() {
        state.withLock { state in
            state.isWoken = true
            return state.taking.take()
        }?.resume()
    }

    /// Calls ``wake()`` at every interval, until this task is cancelled.
    package func wake(every interval: Duration) async {
        while true {
            do { try await Task.sleep(for: interval) } catch { return }
            wake()
        }
    }

    /// The next elements: those held now, or else the first that arrives.
    ///
    /// - Parameter count: The maximum number of elements.
    /// - Returns: Nil at the end; empty if ``wake()`` was called and no element is held.
    /// - Throws: The error of ``finish(_:)``, after the last element.
    package func take(upTo count: Int = .max) async throws -> [Element]? {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.elements.isEmpty || state.end != nil || state.isWoken { return true }
                state.taking = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        let (elements, end, sending) = state.withLock { state in
            let taken = Array(state.elements.prefix(count))
            state.elements.removeFirst(taken.count)
            state.byteCount -= taken.reduce(0) { $0 + size($1) }
            state.isWoken = false
            let sending = hasRoom(state) ? state.sending.take() : nil
            return (taken, state.end, sending)
        }
        sending?.resume()
        guard elements.isEmpty, let end else { return elements }
        try end.get()
        return nil
    }

    /// Ends the stream for the producer, and drops the held elements.
    package func close() {
        state.withLock { state in
            state.isClosed = true
            state.elements = []
            state.byteCount = 0
            return state.sending.take()
        }?.resume()
    }

    /// Runs a producer as a child of this task while a consumer takes its elements. When the consumer returns or
    /// throws, this closes the stream, cancels the producer and waits for its end.
    ///
    /// - Throws: The errors of the consumer, which gets the producer's error from ``take(upTo:)``.
    package func connect<Result>(
        from produce: @escaping @Sendable (BoundedStream<Element>) async throws -> Void,
        to consume: (BoundedStream<Element>) async throws -> Result
    ) async throws -> Result {
        async let _: Void = fill(by: produce)
        defer { close() }
        return try await consume(self)
    }

    private func fill(by produce: @Sendable (BoundedStream<Element>) async throws -> Void) async {
        do {
            try await produce(self)
            finish(.success(()))
        } catch {
            finish(.failure(error))
        }
    }
}
