import Synchronization

/// Carries elements from one producer to one consumer, in order and with back-pressure: the producer suspends while as many
/// elements, or as many bytes, are held as may be.
///
/// Cancellation of a task ends no wait here: a producer that is cancelled can still send what it came to. The consumer ends
/// the producer with ``close()``.
package final class BoundedStream<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var byteCount = 0
        /// How the producer ended; nil while more may come.
        var end: Result<Void, any Error>?
        /// True once the consumer takes nothing more.
        var isClosed = false
        /// True if ``wake()`` was called since the last take.
        var isWoken = false
        /// Waits for room.
        var sending: CheckedContinuation<Void, Never>?
        /// Waits for an element, the end, or to be woken.
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

    /// Sends an element, and suspends until there is room for another one.
    ///
    /// - Throws: `CancellationError` where the consumer takes nothing more.
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

    /// Sends an element if there is room for it now; else it is dropped. For code that cannot suspend.
    package func offer(_ element: Element) {
        state.withLock { state in hasRoom(state) ? append(element, &state) : nil }?.resume()
    }

    /// Ends the stream behind its last element.
    ///
    /// - Parameter end: The error that the consumer gets there, or none.
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

    /// The next elements: those that are there, or the first that comes.
    ///
    /// - Parameter count: Elements taken at most.
    /// - Returns: Nil at the end; empty where ``wake()`` was called and none is there.
    /// - Throws: The error that the stream was finished with, behind the last element.
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

    /// Tells the producer that nothing more is taken. What is held is dropped.
    package func close() {
        state.withLock { state in
            state.isClosed = true
            state.elements = []
            state.byteCount = 0
            return state.sending.take()
        }?.resume()
    }

    /// Runs a producer as a child of this task while a consumer takes what it sends. When the consumer returns or throws, the
    /// stream is closed, the producer is cancelled, and its end is awaited.
    ///
    /// - Throws: What the consumer throws. It gets the producer's error from ``take(upTo:)``.
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
