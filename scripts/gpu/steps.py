"""The steps of scripts/gpu-check: a new case is a line in PROFILES or RUNS, a new kind a function and a line in STEPS."""
import importlib.util
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
from functools import partial

from runner import Failed, Skipped, Step

HERE = pathlib.Path(__file__).resolve().parent
SPILL = ["--strategy", "spill", "--policy", "lrtf", "--slots", "2"]
RESIDENT = ["--strategy", "resident", "--policy", "lrtf"]

# case: workload and cluster (files here, without .toml), seconds to measure, what that takes on an H100, limit in seconds; that
# of vit is a guess
PROFILES = {
    "gpt-2048": ("gpt-2048", "cluster", 10, 25, 90),
    "bert-2048": ("bert-2048", "cluster", 10, 20, 90),
    "bert-large": ("bert-large", "cluster", 20, 51, 150),
    "vit": ("vit", "cluster", 10, 30, 120),
    "gpt2-xl": ("gpt2-xl", "cluster", 20, 52, 150),
}
# What a run is held against: |measured / predicted - 1| at most, and of what copies can hide so much at least.
BARS = {"error": 0.05, "hidden": 0.90}
# Of two lanes on one GPU, which slow each other, and of several GPUs the error is reported only.
NO_BARS = {}
# case: workload, cluster, plan, seconds to measure, what that takes on an H100, limit in seconds, bars; that of resident is a
# guess
RUNS = {
    "spill": ("two-deep", "cluster-small", SPILL, 10, 137, 300, BARS),
    "resident": ("two-deep", "cluster", [*RESIDENT, "--admit", "1"], 10, 90, 300, {"error": BARS["error"]}),
    "two-lanes": ("two-deep", "cluster-two-lanes", SPILL, 10, 131, 300, NO_BARS),
}


def toml(name):
    return HERE / f"{name}.toml"


def shardlab(context, *arguments):
    """The object that the verb prints."""
    command = context.build / "cli/shardlab"
    if not command.exists():
        raise Failed(f"{command} is not there: run the step build first")
    return json.loads(context.command(command, *arguments, "--json"))


def meson():
    return [shutil.which("meson")] if shutil.which("meson") else ["python3", "-m", "mesonbuild.mesonmain"]


def build(context):
    if context.lacking:
        raise Failed("this machine lacks " + "; ".join(context.lacking))
    again = ["--reconfigure"] if (context.build / "build.ninja").exists() else []
    context.command(*meson(), "setup", *again, context.build, *context.build_arguments)
    # To the end whatever fails: one test that does not compile leaves the command and the others.
    try:
        context.command("ninja", "-C", context.build, "-k", "0", "-j", context.jobs)
    except (Failed, TimeoutError):
        drop_old_command(context)
        raise
    return {"jobs": context.jobs}


