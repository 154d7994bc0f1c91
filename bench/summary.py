#!/usr/bin/env python3
"""Adds up what the benchmarks left in bench-out/, runs the peer on the same instance, and writes bench-out/summary.json:
case -> units_per_s, peer (units per second) and ratio, where there is a peer. SimPy is the peer of compute_only, one core that
of sweep. bench-out/scale.html draws how long a unit takes from 64 jobs to 100 000.

Example: bench/summary.py
"""
import json
import pathlib
import subprocess
import sys

import plotly.graph_objects as go

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


def compare(summary, name, peer, **more):
    summary[name] |= {"peer": peer, "ratio": summary[name]["units_per_s"] / peer} | more


def imports():
    """Traces read per second, against Python's json on the same file; the files go."""
    found = {}
    for run in json.loads((OUT / "import_bench.json").read_text())["benchmarks"]:
        trace = pathlib.Path(run["label"])
        script = [sys.executable, ROOT / "bench/json_peer.py", trace]
        other = json.loads(subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True).stdout)
        found[f"import/{trace.name}"] = {
            "events_per_s": run["items_per_second"], "peer": other["events_per_s"],
            "ratio": run["items_per_second"] / other["events_per_s"],
            "peak_bytes": run["peak_bytes"], "peak_bytes_of_peer": other["peak_bytes"]}
        trace.unlink()
    return found


def scale_of(name):
    return int(name.split("/")[1])


def name_as_asked(summary, runs):
    """sweep is that on two cores, whose peer is one; huge is the last of scale, with its memory."""
    if {"sweep/1", "sweep/2"} <= summary.keys():
        one = summary.pop("sweep/1")
        summary["sweep"] = summary.pop("sweep/2")
        compare(summary, "sweep", one["units_per_s"])
    scales = sorted((name for name in summary if name.startswith("scale/")), key=scale_of)
    if scales:
        summary["huge"] = summary[scales[-1]] | {"jobs": scale_of(scales[-1]), "peak_bytes": runs[scales[-1]]["peak_bytes"]}
    return scales


def draw(summary, scales):
    jobs = [scale_of(name) for name in scales]
    nanoseconds = [1e9 / summary[name]["units_per_s"] for name in scales]
    figure = go.Figure(go.Scatter(x=jobs, y=nanoseconds, mode="lines+markers"))
    figure.update_xaxes(title="jobs (devices: a tenth of them)", type="log")
    figure.update_yaxes(title="ns per unit", rangemode="tozero")
    figure.write_html(OUT / "scale.html", include_plotlyjs="directory")
    for count, each in zip(jobs, nanoseconds):
        print(f"{count:>8} jobs {each:8.0f} ns per unit  {'#' * round(each / max(nanoseconds) * 50)}")


def main():
    summary = {}
    runs = cases()
    for name, run in runs.items():
        summary[name] = {"units_per_s": run["items_per_second"]}
        if name in MINIBATCHES:
            other = peer(MINIBATCHES[name] // 20)
            # A twentieth of the minibatches: a makespan in proportion shows that it is the same instance.
            compare(summary, name, other["units_per_s"], makespan_over_peers=run["makespan_ns"] / (20 * other["makespan_ns"]))
    scales = name_as_asked(summary, runs)
    traces = imports()
    (OUT / "summary.json").write_text(json.dumps(summary | traces, indent=1) + "\n")
    print("| case | million units/s | peer, million units/s | ratio |\n|---|---|---|---|")
    for name, row in summary.items():
        other = f"{row['peer'] / 1e6:.2f} | {row['ratio']:.1f}" if "peer" in row else "| "
        print(f"| {name} | {row['units_per_s'] / 1e6:.2f} | {other} |")
    print("\n| trace | million events/s | Python's json | ratio | peak MiB | Python's |\n|---|---|---|---|---|---|")
    for name, row in traces.items():
        peaks = f"{row['peak_bytes'] / 2**20:.0f} | {row['peak_bytes_of_peer'] / 2**20:.0f}"
        print(f"| {name} | {row['events_per_s'] / 1e6:.2f} | {row['peer'] / 1e6:.2f} | {row['ratio']:.1f} | {peaks} |")
    if scales:
        print()
        draw(summary, scales)


if __name__ == "__main__":
    main()
