"""The command as a user sees it: exit codes, help, errors, --json, and a whole path on a tiny workload."""

import csv
import fcntl
import gzip
import io
import json
import os
import pathlib
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SHARDLAB_BUILD", ROOT / "build"))
COMMAND = BUILD / "cli/shardlab"
FIXTURES = ROOT / "tests/fixtures"
INPUTS = [str(FIXTURES / "workload.toml"), str(FIXTURES / "cluster.toml"), "-p", str(FIXTURES / "profile.json")]
VERBS = ["profile", "fit", "simulate", "sweep", "plan", "run", "compare", "demo", "links", "validate", "doctor", "study",
         "rerun", "import"]
needs_torch = pytest.mark.skipif(not (COMMAND.parent / "libshardlab_torch.so").exists(), reason="built without LibTorch")


def shardlab(*arguments, cwd=None, **environment):
    return subprocess.run([str(COMMAND), *map(str, arguments)], capture_output=True, text=True, timeout=200, cwd=cwd,
                          env={**os.environ, **environment})


def good(*arguments, **options):
    run = shardlab(*arguments, **options)
    assert run.returncode == 0, run.stderr
    return run.stdout


def bad(*arguments, code=1, **options):
    """What it says of itself when it fails."""
    run = shardlab(*arguments, **options)
    assert run.returncode == code, run.stdout + run.stderr
    assert run.stderr.startswith("shardlab: "), run.stderr
    assert run.stdout == ""
    return run.stderr


# Examples

@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*/command")), ids=lambda path: path.parent.name)
def test_an_example_prints_what_it_says(example):
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    run = subprocess.run(["bash", example], cwd=ROOT, capture_output=True, text=True, timeout=200,
                         env={**os.environ, "PATH": path})
    assert run.returncode == 0, run.stderr
    assert all(line.startswith("shardlab: warning: the profile ") for line in run.stderr.splitlines()), run.stderr
    assert run.stdout == (example.parent / "expected.txt").read_text()


# Usage

@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_ends_with_an_example(verb):
    text = good(verb, "--help")
    assert f"\n  shardlab {verb} " in text[text.index("Example"):]


def test_help_and_version_are_no_failures():
    text = good("--help")
    assert all(verb in text for verb in VERBS)
    assert good("--version").startswith("shardlab ")


@pytest.mark.parametrize("arguments", [
    [], ["fly"], ["simulate"], ["simulate", "--what"], ["simulate", *INPUTS, "--policy", "lifo"],
    ["simulate", *INPUTS, "--slots", "0"], ["simulate", *INPUTS, "--admit", "-1"],
    ["simulate", *INPUTS, "--plan", "p.json", "--strategy", "spill"], ["simulate", *INPUTS, "--plan", "p.json", "--slots", "2"],
    ["simulate", *INPUTS, "--plan", "p.json", "--seed", "1"], ["run", *INPUTS],
    ["sweep", *INPUTS, "--devices", "none"], ["demo", "--repeats", "0"]])
def test_wrong_usage_exits_with_2(arguments):
    bad(*arguments, code=2)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "101"])
def test_an_interval_that_is_no_percentage_is_refused(value):
    said = bad("profile", *INPUTS[:2], "--interval", value, code=2)
    assert f"--interval: {value} is no number from 0 to 100" in said, said


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0"])
def test_a_time_that_is_none_is_refused(value):
    for verb in (["profile", *INPUTS[:2], "--seconds"], ["validate", "ranking", "--seconds"], ["plan", *INPUTS, "--budget"],
                 ["simulate", *INPUTS, "--policy", "search", "--search-seconds"]):
        assert value in bad(*verb, value, code=2), verb


@pytest.mark.parametrize("option", ["--watchdog", "--watchdog-times"])
def test_a_watchdog_wants_a_number(option):
    for value in ["nan", "-1", "inf", "soon"]:
        assert f"{option}: {value} is no number from 0 to 1e+09" in bad("run", *INPUTS, option, value, code=2)


def test_help_shows_the_usual_slots_and_seed():
    text = " ".join(good("simulate", "--help").split())
    assert "with double buffering (2)" in text and "of policies that draw (1)" in text


# simulate

def test_simulate_ranks_the_usual_plans():
    document = json.loads(good("simulate", *INPUTS, "--json"))
    assert document["format"] == "shardlab-simulate" and document["version"] == 1
    plans = {plan["name"]: plan for plan in document["plans"]}
    assert {"spill/lrtf", "spill/fifo", "spill/srtf", "spill/round_robin", "spill/random", "spill/task_parallel",
            "spill/sharp", "model_parallel/lrtf", "model_parallel/lrtf/admit=1",
            "model_parallel/lrtf/admit=1/keep"} == plans.keys()
    assert [refused["name"] for refused in document["refused"]] == ["resident/lrtf"]
    order = [plan["predicted_s"] for plan in document["plans"]]
    assert order == sorted(order)
    for plan in plans.values():
        share = plan["utilization"]
        assert 1 >= share["occupied"] >= share["busy"] >= share["useful"] > 0
        assert plan["predicted_s"] >= plan["lower_bound_s"] > 0
        assert all(0 < peak <= 14 << 20 for peak in plan["peak_bytes"])
    assert plans["spill/lrtf"]["predicted_s"] < plans["model_parallel/lrtf/admit=1"]["predicted_s"]
    assert plans["model_parallel/lrtf/admit=1"]["naive_s"] > plans["spill/lrtf"]["naive_s"]


def test_simulate_marks_ties_and_says_what_they_are():
    text = good("simulate", *INPUTS)
    assert re.search(r"^ +=\d  spill/", text, re.M)
    first = text.splitlines()[1].split()
    assert re.fullmatch(r"\d+/\d+/\d+", first[7]) and "  occupied/busy/useful %  " in text
    assert "= tie: within 10.0 % of the first of that rank, the stated error" in text
    assert "resident/lrtf cannot run: decoder: the whole model needs " in text


def test_energy_and_cost_are_shown_where_the_cluster_gives_them(tmp_path):
    plain = (FIXTURES / "cluster.toml").read_text()
    cluster = tmp_path / "cluster.toml"
    cluster.write_text("host_watts = 100\n" + plain + "watts_busy = 50\nprice_per_hour = 3600\n")
    inputs = [INPUTS[0], cluster, *INPUTS[2:]]
    plans = json.loads(good("simulate", *inputs, "--json"))["plans"]
    for plan in plans:
        seconds = plan["predicted_s"]
        busy = 2 * seconds * plan["utilization"]["busy"]
        assert plan["energy_j"] == pytest.approx(100 * seconds + 50 * busy)
        assert plan["energy_kwh"] == pytest.approx(plan["energy_j"] / 3.6e6)
        assert plan["cost"] == pytest.approx(2 * seconds)
    assert good("simulate", *inputs).splitlines()[0].endswith("peak MiB  energy kWh   cost")
    rows = list(csv.DictReader(io.StringIO(good("sweep", *inputs, "--devices", "1,2", "--strategies", "spill,resident"))))
    for row in rows:
        assert (row["cost"] == "") == (row["energy_j"] == "") == (row["reason"] != "")
        assert row["cost"] == "" or float(row["cost"]) == pytest.approx(float(row["predicted_s"]) * int(row["devices"]))
    assert "energy" not in good("simulate", *INPUTS)
    assert "cost" not in json.loads(good("simulate", *INPUTS, "--json"))["plans"][0]
    assert "cost" not in good("sweep", *INPUTS).splitlines()[0]


def test_simulate_draws_one_plan_and_its_utilization():
    text = good("simulate", *INPUTS, "--strategy", "spill", "--policy", "lrtf")
    for part in ["\ncpu-0  ", "\ncpu-1  ", "a decoder   b encoder   c wide", "occupied %", "copy wait %"]:
        assert part in text
    assert re.search(r"^host memory: at most [\d.]+ MiB$", text, re.MULTILINE)
    assert "\x1b" not in text, "colours only on a terminal"


def test_steps_are_where_they_are_asked_for_or_cheaper(tmp_path):
    profile = json.loads((FIXTURES / "profile.json").read_text())
    for layer in [layer for model in profile["models"] for layer in model["costs"]]:
        layer |= {"host_step_ns": 1000, "host_step_spread_ns": 1, "host_step_samples": 7}
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    (tmp_path / "cluster.toml").write_text((FIXTURES / "cluster.toml").read_text() +
                                         'copy_engines = 2\nkind = "cuda"\n')
    inputs = [FIXTURES / "workload.toml", tmp_path / "cluster.toml", "-p", tmp_path / "profile.json", "--strategy", "spill"]

    def stepping(*options):
        document = json.loads(good("simulate", *inputs, *options, "--json"))
        return document["plans"][0].get("steps_on_host", {})

    assert stepping() == stepping("--step", "cheaper") == stepping("--step", "host") and stepping()
    assert stepping("--step", "device") == {}
    assert " steps on the host\n" in good("simulate", *inputs, "--trace", tmp_path / "trace.json",
                                          "--save-plan", tmp_path / "plan.json", "--step", "host")
    assert '"host optimizer"' in (tmp_path / "trace.json").read_text()
    assert '"optimizer_step": "host"' in (tmp_path / "plan.json").read_text()
    assert "does not know what a step on the host takes" in bad("simulate", *INPUTS, "--strategy", "spill", "--step", "host")
    assert "gpipe" in bad("simulate", *inputs[:4], "--strategy", "gpipe(2,1)", "--step", "host")


def test_simulate_gives_the_same_bytes_again(tmp_path):
    for name in ["a", "b"]:
        good("simulate", *INPUTS, "--policy", "random", "--seed", 5, "-o", f"{name}.json", cwd=tmp_path)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_saved_plan_gives_the_same_prediction(tmp_path):
    best = json.loads(good("simulate", *INPUTS, "--json", "--save-plan", "plan.json", "--trace", "trace.json", cwd=tmp_path))
    again = json.loads(good("simulate", *INPUTS, "--json", "--plan", "plan.json", cwd=tmp_path))
    assert again["plans"][0]["name"] == best["plans"][0]["name"]
    assert again["plans"][0]["predicted_s"] == best["plans"][0]["predicted_s"]
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


@pytest.mark.parametrize("spec", ["fixed", "lognormal:0", "normal:0", "gamma:0.0"])
def test_noise_of_no_variation_gives_the_plain_simulation_to_the_byte(tmp_path, spec):
    good("simulate", *INPUTS, "--policy", "lrtf", "-o", "plain.json", cwd=tmp_path)
    good("simulate", *INPUTS, "--policy", "lrtf", "--noise", spec, "--replications", 2, "-o", "noisy.json", cwd=tmp_path)
    assert (tmp_path / "noisy.json").read_bytes() == (tmp_path / "plain.json").read_bytes()


def test_simulate_reports_replications_and_writes_the_first(tmp_path):
    noise = ["--noise", "lognormal:0.2", "--seed", 7]
    document = json.loads(good("simulate", *INPUTS, "--policy", "lrtf", *noise, "--replications", 12, "--json", "-o",
                               "first.json", cwd=tmp_path))
    assert document["noise"] == {"units": "lognormal:0.2", "copies": "lognormal:0.2", "seed": 7, "replications": 12}
    (plan,) = document["plans"]
    for name in ["makespan_s", "mean_completion_s", "occupied", "busy", "useful"]:
        found = plan["replicated"][name]
        assert found["min"] <= found["p5"] <= found["median"] <= found["p95"] <= found["max"]
        assert found["min"] < found["mean"] < found["max"] and 0 < found["half_width"] < found["max"] - found["min"]
    text = good("simulate", *INPUTS, "--policy", "lrtf", *noise, "--replications", 1, "-o", "only.json", cwd=tmp_path)
    assert (tmp_path / "only.json").read_bytes() == (tmp_path / "first.json").read_bytes(), "the same in 1 and in 12"
    assert "\n1 replication from seed 7: units lognormal:0.2, copies lognormal:0.2;" in text
    makespan = json.loads((tmp_path / "first.json").read_text())["makespan_ns"]
    assert re.search(rf"\nmakespan s +{makespan / 1e9:.3f} +- ", text) and "below: replication 1\n" in text


def test_the_threads_do_not_change_what_noise_gives():
    for arguments in [["simulate"], ["simulate", "--json"], ["simulate", "--policy", "lrtf", "--copy-noise", "exponential"],
                      ["sweep", "--devices", "1,2"], ["sweep", "--policies", "random", "--json"]]:
        verb, *rest = arguments
        command = [verb, *INPUTS, *rest, "--noise", "gamma:0.3", "--replications", 7]
        assert good(*command, "--threads", 1) == good(*command, "--threads", 2)


def test_simulate_ranks_noisy_plans_by_mean_and_saves_the_best(tmp_path):
    text = good("simulate", *INPUTS, "--noise", "lognormal:0.2", "--save-plan", "plan.json", cwd=tmp_path)
    table = text[text.index("\nplan "):].strip().splitlines()
    rows = [re.split("  +", line) for line in table[1:-1]]
    means = [float(row[1]) for row in rows]
    assert len(rows) == 10 and means == sorted(means)
    assert rows[0][-1] == "best" and {row[-1] for row in rows[1:]} <= {"tie", "slower"}
    assert json.loads((tmp_path / "plan.json").read_text())["name"] == rows[0][0]


def test_noise_may_come_from_the_profile_or_a_measured_run(tmp_path):
    good("simulate", *INPUTS, "--policy", "lrtf", "-o", "timeline.json", cwd=tmp_path)
    for noise in ["profile", "profile:independent", "samples:timeline.json"]:
        text = good("simulate", *INPUTS, "--policy", "lrtf", "--noise", noise, cwd=tmp_path)
        copies = noise if noise.startswith("samples") else "fixed"
        assert f"units {noise}, copies {copies};" in text
    plan = ["--plan", "plan.json", "--noise", "exponential", "--seed", 3]
    good("simulate", *INPUTS, "--policy", "lrtf", "--save-plan", "plan.json", cwd=tmp_path)
    assert "from seed 3:" in good("simulate", *INPUTS, *plan, cwd=tmp_path), "the noise's; the plan has its own"


@pytest.mark.parametrize("arguments, reason", [
    (["--noise", "lognormal:-1"], "noise lognormal:-1: after the colon stands the coefficient of variation"),
    (["--noise", "normal:0.95"], "0, or from 1e-06 to 0.9 of this distribution"),
    (["--noise", "gamma:nan"], "noise gamma:nan: after"), (["--noise", "gamma:0.1x"], "noise gamma:0.1x: after"),
    (["--noise", "uniform:1"], "noise uniform:1: not known; give fixed, normal:CV"),
    (["--copy-noise", "profile"], "a profile does not say how copies vary; give"),
    (["--replications", "5"], "give --noise too"), (["--noise", "fixed", "--replications", "0"], "--replications")])
