#!/usr/bin/env python3
"""How far runs on emulated devices are from their predictions: the real runtime, whose lanes take time instead of
computing.

For each length of a unit, several times in turn: equal jobs whose units all take so long, spilled over devices with two copy
engines and links that take half of the computing (--load). The prediction holds the overhead per unit that the run measured
just before. Columns: makespans and their error; utilization (busy) of both; what share of the promotions' time double
buffering hid behind computing; the overhead per unit. Wake-ups are late where other programs use the cores: the figures are
those of the machine as it is.

Examples:
  bench/emulated.py
  bench/emulated.py --units 50 --room 7
  bench/emulated.py --devices 64 --jobs 128 --units 50 --repeats 1
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARDLAB = ROOT / "build/cli/shardlab"
LAYERS, MEBIBYTE = 4, 1 << 20
UNITS = 2 * LAYERS - 1  # Of a minibatch, with a layer a shard.
PARAMETERS = 64 * MEBIBYTE  # Of a layer; its state and gradients are as large, and the rest next to nothing.


def shardlab(*arguments):
    done = subprocess.run([SHARDLAB, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def times(unit_ns):
    """A forward takes one unit's time; so do forward, backward and step together."""
    parts = {"forward": unit_ns, "recompute": unit_ns * 3 // 10, "backward": unit_ns * 6 // 10}
    parts["step"] = unit_ns - parts["recompute"] - parts["backward"]
    return {key: value for phase, ns in parts.items()
            for key, value in ((f"{phase}_ns", ns), (f"{phase}_spread_ns", 0), (f"{phase}_samples", 1))}


def profile(unit_ns):
    names = ["embedding", *(f"block {i}" for i in range(LAYERS - 2)), "head"]
    costs = [{"name": name, "parameter_bytes": PARAMETERS, "state_bytes": PARAMETERS, "output_bytes": 1024,
              "forward_workspace_bytes": 0, "saved_bytes": 0, "backward_workspace_bytes": 0,
              "alone": times(unit_ns), "loaded": times(unit_ns)} for name in names]
    host = {"copy_latency_ns": 0, "copy_bytes_per_second": 0.0, "copy_back_latency_ns": 0,
            "copy_back_bytes_per_second": 0.0, "unit_overhead_ns": 0, "dispatch_ns": 0}
    return {"format": "shardlab-profile", "version": 1,
            "provenance": {"device": "emulated", "libtorch": "", "shardlab": "", "date": "2026-01-01T00:00:00Z",
                           "method": "made up", "lanes": 1, "threads_per_lane": 1, "warm_up_rounds": 0, "rounds": 1,
                           "drift": 0.0, "fixed_work_ns": 0},
            "alone": host, "loaded": host,
            "models": [{"model": "gpt", "layers": LAYERS - 2, "width": 8, "heads": 1, "context": 8, "dropout": 0.0,
                        "precision": "fp32", "batch": 1, "optimizer": "adamw", "costs": costs}]}


def workload(jobs, minibatches):
    job = 'model = "gpt"\nlayers = {}\nwidth = 8\nheads = 1\ncontext = 8\nbatch = 1\noptimizer = "adamw"\nminibatches = {}\n'
    return "".join(f'[[job]]\nname = "job-{j}"\n' + job.format(LAYERS - 2, minibatches) for j in range(jobs))


def link_rate(unit_ns, load):
    """A minibatch promotes the parameters of all units and the state of those that step."""
    return PARAMETERS * (UNITS + LAYERS) / (load * UNITS * unit_ns * 1e-9)


def cluster(devices, room, rate):
    return (f'[[device]]\nname = "device"\ncount = {devices}\nkind = "emulated"\nmemory = "{round(room * PARAMETERS)}"\n'
            f'copy_engines = 2\nlink = {{ rate = "{rate / 1e6:.3f} MB" }}\n')


def measure(options, unit_ms, folder):
    unit_ns = round(unit_ms * 1e6)
    minibatches = max(1, round(options.seconds * 1e9 * options.devices / (options.jobs * UNITS * unit_ns)))
    files = [folder / name for name in ("workload.toml", "cluster.toml", "profile.json")]
    files[0].write_text(workload(options.jobs, minibatches))
    rate = link_rate(unit_ns, options.load)
    files[1].write_text(cluster(options.devices, options.room, rate))
    files[2].write_text(json.dumps(profile(unit_ns)))
    run = shardlab("run", *files[:2], "-p", files[2], "--strategy", "spill", "--policy", options.policy,
                   "-o", folder / "out", "--json")
    waiting = run["measured_s"] * sum(device["copy_wait"] for device in run["devices"])
    run["hidden"] = 1 - waiting / (sum(device["promoted_bytes"] for device in run["devices"]) / rate)
    return run


def summarize(unit_ms, runs):
    def median(of):
        return statistics.median(of(run) for run in runs)

    def busy(run, key):
        return run["comparison"][key]["utilization"]["busy"]

    row = {"unit_ms": unit_ms,
           "predicted_s": median(lambda run: run["predicted_s"]),
           "measured_s": median(lambda run: run["measured_s"]),
           "error": median(lambda run: run["measured_s"] / run["predicted_s"] - 1),
           "worst_error": max((run["measured_s"] / run["predicted_s"] - 1 for run in runs), key=abs),
           "predicted_busy": median(lambda run: busy(run, "predicted")),
           "measured_busy": median(lambda run: busy(run, "measured")),
           "busy_ratio": median(lambda run: busy(run, "measured") / busy(run, "predicted")),
           "hidden": median(lambda run: run["hidden"]),
           "dispatch_us": median(lambda run: 1e6 * run["dispatch_s"]["loaded"])}
    print(f"| {unit_ms:g} | {row['predicted_s']:.3f} | {row['measured_s']:.3f} | {100 * row['error']:+.2f} "
          f"| {100 * row['worst_error']:+.2f} | {100 * row['predicted_busy']:.1f} | {100 * row['measured_busy']:.1f} "
          f"| {100 * row['busy_ratio']:.1f} | {100 * row['hidden']:.1f} | {row['dispatch_us']:.0f} |", flush=True)
    return row


def numbers(text):
    return [float(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=numbers, default=[50, 20, 10, 2], help="lengths in ms (50,20,10,2)")
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--load", type=float, default=0.5, help="of links, relative to computing (0.5)")
    parser.add_argument("--room", type=float, default=12,
                        help="of a device, in parameters of a layer; a unit that steps takes three (12)")
    parser.add_argument("--policy", default="lrtf")
    parser.add_argument("--seconds", type=float, default=5, help="that a run takes, about (5)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each length (3)")
    parser.add_argument("-o", "--output", default="bench-out/emulated.json")
    options = parser.parse_args()
    print("| unit ms | predicted s | measured s | error % | worst % | predicted busy % | measured busy % | ratio % "
          "| hidden % | overhead us |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [summarize(unit, [measure(options, unit, pathlib.Path(folder)) for _ in range(options.repeats)])
                for unit in options.units]
    path = pathlib.Path(options.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"devices": options.devices, "jobs": options.jobs, "rows": rows}, indent=1) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
