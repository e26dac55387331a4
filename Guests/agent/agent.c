// Martlet's guest agent: /init of the initial RAM disk.
//
// It prepares the system, then runs programs for the host over a terminal named by `martlet.agent=` on
// the kernel's command line. The frames are described in Sources/Boot/AgentProtocol.swift. Without that
// parameter it runs a shell on the console.
#include "identity.h"

enum { protocolVersion = 2 };

// Frame types, host to guest and guest to host.
enum { START = 1, STDIN = 2, STDIN_END = 3, WINDOW = 4, SIGNAL = 5, CREDIT = 6, REJOINED = 7, IDENTITY = 8 };
enum { READY = 0x81, STDOUT = 0x82, STDERR = 0x83, EXIT = 0x84, GRANT = 0x85, REJOIN = 0x86 };

// Bytes of standard input the host may have on the way. The line discipline's and the port's buffers
// hold far more, so that none is lost even without flow control by wire.
enum { inputWindow = 8192 };
enum { largestFrame = 65535 + 3, outputRoom = 16384, chunk = 4096 };
// Bytes behind those that were written, so that they can be written again: what Xen's console ring holds
// is lost when the terminal hangs up, as it does when a suspended guest goes on.
enum { keptOutput = 4096, largestKept = keptOutput + chunk + 3 };

static u8 frame[largestFrame];  // what has come of the frame that is on its way
static u32 frameCount;
static u8 output[largestKept + outputRoom];  // frames, of which the first were written and are kept
static u32 outputCount, outputWritten;
static u64 outputFirst;  // the number of the first frame in `output`
static u64 framesTaken;  // frames of the host that were handled
static u64 framesToSkip;  // frames that come a second time
static u8 input[inputWindow];  // standard input that waits for the program
static u32 inputCount;
static u32 inputTaken;  // bytes given to the program and not yet granted again
static u64 outputCredit;  // bytes of output the host is ready for

static int port = -1;
static int isJoined = 1;  // nothing is written while the host has not said what it has
static int childInput = -1, childOutput = -1, childError = -1, terminal = -1;
static int inputEnded;
static i64 child = -1;
static int childExited, childStatus;
static int stayAfterExit, exitReported;

static u32 get16(const u8 *at) { return at[0] | (u32)at[1] << 8; }
static u32 get32(const u8 *at) { return get16(at) | get16(at + 2) << 16; }

static void closeOne(int *descriptor) {
    if (*descriptor >= 0) SYS1(NR_close, *descriptor);
    *descriptor = -1;
}

static int isRoom(u32 payload) { return outputCount - outputWritten + 3 + payload <= outputRoom; }

// Forgets frames that were written long ago.
static void forget(void) {
    u32 at = 0;
    for (;;) {
        // By its end: a long one may be on its way, most of it, when nothing else is.
        u32 size = 3 + get16(output + at + 1);
        if (at + size + keptOutput > outputWritten) break;
        at += size;
        outputFirst++;
    }
    if (!at) return;
    outputCount -= at;
    outputWritten -= at;
    for (u32 index = 0; index < outputCount; index++) output[index] = output[index + at];
}

// The caller has seen to it that there is room; a host that breaks the rules loses answers.
static void put(u8 type, const void *payload, u32 count) {
    if (!isRoom(count)) return;
    u8 *at = output + outputCount;
    at[0] = type;
    at[1] = (u8)count;
    at[2] = (u8)(count >> 8);
    memcpy(at + 3, payload, count);
    outputCount += 3 + count;
}

static void flush(void) {
    if (!isJoined || outputCount == outputWritten) return;
    i64 count = SYS3(NR_write, port, output + outputWritten, outputCount - outputWritten);
    if (count <= 0) return;
    outputWritten += (u32)count;
    forget();
}