@pytest.mark.parametrize("verb", ["simulate", "sweep"])
def test_absurd_noise_is_refused_with_advice(verb, arguments, reason):
    assert reason in bad(verb, *INPUTS, *arguments, code=2)


def test_a_timeline_without_repetition_is_no_noise(tmp_path):
    good("simulate", *INPUTS, "--policy", "lrtf", "-o", "timeline.json", cwd=tmp_path)
    timeline = json.loads((tmp_path / "timeline.json").read_text())
    column = timeline["units"]["columns"].index("minibatch")
    timeline["units"]["rows"] = [row for row in timeline["units"]["rows"] if row[column] == 0]
    (tmp_path / "short.json").write_text(json.dumps(timeline))
    error = bad("simulate", *INPUTS, "--noise", "samples:short.json", cwd=tmp_path)
    assert error.startswith("shardlab: short.json: no unit ran in three or more minibatches")
    assert "none.json" in bad("simulate", *INPUTS, "--noise", "samples:none.json", cwd=tmp_path)


def test_simulate_never_loads_libtorch():
    run = shardlab("simulate", *INPUTS, LD_DEBUG="libs")
    assert run.returncode == 0
    assert "libfmt" in run.stderr, "the loader did not say what it loads"
    assert "torch" not in run.stderr


# compare

def test_a_simulated_timeline_compares_with_itself_without_error(tmp_path):
    good("simulate", *INPUTS, "--policy", "lrtf", "-o", "timeline.json", "--save-plan", "plan.json", cwd=tmp_path)
    document = json.loads(good("compare", *INPUTS, "timeline.json", "--json", cwd=tmp_path))
    assert document["format"] == "shardlab-compare"
    assert document["error"] == 0
    assert sum(document["split"].values()) == pytest.approx(0, abs=1e-8)
    assert document["replayed_s"] == pytest.approx(document["measured_s"], rel=0.01)
    assert "measured - predicted = +0.000 s" in good("compare", *INPUTS, "timeline.json", cwd=tmp_path)


def test_compare_wants_the_plan_of_the_run(tmp_path):
    good("simulate", *INPUTS, "--policy", "fifo", "-o", "timeline.json", cwd=tmp_path)
    assert "--plan" in bad("compare", *INPUTS, "timeline.json", cwd=tmp_path)
    good("simulate", *INPUTS, "--strategy", "model_parallel", "--save-plan", "other.json", cwd=tmp_path)
    error = bad("compare", *INPUTS, "timeline.json", "--plan", "other.json", cwd=tmp_path)
    assert error.startswith("shardlab: timeline.json: units: row 1: is no unit of this plan; give")


# study, rerun

GRID = str(ROOT / "examples/study/grid.toml")


EXAMPLE_POLICY = str(COMMAND.parent.parent / "tests/most_bytes.so")  # examples/policy, a shared object


def study(folder, *arguments):
    """CSV rows, LaTeX, page and result of a small study."""
    files = [folder / name for name in ("s.csv", "s.tex", "s.md", "s.json")]
    good("study", GRID, "--instances", "2", "--csv", files[0], "--latex", files[1], "--markdown", files[2],
         "--result", files[3], *arguments)
    return [file.read_text() for file in files]


def test_a_study_writes_the_same_bytes_on_any_threads(tmp_path):
    one = study(tmp_path, "--threads", "1")
    assert one == study(tmp_path, "--threads", "2")
    assert one != study(tmp_path, "--seed", "2")


def test_a_study_reports_every_policy_in_every_setting(tmp_path):
    table, latex, page, result = study(tmp_path)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(row["link"], row["slots"], row["policy"]) for row in rows] == [
        (link, slots, policy) for link in ("none", "shared") for slots in "12" for policy in ("lrtf", "fifo", "srtf")]
    assert all(float(row["worst_gap"]) >= float(row["mean_gap"]) >= 0 for row in rows)
    output = json.loads(result)["output"]
    assert [row["mean_gap"] for row in output["rows"]] == [float(row["mean_gap"]) for row in rows]
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 8
    lines = [line for line in latex.splitlines() if line.endswith(r"\\") and "transfer & slots" in line]
    assert [line.count("&") for line in lines] == [4, 4]
    origin = f"version {output_version()}, seed 1, XXH3 of the inputs {json.loads(result)['inputs_xxh3']}"
    assert origin in " ".join(page.split())
    assert page.count("\n| shared 0.5 | ") == 4


def output_version():
    return good("--version").split()[1]


def test_a_study_refuses_an_unknown_key(tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text(pathlib.Path(GRID).read_text().replace("instances", "instance"))
    assert 'instance: unknown key; did you mean "instances"?' in bad("study", grid)
    assert "--policies: \"best\" is no policy" in bad("study", GRID, "--policies", "lrtf,best")
    assert "--policies: lrtf twice; name each policy once" in bad("study", GRID, "--policies", "lrtf,fifo,lrtf")
    assert "does not come along; there are policies, fig6, fig7" in bad("study", "--show-grid", "fig8", code=2)


def interrupted(progress_says, *arguments):
    """The exit code, output and errors of a command that gets Ctrl-C once its progress line holds that."""
    progress, terminal = os.openpty()
    run = subprocess.Popen([str(COMMAND), *map(str, arguments)], stdout=subprocess.PIPE, stderr=terminal, text=True,
                           env={**os.environ, "TERM": "xterm"})
    os.close(terminal)
    said = ""
    while not re.search(progress_says, said):
        said += os.read(progress, 1000).decode()
    run.send_signal(signal.SIGINT)
    out = run.stdout.read()
    while True:
        try:
            more = os.read(progress, 1000).decode()
        except OSError:  # The other end is closed.
            break
        said += more
        if not more:
            break
    os.close(progress)
    return run.wait(timeout=100), out, said


def many_jobs(tmp_path, workload, copies):
    """So many that a search takes long."""
    path = tmp_path / "many.toml"
    defaults, *jobs = workload.read_text().split("[[job]]")
    path.write_text("[[job]]".join([defaults, *(re.sub(r'(name = "\w+)', rf"\g<1>{copy}", job)
                                                for copy in range(copies) for job in jobs)]))
    return path


def test_a_study_that_is_interrupted_writes_what_all_settings_have(tmp_path):
    files = {option: tmp_path / name for option, name in (("--csv", "rows.csv"), ("--latex", "tables.tex"),
                                                          ("--markdown", "page.md"), ("--result", "result.json"))}
    endless = ["study", GRID, "--instances", "100000"]
    code, out, said = interrupted(r": [1-9]\d\d+ of \d+ instances simulated", *endless,
                                  *(text for pair in files.items() for text in pair))
    missing = re.search(r"interrupted: 0 of (\d+) settings are missing, and small has (\d+) of 100000 instances", said)
    assert code == 1 and missing and "result.json: not written: it was interrupted" in said
    assert not files["--result"].exists() and sorted(tmp_path.iterdir()) == sorted(set(files.values()) - {files["--result"]})
    assert "It was interrupted: 0 of " in " ".join(files["--markdown"].read_text().split())
    whole = tmp_path / "whole.csv"
    assert good("study", GRID, "--instances", missing[2], "--csv", whole) == out
    assert files["--csv"].read_bytes() == whole.read_bytes()
    code, out, said = interrupted(r": [1-9]\d\d+ of \d+ instances simulated", *endless, "--json")
    assert code == 1 and json.loads(out)["interrupted"] and f"interrupted: {json.loads(out)['missing']}" in said
    document = json.loads(good("study", GRID, "--instances", "1", "--json"))
    assert not document["interrupted"] and "missing" not in document


def test_a_grid_that_comes_along_can_be_printed_and_given_back(tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text(good("study", "--show-grid", "fig6"))
    assert good("study", grid) == good("study", "fig6")


def test_a_saved_instance_is_simulated_as_in_the_study(tmp_path):
    output = json.loads(good("study", GRID, "--json"))
    setting = next(each for each in output["grids"][0]["settings"] if each["setting"] == "drawn/mixed/shared 0.5/2")
    good("study", GRID, "--save-instance", "small/drawn/mixed/shared 0.5/2,3", tmp_path)
    for policy, makespans in setting["makespan_ns"].items():
        simulated = json.loads(good("simulate", tmp_path / "workload.toml", tmp_path / "cluster.toml", "-p",
                                    tmp_path / "profile.json", "--plan", tmp_path / f"plan-{policy}.json", "--json"))
        assert round(simulated["plans"][0]["predicted_s"] * 1e9) == makespans[2]
        assert round(simulated["plans"][0]["lower_bound_s"] * 1e9) == setting["bound_ns"][2]
    assert "no setting of the grid; there are" in bad("study", GRID, "--save-instance", "small/drawn/none/2,3", tmp_path)
    assert "give GRID/SETTING,NUMBER" in bad("study", GRID, "--save-instance", "small", tmp_path, code=2)


@pytest.mark.parametrize("arguments", [["simulate", *INPUTS], ["simulate", *INPUTS, "--strategy", "spill", "--seed", "3"],
                                       ["simulate", *INPUTS, "--noise", "lognormal:0.1", "--replications", "3"],
                                       ["sweep", *INPUTS, "--policies", "lrtf,random", "--devices", "1,2", "--seeds", "1,2"],
                                       ["simulate", *INPUTS, "--strategy", "spill", "--policy", EXAMPLE_POLICY],
                                       ["study", GRID, "--instances", "2", "--policies", "lrtf,random"], ["study", "fig6"],
                                       ["study", GRID, "--instances", "2", "--policies", f"lrtf,{EXAMPLE_POLICY}"]])
def test_a_result_is_the_same_when_run_again(tmp_path, arguments):
    was, again = tmp_path / "was.json", tmp_path / "is.json"
    good(*arguments, "--result", was, "--threads", "2")
    assert "the same output to the byte" in good("rerun", was, "-o", again, cwd=tmp_path)
    assert was.read_bytes() == again.read_bytes()
    result = json.loads(was.read_text())
    assert result["output"] == json.loads(good(*arguments, "--json"))
    given = [each.removeprefix("lrtf,") for each in arguments if each != "-p"]
    assert [each["path"] for each in result["inputs"]] == [each for each in given
                                                           if each in (*INPUTS, GRID, "fig6", EXAMPLE_POLICY)]


def test_a_study_compares_policies_of_a_users_own_grid_and_shared_object(tmp_path):
    grid = tmp_path / "mine.toml"
    text = re.sub(r"policies = .*", f'policies = ["lrtf", "{EXAMPLE_POLICY}"]', pathlib.Path(GRID).read_text())
    grid.write_text(text.replace("instances = 10", "instances = 2"))
    good("study", grid, "--csv", tmp_path / "mine.csv", "--result", tmp_path / "mine.json")
    grid.unlink()
    rows = list(csv.DictReader((tmp_path / "mine.csv").open()))
    assert [row["policy"] for row in rows] == ["lrtf", EXAMPLE_POLICY] * 4
    assert any(row["verdict"] not in ("best", "tie") or float(row["over_baseline"]) != 0 for row in rows[1::2])
    assert "the same output to the byte" in good("rerun", tmp_path / "mine.json")


def test_a_result_leaves_out_where_else_the_run_was_written(tmp_path):
    files = [("-o", "t.json"), ("--save-plan", "p.json", "--with-order"), ("--save-program", "g.json"), ("--trace", "c.json")]
    good("simulate", *INPUTS, "--strategy", "spill", *sum(files, ()), "--result", "r.json", cwd=tmp_path)
    assert "the same output to the byte" in good("rerun", "r.json", cwd=tmp_path)


def test_a_result_holds_its_inputs(tmp_path):
    for name, source in (("w.toml", INPUTS[0]), ("c.toml", INPUTS[1]), ("p.json", INPUTS[3])):
        (tmp_path / name).write_bytes(pathlib.Path(source).read_bytes())
    good("simulate", "w.toml", "c.toml", "-p", "p.json", "--result", "r.json", cwd=tmp_path)
    for name in ("w.toml", "c.toml", "p.json"):
        (tmp_path / name).unlink()
    assert json.loads(good("rerun", "r.json", "--json", cwd=tmp_path))["same"]


def test_rerun_says_what_differs(tmp_path):
    was = tmp_path / "was.json"
    good("study", "fig6", "--policies", "lrtf,fifo", "--result", was)
    changed = was.read_text().replace('"shardlab": "', '"shardlab": "0.0.')
    (tmp_path / "old.json").write_text(changed)
    refusal = bad("rerun", tmp_path / "old.json")
    was_hash, is_hash = re.search(r"header_xxh3: is (\w+), but what it stands for has (\w+)", refusal).groups()
    (tmp_path / "old.json").write_text(changed.replace(was_hash, is_hash))  # As that version would have written it.
    text = good("rerun", tmp_path / "old.json")
    assert f"run again by another version, shardlab {output_version()}" in text
    (tmp_path / "bad.json").write_text(was.read_text().replace("6000000000", "6000000001"))
    assert "output_xxh3: " in bad("rerun", tmp_path / "bad.json")
    assert "the file was changed" in bad("rerun", tmp_path / "bad.json")


# sweep

def test_a_device_that_is_away_is_neither_busy_nor_idle_for_another_reason(tmp_path):
    (plan,) = json.loads(good("simulate", *INPUTS, "--policy", "lrtf", "--json"))["plans"]
    away, back = plan["predicted_s"] / 4, plan["predicted_s"] / 2
    cluster = pathlib.Path(INPUTS[1]).read_text().replace("[[device]]", f"[[device]]\nleaves = [{away}]\nreturns = [{back}]", 1)
    (tmp_path / "c.toml").write_text(cluster)
    inputs = [INPUTS[0], tmp_path / "c.toml", *INPUTS[2:]]
    (plan,) = json.loads(good("simulate", *inputs, "--policy", "lrtf", "--json"))["plans"]
    assert plan["devices_lost"] == len(plan["devices"])  # All of one entry of the file leave.
    assert sum(plan["idle"].values()) + plan["utilization"]["busy"] == pytest.approx(1)
    count = len(plan["devices"])
    for part in [plan["idle"], plan["utilization"]]:
        assert part == pytest.approx({name: sum(device[name] for device in plan["devices"]) / count for name in part})
    assert plan["idle"]["absent"] == pytest.approx((back - away) / plan["predicted_s"], rel=1e-4)
    assert "absent %" in good("simulate", *inputs, "--policy", "lrtf")


def test_sweep_has_a_line_per_combination():
    text = good("sweep", *INPUTS, "--policies", "lrtf,fifo", "--slots", "1,2", "--devices", "1,2,4")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * 2 * 3
    assert all(float(row["predicted_s"]) >= float(row["lower_bound_s"]) for row in rows)
    one, two = (next(float(r["predicted_s"]) for r in rows if r["plan"] == "spill/lrtf" and r["devices"] == n) for n in "12")
    assert two < one


def test_sweep_names_utilization_as_simulate_does():
    (row,) = csv.DictReader(io.StringIO(good("sweep", *INPUTS, "--policies", "lrtf")))
    (plan,) = json.loads(good("simulate", *INPUTS, "--policy", "lrtf", "--json"))["plans"]
    assert {name: float(row[name]) for name in ["occupied", "busy", "useful"]} == plan["utilization"]
    mean = {name: sum(device[name] for device in plan["devices"]) / 2 for name in plan["utilization"]}
    assert plan["utilization"] == pytest.approx(mean)


def test_why_devices_are_idle_is_told_with_and_without_a_timeline():
    (row,) = csv.DictReader(io.StringIO(good("sweep", *INPUTS, "--policies", "lrtf")))
    (plan,) = json.loads(good("simulate", *INPUTS, "--policy", "lrtf", "--json"))["plans"]
    idle = plan["idle"]
    assert {name: float(row[name]) for name in idle} == idle
    assert sum(idle.values()) + plan["utilization"]["busy"] == pytest.approx(1)
    # Here from the timeline.
    assert idle == pytest.approx({name: sum(device[name] for device in plan["devices"]) / 2 for name in idle})
    assert idle["copy_wait"] > 0


def test_sweep_warns_of_each_number_of_devices_that_was_not_profiled():
    run = shardlab("sweep", *INPUTS, "--policies", "lrtf", "--devices", "1,2,4,6", "--seeds", "1,2", "--json")
    warnings = [f"the profile was measured with 2 lanes busy, the cluster has {n}" for n in [4, 6]]
    assert json.loads(run.stdout)["warnings"] == warnings
    assert run.stderr == "".join(f"shardlab: warning: {each}\n" for each in warnings)


def test_sweep_says_why_a_combination_cannot_run(tmp_path):
    good("sweep", *INPUTS, "--strategies", "spill,resident", "--policies", "lrtf", "--json", "-o", "s.json", cwd=tmp_path)
    spill, resident = json.loads((tmp_path / "s.json").read_text())["rows"]
    assert spill["predicted_s"] > 0 and spill["reason"] == ""
    assert resident["predicted_s"] is None and resident["reason"].startswith("decoder: the whole model needs ")


def early_stopping(folder, table, minibatches=9):
    """Nine jobs, of which some are stopped."""
    text = (FIXTURES / "workload.toml").read_text().split("[[job]]")[0]
    (folder / "stops.toml").write_text(
        f'{text}minibatches = {minibatches}\n[early_stop]\n{table}\n[[job]]\nname = "decoder"\nmodel = "gpt"\n'
        f"learning_rate = {[round(1e-3 * (i + 1), 3) for i in range(9)]}\n")
    return [str(folder / "stops.toml"), *INPUTS[1:]]


def test_simulate_says_who_is_stopped_when_and_why(tmp_path):
    inputs = early_stopping(tmp_path, 'method = "successive_halving"')
    text = good("simulate", *inputs, "--strategy", "spill")
    assert "naive and bound: of the minibatches that ran before jobs were stopped early" in text
    assert re.search(r"\n +1 +6 +\d+\.\d+  stopped by successive halving at rung 0 after 1 minibatch ", text)
    assert re.search(r"\n +3 +2 +\d+\.\d+  stopped by successive halving at rung 1 after 3 minibatches ", text)
    assert re.search(r"\n +9 +1 +\d+\.\d+  completed ", text)
    plans = json.loads(good("simulate", *inputs, "--json"))["plans"]
    ends = [[(job["minibatches"], job["completed"]) for job in plan["jobs"]] for plan in plans]
    assert all(end == ends[0] for end in ends) and sorted(ends[0]) == [(1, False)] * 6 + [(3, False)] * 2 + [(9, True)]
    assert all(plan["lower_bound_s"] <= plan["predicted_s"] for plan in plans)


@pytest.mark.parametrize("method", ["successive_halving", "asha", "hyperband"])
def test_early_stops_give_the_same_bytes_on_one_thread_and_on_two(tmp_path, method):
    inputs = early_stopping(tmp_path, f'method = "{method}"')
    for arguments in [["sweep", *inputs, "--slots", "1,2", "--json"],
                      ["simulate", *inputs, "--policy", "fifo", "--noise", "lognormal:0.2", "--replications", "8"]]:
        one, two = (good(*arguments, "--threads", threads) for threads in "12")
        assert one == two
    assert all(0 < row["stopped"] < 9 for row in json.loads(good("sweep", *inputs, "--json"))["rows"])


def test_verbs_that_cannot_stop_jobs_early_say_so(tmp_path):
    inputs = early_stopping(tmp_path, 'method = "asha"')
    error = bad("compare", *inputs, tmp_path / "timeline.json")
    assert "take [early_stop] out" in error and "compare cannot stop jobs early yet" in error


def test_curves_name_file_line_and_column(tmp_path):
    inputs = early_stopping(tmp_path, 'method = "asha"\ncurves = "c.csv"')
    assert "c.csv: cannot read" in bad("simulate", *inputs)
    (tmp_path / "c.csv").write_text("job,minibatch,loss\ndecoder,1,2\n")
    assert "c.csv:2: job: the workload has no job \"decoder\"" in bad("simulate", *inputs)


def test_sweep_compares_settings_by_common_draws():
    sweep = ["sweep", *INPUTS, "--devices", "1,2", "--strategies", "spill,resident", "--noise", "lognormal:0.3"]
    rows = list(csv.DictReader(io.StringIO(good(*sweep, "--replications", 20, "--seed", 4))))
    for devices in "12":
        alike = [row for row in rows if row["devices"] == devices and row["reason"] == ""]
        (best,) = [row for row in alike if row["verdict"] == "best"]
        assert float(best["mean_s"]) == min(float(row["mean_s"]) for row in alike) and float(best["above_best_s"]) == 0
        for row in alike:
            low, high = float(row["above_best_low_s"]), float(row["above_best_high_s"])
            assert float(row["above_best_s"]) == pytest.approx((low + high) / 2) and float(row["half_width_s"]) > 0
            assert float(row["mean_s"]) - float(best["mean_s"]) == pytest.approx(float(row["above_best_s"]))
            assert row is best or row["verdict"] == ("tie" if low <= 0 <= high else "slower")
    assert all(row["mean_s"] == row["verdict"] == "" for row in rows if row["reason"] != "")
    once = good("sweep", *INPUTS, "--policies", "lrtf", "--noise", "exponential", "--replications", 1, "--json")
    (row,) = json.loads(once)["rows"]
    assert row["mean_s"] > 0 and row["half_width_s"] is None and row["verdict"] is None


# What is absurd or large

DEVICE = '[[device]]\nname = "a"\nmemory = "14 MiB"\n'


@pytest.mark.parametrize("cluster,reason", [
    ("host_memory = 1\n", "no [[device]] in it"),
    ("host_memory = 1\n" + DEVICE, "the cluster's `host_memory` is 1 B"),
    (DEVICE + "link = { rate = 0 }\n", "rate: must be at least 1, is 0"),
    (DEVICE + "link = { rate = 1, latency_us = 1e12 }\n", "more than 73 years"),
    (DEVICE + "count = 4097\n", "count: must be at most 4096"),
    ('[[device]]\nname = "a"\nmemory = "99999999999 TiB"\n', "is no size"),
    ('[[device]]\nname = "a"\nmemory = 1\n', "available are 0 B")])
def test_a_cluster_that_cannot_be_is_refused(tmp_path, cluster, reason):
    (tmp_path / "c.toml").write_text(cluster)
    assert reason in bad("simulate", INPUTS[0], tmp_path / "c.toml", *INPUTS[2:])


def test_a_link_of_one_byte_per_second_gives_a_result(tmp_path):
    (tmp_path / "c.toml").write_text(DEVICE + "link = { rate = 1 }\n")
    (plan,) = json.loads(good("simulate", INPUTS[0], tmp_path / "c.toml", *INPUTS[2:], "--policy", "lrtf", "--json"))["plans"]
    assert plan["predicted_s"] > 1e8


def test_a_workload_that_would_outlive_the_clock_is_refused(tmp_path):
    text = (FIXTURES / "workload.toml").read_text()
    (tmp_path / "w.toml").write_text(text.replace("minibatches = 6", "minibatches = 1000000000000"))
    assert "more than 73 years" in bad("simulate", tmp_path / "w.toml", *INPUTS[1:])


def test_many_jobs_from_a_csv_file_take_a_bounded_memory(tmp_path):
    rows = 20_000
    with open(tmp_path / "jobs.csv", "w") as file:
        file.write("model,layers,width,heads,context,dropout,batch,minibatches,seed\n")
        file.writelines(f"gpt,4,128,4,64,0.1,4,1,{seed}\n" for seed in range(rows))
    run = subprocess.run([str(COMMAND), "simulate", tmp_path / "jobs.csv", *INPUTS[1:], "--policy", "lrtf", "--json"],
                         capture_output=True, text=True, timeout=200,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)))
    assert run.returncode == 0, run.stderr
    (plan,) = json.loads(run.stdout)["plans"]
    assert len(plan["shards_per_job"]) == rows and plan["predicted_s"] >= plan["lower_bound_s"] > 0


