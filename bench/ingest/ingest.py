"""Ingest beside the limit of what an HTTP server could do here: the same POSTs to nginx, which answers 200 and does
nothing else, and to the gateway, which decodes, deduplicates and syncs each. Both have one core, wrk has the other;
rounds alternate, and the ratio is of the rounds' medians.

    script/bench ingest [--rounds N] [--seconds S] [--connections 64,256]
"""
import argparse
import http.client
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "bench", "ingest")
GATEWAY = os.path.join(ROOT, "build", "release", "gateway", "mmsmo-gateway")
SERVER_CORE, LOAD_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class Server:
    """A server pinned to its core, with a directory of its own."""

    def __init__(self, command, ready_port, ready_path, directory):
        self.directory = directory
        begin = time.perf_counter()
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], cwd=directory,
                                        stderr=open(os.path.join(directory, "log"), "wb"))
        while True:
            try:
                get(ready_port, ready_path)
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(open(os.path.join(directory, "log")).read())
                time.sleep(0.001)
        self.ready_ms = (time.perf_counter() - begin) * 1000

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.directory)


def nginx(port):
    directory = tempfile.mkdtemp(prefix="mmsmo-bench-")
    config = os.path.join(directory, "nginx.conf")
    with open(os.path.join(HERE, "nginx.conf")) as template, open(config, "w") as out:
        out.write(template.read().replace("PORT", str(port)))
    return Server(["nginx", "-p", directory, "-c", config], port, "/", directory)


def gateway(port, admin):
    directory = tempfile.mkdtemp(prefix="mmsmo-bench-")
    return Server([GATEWAY, "--http-listen", f"127.0.0.1:{port}", "--grpc-listen", "127.0.0.1:0", "--admin-listen",
                   f"127.0.0.1:{admin}", "--data-dir", os.path.join(directory, "data"), "--http-threads", "1"],
                  admin, "/readyz", directory)


def load(port, connections, seconds, prefix):
    """Answers, answers a second, and those other than 200."""
    out = subprocess.run(["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                          os.path.join(HERE, "postback.lua"), f"http://127.0.0.1:{port}", "--", prefix],
                         capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return (int(re.search(r"(\d+) requests in", out).group(1)), float(re.search(r"Requests/sec:\s+(\S+)", out).group(1)),
            int(failed.group(1)) if failed else 0)


def measure(server, port, connections, seconds, prefix):
    before = server.cpu_seconds()
    answers, rate, failed = load(port, connections, seconds, prefix)
    if failed:
        sys.exit(f"{failed} of {answers} answers were not 200")
    return answers, rate, (server.cpu_seconds() - before) / answers * 1e6


def sync_micros(directory):
    """The median of fdatasync after 4 KiB, in microseconds."""
    times = []
    with open(os.path.join(directory, "sync"), "wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", default="64,256")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("this benchmark needs two cores: one for the servers, one for the load")
    with tempfile.TemporaryDirectory() as directory:
        print(f"fdatasync here: median {sync_micros(directory):.0f} µs")
    print(f"{options.rounds} rounds of {options.seconds} s; XML, synced, deduplicated, raw body kept; one core each")
    peak, ready, idle = 0.0, [], []
    for connections in map(int, options.connections.split(",")):
        results = {"nginx": [], "gateway": []}
        for i in range(options.rounds):
            port, admin = free_port(), free_port()
            server = nginx(port)
            results["nginx"].append(measure(server, port, connections, options.seconds, f"n{i}"))
            server.stop()
            server = gateway(port, admin)
            ready.append(server.ready_ms)
            idle.append(server.resident_mib())
            answers, rate, cpu = measure(server, port, connections, options.seconds, f"g{i}")
            accepted = re.search(r'mmsmo_postbacks_total\{outcome="accepted",reason=""\} (\S+)', get(admin, "/metrics"))
            if float(accepted.group(1)) < answers:
                sys.exit(f"{answers} were answered, {accepted.group(1)} accepted")
            results["gateway"].append((answers, rate, cpu))
            peak = max(peak, server.peak_mib())
            server.stop()
        rates = {name: statistics.median(r for _, r, _ in rounds) for name, rounds in results.items()}
        cpus = {name: statistics.median(c for _, _, c in rounds) for name, rounds in results.items()}
        pairs = [g[1] / n[1] for g, n in zip(results["gateway"], results["nginx"])]
        print(f"\n{connections} connections   requests/s   CPU µs/request")
        for name in results:
            print(f"  {name:<14} {rates[name]:>10.0f}   {cpus[name]:>14.1f}")
        print(f"  ratio          {rates['gateway'] / rates['nginx']:>10.2f}   (rounds: "
              f"{', '.join(f'{pair:.2f}' for pair in pairs)})")
    print(f"\ngateway: ready after {statistics.median(ready):.0f} ms (median), {max(idle):.0f} MiB idle, "
          f"{peak:.0f} MiB at most through the load")


if __name__ == "__main__":
    main()