// A frame that is not counted, past all others: the port is empty.
static void putNow(u8 type, const void *payload, u32 count) {
    u8 bytes[16] = {type, (u8)count, 0};
    memcpy(bytes + 3, payload, count);
    u32 done = 0;
    while (done < count + 3) {
        i64 written = SYS3(NR_write, port, bytes + done, count + 3 - done);
        if (written > 0) done += (u32)written;
        else if (written != -EAGAIN && written != -EINTR) return;
    }
}

// The host has so many frames: the others are written again.
static void rejoin(u64 received) {
    u32 at = 0;
    for (u64 number = outputFirst; number < received && at < outputWritten; number++)
        at += 3 + get16(output + at + 1);
    outputWritten = at;
    isJoined = 1;
}

static void setWindow(const u8 *at) {
    struct winsize size = {(u16)get16(at), (u16)get16(at + 2), 0, 0};
    if (terminal >= 0) SYS3(NR_ioctl, terminal, TIOCSWINSZ, &size);
}

static int openTerminal(char *path) {
    int unlock = 0;
    u32 number = 0;
    i64 handle = SYS2(NR_open, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (handle < 0) return -1;
    SYS3(NR_ioctl, handle, TIOCSPTLCK, &unlock);
    SYS3(NR_ioctl, handle, TIOCGPTN, &number);
    memcpy(path, "/dev/pts/", 9);
    char digits[12];
    int count = 0, at = 9;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count) path[at++] = digits[--count];
    path[at] = 0;
    return (int)handle;
}

// Searches PATH as a shell does; returns only on failure.
static i64 execute(char **arguments, char **environment) {
    static char path[4096 + 256];
    const char *name = arguments[0];
    for (const char *c = name; *c; c++)
        if (*c == '/') return SYS3(NR_execve, name, arguments, environment);
    const char *search = "";
    for (char **entry = environment; *entry; entry++)
        if (startsWith(*entry, "PATH=")) search = *entry + 5;
    i64 error = -ENOENT;
    while (*search && length(name) < 256) {
        u64 at = 0;
        while (*search && *search != ':') {
            if (at < 4000) path[at++] = *search;
            search++;
        }
        if (*search) search++;
        path[at++] = '/';
        memcpy(path + at, name, length(name) + 1);
        i64 result = SYS3(NR_execve, path, arguments, environment);
        if (result != -ENOENT && result != -ENOTDIR) error = result;
    }
    return error;
}

static void say(const char *text) { SYS3(NR_write, 2, text, length(text)); }

static _Noreturn void runChild(
    const char *directory, char **arguments, char **environment, int from, int to, int toError,
    const char *terminalPath) {
    u64 signals = ~0ul;
    SYS4(NR_rt_sigprocmask, SIG_UNBLOCK, &signals, 0, 8);
    SYS0(NR_setsid);
    if (terminalPath) {
        from = to = toError = (int)SYS2(NR_open, terminalPath, O_RDWR);
        SYS3(NR_ioctl, from, TIOCSCTTY, 0);
    }
    SYS2(NR_dup2, from, 0);
    SYS2(NR_dup2, to, 1);
    SYS2(NR_dup2, toError, 2);
    if (from > 2) SYS1(NR_close, from);
    i64 error = *directory ? SYS1(NR_chdir, directory) : 0;
    if (error < 0) {
        say("martlet: cannot enter the working directory ");
        say(directory);
        say("\n");
        SYS1(NR_exit, 126);
    }
    error = execute(arguments, environment);
    say("martlet: ");
    say(arguments[0]);
    say(error == -ENOENT ? ": not found in the guest\n" : ": cannot be run in the guest\n");
    SYS1(NR_exit, error == -ENOENT ? 127 : 126);
    for (;;) {}
}

static void reportFailure(u8 error) {
    u8 report[2] = {2, error};
    put(EXIT, report, 2);
    exitReported = 1;
}