# doctor

# fit, and which profile is refused

def fitted(tmp_path, *arguments):
    path = tmp_path / "fitted.json"
    text = good("fit", FIXTURES / "profile.json", *arguments, "-o", path)
    return path, text


def test_fit_estimates_batches_and_simulate_says_so(tmp_path):
    path, text = fitted(tmp_path, "--batch", "4,2")
    assert "held-out error: median " in text and text.count("estimated, within a factor of ") == 3
    assert text.count("  measured\n") == 3, "what was measured stays so"
    profile = json.loads(path.read_text())
    estimate = profile["provenance"]["estimated"]
    assert estimate["interval"] == max(model.get("estimated_interval", 0) for model in profile["models"]) > 0
    assert estimate["inputs"] == [f"{FIXTURES / 'profile.json'}: made up for tests (2025-01-31T12:00:00Z)"]
    small = tmp_path / "small.toml"
    small.write_text((FIXTURES / "workload.toml").read_text().replace("batch = 4", "batch = 2"))
    inputs = [small, FIXTURES / "cluster.toml", "-p", path]
    text = good("simulate", *inputs)
    assert "  estimated s  " in text and "\nestimated: not all costs were measured (non-negative least squares" in text
    document = json.loads(good("simulate", *inputs, "--json"))
    assert document["estimated"] and document["plans"][0]["estimated"]
    assert document["stated_error"] >= estimate["interval"]
    assert not json.loads(good("simulate", *INPUTS, "--json"))["estimated"]


def test_fit_to_another_device_estimates_everything(tmp_path):
    sheets = tmp_path / "sheets.toml"
    sheets.write_text("".join(f'[[device]]\nname = "{name}"\nfp32_tflops = {rate}\nmemory_gb_per_s = 100\n'
                              'host_gb_per_s = 16\nsource = "made up"\n' for name, rate in [("slow", 1), ("fast", 4)]))
    device = ["--device", "fast", "--data-sheets", sheets]
    assert "no data sheet of \"made up for tests\"" in bad("fit", FIXTURES / "profile.json", *device, "-o", tmp_path / "x")
    path, text = fitted(tmp_path, *device, "--from", "slow")
    assert "measured\n" not in text and f"written: {path}, estimated for fast\n" in text
    document = json.loads(good("fit", FIXTURES / "profile.json", *device, "--from", "slow", "-o", path, "--json"))
    assert document["device"] == "fast" and all(model["interval"] > 0.118 for model in document["models"])


def test_fit_wants_something_to_estimate(tmp_path):
    assert "give --batch, --workload or --device" in bad("fit", FIXTURES / "profile.json", "-o", tmp_path / "x", code=2)


def of_batch(tmp_path, name, batch, **provenance):
    """The fixture's profile, as if taken at another batch: a third of each time does not depend on it."""
    profile = json.loads((FIXTURES / "profile.json").read_text())
    profile["provenance"].update(provenance)
    for model in profile["models"]:
        share = 1 / 3 + 2 / 3 * batch / model["batch"]
        model["batch"] = batch
        for times in [layer[load] for layer in model["costs"] for load in ["alone", "loaded"]]:
            for key in [key for key in times if key.endswith("_ns")]:
                times[key] = round(times[key] * share)
    (tmp_path / name).write_text(json.dumps(profile))
    return tmp_path / name


def test_microbatches_come_from_two_batches_and_never_from_one(tmp_path):
    pipeline = ["--strategy", "gpipe(2,2)"]
    cluster = tmp_path / "cluster.toml"
    cluster.write_text((FIXTURES / "cluster.toml").read_text().replace("14 MiB", "140 MiB"))
    inputs = [FIXTURES / "workload.toml", cluster, "-p", FIXTURES / "profile.json"]
    error = bad("simulate", *inputs, *pipeline)
    assert "no costs for gpt 4x128" in error and "batch 2" in error and "shardlab fit" in error
    other = of_batch(tmp_path, "one.json", 1)
    text = good("simulate", *inputs, "-p", other, *pipeline)
    assert "estimated s" in text
    assert "predicted s" in good("simulate", *inputs, "-p", other, "--strategy", "spill"), "measured costs alone"
    assert "estimated s" in good("simulate", *inputs, "--accept-profile", "batch", *pipeline)


def test_profile_of_another_precision_is_refused(tmp_path):
    half = tmp_path / "half.toml"
    half.write_text((FIXTURES / "workload.toml").read_text().replace("batch = 4", 'batch = 4\nprecision = "bf16"'))
    inputs = [half, *INPUTS[1:]]
    error = bad("simulate", *inputs)
    assert "batch 4, adamw; profile this workload again, or take another precision's" in error
    run = shardlab("simulate", *inputs, "--accept-profile", "precision")
    assert run.returncode == 0 and "estimated s" in run.stdout and "warning: the profile may lack a precision" in run.stderr


def test_profiles_of_two_devices_or_libraries_are_refused(tmp_path):
    for key, value, what in [("device", "another", "device"), ("libtorch", "1.0", "library")]:
        other = of_batch(tmp_path, "other.json", 1, **{key: value})
        error = bad("simulate", *INPUTS, "-p", other)
        assert value in error and f"--accept-profile {what}" in error
        good("simulate", *INPUTS, "-p", other, "--accept-profile", what)


