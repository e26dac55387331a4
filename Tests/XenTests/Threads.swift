import Glibc
import HostIO
import Synchronization

/// Runs `body` on so many threads with their numbers, and `meanwhile` on this one; waits for all.
func withThreads(
    _ count: Int, _ body: @escaping @Sendable (Int) -> Void, meanwhile: () -> Void
) {
    let left = Counter()
    for index in 0..<count {
        left.value.add(1, ordering: .sequentiallyConsistent)
        _ = try? HostThread.spawn(name: "test\(index)", priority: .inherited) {
            body(index)
            left.value.subtract(1, ordering: .sequentiallyConsistent)
        }
    }
    meanwhile()
    while left.value.load(ordering: .sequentiallyConsistent) > 0 { usleep(100) }
}

private final class Counter: Sendable {
    let value = Atomic<Int>(0)
}
