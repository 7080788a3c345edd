"""Ingest beside the limit of what an HTTP server could do here: the same POSTs to nginx, which answers 200 and does
nothing else, and to the gateway, which decodes, deduplicates and syncs each. Both have one core, wrk has the other;
rounds alternate, and the ratio is of the rounds' medians.

    script/bench ingest [--rounds N] [--seconds S] [--connections 64,256]
"""
import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from server import BUILD, LOAD_CORE, Server, free_port, get, sync_micros  # noqa: E402


@contextlib.contextmanager
def running(command, ready_port, ready_path, directory):
    server = Server(command, ready_port, ready_path, directory)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def nginx(port):
    with tempfile.TemporaryDirectory(prefix="mmsmo-bench-") as directory:
        config = os.path.join(directory, "nginx.conf")
        with open(os.path.join(HERE, "nginx.conf")) as template, open(config, "w") as out:
            out.write(template.read().replace("PORT", str(port)))
        with running(["nginx", "-p", directory, "-c", config], port, "/", directory) as server:
            yield server


@contextlib.contextmanager
def gateway(port, admin):
    with tempfile.TemporaryDirectory(prefix="mmsmo-bench-") as directory:
        with running([os.path.join(BUILD, "gateway", "mmsmo-gateway"), "--http-listen", f"127.0.0.1:{port}",
                      "--grpc-listen", "127.0.0.1:0", "--admin-listen", f"127.0.0.1:{admin}", "--data-dir",
                      os.path.join(directory, "data"), "--http-threads", "1"], admin, "/readyz", directory) as server:
            yield server


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
            with nginx(port) as server:
                results["nginx"].append(measure(server, port, connections, options.seconds, f"n{i}"))
            with gateway(port, admin) as server:
                ready.append(server.ready_ms)
                idle.append(server.resident_mib())
                answers, rate, cpu = measure(server, port, connections, options.seconds, f"g{i}")
                accepted = re.search(r'mmsmo_postbacks_total\{outcome="accepted",reason=""\} (\S+)', get(admin, "/metrics"))
                if float(accepted.group(1)) < answers:
                    sys.exit(f"{answers} were answered, {accepted.group(1)} accepted")
                results["gateway"].append((answers, rate, cpu))
                peak = max(peak, server.peak_mib())
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