def test_cluster_may_say_which_device_it_means(tmp_path):
    cluster = tmp_path / "cluster.toml"
    cluster.write_text((FIXTURES / "cluster.toml").read_text() + 'model = "NVIDIA H100"\n')
    inputs = [FIXTURES / "workload.toml", cluster, "-p", FIXTURES / "profile.json"]
    error = bad("simulate", *inputs)
    assert 'is of "made up for tests", but cpu-0 of the cluster is a "NVIDIA H100"' in error
    assert "--accept-profile device" in error
    run = shardlab("simulate", *inputs, "--accept-profile", "device")
    assert run.returncode == 0 and 'warning: the profile ' in run.stderr and "NVIDIA H100" in run.stderr
    h100 = tmp_path / "h100.json"
    h100.write_text((FIXTURES / "profile.json").read_text().replace("made up for tests", "nvidia h100 80GB HBM3"))
    good("simulate", *inputs[:3], h100)


def test_partition_may_be_searched_for(tmp_path):
    times = {}
    for partition in ["greedy", "balanced", "search"]:
        document = json.loads(good("simulate", *INPUTS, "--strategy", "spill", "--partition", partition, "--json"))
        times[partition] = document["plans"][0]["predicted_s"]
    assert times["search"] <= times["greedy"] and len(set(times.values())) > 1
    many = ["simulate", many_jobs(tmp_path, FIXTURES / "workload.toml", 300), *INPUTS[1:], "--strategy", "spill"]
    greedy = json.loads(good(*many, "--json"))["plans"][0]["predicted_s"]
    code, out, said = interrupted("of 200 partitions simulated, best ", *many, "--partition", "search", "--json",
                                  "--save-plan", tmp_path / "plan.json", "--result", tmp_path / "result.json")
    document = json.loads(out)
    assert code == 1 and document["interrupted"] and "warning: interrupted: the plan is the best till then" in said
    assert document["plans"][0]["note"] == "the search for cuts was interrupted"
    assert "result.json: not written: it was interrupted" in said and not (tmp_path / "result.json").exists()
    assert document["plans"][0]["predicted_s"] <= greedy
    assert json.loads(good(*many[:5], "--plan", tmp_path / "plan.json", "--json"))["plans"][0]["predicted_s"] == (
        document["plans"][0]["predicted_s"])
    assert "--partition is of spill" in bad("simulate", *INPUTS, "--strategy", "resident", "--partition", "search", code=2)


def test_an_order_may_be_searched_for_and_its_plan_is_run_to_the_same_makespan(tmp_path):
    plan, again, result = tmp_path / "plan.json", tmp_path / "again.json", tmp_path / "result.json"
    search = ["simulate", *INPUTS, "--policy", "search", "--search-evaluations", "60", "--json"]
    found = json.loads(good(*search, "--save-plan", plan, "--result", result))["plans"][0]
    sharp = json.loads(good("simulate", *INPUTS, "--policy", "sharp", "--json"))["plans"][0]["predicted_s"]
    assert found["name"] == "spill/search" and found["predicted_s"] <= sharp
    assert re.match(r"the best of \d+ simulated runs, ", found["note"])
    assert found["search"] == {"evaluations": 60, "sharp_s": sharp, "first_policy": "sharp", "proved_optimal": False,
                               "bound_s": found["lower_bound_s"]}
    good("study", "policies", "--save-instance", "policies/homogeneous/identical/none/2,1", tmp_path)
    equal = [tmp_path / "workload.toml", tmp_path / "cluster.toml", "-p", tmp_path / "profile.json"]
    best = json.loads(good("simulate", *equal, "--policy", "search", "--search-evaluations", "60", "--json"))["plans"][0]
    assert best["search"]["proved_optimal"] and best["predicted_s"] == best["search"]["bound_s"] == best["lower_bound_s"]
    assert json.loads(good("simulate", *INPUTS, "--plan", plan, "--json"))["plans"][0]["predicted_s"] == found["predicted_s"]
    good(*search, "--save-plan", again, "--with-order")
    assert again.read_bytes() == plan.read_bytes()
    assert "the same output to the byte" in good("rerun", result)
    assert "search makes a plan, which others follow" in bad("run", *INPUTS, "--policy", "search", code=2)
    assert "are of --policy search" in bad("simulate", *INPUTS, "--policy", "lrtf", "--search-seconds", "1s", code=2)
    for unbounded in ([], ["--search-evaluations", "9", "--search-seconds", "1s"]):
        error = bad("simulate", *INPUTS, "--policy", "search", *unbounded, "--result", result, code=2)
        assert "so that rerun finds the same" in error


def test_a_plan_with_an_order_says_where_a_simulation_departs_from_it_and_what_memory_it_lacks(tmp_path):
    path = tmp_path / "plan.json"
    good("simulate", *INPUTS, "--strategy", "spill", "--policy", "lrtf", "--save-plan", path, "--with-order")

    def warnings(*inputs):
        run = shardlab("simulate", *inputs, "--plan", path, "--json")
        assert run.returncode == 0
        said = [line.removeprefix("shardlab: warning: ") for line in run.stderr.splitlines() if "its order" in line]
        assert said == [each for each in json.loads(run.stdout)["warnings"] if "its order" in each]
        return said

    assert warnings(*INPUTS) == []
    makespan = json.loads(path.read_text())["makespan_ns"]
    slower = edited(tmp_path, "cluster.toml", lambda text: text.replace("memory = ", "speed = 0.5\nmemory = ", 1))
    said = warnings(INPUTS[0], slower, *INPUTS[2:])
    row = r"row \d+, place \d+ of cpu-\d: job \w+, minibatch \d+, unit \d+ \(\w+ of shard \d+\): "
    assert len(said) == 1 and re.fullmatch(
        rf"{path}: its order was made for {makespan * 1e-9:.9f} s, simulated now it takes \d+\.\d{{9}} s \(\+\d+\.\d %\); "
        rf"\d+ of \d+ claims come later than it says, the first is {row}at \d+\.\d+ s, not \d+\.\d+ s.*", said[0])
    path.write_text(path.read_text().replace('"slots": 2', '"slots": 1'))
    assert "as the plan's one slot there is taken till then" in warnings(*INPUTS)[0]
    small = edited(tmp_path, "cluster.toml", lambda text: text.replace("14 MiB", "4 MiB"))
    assert re.search(rf"{path}: order: {row}it needs [0-9.]+ MiB \(\d+ bytes\), and cpu-\d has room for 4.0 MiB \(4194304 "
                     r"bytes\): [0-9.]+ \w+ \(\d+ bytes\) are missing; move it to",
                     bad("simulate", INPUTS[0], small, *INPUTS[2:], "--plan", path))


def test_orders_are_refused_of_devices_that_leave_and_exact_plans_of_jobs_that_stop(tmp_path):
    leaving = tmp_path / "cluster.toml"
    leaving.write_text((FIXTURES / "cluster.toml").read_text() + "leaves = [0.1]\nreturns = [0.2]\n")
    inputs = [INPUTS[0], leaving, *INPUTS[2:], "--policy"]
    for options in (["search", "--search-evaluations", "9"], ["lrtf", "--save-program", tmp_path / "p.json"],
                    ["lrtf", "--with-order", "--save-plan", tmp_path / "p.json"]):
        run = shardlab("simulate", *inputs, *options)
        assert run.returncode == 1 and "leaves; take its leaves and returns out" in run.stderr
    stopping = tmp_path / "workload.toml"
    stopping.write_text((FIXTURES / "workload.toml").read_text() + "stop_after = 1\n")
    run = shardlab("simulate", stopping, *INPUTS[1:], "--policy", "search", "--search-seconds", "1h",  # Not first searched for.
                   "--save-program", tmp_path / "p.json")
    assert run.returncode == 1 and "the exact search knows no early stops" in run.stderr
    hour = ["--policy", "search", "--search-seconds", "1h"]
    assert "cannot write here" in bad("simulate", *INPUTS, *hour, "--save-plan", tmp_path)
    assert not (tmp_path / "p.json").exists()


def test_a_search_ends_in_time_and_at_ctrl_c_with_what_it_has():
    began = time.monotonic()
    assert "spill/search" in good("simulate", *INPUTS, "--policy", "search", "--search-seconds", "0.2s")
    assert time.monotonic() - began < 100
    search = ["simulate", *INPUTS, "--policy", "search", "--search-seconds", "1h"]
    code, out, said = interrupted("runs simulated, best ", *search)
    assert code == 1 and "spill/search" in out and "; interrupted" in out
    assert "warning: interrupted: the plan is the best till then" in said
    code, out, _ = interrupted("runs simulated, best ", *search, "--json")
    assert code == 1 and json.loads(out)["interrupted"]
    assert not json.loads(good("simulate", *INPUTS, "--policy", "search", "--search-evaluations", "1", "--json"))["interrupted"]


# plan

def plannable(tmp_path):
    cluster = tmp_path / "cluster.toml"
    cluster.write_text('[[device]]\nname = "gpu"\ncount = 4\nmemory = "1 GiB"\ncopy_engines = 2\n'
                       'link = { rate = "4 GB" }\npeer = { rate = "4 GB" }\n')
    return [FIXTURES / "workload.toml", cluster, "-p", FIXTURES / "profile.json", "-p", of_batch(tmp_path, "one.json", 1)]


def test_plan_chooses_per_job_and_simulate_agrees(tmp_path):
    inputs = plannable(tmp_path)
    plan = tmp_path / "plan.json"
    arguments = ["--evaluations", 40, "--budget", "1h"]
    text = good("plan", *inputs, *arguments, "-o", plan)
    assert "the best usual plan on one device: " in text and " times as fast\n" in text
    document = json.loads(good("plan", *inputs, *arguments, "--json"))
    assert [job["name"] for job in document["jobs"]] == ["decoder", "encoder", "wide"]
    assert document["predicted_s"] <= min(document["policy_alone_s"], document["one_device_s"])
    simulated = json.loads(good("simulate", *inputs, "--plan", plan, "--json"))
    assert simulated["plans"][0]["predicted_s"] == document["predicted_s"]
    assert json.loads(good("plan", *inputs, *arguments, "--json")) == document, "the same again"
    assert f"lower bound of this plan: {document['lower_bound_s']:.3f} s (by {document['bound_by']}), " in text
    assert document["gap"] == pytest.approx(document["predicted_s"] / document["lower_bound_s"] - 1)


def test_plan_takes_the_policies_that_simulate_takes(tmp_path):
    inputs = plannable(tmp_path)
    for policy in ("sticky(3)", EXAMPLE_POLICY):
        plan, result = tmp_path / "plan.json", tmp_path / "result.json"
        document = json.loads(good("plan", *inputs, "--policy", policy, "--evaluations", 30, "--result", result, "--json"))
        assert document["policy"] == policy and document["policy_alone"] == policy
        good("plan", *inputs, "--policy", policy, "--evaluations", 30, "--budget", "1h", "-o", plan)
        assert json.loads(plan.read_text())["policy"] == policy
        assert json.loads(good("simulate", *inputs, "--plan", plan, "--json"))["plans"][0]["predicted_s"] == (
            document["predicted_s"])
        assert "the same output to the byte" in good("rerun", result)
    assert "search makes a plan, which others follow" in bad("plan", *inputs, "--policy", "search", code=2)


def test_a_policy_that_is_none_gets_the_list_and_the_nearest(tmp_path):
    for verb, option in (("simulate", "--policy"), ("plan", "--policy"), ("sweep", "--policies")):
        said = bad(verb, *INPUTS, option, "roundrobin", code=2)
        assert f'{option}: "roundrobin" is no policy; there are lrtf, sharp, ' in said
        assert 'sticky(S), hold, search (of simulate), replay (of plans with an order), and shared objects' in said
        assert '; did you mean "round_robin"?' in said
    assert 'did you mean "search"?' in bad("simulate", *INPUTS, "--policy", "serach", code=2)
    assert "replay follows the order that a plan file has" in bad("simulate", *INPUTS, "--policy", "replay", code=2)


def test_an_unknown_key_of_a_plan_is_named(tmp_path):
    plan = tmp_path / "plan.json"
    good("simulate", *INPUTS, "--strategy", "spill", "--policy", "lrtf", "--save-plan", plan)
    plan.write_text(plan.read_text().replace('"slots"', '"slot"'))
    said = bad("simulate", *INPUTS, "--plan", plan)
    assert said == f'shardlab: {plan}: slot: unknown key; did you mean "slots"?\n'


def test_a_plan_is_found_again(tmp_path):
    result = tmp_path / "result.json"
    document = json.loads(good("plan", *plannable(tmp_path), "--evaluations", 30, "--result", result, "--json"))
    assert json.loads(result.read_text())["output"] == document and not document["ended_early"]
    assert "the same output to the byte" in good("rerun", result)
    error = bad("plan", *plannable(tmp_path), "--budget", "1s", "--result", result, code=2)
    assert "so that rerun finds the same" in error


def test_plan_ends_with_its_budget(tmp_path):
    document = json.loads(good("plan", *plannable(tmp_path), "--evaluations", 1000000, "--budget", "0.001s", "--json"))
    assert document["ended_early"] and document["evaluations"] < 1000000


def test_plan_that_is_interrupted_has_the_best_so_far(tmp_path):
    inputs = plannable(tmp_path)
    work, plan, result = many_jobs(tmp_path, inputs[0], 8), tmp_path / "plan.json", tmp_path / "result.json"
    search = ["plan", work, *inputs[1:], "--evaluations", "10000000"]
    code, out, said = interrupted(r"[1-9]\d+ of 10000000 plans simulated, best ", *search, "--budget", "1h", "-o", plan)
    assert code == 1 and "plans simulated, then it was interrupted" in out
    assert "warning: interrupted: the plan is the best till then" in said
    simulated = json.loads(good("simulate", work, *inputs[1:], "--plan", plan, "--json"))
    assert f"{simulated['plans'][0]['predicted_s']:.3f} s on 4 devices" in out
    code, out, said = interrupted("plans simulated, best ", *search, "--result", result, "--json")
    assert code == 1 and "result.json: not written: it was interrupted" in said and not result.exists()
    assert json.loads(out)["interrupted"] and json.loads(out)["ended_early"]


def test_plan_anew_when_jobs_stop(tmp_path):
    inputs = plannable(tmp_path)
    assert "no job of the workload stops early" in bad("plan", *inputs, "--replan", code=2)
    stops = tmp_path / "stops.toml"
    text = (FIXTURES / "workload.toml").read_text()
    for before, after in [("6", "60\nstop_after = 6"), ("5", "60"), ("4", "60\nstop_after = 9")]:
        text = text.replace(f"minibatches = {before}\n", f"minibatches = {after}\n")
    stops.write_text(text)
    arguments = [stops, *inputs[1:], "--replan", "--evaluations", 40, "--budget", "1h"]
    text = good("plan", *arguments, "-o", tmp_path / "plan.json")
    assert "stopped early, planned anew:" in text and "\nwith early stops: " in text
    document = json.loads(good("plan", *arguments, "--json"))
    assert len(document["phases"]) >= 2 and document["replanned_s"] < document["unchanged_s"]
    bound = document["replanned_lower_bound_s"]
    assert document["phases"][-1]["from_s"] < bound <= document["replanned_s"]
    assert document["replanned_gap"] == pytest.approx(document["replanned_s"] / bound - 1)
    rest = [tmp_path / "plan-2.toml", *inputs[1:], "--plan", tmp_path / "plan-2.json"]
    assert json.loads(good("simulate", *rest, "--json"))["plans"][0]["predicted_s"] > 0


