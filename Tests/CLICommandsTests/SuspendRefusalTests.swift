import Testing

@testable import CLICommands

@Suite struct SuspendRefusalTests {
    @Test func theKernelsReasonIsFound() {
        let log = """
            [   12.345678] Freezing user space processes
            [   13.371] Freezing user space processes failed after 1.002 seconds (1 tasks refusing to freeze, wq_busy=0):
            [   13.38] task:sh              state:D stack:0     pid:71
            [   13.39] xen:manage: do_suspend: freeze processes failed -16
            """
        #expect(SuspendRefusal.reason(in: log) == nil)
        #expect(
            SuspendRefusal.reason(in: log + "\r\n") == """
                Freezing user space processes failed after 1.002 seconds (1 tasks refusing to freeze, \
                wq_busy=0):; xen:manage: do_suspend: freeze processes failed -16
                """)
    }

    @Test func aDriversReasonIsFound() {
        let log = """
            Freezing remaining freezable tasks completed (elapsed 0.001 seconds)
            xenbus: something else
            PM: dpm_run_callback(): xenbus_dev_suspend+0x0/0x60 returns -16
            xen:manage: do_suspend: dpm_suspend_start -16

            """
        #expect(
            SuspendRefusal.reason(in: log) == """
                PM: dpm_run_callback(): xenbus_dev_suspend+0x0/0x60 returns -16; xen:manage: \
                do_suspend: dpm_suspend_start -16
                """)
    }

    @Test func otherLinesAreNone() {
        #expect(SuspendRefusal.reason(in: "") == nil)
        #expect(
            SuspendRefusal.reason(in: "[ 1.0] PM: suspend entry\nFreezing of tasks done\n") == nil)
        #expect(SuspendRefusal.reason(in: "[[[]]]\n[\n]\n") == nil)
    }
}
