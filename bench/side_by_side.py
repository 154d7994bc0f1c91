#!/usr/bin/env python3
"""The same jobs by shardlab on two CPU devices of one thread each, and in plain LibTorch (bench/plain.cc) without a limit of
memory: (a) one after another with two threads, (b) in two processes of one thread each.

Several times in turn, medians. `resident`: the budget holds whole models with their activations. `spill`: a device holds
about one job's parameters, so forwards are repeated and shards copied, which is shown apart. `loss`: what of devices x
makespan was no unit. `unexplained`: what `spill` takes beyond (b), less recomputation and copies of the lanes.

Example: bench/side_by_side.py --repeats 3
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARDLAB, PLAIN = ROOT / "build/cli/shardlab", ROOT / "build/bench/plain"
WORKLOAD = """
[defaults]
context = 64
optimizer = "adamw"
batch = 8
minibatches = {minibatches}
data = "text.txt"
[[job]]
name = "gpt"
model = "gpt"
layers = 4
width = 192
heads = 4
seed = [1, 2, 3, 4]
[[job]]
name = "bert"
model = "bert"
layers = 6
width = 144
heads = 4
seed = [1, 2, 3, 4]
"""
CLUSTER = '[[device]]\nname = "cpu"\ncount = 2\nmemory = "{memory}"\n'


def output(*command, cwd):
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True, cwd=cwd)
    return json.loads(done.stdout)


def shardlab(folder, verb, *arguments):
    return output(SHARDLAB, verb, *arguments, "--json", cwd=folder)


def plain(folder, threads, processes):
    """The longest of so many processes, which train the jobs in turn."""
    started = [subprocess.Popen([PLAIN, "workload.toml", str(threads), str(i), str(processes)], stdout=subprocess.PIPE,
                                text=True, cwd=folder) for i in range(processes)]
    results = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("bench/plain failed")
    return max(json.loads(result)["seconds"] for result in results)


def ours(folder, strategy):
    run = shardlab(folder, "run", "workload.toml", f"{strategy}.toml", "-p", "profile.json", "--strategy", strategy,
                   "--policy", "lrtf", "-o", f"{strategy}-out")
    timeline = json.loads((folder / f"{strategy}-out/timeline.json").read_text())
    units, copies = ([dict(zip(timeline[of]["columns"], row)) for row in timeline[of]["rows"]] for of in ("units", "copies"))
    seconds = 1e-9 / len(timeline["devices"])
    return {"makespan": run["measured_s"],
            "compute": seconds * sum(unit["to_ns"] - unit["from_ns"] for unit in units),
            "recompute": seconds * sum(unit["recompute_ns"] for unit in units),
            "copies": seconds * sum(copy["lane_to_ns"] - copy["lane_from_ns"] for copy in copies)}


def measure(options, folder):
    # Words of our own: the usual text takes longer to read.
    (folder / "text.txt").write_text(" ".join(str(i * i % 9973) for i in range(100_000)))
    (folder / "workload.toml").write_text(WORKLOAD.format(minibatches=options.minibatches))
    (folder / "resident.toml").write_text(CLUSTER.format(memory="2 GiB"))
    (folder / "spill.toml").write_text(CLUSTER.format(memory=options.memory))
    shardlab(folder, "profile", "workload.toml", "resident.toml", "-o", "profile.json", "--seconds", options.seconds)
    rows = []
    for _ in range(options.repeats):
        row = {"a": plain(folder, 2, 1), "resident": ours(folder, "resident"), "b": plain(folder, 1, 2),
               "spill": ours(folder, "spill")}
        rows.append(row)
        print("(a) {:.2f} s, (b) {:.2f} s, resident {:.2f} s, spill {:.2f} s".format(
            row["a"], row["b"], row["resident"]["makespan"], row["spill"]["makespan"]), flush=True)
    return rows


def summarize(rows):
    def median(of):
        return statistics.median(of(row) for row in rows)

    summary = {"a_s": median(lambda row: row["a"]), "b_s": median(lambda row: row["b"])}
    for name in ("resident", "spill"):
        summary[name] = {
            "makespan_s": median(lambda row: row[name]["makespan"]),
            "loss": median(lambda row: row[name]["makespan"] / row[name]["compute"] - 1),
            "over_b": median(lambda row: row[name]["makespan"] / row["b"] - 1),
            "over_a": median(lambda row: row[name]["makespan"] / row["a"] - 1),
            "recompute_s": median(lambda row: row[name]["recompute"]),
            "copies_s": median(lambda row: row[name]["copies"]),
            "unexplained": median(lambda row: (row[name]["makespan"] - row[name]["recompute"] - row[name]["copies"])
                                  / row["b"] - 1)}
    return summary


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="of all four, in turn (3)")
    parser.add_argument("--minibatches", type=int, default=10, help="of each of the eight jobs (10)")
    parser.add_argument("--memory", default="32 MB", help="of a device, for spill (32 MB)")
    parser.add_argument("--seconds", type=float, default=8, help="of profiling (8)")
    parser.add_argument("-o", "--output", default="bench-out/side_by_side.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options, pathlib.Path(folder))
    summary = summarize(rows)
    print("\n| | makespan s | over (b) % | over (a) % | over compute / 2 % | recomputation s | copies s "
          "| unexplained % of (b) |")
    print("|---|---|---|---|---|---|---|---|")
    for name in ("resident", "spill"):
        row = summary[name]
        print(f"| {name} | {row['makespan_s']:.2f} | {100 * row['over_b']:+.1f} | {100 * row['over_a']:+.1f} "
              f"| {100 * row['loss']:+.1f} | {row['recompute_s']:.2f} | {row['copies_s']:.2f} "
              f"| {100 * row['unexplained']:+.1f} |")
    path = pathlib.Path(options.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**summary, "rows": rows}, indent=1) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