def test_doctor_says_what_it_found():
    document = json.loads(good("doctor", "--no-torch", "--json"))
    assert document["cores"] >= 1 and document["memory_bytes"] > 0
    assert (document["driver"] == "") == (document["driver_problem"] != "")
    assert "LibTorch" in good("doctor", "--no-torch")


# links

@needs_torch
def test_links_measures_every_way_of_every_device():
    cluster = ROOT / "examples/cluster.toml"
    document = json.loads(good("links", cluster, "--rounds", 1, "--json"))
    assert document["format"] == "shardlab-links" and document["version"] == 1 and document["machine"] != ""
    ways = [(link["device"], link["to_device"], link["pinned"]) for link in document["links"]]
    assert ways == [("cpu-0", True, False), ("cpu-0", False, False), ("cpu-1", True, False), ("cpu-1", False, False)]
    for link in document["links"]:
        assert link["latency_ns"] >= 0 and link["bytes_per_second"] > 0 and link["residual"] >= 0
        assert link["shared_bytes_per_second"] > 0 and link["copying"] == 4
        assert [size["bytes"] for size in link["sizes"]] == [2**n << 10 for n in [6, 8, 10, 12, 14]]
        assert all(size["time_ns"] > 0 for size in link["sizes"])
    shared = [(each["through"], each["ways"], each["copying"]) for each in document["shared"]]
    assert shared == [("host memory", "to device", 2), ("host memory", "to host", 2), ("host memory", "both", 4)]
    for each in document["shared"]:
        assert each["contention"] == pytest.approx(each["alone_bytes_per_second"] / each["together_bytes_per_second"])
    assert [each["device"] for each in document["computing"]] == ["cpu-0", "cpu-1"]
    assert all(set(each) == {"device", "slow_down_promote", "slow_down_demote"} for each in document["computing"])
    # As profile has them.
    assert [each["what"] for each in document["conditions"]] == ["CPU governor", "CPU frequency", "load average"]
    assert all(each["before"] and each["after"] for each in document["conditions"])
    badly = [link for link in document["links"] if link["residual"] > 0.2]
    cautions = [each for each in document["cautions"] if "off a size that was measured" in each]
    assert len(cautions) == len(badly) and all(said.startswith(link["device"]) for said, link in zip(cautions, badly))


@needs_torch
def test_links_says_where_copies_take_turns_on_too_few_cpus():
    one = min(os.sched_getaffinity(0))
    run = subprocess.run([COMMAND, "links", ROOT / "examples/cluster.toml", "--rounds", "1"], capture_output=True, text=True,
                         timeout=200, preexec_fn=lambda: os.sched_setaffinity(0, {one}))
    assert run.returncode == 0
    assert run.stderr.startswith("shardlab: warning: up to 4 copies at once on 1 CPU: they take turns, so that contention, ")


@needs_torch
def test_links_prints_a_row_per_way():
    links, shared, computing, conditions = (table.splitlines() for table in
                                good("links", ROOT / "examples/cluster.toml", "--rounds", 1).split("\n\n"))
    assert links[0].split("  ")[0] == "device" and "GB/s shared" in links[0]
    assert [re.split("  +", row)[:3] for row in links[1:]] == [
        [device, way, "pageable"] for device in ["cpu-0", "cpu-1"] for way in ["to device", "to host"]]
    assert "contention" in shared[0] and len(shared) == 4
    assert [line.partition(":")[0] for line in conditions] == ["CPU governor", "CPU frequency", "load average"]
    assert "slow_down_promote" in computing[0] and [row.split()[0] for row in computing[1:]] == ["cpu-0", "cpu-1"]


# Bad input

def edited(tmp_path, name, change):
    """A copy of a fixture whose text went through `change`."""
    text = (FIXTURES / name).read_text()
    assert change(text) != text
    (tmp_path / name).write_text(change(text))
    return str(tmp_path / name)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_missing_files_are_named(place):
    arguments = list(INPUTS)
    arguments[place] = "not-there"
    assert bad("simulate", *arguments) == "shardlab: not-there: cannot read: No such file or directory\n"


def test_truncated_profile_is_refused(tmp_path):
    cut = edited(tmp_path, "profile.json", lambda text: text[:2000])
    error = bad("simulate", *INPUTS[:2], "-p", cut)
    assert error.startswith(f"shardlab: {cut}: ") and "ends too early" in error


def test_unknown_key_is_named_with_its_line(tmp_path):
    wrong = edited(tmp_path, "workload.toml", lambda text: text.replace("minibatches = 5", "minibatchs = 5"))
    error = bad("simulate", wrong, *INPUTS[1:])
    assert ":19: minibatchs: unknown key" in error and 'did you mean "minibatches"?' in error


def test_profile_of_another_model_is_refused_with_what_it_has(tmp_path):
    other = edited(tmp_path, "workload.toml", lambda text: text.replace("batch = 4", "batch = 8"))
    error = bad("simulate", other, *INPUTS[1:])
    assert "profile.json: no costs for gpt 4x128, 4 heads, context 64, dropout 0.1, batch 8, adamw" in error
    assert "gpt 4x128, 4 heads, context 64, dropout 0.1, batch 4, adamw" in error


def test_job_that_cannot_fit_is_named_with_its_bytes(tmp_path):
    small = edited(tmp_path, "cluster.toml", lambda text: text.replace("14 MiB", "1 MiB"))
    error = bad("simulate", INPUTS[0], small, *INPUTS[2:], "--strategy", "spill")
    assert error.startswith("shardlab: decoder: spill with 2 slots per device: a shard of layer ")
    assert "available are 512.0 KiB (524288 bytes)" in error
    assert "none of the plans can run" in bad("simulate", INPUTS[0], small, *INPUTS[2:])


def test_plan_that_does_not_fit_the_cluster_is_refused(tmp_path):
    good("simulate", *INPUTS, "--strategy", "spill", "--save-plan", "plan.json", cwd=tmp_path)
    small = edited(tmp_path, "cluster.toml", lambda text: text.replace("14 MiB", "4 MiB"))
    error = bad("simulate", INPUTS[0], small, *INPUTS[2:], "--plan", tmp_path / "plan.json")
    assert "decoder: shard 3 (fused) needs " in error and "on cpu-0, which has 4.0 MiB (4194304 bytes)" in error


# The whole path, for real