def drop_old_command(context):
    """What an earlier build left is not what these sources are: better no figures than its."""
    command = context.build / "cli/shardlab"
    try:
        left = subprocess.run(["ninja", "-C", context.build, "-n", "cli/shardlab", "cli/libshardlab_torch.so"],
                              capture_output=True, text=True, timeout=60, env=context.environment, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        left = ""
    if "no work to do" not in left:
        command.unlink(missing_ok=True)


def doctor(context):
    found = shardlab(context, "doctor")
    figures = {name: found[name] for name in ("shardlab", "libtorch", "driver", "gpus", "cupti")}
    problems = [f"{name}: {found.get(name + '_problem') or 'none'}" for name in ("libtorch", "driver", "gpus", "cupti")
                if not found[name]]
    if problems:
        raise Failed("\n".join(problems), figures)
    return figures


def load_tally(context):
    spec = importlib.util.spec_from_file_location("tally", context.root / ".ci/tally.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.tally


def tests(context):
    """Those of the suite gpu, and the quick ones in C++. Counts cases, as ./bootstrap test does."""
    listed = json.loads(context.command(*meson(), "introspect", "--tests", context.build))
    suites = {test["name"]: {suite.split(":")[-1] for suite in test["suite"]} for test in listed}
    chosen = [name for name, of in suites.items() if "gpu" in of or {"quick", "cpp"} <= of]
    of_gpu = sum("gpu" in suites[name] for name in chosen)
    shutil.rmtree(context.build / "test-results", ignore_errors=True)
    (context.build / "meson-logs/testlog.json").unlink(missing_ok=True)
    stopped = None
    try:
        context.command(*meson(), "test", "-C", context.build, "--no-rebuild", "--print-errorlogs", *chosen)
    except Failed as problem:  # The tally says what failed, unless nothing ran.
        stopped = problem
    counts, failures = load_tally(context)(context.build)
    figures = {"programs": len(chosen), "of_suite_gpu": of_gpu,
               **{what: counts[what] for what in ("passed", "failed", "skipped")}}
    if counts["failed"] or stopped:
        raise Failed("\n".join(failures) or str(stopped), figures)
    return figures


KINDS = ("forward", "recompute", "backward", "step")
# How well what layers take must add up, and to what.
COMPOSED = 0.03
SUMS = {"layers_error": "the layers' times add up to another time than whole units",
        "events_error": "the layers' times add up to another time than events around the same units",
        "records_error": "what CUPTI recorded of the layers adds up to another time than events around the same minibatches"}


def profile_figures(found):
    """Of all layers of all models together, alone: what one minibatch of each takes."""
    layers = [layer for model in found["models"] for layer in model["costs"]]
    times = [layer["alone"] for layer in layers]
    beside = [layer["loaded"][f"{kind}_ns"] / layer["alone"][f"{kind}_ns"] for layer in layers for kind in KINDS
              if layer["alone"][f"{kind}_ns"]]
    spreads = [time["backward_spread_ns"] / time["backward_ns"] for time in times if time["backward_ns"]]
    source, host = found["provenance"], found["alone"]
    return {"device": source["device"], "rounds": source["rounds"], "layers": len(layers),
            "parameter_bytes": sum(layer["parameter_bytes"] for layer in layers),
            **{f"{kind}_ms": sum(time[f"{kind}_ns"] for time in times) / 1e6 for kind in KINDS},
            "beside_copies": statistics.median(beside) - 1, "largest_spread": max(spreads, default=0), "drift": source["drift"],
            "copy_latency_us": host["copy_latency_ns"] / 1e3, "copy_bytes_per_second": host["copy_bytes_per_second"]}


def recorded_figures(found):
    """How the layers' times fit the whole minibatch, events around the same units, and what CUPTI recorded of them."""
    times = [layer["alone"] for model in found["models"] for layer in model["costs"]]
    alone = sum(time[f"{kind}_ns"] for time in times for kind in KINDS)
    whole = sum(model["whole_ns"] for model in found["models"])
    around = sum(model["around_ns"] for model in found["models"])
    busy = sum(time.get(f"{kind}_busy_ns", 0) for time in times for kind in KINDS)
    activity = found["provenance"]["activity"]
    return {"whole_ms": whole / 1e6, "layers_error": alone / whole - 1, "events_error": alone / around - 1,
            "records_error": activity["over_events"] - 1, "busy": busy / alone,
            "unattributed": activity["unattributed"], "by_launch": activity["by_launch"], "recording": activity["slow_down"],
            "mismatched": activity.get("mismatched"), "records_lost": activity["dropped"],
            "median_interval": found["provenance"].get("repeats", {}).get("median_interval"),
            "allocator_rounding": found["provenance"].get("allocator_rounding")}


def profile(context, case, workload, cluster, seconds):
    path = context.out / f"profile-{case}.json"
    return held(shardlab(context, "profile", workload, cluster, "-o", path, "--seconds", seconds))


def held(found):
    """A profile's figures. Raises Failed with them where its layers do not add up or its kernels belong to none."""
    figures = profile_figures(found)
    timed = all("whole_ns" in model and "around_ns" in model for model in found["models"])
    if not timed or "over_events" not in found["provenance"].get("activity", {}):
        raise Failed("nothing was recorded by CUPTI, or no minibatch as a whole; the log and shardlab doctor say why", figures)
    figures |= recorded_figures(found)
    for name, sums in SUMS.items():
        if not abs(figures[name]) <= COMPOSED:
            raise Failed(f"{sums}: {100 * figures[name]:+.1f} %, more than {100 * COMPOSED:.0f} %", figures)
    if not figures["busy"] or figures["unattributed"] > 0.01:
        raise Failed(f"kernels are not attributed: {found['provenance']['activity']['source']}", figures)
    return figures


def way(link):
    if "peer" in link:
        return f"{link['device']} to {link['peer']}"
    return f"{'to device' if link['to_device'] else 'to host'}, {'page-locked' if link['pinned'] else 'pageable'}"


def link_figures(link):
    return {"latency_us": link["latency_ns"] / 1e3, "copy_bytes_per_second": link["bytes_per_second"],
            "residual": link["residual"], "shared_bytes_per_second": link.get("shared_bytes_per_second")}


def shared_rows(found):
    """What several copies share, and computing beside a copy."""
    rows = [{"case": f"{each['copying']} at once, {each['ways']}, {'page-locked' if each['pinned'] else 'pageable'}, "
                     f"through {each['through']}", "shared_bytes_per_second": each["together_bytes_per_second"],
             "contention": each["contention"]} for each in found["shared"]]
    return rows + [{"case": f"computing on {each['device']} beside a copy", "slow_down_promote": each["slow_down_promote"],
                    "slow_down_demote": each["slow_down_demote"]} for each in found["computing"]]


def against_plain(link, plain):
    """A way's figures and those of plain copies, which cuda_copies.py prints."""
    name = f"{'to_device' if link['to_device'] else 'to_host'}_{'pinned' if link['pinned'] else 'pageable'}"
    alone, shared = plain[name], plain[f"{name}_shared"]
    largest = link["sizes"][-1]
    return {"case": way(link), **link_figures(link), "plain_bytes_per_second": alone,
            "error": link["bytes_per_second"] / alone - 1,
            "largest_error": largest["bytes"] / largest["time_ns"] * 1e9 / alone - 1,
            "plain_shared_bytes_per_second": shared, "shared_error": link["shared_bytes_per_second"] / shared - 1}


def worst_of(row):
    """How far a way is off plain copies of its largest size. Of page-locked memory the fitted rate counts too; pageable copies
    are in no proportion to their size, as the fit's residual says."""
    errors = ("error", "largest_error", "shared_error") if "page-locked" in row["case"] else ("largest_error", "shared_error")
    return max(abs(row[error]) for error in errors)


def links(context):
    """Each way, page-locked and pageable, alone and beside the other, against plain loops over copies of the largest size."""
    found = shardlab(context, "links", toml("cluster"))
    (largest,) = {link["sizes"][-1]["bytes"] for link in found["links"]}
    plain = json.loads(context.command(sys.executable, HERE / "cuda_copies.py", largest, *context.cuda_libraries))
    rows = [against_plain(link, plain) for link in found["links"]]
    worst = max(rows, key=worst_of)
    figures = {"rows": rows + shared_rows(found)}
    if worst_of(worst) > 0.05:
        raise Failed(f"copies {worst['case']} are {100 * worst_of(worst):.1f} % off the plain loops, more than 5 %", figures)
    return figures


def cluster_of_all(context):
    """A cluster file of all GPUs here, each with the memory of cluster-small. Raises Skipped where there is one."""
    if len(context.gpus) < 2:
        raise Skipped("needs two GPUs or more; here is one")
    one = toml("cluster-small").read_text()
    path = context.out / "cluster-gpus.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(one.replace('name = "gpu"', f'name = "gpu-{i}"\nordinal = {i}')
                              for i in range(len(context.gpus))))
    return path