// flags u8 (1 terminal, 2 stay), rows u16, columns u16, output credit u32, argument count u16,
// environment count u16, then strings that end in NUL: working directory, arguments, environment.
static void start(const u8 *payload, u32 count) {
    static char *pointers[4096];
    static char defaultPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char terminalPath[32];
    int inputPipe[2] = {-1, -1}, outputPipe[2] = {-1, -1}, errorPipe[2] = {-1, -1};
    if (child > 0) return;
    inputCount = inputTaken = 0;
    inputEnded = childExited = exitReported = 0;
    if (count < 13 || payload[count - 1]) return reportFailure(22);
    u32 wantsTerminal = payload[0] & 1;
    stayAfterExit = payload[0] & 2;
    outputCredit = get32(payload + 5);
    u32 argumentCount = get16(payload + 9), environmentCount = get16(payload + 11);
    if (!argumentCount || argumentCount + environmentCount > 4000) return reportFailure(7);
    char *text = (char *)payload + 13, *end = (char *)payload + count;
    char *directory = text;
    text += length(text) + 1;
    u32 slot = 0;
    for (u32 index = 0; index < argumentCount + environmentCount; index++) {
        if (text >= end) return reportFailure(22);
        if (index == argumentCount) pointers[slot++] = 0;
        pointers[slot++] = text;
        text += length(text) + 1;
    }
    if (!environmentCount) pointers[slot++] = 0;
    char **environment = pointers + argumentCount + 1;
    int hasPath = 0;
    for (u32 index = 0; index < environmentCount; index++)
        if (startsWith(environment[index], "PATH=")) hasPath = 1;
    if (!hasPath) pointers[slot++] = defaultPath;
    pointers[slot] = 0;

    i64 error = 0;
    if (wantsTerminal) {
        terminal = openTerminal(terminalPath);
        if (terminal < 0) return reportFailure(6);
        setWindow(payload + 1);
    } else {
        error = SYS2(NR_pipe2, inputPipe, O_CLOEXEC);
        if (!error) error = SYS2(NR_pipe2, outputPipe, O_CLOEXEC);
        if (!error) error = SYS2(NR_pipe2, errorPipe, O_CLOEXEC);
    }
    if (!error) error = child = SYS0(NR_fork);
    if (!error)
        runChild(
            directory, pointers, environment, inputPipe[0], outputPipe[1], errorPipe[1],
            wantsTerminal ? terminalPath : 0);
    closeOne(&inputPipe[0]);
    closeOne(&outputPipe[1]);
    closeOne(&errorPipe[1]);
    if (error < 0) {
        closeOne(&inputPipe[1]);
        closeOne(&outputPipe[0]);
        closeOne(&errorPipe[0]);
        closeOne(&terminal);
        return reportFailure((u8)-error);
    }
    if (wantsTerminal) {
        childInput = childOutput = terminal;
    } else {
        childInput = inputPipe[1];
        childOutput = outputPipe[0];
        childError = errorPipe[0];
        // The agent's ends never make it wait.
        int one = 1;
        SYS3(NR_ioctl, childInput, 0x5421 /* FIONBIO */, &one);
        SYS3(NR_ioctl, childOutput, 0x5421, &one);
        SYS3(NR_ioctl, childError, 0x5421, &one);
    }
    u8 credit[4] = {(u8)inputWindow, (u8)(inputWindow >> 8), 0, 0};
    put(GRANT, credit, 4);
}

static void closeInput(void) {
    if (childInput < 0) return;
    if (terminal >= 0) {
        // A terminal cannot be closed by half; its end-of-file character does it.
        u8 end = 4;
        SYS3(NR_write, terminal, &end, 1);
        childInput = -1;
    } else {
        closeOne(&childInput);
    }
}