TINY = """
[defaults]
model = "gpt"
layers = 2
width = 32
heads = 2
context = 16
batch = 2
dropout = 0.1
minibatches = 3
data = "text.txt"

[[job]]
name = "one"

[[job]]
name = "two"
optimizer = "sgd"
"""
TINY_CLUSTER = """
[[device]]
name = "cpu"
count = 2
memory = "640 KiB"
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a tiny workload and its profile."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 200)
    (folder / "workload.toml").write_text(TINY)
    (folder / "cluster.toml").write_text(TINY_CLUSTER)
    text = good("profile", "workload.toml", "cluster.toml", "--seconds", "0.1", cwd=folder)
    assert "gpt 2x32, 2 heads, context 16" in text and "drift" in text and "written: profile.json" in text
    return folder


PATHS = ["workload.toml", "cluster.toml", "-p", "profile.json"]


@needs_torch
def test_profile_says_how_well_its_medians_are_known_and_what_the_machine_was_like(tiny):
    inputs = ["workload.toml", "cluster.toml", "--seconds", "100", "--interval", "100", "-o", "known.json"]
    text = good("profile", *inputs, cwd=tiny)
    source = json.loads((tiny / "known.json").read_text())["provenance"]
    assert source["repeats"]["ended_by"] == "interval" and source["rounds"] == 6
    assert 0 < source["repeats"]["median_interval"] < source["repeats"]["wanted_interval"] == 1
    assert [each["what"] for each in source["conditions"]] == ["CPU governor", "CPU frequency", "load average"]
    assert all(each["before"] and each["after"] for each in source["conditions"])
    assert "ended by interval" in text and "samples are outliers, kept" in text and "load average" in text
    header = next(line for line in text.splitlines() if line.startswith("model "))
    assert header.endswith("layers %  around %")


@needs_torch
@pytest.mark.parametrize("output", ["/proc/profile.json", "missing/profile.json", "."])
def test_profile_refuses_an_unwritable_output_before_it_measures(tiny, output):
    began = time.monotonic()
    error = bad("profile", "workload.toml", "cluster.toml", "--seconds", "1000", "-o", output, cwd=tiny)
    assert f"{output}: cannot write here: " in error and "give another path" in error
    assert time.monotonic() - began < 60


@needs_torch
def test_records_are_of_gpus_and_refused_for_the_cpu(tiny):
    error = bad("profile", "workload.toml", "cluster.toml", "--add-records", "profile.json", cwd=tiny)
    assert "activity records are of GPUs" in error


EMULATED = """
[[device]]
name = "fast"
count = 2
kind = "emulated"
speed = 4
memory = "14 MiB"
copy_engines = 2
[[device]]
name = "slow"
count = 2
kind = "emulated"
memory = "14 MiB"
"""


def emulated(tmp_path, *arguments, cluster=EMULATED):
    (tmp_path / "emulated.toml").write_text(cluster)
    return [INPUTS[0], tmp_path / "emulated.toml", *INPUTS[2:], "-o", tmp_path / "out", *arguments]


@pytest.mark.parametrize("strategy", ["spill", "model_parallel", "resident"])
def test_run_on_emulated_devices_takes_time_and_trains_nothing(tmp_path, strategy):
    cluster = EMULATED.replace("14", "64")
    document = json.loads(good("run", *emulated(tmp_path, "--strategy", strategy, "--json", cluster=cluster)))
    assert document["emulated"] and document["drift"] is None and document["dispatch_s"]["loaded"] > 0
    assert all(job["completed"] and job["losses"] == [] and job["weights_hash"] is None for job in document["jobs"])
    assert document["comparison"]["measured"]["makespan_s"] == document["measured_s"]
    assert json.loads((tmp_path / "out/timeline.json").read_text())["devices"] == ["fast-0", "fast-1", "slow-0", "slow-1"]
    good("compare", INPUTS[0], tmp_path / "emulated.toml", *INPUTS[2:], tmp_path / "out/timeline.json")


def test_run_on_emulated_devices_says_what_it_is(tmp_path):
    text = good("run", *emulated(tmp_path, "--policy", "fifo"))
    assert "emulated: no job has losses or weights" in text and "loss 0" not in text and "fixed work" not in text


def test_emulated_devices_do_not_mix_with_others_and_are_not_measured(tmp_path):
    mixed = EMULATED + '[[device]]\nname = "real"\n'
    assert "emulated.toml: device real: kind: is \"cpu\" where other devices are emulated" in bad(
        "run", *emulated(tmp_path, "--policy", "fifo", cluster=mixed))
    assert "emulated devices compute nothing" in bad("profile", INPUTS[0], tmp_path / "emulated.toml")
    bad("run", *emulated(tmp_path, "--policy", "fifo", "--records"), code=2)


def test_ranking_counts_what_it_ran_and_the_naive_model_is_that_of_simpy(tmp_path):
    document = json.loads(good("validate", "ranking", "--cpu", "0", "--emulated", "2", "--policies", "lrtf,random",
                               "--until", "7", "-o", "out", "--json", cwd=tmp_path))
    members = {"pairs", "wrong", "regret_median", "regret_worst", "regret_median_within", "regret_worst_within",
               "error_median", "error_worst"}
    assert members <= document.keys() and members == document["naive"].keys() == document["raw"].keys()
    low, high = document["regret_worst_within"]
    assert 0 <= low <= document["regret_worst"] <= high
    assert document["emulated"]["pairs"] == document["pairs"] and document["workloads"] == 2
    cases = json.loads((tmp_path / "out/cases.json").read_text())["cases"]
    assert [len(case["measured_s"]) for case in cases] == [2, 2]
    first = [case["runs"][0] for case in cases]
    assert all([run["policy"] for run in runs] == [0, 1, 1, 0] for runs in first)
    assert all(run["computing_s"] > run["makespan_s"] > 0 for runs in first for run in runs)
    simpy = subprocess.run([sys.executable, ROOT / "bench/naive_ranking.py", tmp_path / "out/cases.json"],
                           capture_output=True, text=True)
    assert simpy.returncode == 0, simpy.stderr
    theirs = json.loads(simpy.stdout)
    assert theirs.pop("largest_difference_from_shardlab") == 0
    assert theirs == {key: document["naive"][key] for key in theirs}


TUNED = """
[early_stop]
method = "successive_halving"
eta = 2
max = 3
[[job]]
name = "job"
model = "gpt"
layers = 2
width = 32
heads = 2
context = 16
batch = 2
minibatches = 3
data = "text.txt"
learning_rate = [1e-4, 1e-3, 1e-2, 1e-1]
"""


@needs_torch
def test_run_stops_jobs_early_by_their_measured_losses(tiny):
    (tiny / "tuned.toml").write_text(TUNED)
    good("profile", "tuned.toml", "cluster.toml", "-o", "tuned.json", "--seconds", "0.1", cwd=tiny)
    arguments = ["tuned.toml", "cluster.toml", "-p", "tuned.json", "--policy", "lrtf", "-o", "tuned-out"]
    document = json.loads(good("run", *arguments, "--json", cwd=tiny))
    assert sorted(job["minibatches"] for job in document["jobs"]) == [1, 1, 2, 3]
    assert sorted(job["completed"] for job in document["jobs"]) == [False, False, False, True]
    first = [job["losses"][0] for job in document["jobs"]]
    stopped = [job["losses"][0] for job in document["jobs"] if job["minibatches"] == 1]
    assert sorted(stopped) == sorted(first)[2:]
    assert document["with_measured_losses_s"] > 0 and "comparison" not in document
    text = good("run", *arguments[:-1], "tuned-again", cwd=tiny)
    assert "stopped by successive halving at rung 0" in text and "with the measured losses" in text


@needs_torch
def test_doctor_finds_libtorch():
    assert json.loads(good("doctor", "--json"))["libtorch"].count(".") >= 2


@needs_torch
def test_run_trains_and_leaves_its_files(tiny):
    text = good("run", *PATHS, "--strategy", "spill", "-o", "out", cwd=tiny)
    assert "one minibatch 3/3 loss " in text and "changed decisions" in text and "\r" not in text
    losses = json.loads((tiny / "out/losses.json").read_text())
    assert [(job["name"], len(job["losses"]), job["completed"]) for job in losses["jobs"]] == [
        ("one", 3, True), ("two", 3, True)]
    assert (tiny / "out/trace.json").exists()
    measured = json.loads((tiny / "out/timeline.json").read_text())
    assert measured["source"] == "measured"
    assert all(0 < peak <= 640 << 10 for peak in measured["peak_bytes"])
    document = json.loads(good("compare", *PATHS, "out/timeline.json", "--json", cwd=tiny))
    assert sum(document["split"].values()) == pytest.approx(document["measured_s"] - document["predicted_s"], abs=1e-8)


@needs_torch
def test_accelerator_that_is_not_there_is_refused_with_advice(tiny):
    driver = json.loads(good("doctor", "--no-torch", "--json"))["driver"]
    if driver:
        pytest.skip(f"there is a GPU: driver {driver}")
    (tiny / "gpu.toml").write_text('[[device]]\nname = "gpu"\nkind = "cuda"\ncopy_engines = 2\n')
    advice = ('shardlab: gpu: LibTorch finds 0 devices of kind "cuda" here, wanted is the one with ordinal 0; '
              "shardlab doctor shows what there is\n")
    assert bad("links", "gpu.toml", cwd=tiny) == advice
    assert bad("profile", "workload.toml", "gpu.toml", "-o", "gpu.json", cwd=tiny) == advice
    assert not (tiny / "gpu.json").exists()
    asked = ["run", "workload.toml", "gpu.toml", "-p", "profile.json", "--strategy", "spill", "-o", "gpu"]
    assert 'a CPU, but gpu of the cluster is of kind "cuda"' in bad(*asked, cwd=tiny)
    run = shardlab(*asked, "--accept-profile", "device", cwd=tiny)
    assert run.returncode == 1 and run.stderr.endswith(advice)
    assert not (tiny / "gpu").exists(), "a refused run leaves no folder"


@needs_torch
def test_a_vit_is_profiled_on_synthetic_pixels_and_trained_on_images_only(tiny):
    job = 'model = "vit"\nlayers = 1\nwidth = 8\nheads = 2\ncontext = 4\nbatch = 2\nminibatches = 2\n'
    (tiny / "vit.toml").write_text('[[job]]\nname = "v"\n' + job)
    (tiny / "images.toml").write_text('[[job]]\nname = "v"\ndata = "images.bin"\n' + job)
    (tiny / "images.bin").write_bytes(bytes([3]) + bytes(3072))
    good("profile", "vit.toml", "cluster.toml", "-o", "vit.json", "--seconds", "0.1", cwd=tiny)
    plan = ["cluster.toml", "-p", "vit.json", "--strategy", "spill", "--policy", "lrtf", "-o", "vit"]
    run = shardlab("run", "vit.toml", *plan, cwd=tiny)
    assert run.returncode == 1 and "a vit trains on images: give a file in CIFAR-10's binary format" in run.stderr
    good("run", "images.toml", *plan, cwd=tiny)


@needs_torch
@pytest.mark.parametrize("key, what", [("device", "device"), ("libtorch", "library")])
def test_run_refuses_a_profile_of_another_machine(tiny, key, what):
    profile = json.loads((tiny / "profile.json").read_text())
    here = profile["provenance"][key]
    profile["provenance"][key] = "elsewhere"
    (tiny / "elsewhere.json").write_text(json.dumps(profile))
    arguments = ["run", *PATHS[:2], "-p", "elsewhere.json", "--strategy", "spill", "-o", f"elsewhere-{key}"]
    error = bad(*arguments, cwd=tiny)
    assert "elsewhere" in error and here in error and f"--accept-profile {what}" in error
    assert not (tiny / f"elsewhere-{key}").exists(), "a refused run leaves no folder"
    good(*arguments, "--accept-profile", what, cwd=tiny)


@needs_torch
def test_run_says_why_it_has_no_records(tiny):
    found = json.loads(good("doctor", "--no-torch", "--json"))
    if found["driver"]:
        pytest.skip(f"there is a GPU: driver {found['driver']}")
    plan = ["--strategy", "spill", "--records", "-o", "records"]
    text = good("run", *PATHS, *plan, cwd=tiny)
    problem = re.search(r"^nothing was recorded: (.+)$", text, re.MULTILINE).group(1)
    assert "driver" in problem or "CUPTI" in problem, problem
    records = json.loads(good("run", *PATHS, *plan, "--json", cwd=tiny))["records"]
    assert records["incomplete"] and records["problems"] == [problem]
    assert "records" not in json.loads(good("run", *PATHS, *plan[:2], "-o", "records", "--json", cwd=tiny))


@needs_torch
def test_weights_do_not_depend_on_the_plan(tiny):
    hashes = set()
    for plan in [["--strategy", "spill", "--slots", 1], ["--strategy", "model_parallel", "--admit", 1]]:
        document = json.loads(good("run", *PATHS, *plan, "-o", "plans", "--json", cwd=tiny))
        hashes.add(tuple(job["weights_hash"] for job in document["jobs"]))
    assert len(hashes) == 1


@needs_torch
def test_job_whose_loss_is_no_number_stops_alone(tiny):
    broken = TINY.replace('optimizer = "sgd"', 'optimizer = "sgd"\nlearning_rate = 1e30\nminibatches = 8')
    (tiny / "broken.toml").write_text(broken)
    run = shardlab("run", "broken.toml", *PATHS[1:], "--strategy", "spill", "-o", "broken", cwd=tiny)
    assert run.returncode == 1, run.stderr
    one, two = json.loads((tiny / "broken/losses.json").read_text())["jobs"]
    assert one["completed"] and not two["completed"] and two["reason"] != ""
    assert "counts with " in run.stdout
    assert f"  two stopped in minibatch {two['minibatches'] + 1} of 8: {two['reason']}\n" in run.stdout


@needs_torch
def test_run_of_which_nothing_came_still_says_why(tiny):
    profile = json.loads((tiny / "profile.json").read_text())
    for layer in [layer for model in profile["models"] for layer in model["costs"]]:
        for room in ["forward_workspace_bytes", "saved_bytes", "backward_workspace_bytes"]:
            layer[room] = 1  # Far too little: no unit gets the memory that it needs.
    (tiny / "stingy.json").write_text(json.dumps(profile))
    (tiny / "small.toml").write_text(TINY_CLUSTER.replace("640", "240"))
    (tiny / "alone.toml").write_text("[[job]]".join(TINY.split("[[job]]")[:2]))
    run = shardlab("run", "alone.toml", "small.toml", "-p", "stingy.json", "--strategy", "spill", "--slots", 1,
                   "-o", "hopeless", cwd=tiny)
    assert (run.returncode, run.stderr) == (1, "")
    assert "  one stopped in minibatch 1 of 3: out of memory: " in run.stdout
    assert "\none            0           -          -  " in run.stdout and "written: hopeless/" in run.stdout
    assert " began again for want of memory\n" in run.stdout


@needs_torch
def test_missing_data_is_refused_before_anything_runs(tiny):
    (tiny / "nodata.toml").write_text(TINY.replace("text.txt", "gone.txt"))
    run = shardlab("run", "nodata.toml", *PATHS[1:], "--strategy", "spill", "-o", "nodata", cwd=tiny)
    assert run.returncode == 1 and "gone.txt" in run.stderr
    assert not (tiny / "nodata").exists(), "a refused run leaves no folder"


@needs_torch
def test_refused_demo_leaves_no_folder(tiny):
    bad("demo", "--workload", "gone.toml", "--cluster", "cluster.toml", "-o", "refused", cwd=tiny)
    assert not (tiny / "refused").exists()


@needs_torch
def test_place_that_cannot_be_written_is_refused_before_training(tiny):
    (tiny / "file").write_text("")
    error = bad("run", *PATHS, "--strategy", "spill", "-o", "file/out", cwd=tiny)
    assert error == "shardlab: file/out: cannot make this folder: Not a directory\n"
    error = bad("run", *PATHS, "--strategy", "spill", "-o", "file", cwd=tiny)
    assert error.startswith("shardlab: file: cannot ") and (tiny / "file").is_file()


@needs_torch
def test_nobody_reading_does_not_halt_the_training(tiny):
    (tiny / "many.toml").write_text(TINY.replace("minibatches = 3", "minibatches = 400"))
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # Its lines are ten times as long.
    with open(reader, "rb", buffering=0) as lines:
        run = subprocess.Popen([str(COMMAND), "run", "many.toml", *PATHS[1:], "--strategy", "spill", "-o", "many"], cwd=tiny,
                               stdout=writer, stderr=subprocess.DEVNULL)
        os.close(writer)
        start = b""
        while b"minibatch" not in start:
            start += lines.read(256)
        threads = pathlib.Path(f"/proc/{run.pid}/task")
        training = len(list(threads.iterdir()))
        until = time.monotonic() + 60
        while len(list(threads.iterdir())) >= training:  # Devices' threads end with the training.
            assert time.monotonic() < until, "still training after a minute"
            time.sleep(0.05)
        text = (start + lines.readall()).decode()
    assert run.wait(timeout=60) == 0
    for job in ["one", "two"]:
        told = [line for line in text.splitlines() if f" s  {job} minibatch " in line]
        assert [f" {n}/400 " in line for n, line in enumerate(told, 1)] == [True] * 400


@needs_torch
def test_interrupt_stops_cleanly_and_writes_the_timeline(tiny):
    (tiny / "long.toml").write_text(TINY.replace("minibatches = 3", "minibatches = 3000"))
    run = subprocess.Popen([str(COMMAND), "run", "long.toml", *PATHS[1:], "--strategy", "spill", "-o", "long"], cwd=tiny,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in run.stdout:
        if "minibatch" in line:
            break
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "interrupted after " in out
    timeline = json.loads((tiny / "long/timeline.json").read_text())
    assert timeline["interrupted"] and timeline["units"]["rows"]
    error = bad("compare", "long.toml", *PATHS[1:], "long/timeline.json", cwd=tiny)
    assert "only a whole run can be compared" in error


@needs_torch
def test_demo_leaves_a_summary(tiny):
    text = good("demo", "--workload", "workload.toml", "--cluster", "cluster.toml", "--quick", "-o", "demo", cwd=tiny)
    assert "the same to the bit" in text and "times as fast as" in text
    summary = json.loads((tiny / "demo/summary.json").read_text())
    assert {"jobs", "shards_per_job", "budget_bytes", "peak_bytes", "runs"} <= summary.keys()
    assert summary["jobs"] == ["one", "two"] and summary["budget_bytes"] == [640 << 10] * 2
    ranked = [plan["name"] for plan in json.loads((tiny / "demo/ranking.json").read_text())["plans"]]
    baselines = ["model_parallel/lrtf/admit=1", "model_parallel/lrtf/admit=1/keep"]
    itself = ranked[0] in baselines  # On so small models times are close, and any may rank first.
    challenger = next(name for name in ranked if name.startswith("spill/")) if itself else ranked[0]
    assert [run["name"] for run in summary["runs"]] == [challenger, *baselines]
    assert (", a plan to compare with, ranks first itself" in text) == itself
    for run in summary["runs"]:
        assert {"strategy", "policy", "admit", "predicted_s", "measured_s", "measured_all_s", "drift", "utilization",
                "bytes_moved"} <= run.keys()
        assert set(run["utilization"]) == {"occupied", "busy", "useful"}
        assert all((tiny / "demo" / folder / "timeline.json").exists() for folder in run["folders"])


# Published measurements

def perseus_profile(stages, pace):
    """Two iterations after warm-up of a pipeline whose passes take 1 and 2 s, with 3 microbatches."""
    took = (3 + stages - 1) * 3.0 * pace
    times = {"load": [0.0] * 3, "forward": [1.0 * pace] * 3, "backward": [2.0 * pace] * 3}
    return [{"rank": rank, "iter_time": [99.0, took + 0.3, took + 0.3],
             "time_breakdown": {key: [[9.0] * 4, values, values] for key, values in times.items()}} for rank in range(stages)]


def test_validate_perseus_says_how_far_off_it_is(tmp_path):
    for i, pace in enumerate([1, 2, 3, 4]):
        folder = tmp_path / "gpu"
        folder.mkdir(exist_ok=True)
        (folder / f"m.custom_dp1_pp2_tp1_mbs8_nmb3.{i}.prof.json").write_text(json.dumps(perseus_profile(2, pace)))
    found = json.loads(good("validate", "perseus", tmp_path, "--json"))
    assert found["format"] == "shardlab-validate-perseus" and found["version"] == 1
    assert [run["name"] for run in found["runs"]] == [f"gpu/m.custom_dp1_pp2_tp1_mbs8_nmb3.{i}.prof.json" for i in range(4)]
    for run in found["runs"]:
        assert run["error"] == pytest.approx(abs(run["predicted_s"] - run["measured_s"]) / run["measured_s"])
        assert run["error"] < 0.001
    assert found["runs"][1]["measured_s"] == pytest.approx(24.3)
    assert found["worst"] == max(run["error"] for run in found["runs"])
    assert [fit["fitted_on"] + fit["applied_to"] for fit in found["parameters"]] == ["ab", "ba"]
    assert len(found["blind"]["runs"]) == 4 and found["blind"]["median"] < 0.001
    assert found["without_parameters"]["median"] > 0.004
    text = good("validate", "perseus", tmp_path)
    assert "gpu/m.custom_dp1_pp2_tp1_mbs8_nmb3.3  gpu, 2 stages" in text
    assert "\nreplay:            4 runs: median error 0.0" in text and "\nblind: " in text
    assert found["refused"] == []
    (tmp_path / "gpu/a.broken.prof.json").write_text("[")  # The others are predicted as they were.
    run = shardlab("validate", "perseus", tmp_path, "--json")
    partly = json.loads(run.stdout)
    assert run.returncode == 1 and [each["name"] for each in partly["refused"]] == ["gpu/a.broken.prof.json"]
    assert "a.broken.prof.json" in partly["refused"][0]["reason"]
    assert (partly["runs"], partly["median"]) == (found["runs"], found["median"])
    run = shardlab("validate", "perseus", tmp_path)
    assert run.returncode == 1 and f"\ncannot be used: {tmp_path}/gpu/a.broken.prof.json: " in run.stdout


VTRAIN_HEADER = ("# GPUs,global batch,micro batch,hidden size,attention heads,# layers,sequence length,tensor parallelism,"
                 "data parallelism,pipeline parallelism,iteration time (ms)")


def vtrain_rows():
    """Pipelines of 10 ms per layer and microbatch and nothing else, and one row with tensor parallelism."""
    yield "4,8,1,1024,16,24,1024,2,1,2,1000"
    for micro in (1, 2):
        for microbatches in (2, 4, 8):
            for stages in (1, 2, 4):
                for layers in (8, 16, 24, 32):
                    took = 10 * layers / stages * (microbatches + stages - 1)
                    yield f"{stages},{micro * microbatches},{micro},1024,16,{layers},1024,1,1,{stages},{took}"


def test_validate_vtrain_predicts_what_it_did_not_see(tmp_path):
    file = tmp_path / "ground_truth_single.csv"
    file.write_text("\ufeff" + "\n".join([VTRAIN_HEADER, *vtrain_rows()]) + "\n", encoding="utf-8")
    found = json.loads(good("validate", "vtrain", file, "--seed", "3", "--json"))
    assert found["format"] == "shardlab-validate-vtrain" and found["version"] == 1 and found["seed"] == 3
    assert (found["fitted"], found["passed_over"], len(found["runs"])) == (7, 1, 72)
    held_out = [run["error"] for run in found["runs"] if run["held_out"]]
    assert len(held_out) == 65 and found["worst"] == max(held_out) < 0.01
    assert found["runs"][0]["name"] == "line 3: h1024 l8 dp1 pp1 b2 mb1"
    assert json.loads(good("validate", "vtrain", tmp_path, "--seed", "3", "--json")) == found
    text = good("validate", "vtrain", tmp_path)
    assert text.startswith("72 rows; 1 passed over") and "\nheld out: 65 runs: median error 0." in text


def test_validate_devices_predicts_by_data_sheets_alone(tmp_path):
    for device, microbatch, pace in [("a100", 8, 1), ("A40", 4, 1.2)]:
        (tmp_path / device).mkdir()
        for point, slower in [(0, 1), (9, 3)]:
            name = f"m.custom_dp1_pp2_tp1_mbs{microbatch}_nmb3.{point}.prof.json"
            (tmp_path / device / name).write_text(json.dumps(perseus_profile(2, pace * slower)))
    found = json.loads(good("validate", "devices", tmp_path, "--json"))
    assert found["format"] == "shardlab-validate-devices" and found["coverage"] == 1
    assert [run["name"] for run in found["runs"]] == [
        "m backward, A40 to a100", "m backward, a100 to A40", "m forward, A40 to a100", "m forward, a100 to A40"]
    forward = found["runs"][3]
    assert forward["measured_s"] == pytest.approx(2 * 1.2 / 4) and forward["low_s"] < forward["predicted_s"] < forward["high_s"]
    assert forward["predicted_s"] == pytest.approx(2 / 8 * (312 / 149.7 * 1935 / 696) ** 0.5)
    assert "90 % intervals cover 100 %" in good("validate", "devices", tmp_path)
    assert "toaster" in bad("validate", "devices", (tmp_path / "A40").rename(tmp_path / "toaster").parent)


def test_validate_names_what_is_wrong(tmp_path):
    bad("validate", code=2)
    assert "no such folder" in bad("validate", "perseus", tmp_path / "none")
    assert "holds no *.prof.json" in bad("validate", "perseus", tmp_path, "--json")
    (tmp_path / "x.prof.json").write_text("[{}]")
    assert "x.prof.json: entry 0: rank: missing" in bad("validate", "perseus", tmp_path)
    assert "ground_truth_single.csv: cannot read" in bad("validate", "vtrain", tmp_path)
    (tmp_path / "x.csv").write_text(VTRAIN_HEADER + "\n8,8,1,1024,16,24,1024,1,2,2,9\n")
    assert "x.csv:2: 8 GPUs, but" in bad("validate", "vtrain", tmp_path / "x.csv")


# Profiles from measurements of others

IMPORTS = FIXTURES / "imports"
HOST = ["--set", "copy=10 us + 12 GB", "--set", "unit_overhead_ns=60 us", "--set", "dispatch_ns=20 us"]
LAYERS = ["--set", "input_bytes=1 MiB", "--set", "head.step_ns=120 us"]


def imported_workload(folder, **job):
    path = folder / "w.toml"
    keys = {"name": "a", "model": "imported:layers", "batch": 8, "minibatches": 5} | job
    path.write_text("[[job]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    return path


def import_csv(folder, *more):
    profile = folder / "p.json"
    text = good("import", "csv", IMPORTS / "layers.csv", "--batch", 8, "-o", profile, *more)
    return profile, text


def test_an_import_says_what_it_lacks_and_simulate_refuses_that_by_name(tmp_path):
    profile, text = import_csv(tmp_path)
    assert "not known: step_ns of layer 2 (head), input_bytes\n" in text
    assert "could not use 3 fields of the column note" in text
    workload = imported_workload(tmp_path)
    for verb in ["simulate", "sweep"]:
        said = bad(verb, workload, IMPORTS.parent / "cluster.toml", "-p", profile)
        assert said == (
            f"shardlab: {profile}: imported:layers, batch 8: not known: step_ns of layer 2 (head), input_bytes; not known of "
            "the host: unit_overhead_ns, dispatch_ns, copy; import it again with --fill MODEL.toml for sizes, or with --set "
            "'head.step_ns=TIME' --set 'input_bytes=SIZE' --set 'unit_overhead_ns=TIME' --set 'dispatch_ns=TIME' --set "
            "'copy=LATENCY + RATE'\n")
    # What the message names is all that is wanted.
    profile, _ = import_csv(tmp_path, *LAYERS)
    roomy = tmp_path / "roomy.toml"
    roomy.write_text('[[device]]\nname = "gpu"\nkind = "cuda"\nmemory = "22 GiB"\ncopy_engines = 2\n')
    said = bad("simulate", workload, roomy, "-p", profile)
    assert "p.json: not known of the host: unit_overhead_ns, dispatch_ns, copy, copy_back; import it again with --set " in said
    profile, _ = import_csv(tmp_path, *LAYERS, *HOST, "--set", "copy_back=0 + 1 GB")
    good("simulate", workload, roomy, "-p", profile)


def test_what_one_of_several_profiles_knows_of_the_host_is_known_and_what_none_knows_is_not_zero(tmp_path):
    device = ["--device", "A100"]
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    workload = imported_workload(tmp_path, batch=4)
    good("import", "csv", IMPORTS / "layers.csv", "--batch", 8, "-o", first, *device, *LAYERS)
    good("import", "csv", IMPORTS / "layers.csv", "--batch", 4, "-o", second, *device, *LAYERS)
    cluster = tmp_path / "c.toml"
    cluster.write_text('[[device]]\nname = "gpu"\nkind = "cuda"\nmemory = "22 GiB"\ncopy_engines = 2\n')
    asked = ["simulate", workload, cluster, "-p", first, "-p", second]
    assert "not known of the host: unit_overhead_ns, dispatch_ns, copy, copy_back" in bad(*asked)
    good("import", "csv", IMPORTS / "layers.csv", "--batch", 4, "-o", second, *device, *LAYERS, *HOST)
    both = json.loads(good(*asked, "--json"))["plans"]
    alone = json.loads(good("simulate", workload, cluster, "-p", second, "--json"))["plans"]
    assert both[0]["predicted_s"] == alone[0]["predicted_s"]


def test_a_gpus_profile_on_cpu_devices_is_refused_and_so_is_the_other_way_round(tmp_path):
    profile = tmp_path / "p.json"
    good("import", "kineto", IMPORTS / "kineto-fractions.json", "--batch", 8, "-o", profile, "--set", "*.parameter_bytes=1 MiB",
         "--set", "*.output_bytes=1", "--set", "*.saved_bytes=1", "--set", "*.forward_workspace_bytes=1", "--set",
         "*.backward_workspace_bytes=1", "--set", "input_bytes=1", *HOST[2:])
    workload = imported_workload(tmp_path, model="imported:kineto-fractions", optimizer="sgd")
    clusters = {}
    for kind in ["cpu", "cuda", "emulated"]:
        clusters[kind] = tmp_path / f"{kind}.toml"
        clusters[kind].write_text(f'[[device]]\nname = "d"\nkind = "{kind}"\n')
    said = bad("simulate", workload, clusters["cpu"], "-p", profile)
    assert (f'{profile}: is of "Example GPU 24 GB", a GPU, but d of the cluster is of kind "cpu" (write kind = "cuda" for a '
            "GPU); profile there, estimate it with shardlab fit --device, or --accept-profile device") in said
    run = shardlab("simulate", workload, clusters["cpu"], "-p", profile, "--accept-profile", "device")
    assert run.returncode == 0 and "a GPU, but d of the cluster is of kind" in run.stderr
    for kind in ["cuda", "emulated"]:
        good("simulate", workload, clusters[kind], "-p", profile)
    measured = json.loads((FIXTURES / "profile.json").read_text())
    measured["provenance"]["method"] = "steady clock per layer, median"
    profile.write_text(json.dumps(measured))
    workload = FIXTURES / "workload.toml"
    assert 'a CPU, but d of the cluster is of kind "cuda"' in bad("simulate", workload, clusters["cuda"], "-p", profile)
    good("simulate", workload, clusters["cpu"], "-p", profile)


def test_an_import_whose_gaps_are_filled_is_simulated_and_not_trained(tmp_path):
    profile, _ = import_csv(tmp_path, *LAYERS, *HOST)
    notes = json.loads(profile.read_text())["provenance"]["notes"]
    assert "imported:layers: step_ns of 1 layers: set by user (head.step_ns=120 us)" in notes
    cluster = tmp_path / "c.toml"
    cluster.write_text('[[device]]\nname = "gpu"\nkind = "cuda"\nmemory = "22 GiB"\ncopy_engines = 2\n')
    plans = json.loads(good("simulate", imported_workload(tmp_path), cluster, "-p", profile, "--json"))["plans"]
    # Forward, backward and step of each layer, and the input's copy of nothing.
    assert plans[0]["predicted_s"] > 5 * (20.75 + 41.5 + 1.14) * 1e-3
    assert "take it out" in bad("simulate", imported_workload(tmp_path, layers=3), cluster, "-p", profile)
    assert "lora_rank" in bad("simulate", imported_workload(tmp_path, lora_rank=4), cluster, "-p", profile)
    assert bad("run", imported_workload(tmp_path), cluster, "-p", profile, "--policy", "lrtf", "-o", tmp_path / "run")


def test_import_json_lists_what_was_not_used(tmp_path):
    made = json.loads(good("import", "kineto", IMPORTS / "kineto-fractions.json", "--batch", 8, "-o", tmp_path / "p.json",
                           "--json"))
    assert made["format"] == "shardlab-import"
    assert made["not_known_of_host"] == ["unit_overhead_ns", "dispatch_ns"]
    model = made["models"][0]
    assert (model["model"], model["layers"], model["device"]) == ("imported:kineto-fractions", 2, "Example GPU 24 GB")
    assert model["optimizer"] == "sgd"
    forward = {"minibatches": 2, "launches": 4, "busy_ns": 60_000, "gaps_ns": 10_000, "copies": []}
    assert model["recorded"]["layers"][0]["name"] == "embed" and model["recorded"]["layers"][0]["forward"] == forward
    assert model["recorded"]["unattributed"]["copies"] == [
        {"direction": "host_to_device", "pinned": True, "count": 2, "bytes": 1114112, "busy_ns": 110_000},
        {"direction": "device_to_host", "pinned": False, "count": 2, "bytes": 8, "busy_ns": 6_000}]
    written = json.loads((tmp_path / "p.json").read_text())["models"][0]
    assert written["costs"][0]["recorded"]["forward"] == forward
    assert written["unattributed"] == model["recorded"]["unattributed"]
    unused = {"count": 2, "what": "copies of pageable memory", "why": "a latency and a rate take copies of two sizes"}
    assert unused in model["unused"]


def test_import_prints_gaps_and_copies_by_phase_and_what_belongs_to_no_layer(tmp_path):
    text = good("import", "kineto", IMPORTS / "kineto-fractions.json", "--batch", 8, "-o", tmp_path / "p.json")
    rows = {cells[1]: cells[2:] for line in text.splitlines() if len(cells := re.split("  +", line.strip())) == 9}
    assert rows["phase"] == ["launches", "busy ms", "gaps ms", "MiB to device", "MiB to host", "pageable of both",
                             "MiB elsewhere"]
    # Of a minibatch: embed 2 kernels of 30 us and 5 between them without a copy, head one of 40.
    assert rows["forward"] == ["3", "0.070", "0.005", "0.000", "0.000", "0.000", "0.000"]
    assert rows["step of the model"][:2] == ["1", "0.050"]
    assert rows["in no layer"] == ["1", "0.005", "0.000", "0.531", "0.000", "0.000", "0.000"]
    assert "longest gaps: forward of embed 0.005 ms\n" in text


def test_import_and_fit_do_not_overwrite_their_inputs(tmp_path):
    table = tmp_path / "t.csv"
    text = (IMPORTS / "layers.csv").read_text()
    table.write_text(text)
    (tmp_path / "other").symlink_to(table)
    for output in [table, tmp_path / "other"]:
        assert "is the input" in bad("import", "csv", table, "--batch", 8, "-o", output, code=2)
    assert table.read_text() == text
    profile, _ = import_csv(tmp_path)
    before = profile.read_text()
    assert "is the input" in bad("fit", profile, "--batch", 4, "-o", profile, code=2)
    assert profile.read_text() == before


def test_import_refuses_options_that_contradict_the_file(tmp_path):
    perseus, kineto = IMPORTS / "run_dp1_pp2_tp1_mbs4_nmb2.prof.json", IMPORTS / "kineto-fractions.json"
    output = ["-o", tmp_path / "p.json"]
    assert "--batch 3: the file says 4" in bad("import", "perseus", perseus, "--batch", 3, *output, code=2)
    good("import", "perseus", perseus, "--batch", 4, *output)
    said = bad("import", "kineto", kineto, "--batch", 8, "--device", "TPU", *output, code=2)
    assert '--device TPU: the file says "Example GPU 24 GB"' in said
    assert "--layer-rule is of kineto and nsight" in bad("import", "perseus", perseus, "--layer-rule", "x", *output, code=2)


def test_a_kineto_refusal_says_that_the_file_was_cut_off(tmp_path):
    text = (IMPORTS / "kineto-fractions.json").read_text()
    trace = tmp_path / "t.json"
    trace.write_text(text[:text.index('"kernel"')])
    said = bad("import", "kineto", trace, "--batch", 8, "-o", tmp_path / "p.json")
    assert "; it ends at byte" in said


def test_fit_of_an_import_wants_its_precision(tmp_path):
    profile, fitted = tmp_path / "p.json", tmp_path / "fitted.json"
    good("import", "csv", IMPORTS / "layers.csv", "--batch", 8, "--device", "A100", "-o", profile)
    assert "--precision" in bad("fit", profile, "--device", "A40", "-o", fitted, code=2)
    times = {}
    for precision in ["fp32", "fp16"]:
        good("fit", profile, "--device", "A40", "--precision", precision, "-o", fitted)
        made = json.loads(fitted.read_text())
        assert made["provenance"]["estimated"]["method"].startswith("ratio of data sheets")
        times[precision] = [layer["alone"]["forward_ns"] for layer in made["models"][0]["costs"]]
    old = [layer["alone"]["forward_ns"] for layer in json.loads(profile.read_text())["models"][0]["costs"]]
    # Every layer by the same ratio.
    for new in times.values():
        assert all(abs(a / b - new[0] / old[0]) < 1e-3 for a, b in zip(new, old))
    assert times["fp16"][0] > 1.3 * times["fp32"][0]


def test_the_precision_of_an_import_is_recorded_and_another_is_refused(tmp_path):
    profile, fitted = tmp_path / "p.json", tmp_path / "fitted.json"
    asked = ["import", "csv", IMPORTS / "layers.csv", "--batch", 8, "--device", "A100", "-o", profile]
    assert "not known: its precision" in good(*asked)
    assert json.loads(profile.read_text())["models"][0]["precision"] is None
    good(*asked, "--precision", "tf32", *LAYERS, *HOST)
    assert json.loads(profile.read_text())["models"][0]["precision"] == "tf32"
    good("fit", profile, "--device", "A40", "-o", fitted)
    assert "(tf32)" in json.loads(fitted.read_text())["provenance"]["estimated"]["method"]
    said = bad("fit", profile, "--device", "A40", "--precision", "fp16", "-o", fitted, code=2)
    assert "--precision fp16: imported:layers was computed in tf32" in said
    good("fit", profile, "--device", "A40", "--precision", "fp16", "--accept-profile", "precision", "-o", fitted)
    cluster = tmp_path / "c.toml"
    cluster.write_text('[[device]]\nname = "gpu"\nkind = "cuda"\nmemory = "22 GiB"\ncopy_engines = 2\n')
    good("simulate", imported_workload(tmp_path, precision="tf32"), cluster, "-p", profile)
    other = imported_workload(tmp_path, precision="bf16")
    said = bad("simulate", other, cluster, "-p", profile)
    assert 'imported:layers was computed in tf32, a says precision = "bf16"; take a profile of that' in said
    good("simulate", other, cluster, "-p", profile, "--accept-profile", "precision")
    assert "is no precision" in bad("simulate", imported_workload(tmp_path, precision="int8"), cluster, "-p", profile)


def test_fill_with_a_model_of_another_precision_is_refused(tmp_path):
    workload = tmp_path / "w.toml"
    asked = ["import", "csv", IMPORTS / "layers.csv", "--batch", 8, "--fill", workload, "-o", tmp_path / "p.json",
             "--set", "*.parameter_bytes=1"]
    text = ('[[job]]\nname = "a"\nmodel = "gpt"\nlayers = 1\nwidth = 2048\nheads = 16\ncontext = 512\nbatch = 8\n'
            'minibatches = 5\nprecision = "bf16"\n')
    workload.write_text(text)
    rows = tmp_path / "t.csv"
    rows.write_text("name,forward_ms\na,1\nb,2\nc,3\n")
    asked[2] = rows
    said = bad(*asked, "--precision", "fp32", code=2)
    assert 'its model is of precision bf16, imported:t was computed in fp32; write precision = "fp32"' in said
    made = json.loads(good(*asked, "--precision", "bf16", "--json"))["models"][0]
    assert made["precision"] == "bf16" and made["model"].startswith("gpt")
    sources = json.loads((tmp_path / "p.json").read_text())["provenance"]["sources"]
    assert [source["file"] for source in sources] == ["t.csv", "w.toml"]


def test_notes_of_a_profile_are_warnings(tmp_path):
    document = json.loads((FIXTURES / "profile.json").read_text())
    document["provenance"]["notes"] = ["its head is faulty"]
    profile = tmp_path / "p.json"
    profile.write_text(json.dumps(document))
    for verb in ["simulate", "sweep", "plan"]:
        more = ["-o", tmp_path / "plan.json", "--budget", "1"] if verb == "plan" else []
        run = shardlab(verb, *INPUTS[:3], profile, *more)
        assert run.returncode == 0, run.stderr
        assert f"shardlab: warning: the profile {profile} notes: its head is faulty\n" in run.stderr
    for shipped in sorted((ROOT / "profiles").glob("h100-*.json")):
        assert "do not trust predictions" in json.loads(shipped.read_text())["provenance"]["notes"][0]


@pytest.mark.parametrize("row, said", [
    ("parameters_bytes,0.5", "parameters_bytes: must be whole bytes, is 0.5"),
    ("parameters_KiB,0.0001", "parameters_KiB: must be whole bytes, is 0.0001"),
    ("forward_ms,1e-9", "forward_ms: must be whole nanoseconds, is 1e-9"),
    ("forward_ms,-1", "forward_ms: must be at least 0, is -1"),
    ("forward_ms,nan", "forward_ms: must be finite, is nan"),
    ("seconds,1", 'no column is a cost, the first is "seconds"'),
])
def test_a_table_with_parts_of_a_byte_or_worse_is_refused(tmp_path, row, said):
    table = tmp_path / "t.csv"
    table.write_text(row.replace(",", "\n") + "\n")
    assert said in bad("import", "csv", table, "--batch", 8, "-o", tmp_path / "p.json")
    table.write_text("forward_ms,parameters_KiB\n0,0.5\n0.3333333,0.3\n")
    good("import", "csv", table, "--batch", 8, "-o", tmp_path / "p.json")


def test_files_of_another_kind_are_told_by_their_first_bytes(tmp_path):
    packed, folder, marked = tmp_path / "graph.txt.gz", tmp_path / "folder", tmp_path / "bom.txt"
    packed.write_bytes(gzip.compress((IMPORTS / "graph.txt").read_bytes()))
    folder.mkdir()
    marked.write_text("\ufeff" + (IMPORTS / "graph.txt").read_text().replace("\n", "\r\n"))
    database = tmp_path / "d.sqlite"
    sqlite3.connect(database).executescript((IMPORTS / "nsight.sql").read_text())
    for form in ["csv", "kineto", "nsight", "pipedream", "perseus"]:
        asked = ["import", form, "--batch", 8, "-o", tmp_path / "p.json"]
        assert bad(*asked, folder) == f"shardlab: {folder}: cannot read: Is a directory\n"
        assert bad(*asked, tmp_path / "none") == f"shardlab: {tmp_path / 'none'}: cannot read: No such file or directory\n"
        if form != "kineto":
            assert ("no SQLite database" if form == "nsight" else "compressed with gzip") in bad(*asked, packed)
        if form != "nsight":
            assert "is an SQLite database; shardlab import nsight reads" in bad(*asked, database)
    assert "imported:bom" in good("import", "pipedream", marked, "--batch", 8, "-o", tmp_path / "p.json")


def test_import_refuses_what_it_cannot_read(tmp_path):
    assert "no Chrome trace" in bad("import", "kineto", IMPORTS / "layers.csv", "--batch", 8, "-o", tmp_path / "p.json")
    assert "give it with --batch" in bad("import", "csv", IMPORTS / "layers.csv", code=2)
    assert "is no field of a profile" in bad("import", "csv", IMPORTS / "layers.csv", "--batch", 8, "--set", "*.size=1", code=2)
    assert "FORMAT" in bad("import", "chrome", IMPORTS / "layers.csv", code=2)
    assert not (tmp_path / "p.json").exists()


# Numbers that can be added up by hand

TWO_LAYERS = """name,forward_ms,recompute_ms,backward_ms,step_ms,parameters_bytes,state_bytes,activation_bytes,saved_bytes,\
forward_workspace_bytes,backward_workspace_bytes
a,10,10,20,1,1000000,2000000,100000,0,0,0
b,10,10,20,1,1000000,2000000,0,0,0,0
"""


def by_hand(folder, jobs, devices):
    """Inputs of `jobs` ((name, minibatches), ...) of a model of two layers: 20 ms forward, 40 backward, 2 to step."""
    (folder / "layers.csv").write_text(TWO_LAYERS)
    free = [option for cost in ["copy=0 us + 1 TB", "unit_overhead_ns=0", "dispatch_ns=0", "input_bytes=0"]
            for option in ("--set", cost)]
    good("import", "csv", folder / "layers.csv", "--name", "m", "--batch", 8, *free, "-o", folder / "profile.json")
    (folder / "w.toml").write_text('[defaults]\nmodel = "imported:m"\nbatch = 8\noptimizer = "adamw"\n' + "".join(
        f'[[job]]\nname = "{name}"\nminibatches = {minibatches}\n' for name, minibatches in jobs))
    (folder / "c.toml").write_text(devices)
    return [folder / "w.toml", folder / "c.toml", "-p", folder / "profile.json"]


def about(seconds):
    return pytest.approx(seconds, abs=1e-4)  # Copies at 1 TB/s.


def one_plan(*arguments):
    return json.loads(good("simulate", *arguments, "--json"))["plans"][0]


def test_completion_times_and_peaks_are_those_of_arithmetic(tmp_path):
    inputs = by_hand(tmp_path, [("a", 1), ("b", 2), ("c", 3)], '[[device]]\nname = "d"\nmemory = "1 GB"\n')
    plan = one_plan(*inputs, "--strategy", "resident", "--policy", "fifo", "--admit", "1", "--keep-activations",
                    "--slots", "1")
    ends = [0.062, 0.062 + 0.124, 0.062 + 0.124 + 0.186]
    assert plan["predicted_s"] == about(ends[2])
    assert plan["completion"] == {"mean_s": about(sum(ends) / 3), "p95_s": about(ends[2]),
                                  "max_s": about(ends[2])}
    assert plan["host_peak_bytes"] == 3 * 2 * 3_000_000
    assert plan["bytes_moved"] == 3 * 2 * (3_000_000 + 3_000_000)  # Each model in once, and out.
    assert plan["bytes_between_devices"] == plan["devices_lost"] == plan["units_redone"] == 0
    assert plan["disk_read_bytes"] == plan["disk_written_bytes"] == 0


def test_where_no_job_completes_there_are_no_completion_times(tmp_path):
    inputs = by_hand(tmp_path, [("a", 4)], '[[device]]\nname = "d"\nmemory = "1 GB"\n')
    text = inputs[0].read_text().replace("minibatches = 4", "minibatches = 4\nstop_after = 1")
    inputs[0].write_text(text)
    plan = one_plan(*inputs, "--strategy", "spill", "--policy", "fifo")
    assert plan["completion"] is None and plan["jobs"][0]["end_s"] == plan["predicted_s"]


def test_a_lost_device_and_what_it_began_are_counted(tmp_path):
    device = '[[device]]\nname = "d"\nmemory = "1 GB"\nleaves = [0.005]\nreturns = [0.105]\n'
    inputs = by_hand(tmp_path, [("a", 1)], device)
    plan = one_plan(*inputs, "--strategy", "spill", "--policy", "fifo", "--slots", "1")
    assert (plan["devices_lost"], plan["units_redone"]) == (1, 1)
    assert plan["predicted_s"] == about(0.105 + 0.062)  # One shard holds both layers.


def test_between_devices_is_what_pipelines_hand_on(tmp_path):
    device = '[[device]]\nname = "d"\ncount = 2\nmemory = "1 GB"\npeer = { rate = "1 GB" }\n'
    inputs = by_hand(tmp_path, [("a", 3)], device)
    arguments = [*inputs, "--strategy", "model_parallel", "--policy", "fifo", "--keep-activations"]
    assert one_plan(*arguments)["bytes_between_devices"] == 3 * 2 * 100_000  # An activation and its gradient.
    assert "between devices MiB" in good("simulate", *arguments)
    assert "between devices" not in good("simulate", *inputs, "--strategy", "spill")


def test_a_plan_that_leaves_jobs_without_room_does_not_rank_before_one_that_ends(tmp_path):
    devices = """[[device]]