def links_of_all(context):
    """Links of all GPUs: from each to each other, and what they share of the way to host memory."""
    found = shardlab(context, "links", cluster_of_all(context), "--rounds", 5)
    ways = [{"case": way(link) if "peer" in link else f"{link['device']} {way(link)}", **link_figures(link)}
            for link in found["links"]]
    return {"rows": ways + shared_rows(found)}


def hold_against(figures, bars):
    """Raises Failed with the figures where they are outside the bars, or where nothing says whether they are."""
    problems = []
    if "error" in bars and not abs(figures["error"]) <= bars["error"]:
        problems.append(f"measured {figures['measured_s']:.3f} s, predicted {figures['predicted_s']:.3f} s: "
                        f"{100 * figures['error']:+.1f} %, more than {100 * bars['error']:.0f} %")
    if "hidden" in bars and figures["hidden"] is None:
        problems.append(f"nothing was recorded that says how much was hidden, {100 * bars['hidden']:.0f} % is the least")
    elif "hidden" in bars and not figures["hidden"] >= bars["hidden"]:
        problems.append(f"{100 * figures['hidden']:.1f} % of what copies can hide was hidden, less than "
                        f"{100 * bars['hidden']:.0f} %")
    if problems:
        raise Failed("\n".join(problems), figures)
    return figures


