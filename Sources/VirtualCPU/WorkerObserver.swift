/// Who wants to know on which thread a vCPU runs.
public protocol WorkerObserver: AnyObject, Sendable {
    /// The vCPU comes onto the calling thread: its engine will run here.
    func comesOntoThread()
    /// The vCPU leaves the calling thread.
    func leavesThread()
}
