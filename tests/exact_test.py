"""Exact plans: against brute force, against what the command makes of them, and a proof of a size that matters."""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SHARDLAB_BUILD", ROOT / "build"))
COMMAND = BUILD / "cli/shardlab"
FIXTURES = ROOT / "tests/fixtures"
sys.path.insert(0, str(ROOT / "python"))
pytest.importorskip("ortools", reason="exact plans need OR-Tools: .venv/bin/python -m pip install -r requirements.txt")

from shardlab import exact  # noqa: E402
from shardlab.program import Problem, Program, Task, read_program  # noqa: E402
from shardlab.schedule import Schedule  # noqa: E402

FREE = {"latency_ns": 0, "bytes_per_second": 0}


def instance(chains, classes=(0, 0), minibatches=1, arrivals=None, alone=None):
    """Jobs that only compute: chains[j][u] are the times of a unit by class, or one for all; `alone` takes that less."""
    def unit(times):
        loaded = list(times) if isinstance(times, (list, tuple)) else [times] * (max(classes) + 1)
        return {"kind": "forward", "shard": 0, "device": None, "loaded_ns": loaded,
                "alone_ns": [time - (alone or 0) for time in loaded], "after": [], "workspace_bytes": 0, "reads": [],
                "writes": [], "creates": [], "consumes": []}
    jobs = [{"name": f"job{j}", "arrival_ns": arrivals[j] if arrivals else 0, "minibatches": minibatches, "resident": False,
             "held": False, "tracks": [[0, len(chain)]], "units": [unit(each) for each in chain], "items": []}
            for j, chain in enumerate(chains)]
    devices = [{"name": f"d{d}", "class": kind, "memory_bytes": None, "copy_engines": 1, "link": FREE, "back": FREE,
                "peer": None} for d, kind in enumerate(classes)]
    return {"format": "shardlab-program", "version": 1, "dispatch_alone_ns": 0, "dispatch_loaded_ns": 0, "copy_alone": FREE,
            "copy_loaded": FREE, "devices": devices, "jobs": jobs, "plan": {"name": "by hand", "jobs": []}}


def shortest(program):
    """By trying every order in which tasks may begin, on every device: each as soon as it can."""
    best = [float("inf")]

    def go_on(orders, heads):
        if all(head == len(chain) for head, chain in zip(heads, program.chains())):
            best[0] = min(best[0], Schedule(program, orders).makespan)
            return
        for c, chain in enumerate(program.chains()):
            if heads[c] == len(chain):
                continue
            for device in program.where(chain[heads[c]]):
                orders[device].append(chain[heads[c]])
                go_on(orders, heads[:c] + (heads[c] + 1,) + heads[c + 1:])
                orders[device].pop()

    go_on([[] for _ in program.devices], tuple(0 for _ in program.chains()))
    return best[0]


def test_what_the_file_leaves_out_makes_a_plan_relaxed_and_is_named():
    plain = exact.solve(Program(instance([[3], [2]])), seconds=10)
    assert not plain.relaxed
    program = Program(instance([[3], [2]]) | {"left_out": ["disk", "switches"]})
    result = exact.solve(program, seconds=10)
    assert result.relaxed and "disk, switches" in exact._report(program, result)


@pytest.mark.parametrize("seed", range(12))
def test_small_instances_are_solved_as_brute_force_solves_them(seed):
    draw = random.Random(seed)
    classes = [(0, 0), (0, 1), (0, 0, 1)][seed % 3]
    chains = [[[draw.randint(1, 9) for _ in range(max(classes) + 1)] for _ in range(draw.randint(1, 2))] for _ in range(3)]
    alone = 0 if seed % 2 else draw.randint(0, 1)
    chains = [[[time + 1 for time in times] for times in chain] for chain in chains]
    arrivals = [draw.randint(0, 6) * (seed % 4 == 3) for _ in chains]
    program = Program(instance(chains, classes, arrivals=arrivals, alone=alone))
    result = exact.solve(program, seconds=60, threads=2)
    assert result.status == "optimal"
    assert result.makespan == result.bound == result.schedule.makespan == shortest(program)