name = "big"
memory = "100 MB"
leaves = [0.050]
[[device]]
name = "small"
memory = "5 MB"
"""
    inputs = by_hand(tmp_path, [("a", 3), ("b", 3)], devices)
    found = json.loads(good("simulate", *inputs, "--json", "--save-plan", tmp_path / "best.json"))
    assert {plan["strategy"] for plan in found["plans"]} == {"model_parallel"}  # Its shards move to where there is room.
    refused = {each["name"]: each["reason"] for each in found["refused"]}
    assert any(reason.endswith("jobs do not end: the devices that are left have no room for it")
               for name, reason in refused.items() if name.startswith("resident")), refused
    assert "model_parallel" in (tmp_path / "best.json").read_text()
    rows = list(csv.DictReader(io.StringIO(good("sweep", *inputs, "--strategies", "model_parallel,resident"))))
    assert all((row["predicted_s"] == "") == (row["strategy"] == "resident") for row in rows), rows
    alone = by_hand(tmp_path, [("a", 3)], devices)
    assert "resident/lrtf cannot run: 1 of 1 jobs do not end" in bad("simulate", *alone, "--strategy", "resident")
    back = by_hand(tmp_path, [("a", 3)], devices.replace("[0.050]", "[0.050]\nreturns = [0.500]"))
    assert one_plan(*back, "--strategy", "resident")["predicted_s"] > 0.5  # It waits for its device.


def test_a_plan_that_cannot_end_does_not_end_the_ranking(tmp_path):
    inputs = by_hand(tmp_path, [("a", 3), ("b", 3)],
                     '[[device]]\nname = "d"\ncount = 2\nmemory = "1 GB"\nleaves = [0.3]\n')
    found = json.loads(good("simulate", *inputs, "--json"))
    reasons = {each["reason"] for each in found["refused"]}
    assert found["plans"] and any(reason.startswith("no device is left, and ") for reason in reasons), reasons
    noisy = json.loads(good("simulate", *inputs, "--json", "--noise", "lognormal:0.1", "--replications", "20"))
    assert noisy["plans"] and all(plan["replicated"]["makespan_s"]["max"] < 0.3 for plan in noisy["plans"])
    assert "no device is left, and " in bad("simulate", *inputs, "--strategy", "model_parallel", "--admit", "1", "--policy",
                                            "lrtf")


def test_metrics_alone_keep_no_timeline(tmp_path):
    inputs = by_hand(tmp_path, [("a", 3)], '[[device]]\nname = "d"\nmemory = "1 GB"\n')
    arguments = [*inputs, "--strategy", "spill", "--policy", "lrtf"]
    with_timeline, without = one_plan(*arguments), one_plan(*arguments, "--metrics-only")
    assert with_timeline.pop("devices") and without == with_timeline
    assert "idle: " in good("simulate", *arguments, "--metrics-only")
    bad("simulate", *arguments, "--metrics-only", "-o", tmp_path / "t.json", code=2)
