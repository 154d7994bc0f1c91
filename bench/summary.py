#!/usr/bin/env python3
"""Adds up what the benchmarks left in bench-out/, runs the peer on the same instance, and writes bench-out/summary.json:
case -> units_per_s, peer (units per second) and ratio, where there is a peer.

Example: bench/summary.py
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "bench-out"
MINIBATCHES = {"compute_only": 1000}  # Of the case; a peer runs a twentieth of them.


def cases():
    runs = json.loads((OUT / "simulator_bench.json").read_text())["benchmarks"]
    names = [run["name"].removeprefix("compute/").removesuffix("/real_time") for run in runs]
    return {name: run for name, run in zip(names, runs) if run["run_type"] == "iteration"}


def peer(minibatches):
    script = [sys.executable, ROOT / "bench/simpy_peer.py", "--minibatches", str(minibatches)]
    return json.loads(subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main():
    summary = {}
    for name, run in cases().items():
        summary[name] = {"units_per_s": run["items_per_second"]}
        if name in MINIBATCHES:
            other = peer(MINIBATCHES[name] // 20)
            # A twentieth of the minibatches: a makespan in proportion shows that it is the same instance.
            summary[name] |= {"peer": other["units_per_s"], "ratio": run["items_per_second"] / other["units_per_s"],
                              "makespan_over_peers": run["makespan_ns"] / (20 * other["makespan_ns"])}
    (OUT / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print("| case | million units/s | SimPy, million units/s | ratio |\n|---|---|---|---|")
    for name, row in summary.items():
        other = f"{row['peer'] / 1e6:.2f} | {row['ratio']:.0f}" if "peer" in row else "| "
        print(f"| {name} | {row['units_per_s'] / 1e6:.2f} | {other} |")


if __name__ == "__main__":
    main()
