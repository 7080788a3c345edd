"""Decoding alone: bytes to a normalised message, with Google Benchmark."""
import json
import os

from bench.server import BUILD, on_load_core


def decode(part):
    command = [os.path.join(BUILD, "bench", "decode_bench"), f"--benchmark_repetitions={part.options.rounds}",
               "--benchmark_min_time=0.2", "--benchmark_enable_random_interleaving=true", "--benchmark_format=json"]
    rounds = {}
    for run in json.loads(on_load_core(command))["benchmarks"]:
        if run["run_type"] == "iteration":
            rounds.setdefault(run["run_name"].split("/")[1], []).append(run["cpu_time"] / 1000)
    for name, micros in rounds.items():
        part.row("The documented example", name, {"µs": micros}, [command])


STEPS = {"decode": decode}