def test_192_units_of_12_models_on_8_devices_are_proven():
    draw = random.Random(1)
    chains = [[draw.randint(1, 20) * 1_000_000 for _ in range(16)] for _ in range(12)]
    program = Program(instance(chains, [0] * 8))
    result = exact.solve(program, seconds=300)
    assert len(program.tasks) == 192
    assert result.status == "optimal"
    assert result.makespan == result.bound
    work = sum(sum(chain) for chain in chains)
    assert result.makespan >= max(-(-work // 8), max(map(sum, chains)))


def test_204_units_from_files_are_proven_and_replayed_to_the_same_nanosecond(tmp_path, capsys):
    draw = random.Random(2)
    widths = [32 * (4 + j) for j in range(12)]
    work = "".join(f'[[job]]\nname = "j{width}"\nmodel = "gpt"\nlayers = 7\nwidth = {width}\nheads = 4\ncontext = 64\n'
                   "dropout = 0.1\nbatch = 4\nminibatches = 1\n" for width in widths)
    inputs = files(tmp_path, [1] * 8, work)
    path = tmp_path / "profile.json"
    profile = json.loads(path.read_text())
    layers = profile["models"][0]["costs"]
    profile["models"] = [{**profile["models"][0], "layers": 7, "width": width,
                          "costs": [layers[0], *({**layers[1], "name": f"block {i}"} for i in range(7)), layers[-1]]}
                         for width in widths]
    profile = json.loads(json.dumps(profile))  # Layers of their own for each model.
    for layer in (layer for model in profile["models"] for layer in model["costs"]):
        for key in ("forward_ns", "recompute_ns", "backward_ns", "step_ns"):
            layer["alone"][key] = layer["loaded"][key] = draw.randint(1, 9) * 1_000_000
    path.write_text(json.dumps(profile))
    cut = tmp_path / "cut.json"
    cut.write_text(json.dumps({
        "format": "shardlab-plan", "version": 1, "name": "cut", "policy": "lrtf", "seed": 1, "admit": 0, "slots": 1,
        "jobs": [{"strategy": "spill", "first_layer": list(range(9)), "device": [], "recompute": True}] * len(widths)}))
    result, simulated = solved(tmp_path, capsys, inputs, 100, "--plan", cut)
    assert result["units"] == 204
    assert result["status"] == "optimal"
    assert round(simulated * 1e9) == result["makespan_ns"] == result["bound_ns"]


def test_a_bound_that_is_proven_with_copies_holds_for_the_simulation(tmp_path, capsys):
    inputs = [FIXTURES / "workload.toml", FIXTURES / "cluster.toml", "-p", FIXTURES / "profile.json"]
    result, simulated = solved(tmp_path, capsys, inputs, 2)
    assert result["relaxed"]
    assert round(simulated * 1e9) >= result["bound_ns"]
    for policy in ("lrtf", "fifo", "random"):
        predicted = simulate(*inputs, "--strategy", "spill", "--policy", policy)["plans"][0]["predicted_s"]
        assert round(predicted * 1e9) >= result["bound_ns"]


SHARED = """name = "shared"
instances = 1
policies = ["sharp"]
slots = 2
[[jobs]]
name = "few"
count = 6
shards = 4
minibatches = 2
time = "1 s"
[[devices]]
name = "four"
count = 4
[[transfer]]
link = "shared"
load = 2
"""


def test_the_simulators_lower_bound_ends_a_search_that_knows_no_switch(tmp_path, capsys):
    grid, program, plan = (tmp_path / name for name in ("grid.toml", "program.json", "plan.json"))
    grid.write_text(SHARED)
    save = ["study", grid, "--save-instance", "shared/few/four/shared 2/2,1", tmp_path]
    subprocess.run([COMMAND, *map(str, save)], check=True, capture_output=True)
    inputs = [tmp_path / "workload.toml", tmp_path / "cluster.toml", "-p", tmp_path / "profile.json", "--plan",
              tmp_path / "plan-sharp.json"]
    predicted = simulate(*inputs, "--save-program", program)["plans"][0]
    root = json.loads(program.read_text())
    assert predicted["bound_by"] == "link" and root["lower_bound_ns"] == round(predicted["lower_bound_s"] * 1e9)
    lowered = read_program(program)
    solver = exact.cp_model.CpSolver()
    solver.parameters.relative_gap_limit = 0.05
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = 1
    assert solver.solve(exact.Model(lowered, Schedule(lowered, exact.greedy(lowered))).cp) == exact.cp_model.OPTIMAL
    arguments = [str(program), "--time-limit", "60", "--gap", "0.05", "--save-plan", str(plan), "--json"]
    assert exact.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["relaxed"] and found["gap"] <= 0.05 and not found["interrupted"]
    assert found["makespan_ns"] >= found["bound_ns"] >= root["lower_bound_ns"]
    assert round(simulate(*inputs[:-1], plan)["plans"][0]["predicted_s"] * 1e9) >= found["bound_ns"]
    del root["lower_bound_ns"]
    program.write_text(json.dumps(root))
    assert exact.main([*arguments[:2], "1", *arguments[3:]]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["status"] == "feasible" and alone["bound_ns"] < 0.5 * found["bound_ns"]


@pytest.mark.parametrize("bound, makespan", [(5, 6), (6, 6), (4, 6)])
def test_a_lower_bound_that_is_given_changes_no_optimum(bound, makespan):
    result = exact.solve(Program(instance([[4], [2, 2], [2, 2]]) | {"lower_bound_ns": bound}), seconds=60)
    assert (result.status, result.makespan, result.bound) == ("optimal", makespan, makespan)


def test_the_lower_bound_that_is_given_holds_however_many_jobs_run_at_once(tmp_path):
    inputs = [FIXTURES / "workload.toml", FIXTURES / "cluster.toml", "-p", FIXTURES / "profile.json", "--strategy", "spill"]
    path, given, bounds = tmp_path / "program.json", [], []
    for admit in ("0", "1"):
        bounds.append(simulate(*inputs, "--admit", admit, "--save-program", path)["plans"][0]["lower_bound_s"])
        given.append(json.loads(path.read_text())["lower_bound_ns"])
    assert bounds[0] < bounds[1] and given == [round(bounds[0] * 1e9)] * 2


def slow_links(tmp_path):
    path = tmp_path / "program.json"
    simulate(FIXTURES / "workload.toml", FIXTURES / "cluster.toml", "-p", FIXTURES / "profile.json", "--strategy", "spill",
             "--save-program", path)
    slow = json.loads(path.read_text())
    for device in slow["devices"]:
        device["link"] = device["back"] = {"latency_ns": 0, "bytes_per_second": 1_000_000}
    path.write_text(json.dumps(slow))
    return path


def test_the_schedule_that_the_search_starts_from_is_one_of_the_model(tmp_path):
    program = read_program(slow_links(tmp_path))
    small, _ = program.divided()
    model = exact.Model(small, Schedule(small, exact.greedy(small)))
    assert model.first_makespan > 2 * Schedule(small, exact.greedy(small)).makespan
    solver = exact.cp_model.CpSolver()
    solver.parameters.fix_variables_to_their_hinted_value = True
    assert solver.solve(model.cp) == exact.cp_model.OPTIMAL
    assert solver.value(model.makespan) == model.first_makespan


def test_where_no_other_schedule_is_found_its_copies_count(tmp_path, capsys):
    program = slow_links(tmp_path)
    assert exact.main([str(program), "--time-limit", "0.001", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    whole = read_program(program)
    free = Schedule(whole, exact.greedy(whole)).makespan
    assert found["status"] == "feasible"
    assert found["makespan_ns"] > max(free, found["bound_ns"])
    assert found["gap"] is None or found["gap"] > 0


def test_a_plan_that_cannot_be_written_is_refused_before_the_search(tmp_path, monkeypatch, capsys):
    program = tmp_path / "program.json"
    program.write_text(json.dumps(instance([[3], [2]])))
    with monkeypatch.context() as patch:
        patch.setattr(exact, "solve", lambda *_, **__: pytest.fail("it searches"))
        for path in (tmp_path / "none/plan.json", tmp_path):
            assert exact.main([str(program), "--save-plan", str(path)]) == 1
            assert f"'{path}" in capsys.readouterr().err
    plan = tmp_path / "plan.json"
    plan.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(exact, "plan", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            exact.main([str(program), "--save-plan", str(plan)])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["plan.json", "program.json"]
    assert plan.read_text() == "old"
    assert exact.main([str(program), "--save-plan", str(plan)]) == 0
    assert json.loads(plan.read_text())["policy"] == "replay"


def test_a_seed_that_is_too_large_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        exact.main(["program.json", "--seed", str(2**31)])
    assert "argument --seed: must be from 0 to " in capsys.readouterr().err


@pytest.mark.parametrize("speeds", [(1, 1), (1, 0.5)])
def test_a_plan_without_copies_is_simulated_to_the_same_nanosecond(tmp_path, capsys, speeds):
    work = re.sub(r"minibatches = \d", "minibatches = 3", (FIXTURES / "workload.toml").read_text())
    result, simulated = solved(tmp_path, capsys, files(tmp_path, speeds, work), 60)
    assert not result["relaxed"]
    assert result["status"] == "optimal"
    assert round(simulated * 1e9) == result["makespan_ns"] == result["bound_ns"]


def solved(folder, capsys, inputs, seconds, *plan_options):
    """What the search says of the plan for these files, and the makespan that the command predicts of what it wrote."""
    program, plan = folder / "program.json", folder / "plan.json"
    simulate(*inputs, *(plan_options or ("--strategy", "spill")), "--save-program", program)
    assert exact.main([str(program), "--time-limit", str(seconds), "--save-plan", str(plan), "--json"]) == 0
    result, simulated = json.loads(capsys.readouterr().out), simulate(*inputs, "--plan", plan)
    departs = any("its order was made for" in each for each in simulated["warnings"])
    assert departs == (not result["relaxed"] and round(simulated["plans"][0]["predicted_s"] * 1e9) != result["makespan_ns"])
    return result, simulated["plans"][0]["predicted_s"]


def simulate(*arguments):
    run = subprocess.run([COMMAND, "simulate", *map(str, arguments), "--json"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def files(folder, speeds, work):
    """Copies and memory are free here; units cost less alone. Whole milliseconds: soon proven."""
    profile = json.loads((FIXTURES / "profile.json").read_text())
    for state in ("alone", "loaded"):
        for key in ("copy_bytes_per_second", "copy_latency_ns", "dispatch_ns", "unit_overhead_ns"):
            profile[state][key] = 0
        for layer in (layer for model in profile["models"] for layer in model["costs"]):
            for key in ("forward_ns", "recompute_ns", "backward_ns", "step_ns"):
                layer[state][key] = -(-layer[state][key] // 1_000_000) * 1_000_000
    cluster = "".join(f'[[device]]\nname = "d{d}"\nmemory = "1 TiB"\nspeed = {speed}\n' for d, speed in enumerate(speeds))
    for name, text in (("work.toml", work), ("cluster.toml", cluster), ("profile.json", json.dumps(profile))):
        (folder / name).write_text(text)
    return [folder / "work.toml", folder / "cluster.toml", "-p", folder / "profile.json"]


def test_ctrl_c_stops_the_search_and_keeps_the_best_schedule(tmp_path):
    draw = random.Random(3)
    chains = [[draw.randint(1_000_000, 20_000_000) for _ in range(30)] for _ in range(12)]
    file, plan = tmp_path / "program.json", tmp_path / "plan.json"
    file.write_text(json.dumps(instance(chains, [0] * 8)))
    run = subprocess.Popen([sys.executable, "-m", "shardlab.exact", file, "--time-limit", "500", "--save-plan", plan],
                           env={**os.environ, "PYTHONPATH": str(ROOT / "python")}, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    assert "makespan" in run.stderr.readline()  # It has found something.
    run.send_signal(signal.SIGINT)
    out, said = run.communicate(timeout=120)
    assert run.returncode == 1 and "warning: interrupted: the schedule is the best till then" in said
    assert "status     feasible" in out
    assert len(json.loads(plan.read_text())["order"]["rows"]) == 360


def test_what_is_wrong_with_a_file_is_said(tmp_path, monkeypatch, capsys):
    file = tmp_path / "program.json"
    for text, said in (("{", "Expecting"), ("{}", "is no shardlab-program"), ('{"format":"shardlab-program"}', "version None"),
                       ('{"format":"shardlab-program","version":1}', "'jobs'")):
        file.write_text(text)
        with pytest.raises(Problem, match=said):
            read_program(file)
    file.write_text(json.dumps(instance([[1] * 10] * 3)))
    monkeypatch.setattr("shardlab.program.MOST_TASKS", 29)
    assert exact.main([str(file)]) == 1
    assert "30 units are too many for an exact search, at most 29" in capsys.readouterr().err
