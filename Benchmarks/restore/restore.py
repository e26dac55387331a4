#!/usr/bin/env python3
# `make bench-restore`: how long it takes until a machine goes on. For guests of each of SIZES (MEMORY:MEBIBYTES of random data in files), suspended
# and restored with --lazy: from the program's start to the start of the vCPUs, to the guest's first line and to the first reply of its web server
# over user networking, with the snapshot in the host's page cache (warm) and not (cold), medians of ROUNDS. Then CLONES of a guest of 1 GiB with 512 MiB of data: all of them running, and what
# they take of the host's memory. Then `run --cached -- true`.
#
# Set by the environment: SIZES, ROUNDS, CLONES, MARTLET (the program).
import json, os, select, shutil, socket, statistics, subprocess, sys, tempfile, threading, time

martlet = os.environ.get("MARTLET", "martlet")
sizes = os.environ.get("SIZES", "256M:64 2G:1024 8G:4096").split()
rounds = int(os.environ.get("ROUNDS", "5"))
clones = int(os.environ.get("CLONES", "10"))
work = tempfile.mkdtemp(prefix="martlet-restore", dir="/var/tmp")
guest = """mkdir -p /www; echo hello >/www/index.html; httpd -p 80 -h /www
dd if=/dev/urandom of=/tmp/data bs=1M count=%d 2>/dev/null
echo up; while :; do echo beat; sleep 0.02; done
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def start(name, memory, data, port):
    process = subprocess.Popen(
        [martlet, "run", "--quiet", "--name", name, "--memory", memory, "--publish", f"{port}:80",
         "--", "sh", "-c", guest % data], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in process.stdout:
        if line == b"up\n":
            break
    threading.Thread(target=process.stdout.read, daemon=True).start()
    return process


def first_reply(port, until):
    """When a connection was answered; a new one is made every 5 ms, for one that is made too early waits for seconds."""
    sockets = []
    while time.monotonic() < until:
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
        sockets.append((connection, [False]))
        deadline = time.monotonic() + 0.005
        while (rest := deadline - time.monotonic()) > 0:
            waiting = [c for c, sent in sockets if not sent[0]]
            readable, writable, _ = select.select([c for c, _ in sockets], waiting, [], rest)
            for c, sent in list(sockets):
                try:
                    if c in writable and not sent[0]:
                        c.send(b"GET / HTTP/1.0\r\n\r\n")
                        sent[0] = True
                    elif c in readable and b"200 OK" in c.recv(4096):
                        return time.monotonic()
                except OSError:
                    c.close()
                    sockets.remove((c, sent))
    return None


def restore(snapshot, port, cold):
    if cold:
        file = os.open(snapshot, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
    begin = time.monotonic()
    process = subprocess.Popen(
        [martlet, "restore", "--quiet", "--lazy", "--stats", "--timeout", "2", snapshot],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = []
    reader = threading.Thread(
        target=lambda: line.append((process.stdout.readline(), time.monotonic())) or process.stdout.read())
    reader.start()
    # Waiting for a reply takes a processor's time: not in the same run as the others.
    reply = first_reply(port, begin + 2) if port else None
    errors = process.stderr.read()
    process.wait()
    reader.join()
    report = json.loads([l for l in errors.decode().splitlines() if l.startswith("{")][-1])
    return ((report["startNanoseconds"] / 1e9 - begin) * 1e3, (line[0][1] - begin) * 1e3,
            (reply - begin) * 1e3 if reply else None, report["parts"]["pager"]["residentBytes"] >> 20)


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else float("nan")


try:
    print(f"{'memory':>8} {'file MiB':>9} {'cache':>6} {'vCPUs ms':>9} {'line ms':>9} {'reply ms':>9} {'resident MiB':>13}")
    for size in sizes:
        memory, data = size.split(":")
        port, snapshot = free_port(), f"{work}/{memory}"
        process = start(f"restore{os.getpid()}", memory, int(data), port)
        subprocess.run([martlet, "suspend", f"restore{os.getpid()}", snapshot], check=True, stdout=subprocess.DEVNULL)
        process.wait()
        for cold in (False, True):
            runs = [restore(snapshot, None, cold) for _ in range(rounds)]
            replies = [restore(snapshot, port, cold)[2] for _ in range(rounds)]
            print(f"{memory:>8} {os.path.getsize(snapshot) >> 20:9} {'cold' if cold else 'warm':>6} "
                  f"{median([r[0] for r in runs]):9.1f} {median([r[1] for r in runs]):9.1f} {median(replies):9.1f} {median([r[3] for r in runs]):13.0f}")
        os.unlink(snapshot)

    name = f"fork{os.getpid()}"
    process = start(name, "1G", 512, free_port())

    def available():
        for line in open("/proc/meminfo"):
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) / 1024

    # Once for what the machine itself pays: it maps its memory anew.
    for number in range(3):
        before, begin = available(), time.monotonic()
        subprocess.run([martlet, "fork", name, "--count", str(clones), "--prefix", f"{name}.{number}", "--folder", f"{work}/clones{number}"],
                       check=True, stdout=subprocess.DEVNULL)
        elapsed = time.monotonic() - begin
        time.sleep(2)
        print(f"fork {number + 1}: {clones} clones of 1 GiB with 512 MiB of data run after {elapsed * 1e3:.0f} ms; 2 s later they take {(before - available()) / clones:.0f} MiB each")
        for clone in range(1, clones + 1):
            subprocess.run([martlet, "stop", f"{name}.{number}-{clone}", "--acknowledge", "5", "--end", "5"], stdout=subprocess.DEVNULL)
    subprocess.run([martlet, "stop", name, "--end", "5"], stdout=subprocess.DEVNULL)
    process.wait()

    for platform in ("xen", "kvm"):
        times = []
        for _ in range(rounds + 2):
            begin = time.monotonic()
            subprocess.run([martlet, "run", "--quiet", "--platform", platform, "--cached", "--", "true"], check=True, stdin=subprocess.DEVNULL)
            times.append((time.monotonic() - begin) * 1e3)
        print(f"run --cached --platform {platform} -- true: first {times[0]:.0f} ms, second {times[1]:.0f}, then {median(times[2:]):.0f}")
finally:
    shutil.rmtree(work, ignore_errors=True)