static void receive(u8 type, const u8 *payload, u32 count) {
    if (type == REJOINED) {
        if (count < 16) return;
        if (!isJoined) rejoin(get64(payload));
        // As REJOIN is said until it is heard, it may be answered twice.
        u64 next = get64(payload + 8);
        framesToSkip = framesTaken > next ? framesTaken - next : 0;
        return;
    }
    if (framesToSkip) {
        framesToSkip--;
        return;
    }
    framesTaken++;
    switch (type) {
    case START: start(payload, count); break;
    case STDIN:
        if (count > inputWindow - inputCount) count = inputWindow - inputCount;
        memcpy(input + inputCount, payload, count);
        inputCount += count;
        break;
    case STDIN_END: inputEnded = 1; break;
    case WINDOW:
        if (count >= 4) setWindow(payload);
        break;
    case SIGNAL:
        if (count >= 1 && child > 0) SYS2(NR_kill, -child, payload[0]);
        break;
    case CREDIT:
        if (count >= 4) outputCredit += get32(payload);
        break;
    case IDENTITY: takeIdentity(payload, count); break;
    default: break;
    }
}

// One read: every frame that is whole is handled. A frame waits while there is no room for answers.
// False: the terminal has hung up.
static int readPort(void) {
    i64 count = SYS3(NR_read, port, frame + frameCount, largestFrame - frameCount);
    if (count <= 0) return count == -EAGAIN || count == -EINTR;
    frameCount += (u32)count;
    u32 at = 0;
    while (frameCount - at >= 3 && frameCount - at >= 3 + get16(frame + at + 1)) {
        u32 size = get16(frame + at + 1);
        receive(frame[at], frame + at + 3, size);
        at += 3 + size;
    }
    if (!at) return 1;
    frameCount -= at;
    for (u32 index = 0; index < frameCount; index++) frame[index] = frame[index + at];
    return 1;
}

// Passes on at most a chunk. False at the end of the stream, or if nothing is there.
static int passOutput(int *descriptor, u8 type) {
    u32 size = outputCredit < chunk ? (u32)outputCredit : chunk;
    if (*descriptor < 0 || !isJoined || !size || !isRoom(size + 64)) return 0;
    u8 *at = output + outputCount;
    i64 count = SYS3(NR_read, *descriptor, at + 3, size);
    if (count > 0) {
        at[0] = type;
        at[1] = (u8)count;
        at[2] = (u8)(count >> 8);
        outputCount += 3 + (u32)count;
        outputCredit -= (u64)count;
        return 1;
    }
    if (count == -EAGAIN || count == -EINTR) return 0;
    if (*descriptor == terminal) {
        if (childInput == terminal) childInput = -1;
        closeOne(&terminal);
        *descriptor = -1;
    } else {
        closeOne(descriptor);
    }
    return 0;
}

static void passInput(void) {
    if (childInput >= 0 && inputCount) {
        i64 count = SYS3(NR_write, childInput, input, inputCount);
        if (count == -EAGAIN || count == -EINTR) return;
        if (count < 0) {
            if (terminal < 0) closeOne(&childInput);
            childInput = -1;
        } else {
            inputCount -= (u32)count;
            inputTaken += (u32)count;
            for (u32 at = 0; at < inputCount; at++) input[at] = input[at + (u32)count];
        }
    }
    if (childInput < 0) {  // nobody reads it any more: swallow it, so that the host is not stuck
        inputTaken += inputCount;
        inputCount = 0;
    }
    if (!inputCount && inputEnded) closeInput();
    if (inputTaken >= inputWindow / 4 && isRoom(4) && child > 0) {
        u8 credit[4] = {(u8)inputTaken, (u8)(inputTaken >> 8), (u8)(inputTaken >> 16), 0};
        put(GRANT, credit, 4);
        inputTaken = 0;
    }
}

static void reap(void) {
    int status;
    for (;;) {
        i64 process = SYS4(NR_wait4, -1, &status, WNOHANG, 0);
        if (process <= 0) return;
        if (process == child) {
            childExited = 1;
            childStatus = status;
        }
    }
}

// Once the program is gone and all it wrote is on its way.
static void finish(void) {
    u8 report[2];
    report[0] = (childStatus & 0x7f) != 0;
    report[1] = (u8)(report[0] ? childStatus & 0x7f : childStatus >> 8);
    put(EXIT, report, 2);
    if (terminal < 0) closeOne(&childInput);
    childInput = -1;
    if (terminal < 0) closeOne(&childOutput);
    childOutput = -1;
    closeOne(&childError);
    closeOne(&terminal);
    child = -1;
    exitReported = 1;
}

