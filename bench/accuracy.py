#!/usr/bin/env python3
"""How far predictions are from runs, over links that load faster and slower than units compute.

For each load/compute ratio, with and without double buffering, several times in turn: profiles, runs `spill`, runs
`model_parallel`. Errors and orders count by the profile taken before a run, as a user has it. A machine drifts from minute
to minute: the error against the mean of the predictions by the profiles before and after the run stands beside it
(between) and shows how much of an error that is. Load/compute is what `spill` promotes per device over the link's rate,
against what the device computes. Ratio 0: links that are not paced. Links of the cluster file are left out.

Examples:
  bench/accuracy.py --ratios 0,0.5,1,2 --repeats 3
  the executor's overhead on the demo's jobs, with links that are not paced (column overhead, of spill/lrtf):
  bench/accuracy.py --workload examples/demo/workload.toml --cluster examples/demo/cluster.toml --ratios 0 --slots 2 --repeats 1
"""
import argparse
import itertools
import json
import pathlib
import re
import statistics
import subprocess
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARDLAB = ROOT / "build/cli/shardlab"
PLANS = {
    "spill/lrtf": ["--strategy", "spill", "--policy", "lrtf"],
    "model_parallel": ["--strategy", "model_parallel", "--admit", "1"],
}


def shardlab(*arguments):
    done = subprocess.run([SHARDLAB, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def paced(cluster, rate, folder):
    """The cluster with links of `rate` bytes per second on every device; 0: not paced."""
    text = re.sub(r"^[ \t]*link\b.*\n?", "", pathlib.Path(cluster).read_text(), flags=re.MULTILINE)
    if any("link" in device for device in tomllib.loads(text).get("device", [])):
        raise SystemExit(f"{cluster}: a link must be one line, `link = ...`, to be replaced here")
    if rate:
        link = f'link = {{ latency_us = 50, rate = "{rate / 1e6:.3f} MB" }}'
        text = re.sub(r"^[ \t]*\[\[[ \t]*device[ \t]*\]\].*$", lambda found: f"{found[0]}\n{link}", text, flags=re.MULTILINE)
    path = folder / f"cluster-{rate:.0f}.toml"
    path.write_text(text)
    return path


def profiled(options, path):
    shardlab("profile", options.workload, options.cluster, "-o", path, "--json", "--seconds", options.seconds)
    return path


def simulated(options, cluster, profile, *plan):
    return shardlab("simulate", options.workload, cluster, "-p", profile, *plan, "--json")["plans"][0]


def load_rate(options, profile, ratio):
    """The rate at which loading takes `ratio` times the computing."""
    if ratio == 0:
        return 0
    plan = simulated(options, options.cluster, profile, *PLANS["spill/lrtf"], "--slots", 2)
    promoted = sum(device["promoted_bytes"] for device in plan["devices"])
    busy = sum(device["busy"] for device in plan["devices"]) * plan["predicted_s"]
    return promoted / (ratio * busy)


def measure(options, folder):
    rows = []
    folders = {name: folder / name.replace("/", "-") for name in PLANS}
    before = profiled(options, folder / "profile-0.json")
    for ratio, slots in itertools.product(options.ratios, options.slots):
        cluster = paced(options.cluster, load_rate(options, before, ratio), folder)
        results = {name: [] for name in PLANS}
        for _ in range(options.repeats):
            runs = {name: shardlab("run", options.workload, cluster, "-p", before, *plan, "--slots", slots,
                                   "-o", folders[name], "--json") for name, plan in PLANS.items()}
            after = profiled(options, folder / f"profile-{'01'[before.name == 'profile-0.json']}.json")
            for name, run in runs.items():
                # The same plan by the later profile, which alone might cut other shards.
                later = simulated(options, cluster, after, "--plan", folders[name] / "plan.json")
                run["between_s"] = (run["predicted_s"] + later["predicted_s"]) / 2
                results[name].append(run)
            before = after
        for name, runs in results.items():
            rows.append(summarize(ratio, slots, name, runs))
    return rows


def summarize(ratio, slots, name, runs):
    def median(of):
        return statistics.median(of(run) for run in runs)

    row = {"load_over_compute": ratio, "slots": slots, "plan": name,
           "predicted_s": median(lambda run: run["predicted_s"]),
           "between_s": median(lambda run: run["between_s"]),
           "measured_s": median(lambda run: run["measured_s"]),
           "naive_s": median(lambda run: run["comparison"]["naive_s"]),
           "error": median(lambda run: run["measured_s"] / run["predicted_s"]) - 1,
           "error_between": median(lambda run: run["measured_s"] / run["between_s"]) - 1,
           "replay_error": max(abs(run["comparison"]["replayed_s"] / run["measured_s"] - 1) for run in runs),
           "overhead": median(lambda run: run["comparison"]["overhead"]),
           "runs": [{key: run[key] for key in ("predicted_s", "between_s", "measured_s", "drift")} for run in runs]}
    row["naive_error"] = row["measured_s"] / row["naive_s"] - 1
    print(f"| {ratio:g} | {slots} | {name} | {row['predicted_s']:.2f} | {row['measured_s']:.2f} "
          f"| {100 * row['error']:+.1f} | {100 * row['error_between']:+.1f} "
          f"| {100 * row['naive_error']:+.1f} | {100 * row['replay_error']:.1f} | {100 * row['overhead']:.1f} |",
          flush=True)
    return row


def wrong_orders(rows):
    """Pairs of rows whose predictions differ by more than 10 % but were measured the other way round."""
    wrong = []
    for one, other in itertools.combinations(rows, 2):
        low, high = sorted((one, other), key=lambda row: row["predicted_s"])
        if high["predicted_s"] > 1.1 * low["predicted_s"] and high["measured_s"] <= low["measured_s"]:
            wrong.append((low, high))
    return wrong


def numbers(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", default=ROOT / "examples/accuracy/workload.toml")
    parser.add_argument("--cluster", default=ROOT / "examples/accuracy/cluster.toml")
    parser.add_argument("--ratios", type=numbers(float), default=[0, 0.5, 1, 2], help="load/compute (0,0.5,1,2)")
    parser.add_argument("--slots", type=numbers(int), default=[1, 2], help="without and with double buffering (1,2)")
    parser.add_argument("--repeats", type=int, default=3, help="profiles, and runs of each plan, in turn (3)")
    parser.add_argument("--seconds", type=float, default=8, help="of measuring per profile (8)")
    parser.add_argument("-o", "--output", default="bench-out/accuracy.json")
    options = parser.parse_args()
    print("| load/compute | slots | plan | predicted s | measured s | error % | between % | naive error % | replay % "
          "| overhead % |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        options.cluster = paced(options.cluster, 0, folder)
        rows = measure(options, folder)
    wrong = wrong_orders(rows)
    # Of the rows' medians over repeats.
    worst = max(abs(row["error"]) for row in rows)
    print(f"\nlargest error {100 * worst:.1f} %; wrong orders among pairs predicted more than 10 % apart: {len(wrong)}")
    path = pathlib.Path(options.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"worst": worst, "wrong_orders": len(wrong), "rows": rows}, indent=1) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