def train(context, case, workload, cluster, plan, seconds, bars):
    """Profiles, predicts, trains and compares. The same plan file from the prediction on. Fails outside the bars."""
    folder = context.out / f"run-{case}"
    folder.mkdir(parents=True, exist_ok=True)
    inputs = [workload, cluster, "-p", folder / "profile.json"]
    shardlab(context, "profile", workload, cluster, "-o", folder / "profile.json", "--seconds", seconds)
    best = shardlab(context, "simulate", *inputs, *plan, "--save-plan", folder / "plan.json")["plans"][0]
    ran = shardlab(context, "run", *inputs, "--plan", folder / "plan.json", "-o", folder)
    seen = shardlab(context, "run", *inputs, "--plan", folder / "plan.json", "-o", folder / "recorded", "--records")["records"]
    compared = shardlab(context, "compare", workload, cluster, folder / "timeline.json", "-p", folder / "profile.json",
                        "--plan", folder / "plan.json")
    measured = compared["measured"]
    figures = {"plan": best["name"], "jobs": len(ran["jobs"]), "predicted_s": best["predicted_s"],
               "measured_s": compared["measured_s"], "error": compared["measured_s"] / best["predicted_s"] - 1,
               "naive_s": compared["naive_s"], "naive_error": compared["naive_error"], **compared["split"],
               "overhead": compared["overhead"], "drift": ran["drift"], "busy": measured["utilization"]["busy"],
               "kernels_s": seen["kernels_s"], "copies_s": seen["copies_s"], "hidden": seen["hidden_share"],
               "moved_bytes": measured["bytes_moved"],
               "peak_bytes": max(device["peak_bytes"] for device in measured["devices"])}
    return hold_against(figures, bars)


def profile_steps():
    for case, (workload, cluster, seconds, usual, limit) in PROFILES.items():
        yield Step(f"profile:{case}", f"what each layer of {workload} costs", limit,
                   partial(profile, case=case, workload=toml(workload), cluster=toml(cluster), seconds=seconds), usual)


def run_steps():
    for case, (workload, cluster, plan, seconds, usual, limit, bars) in RUNS.items():
        yield Step(f"run:{case}", f"{workload} on {cluster}: predicted against measured", limit,
                   partial(train, case=case, workload=toml(workload), cluster=toml(cluster), plan=plan, seconds=seconds,
                           bars=bars), usual)


def train_on_all(context):
    return train(context, "gpus", toml("two-deep"), cluster_of_all(context), SPILL, 10, NO_BARS)


STEPS = [
    Step("build", "Shardlab against this LibTorch and this toolkit", 1800, build, None),
    Step("doctor", "the build sees LibTorch, driver, GPU and CUPTI", 60, doctor, 2),
    Step("tests", "the suite gpu, and the quick tests in C++", 240, tests, 30),
    *profile_steps(),
    Step("links", "copies between host and device", 90, links, 15),
    *run_steps(),
    Step("gpus:links", "copies between all GPUs, where there are several", 120, links_of_all, 0),
    Step("gpus:run", "two-deep on all GPUs, where there are several: predicted against measured", 300, train_on_all, 0),
]