static int openPort(const char *path) {
    struct termios raw;
    i64 handle = SYS2(NR_open, path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (handle < 0) return (int)handle;
    memset(&raw, 0, sizeof raw);
    raw.cflag = CS8 | CREAD | CLOCAL | B115200 | CRTSCTS;
    raw.cc[VMIN] = 1;
    i64 result = SYS3(NR_ioctl, handle, TCSETS, &raw);
    if (result < 0) complain("setting up", path, result);
    return (int)handle;
}

// Its driver may come while the system starts.
static int waitForPort(const char *path) {
    int handle = -1;
    for (int tries = 0; tries < 5000; tries++) {
        handle = openPort(path);
        if (handle >= 0) break;
        SYS3(NR_poll, 0, 0, 1);
    }
    return handle;
}

// How often the machine has gone on in a new domain: EDX of the leaf that tells of the counter (xen/include/
// public/arch-x86/cpuid.h, guest tsc incarnation). Constant where there is no Xen.
static u32 incarnation(void) {
    u32 a = 0x40000003, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d;
}

// Readable when the clock was set, as it is when the machine goes on.
static int openResumption(void) {
    return (int)SYS2(NR_timerfd_create, 0 /* CLOCK_REALTIME */, O_NONBLOCK | O_CLOEXEC);
}

static void waitForResumption(int handle) {
    u64 passed, never[4] = {0, 0, 1ul << 40, 0};
    SYS3(NR_read, handle, &passed, sizeof passed);
    SYS4(NR_timerfd_settime, handle, 1 | 2 /* ABSTIME, CANCEL_ON_SET */, never, 0);
}

// The terminal has hung up, or is another one.
static void leavePort(void) {
    closeOne(&port);
    frameCount = 0;
    isJoined = 0;
}

// Both sides say what they have.
static void sayRejoin(void) {
    u8 count[8];
    for (int byte = 0; byte < 8; byte++) count[byte] = (u8)(framesTaken >> (8 * byte));
    putNow(REJOIN, count, 8);
}

// What init is told by poweroff, halt and reboot, as of busybox and sysvinit.
enum { SIGUSR1 = 10, SIGUSR2 = 12, SIGTERM = 15, SIGKILL = 9 };

// The end that somebody in the guest, or the host by the kernel, has asked for.
static _Noreturn void shutDown(u32 signal) {
    SYS2(NR_kill, -1, SIGTERM);
    for (int tries = 0; tries < 200; tries++) {
        int status;
        i64 process = SYS4(NR_wait4, -1, &status, WNOHANG, 0);
        if (process < 0) break;  // nobody is left
        if (process == 0) SYS3(NR_poll, 0, 0, 10);
    }
    SYS2(NR_kill, -1, SIGKILL);
    if (signal != SIGTERM) powerOff();
    SYS0(NR_sync);
    SYS4(NR_reboot, 0xfee1dead, 672274793, 0x01234567 /* RESTART */, 0);
    powerOff();
}

static void sayReady(void) {
    u8 version[2] = {protocolVersion, 0};
    putNow(READY, version, 2);
}

static void serve(const char *path) {
    u64 signals = 1ul << (SIGCHLD - 1) | 1ul << (SIGUSR1 - 1) | 1ul << (SIGUSR2 - 1) |
                  1ul << (SIGTERM - 1);
    u64 pipeSignal = 1ul << 12;
    SYS4(NR_rt_sigprocmask, SIG_BLOCK, &signals, 0, 8);
    SYS4(NR_rt_sigprocmask, SIG_BLOCK, &pipeSignal, 0, 8);
    int signalFile = (int)SYS4(NR_signalfd4, -1, &signals, 8, O_NONBLOCK | O_CLOEXEC);
    int resumption = openResumption();
    waitForResumption(resumption);
    u32 known = incarnation();
    sayReady();
    u32 repeats = 0;
    for (;;) {
        // A whole frame's answers fit in 256 bytes for each of at most a port buffer's frames.
        // Until the host has said what it has, that is all that comes, and wants no answer.
        int mayRead = !isJoined || isRoom(2048);
        int mayPass = isJoined && outputCredit && isRoom(chunk + 64);
        int mayWrite = isJoined && outputCount > outputWritten;
        struct pollfd waits[6] = {
            {port, (short)((mayRead ? POLLIN : 0) | (mayWrite ? POLLOUT : 0)), 0},
            {signalFile, POLLIN, 0},
            {mayPass ? childOutput : -1, POLLIN, 0},
            {mayPass ? childError : -1, POLLIN, 0},
            {inputCount ? childInput : -1, POLLOUT, 0},
            {resumption, POLLIN, 0},
        };
        // What is written while a console's driver comes up may be lost.
        // Less and less often: a console that nobody connects has its ring full one day, and then waits
        // in the kernel for ever.
        int patience = port < 0 ? 20 : isJoined && framesTaken ? -1 : 10 << (repeats < 8 ? repeats : 8);
        i64 found = SYS3(NR_poll, waits, 6, childExited && child > 0 && mayPass ? 0 : patience);
        if (waits[5].revents) waitForResumption(resumption);
        u32 current = incarnation();
        if (current != known) {
            // Linux hangs the terminal up that its driver knows. One that was opened while that of the last
            // domain was still going may be another, and then is not told.
            known = current;
            leavePort();
            continue;
        }
        if (port < 0) {
            port = openPort(path);
            if (port >= 0) sayRejoin();
            repeats = 0;
        } else if (!found && !isJoined) {
            sayRejoin();
            repeats++;
        } else if (!found && !framesTaken) {
            sayReady();
            repeats++;
        }
        if (waits[1].revents) {
            u8 information[128];  // struct signalfd_siginfo
            if (SYS3(NR_read, signalFile, information, sizeof information) > 0 &&
                get32(information) != SIGCHLD)
                shutDown(get32(information));
        }
        reap();
        int isOpen = !(waits[0].revents & (POLLHUP | POLLERR));
        if (isOpen && mayRead && waits[0].revents & POLLIN) isOpen = readPort();
        if (!isOpen) leavePort();
        int moved = passOutput(&childOutput, STDOUT);
        moved |= passOutput(&childError, STDERR);
        passInput();
        if (childExited && child > 0 && !moved && outputCredit && isRoom(chunk + 64)) finish();
        flush();
        if (exitReported && !stayAfterExit && outputWritten == outputCount) {
            SYS3(NR_ioctl, port, TCSBRK, 1);
            return;
        }
    }
}

static void shellOnConsole(void) {
    static char *arguments[] = {"/bin/sh", "-l", 0};
    static char *environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
        "TERM=linux", 0};
    i64 process = SYS0(NR_fork);
    if (!process) {
        SYS0(NR_setsid);
        i64 console = SYS2(NR_open, "/dev/console", O_RDWR);
        for (int descriptor = 0; descriptor < 3; descriptor++) SYS2(NR_dup2, console, descriptor);
        SYS3(NR_ioctl, 0, TIOCSCTTY, 1);
        SYS3(NR_execve, arguments[0], arguments, environment);
        SYS1(NR_exit, 127);
    }
    int status;
    while (SYS4(NR_wait4, -1, &status, 0, 0) != process) {}
}

__attribute__((used)) _Noreturn void agentMain(void) {
    char path[128];
    setUpSystem();
    if (parameter("martlet.agent=", path, sizeof path)) {
        port = waitForPort(path);
        if (port >= 0) serve(path);
        else complain("opening", path, port);
    } else {
        shellOnConsole();
    }
    powerOff();
}

__asm__(".globl _start\n_start:\n xorl %ebp, %ebp\n andq $-16, %rsp\n call agentMain\n hlt\n");
