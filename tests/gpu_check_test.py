"""scripts/gpu-check without a GPU: what it says, what becomes of steps that fail, its page, and a run's figures on a CPU."""

import ctypes
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SHARDLAB_BUILD", ROOT / "build"))
SCRIPT = ROOT / "scripts/gpu-check"


def load(name):
    """A module of scripts/gpu under its own name, for those that import it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/gpu/{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runner, page, machine = load("runner"), load("page"), load("machine")
steps, cuda_copies = load("steps"), load("cuda_copies")


def gpu_check(*arguments):
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=60)


def context_in(folder, build=BUILD):
    return runner.Context(root=ROOT, build=build, out=folder)


def has_driver():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


# What it says

def test_help_holds_an_example():
    run = gpu_check("--help")
    assert run.returncode == 0
    assert "scripts/gpu-check --deps" in run.stdout


def test_list_names_every_step_and_its_limit():
    run = gpu_check("--list")
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [step.name for step in steps.STEPS]
    assert all(line.endswith(" s)") for line in lines)


def test_only_takes_groups_and_cases_and_refuses_others():
    run = gpu_check("--list", "--only", "run,profile:gpt2-xl")
    assert [line.split()[0] for line in run.stdout.splitlines()] == ["profile:gpt2-xl", *(f"run:{case}" for case in steps.RUNS)]
    wrong = gpu_check("--list", "--only", "profil")
    assert wrong.returncode == 2
    assert "no step profil; --list shows them" in wrong.stderr


@pytest.mark.skipif(has_driver(), reason="this machine has a driver")
def test_without_a_gpu_it_ends_with_2_and_says_what_is_needed(tmp_path):
    run = gpu_check("--out", str(tmp_path / "out"))
    assert run.returncode == 2
    assert run.stderr.startswith("gpu-check: no NVIDIA GPU here")
    assert "CUDA build of torch 2.11" in run.stderr
    assert not (tmp_path / "out").exists()


# Steps

def test_every_file_of_a_case_is_there():
    cases = [(workload, cluster) for workload, cluster, *_ in [*steps.PROFILES.values(), *steps.RUNS.values()]]
    assert all(steps.toml(name).exists() for case in cases for name in case)


def test_steps_that_fail_or_time_out_leave_the_others_running(tmp_path):
    def broken(context):
        raise runner.Failed("two tests", {"failed": 2})

    work = [
        runner.Step("fails", "exits with 3", 60, lambda context: context.command("sh", "-c", "echo cause >&2; exit 3")),
        runner.Step("bug", "raises", 60, lambda context: {}["missing"]),
        runner.Step("hangs", "never ends", 0.2, lambda context: context.command("sleep", "1000")),
        runner.Step("half", "has figures all the same", 60, broken),
        runner.Step("good:case", "prints", 60, lambda context: {"said": context.command("echo", "well").strip()}),
    ]
    kept = []
    results = runner.run_steps(work, context_in(tmp_path), lambda found: kept.append(len(found)))
    assert [step["result"] for step in results] == ["failed", "failed", "failed", "failed", "passed"]
    assert results[0]["detail"] == "sh: exit code 3: cause"
    assert "missing" in results[1]["detail"]
    assert results[2]["detail"] == "not done after 0.2 s"
    assert results[3]["figures"] == {"failed": 2}
    assert results[4]["figures"] == {"said": "well"}
    assert kept == [1, 2, 3, 4, 5]
    assert (tmp_path / "logs/good-case.log").read_text() == "$ echo well\nwell\n\n"


def clock(monkeypatch):
    """A clock that only goes on when a step says so."""
    now = [0.0]
    monkeypatch.setattr(runner.time, "monotonic", lambda: now[0])

    def act(seconds):
        def take(context):
            now[0] += seconds
            return {}
        return take
    return act


def test_what_does_not_fit_into_the_time_is_left_out_by_name_and_the_build_does_not_count(tmp_path, monkeypatch):
    act = clock(monkeypatch)
    work = [
        runner.Step("build", "long", 1800, act(900), None),
        runner.Step("first", "fits", 300, act(200), 150),
        runner.Step("large", "does not", 300, act(100), 401),
        runner.Step("small", "fits still", 300, act(390), 390),
        runner.Step("last", "nothing is left for it", 60, act(20), 10),
        runner.Step("after", "of unknown length", 60, act(1)),
    ]
    context = context_in(tmp_path)
    results = runner.run_steps(work, context, lambda found: None, 600)
    assert [step["result"] for step in results] == ["passed", "passed", "left out", "passed", "passed", "left out"]
    assert results[2]["detail"] == "takes about 401 s, 400 s were left of the time for all steps (--minutes)"
    assert "| large | does not | left out | 0.0 |" in page.page({**RESULTS, "steps": results})
    assert "large, left out:\n\n    takes about 401 s" in page.page({**RESULTS, "steps": results})
    # The last step before the end had no more time than was left.
    assert context.deadline == pytest.approx(900 + 600)


def test_the_whole_check_fits_into_ten_minutes_on_an_h100_but_what_is_named():
    left, out = 600, []
    for each in steps.STEPS:
        if each.usual_s is None:
            continue
        if left < each.usual_s:
            out.append(each.name)
        else:
            left -= each.usual_s
    assert out == []


def test_a_step_that_hits_the_end_of_the_time_says_so(tmp_path):
    step = runner.Step("hangs", "never ends", 60, lambda context: context.command("sleep", "1000"))
    (found,) = runner.run_steps([step], context_in(tmp_path), lambda results: None, 0.2)
    assert found["detail"] == "not done after 0.2 s and with it the time for all steps (--minutes)"


def test_all_that_a_machine_lacks_is_said_at_once(tmp_path, monkeypatch):
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "version.py").write_text("__version__ = '2.10.1+cpu'\ncuda: Optional[str] = None\n")
    finder = tmp_path / "pkg-config"
    finder.write_text('#!/bin/sh\n[ "$2" = fmt ]\n')
    finder.chmod(0o755)
    found = machine.lacking(torch, None, {"PATH": str(tmp_path), "PKG_CONFIG": str(finder)})
    assert found[0] == "the command ninja"
    packages = next(each for each in found if each.startswith("the Debian packages "))
    assert "libgtest-dev" in packages and "libfmt-dev" not in packages and "--deps" in packages
    assert f"a CUDA build of torch: {torch} is one for CPUs" in found
    assert f"torch 2.11 or newer: {torch} is 2.10" in found
    assert found[-1].startswith("the headers of CUDA and CUPTI")
    context = context_in(tmp_path)
    context.lacking = found
    with pytest.raises(runner.Failed, match="this machine lacks the command ninja; "):
        steps.build(context)
    (torch / "version.py").write_text("__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\n")
    assert not any("torch" in each for each in machine.lacking(torch, None, {"PATH": str(tmp_path), "PKG_CONFIG": str(finder)}))


def test_a_build_that_fails_leaves_no_command_of_other_sources(tmp_path):
    folder = tmp_path / "build"
    (folder / "cli").mkdir(parents=True)
    command = folder / "cli/shardlab"
    rules = "rule never\n command = false\nbuild cli/shardlab: never {}\nbuild cli/libshardlab_torch.so: phony\n"
    source = tmp_path / "source"
    source.touch()
    command.touch()
    (folder / "build.ninja").write_text(rules.format(source))
    context = context_in(tmp_path, folder)
    os.utime(command, (1, 1))  # Older than its source.
    steps.drop_old_command(context)
    assert not command.exists()
    (folder / "build.ninja").write_text("build cli/shardlab: phony\nbuild cli/libshardlab_torch.so: phony\n")
    command.touch()
    steps.drop_old_command(context)
    assert command.exists()


def test_steps_of_several_gpus_are_skipped_on_one_and_take_all_where_there_are_more(tmp_path):
    one = context_in(tmp_path)
    one.gpus = ["H100"]
    results = runner.run_steps(runner.choose(steps.STEPS, ["gpus"]), one, lambda found: None)
    assert [(step["name"], step["result"]) for step in results] == [("gpus:links", "skipped"), ("gpus:run", "skipped")]
    assert results[0]["detail"] == "needs two GPUs or more; here is one"
    one.gpus = ["H100"] * 3
    devices = tomllib.loads(steps.cluster_of_all(one).read_text())["device"]
    assert [(device["name"], device["ordinal"]) for device in devices] == [("gpu-0", 0), ("gpu-1", 1), ("gpu-2", 2)]
    assert all(device["kind"] == "cuda" and device["memory"] == "1200 MiB" for device in devices)


class PlainWay:
    """What cuda_copies times, without CUDA: the first is done only when the others copy beyond their rounds."""

    beyond = 0

    def __init__(self, first):
        self.first = first

    def rate(self):
        while self.first and PlainWay.beyond < 2:
            pass
        return 3e9 if self.first else 2e9

    def copy(self):
        PlainWay.beyond += 1


def test_plain_copies_go_on_until_all_of_them_are_timed():
    ways = {"slow": PlainWay(True), "fast": PlainWay(False), "other": PlainWay(False)}
    assert cuda_copies.together(ways) == {"slow": 3e9, "fast": 2e9, "other": 2e9}
    assert PlainWay.beyond >= 2


def test_a_link_is_held_against_plain_copies_alone_and_beside_the_other_way():
    link = {"to_device": True, "pinned": True, "device": "gpu", "latency_ns": 10_000, "bytes_per_second": 51e9,
            "residual": 0.01, "shared_bytes_per_second": 41e9,
            "sizes": [{"bytes": 65536, "time_ns": 1}, {"bytes": 200, "time_ns": 4}]}
    plain = {f"to_device_{memory}": 50e9 for memory in ("pinned", "pageable")}
    plain |= {f"{name}_shared": 40e9 for name in plain}
    row = steps.against_plain(link, plain)
    assert row["case"] == "to device, page-locked"
    assert row["error"] == pytest.approx(0.02) and row["shared_error"] == pytest.approx(0.025)
    assert row["largest_error"] == pytest.approx(0) and steps.worst_of(row) == pytest.approx(0.025)
    # A line is no law for pageable copies, so those of one size are compared.
    link |= {"bytes_per_second": 64e9}
    assert steps.worst_of(steps.against_plain(link, plain)) == pytest.approx(0.28)
    assert steps.worst_of(steps.against_plain(link | {"pinned": False}, plain)) == pytest.approx(0.025)


@pytest.mark.skipif(not (BUILD / "cli/libshardlab_torch.so").exists(), reason="built without LibTorch")
def test_figures_of_links_are_those_of_the_verb(tmp_path):
    cluster = tmp_path / "cluster.toml"
    cluster.write_text('[[device]]\nname = "cpu"\ncount = 2\n')
    found = steps.shardlab(context_in(tmp_path), "links", cluster, "--rounds", 1)
    assert [steps.way(link) for link in found["links"]] == ["to device, pageable", "to host, pageable"] * 2
    assert all(steps.link_figures(link)["shared_bytes_per_second"] > 0 for link in found["links"])
    rows = steps.shared_rows(found)
    assert [row["case"] for row in rows[:3]] == [
        "2 at once, to device, pageable, through host memory", "2 at once, to host, pageable, through host memory",
        "4 at once, both, pageable, through host memory"]
    assert [row["slow_down_promote"] for row in rows[-2:]] == [each["slow_down_promote"] for each in found["computing"]]
    assert [row["slow_down_demote"] for row in rows[-2:]] == [each["slow_down_demote"] for each in found["computing"]]
    assert [row["case"] for row in rows[-2:]] == ["computing on cpu-0 beside a copy", "computing on cpu-1 beside a copy"]


@pytest.mark.parametrize("figures, bars, said", [
    ({"error": 0.0501, "hidden": 0.95}, steps.BARS, "measured 1.050 s, predicted 1.000 s: +5.0 %, more than 5 %"),
    ({"error": -0.07, "hidden": 0.95}, steps.BARS, "measured 0.930 s, predicted 1.000 s: -7.0 %, more than 5 %"),
    ({"error": float("nan"), "hidden": 0.95}, steps.BARS, "more than 5 %"),
    ({"error": 0, "hidden": 0.899}, steps.BARS, "89.9 % of what copies can hide was hidden, less than 90 %"),
    ({"error": 0, "hidden": None}, steps.BARS, "nothing was recorded that says how much was hidden"),
])
def test_a_run_outside_the_bars_fails_its_step_with_the_figures(tmp_path, figures, bars, said):
    figures = {"predicted_s": 1.0, "measured_s": 1 + figures["error"], **figures}
    step = runner.Step("run:case", "a run", 60, lambda context: steps.hold_against(figures, bars))
    (found,) = runner.run_steps([step], context_in(tmp_path), lambda results: None)
    assert found["result"] == "failed" and said in found["detail"]
    assert found["figures"] is figures


def test_runs_within_the_bars_and_runs_without_pass():
    near = {"predicted_s": 1.0, "measured_s": 0.95, "error": -0.05, "hidden": 0.90}
    assert steps.hold_against(near, steps.BARS) is near
    far = {"predicted_s": 1.0, "measured_s": 2.0, "error": 1.0, "hidden": None}
    assert steps.hold_against(far, steps.NO_BARS) is far
    assert {case: run[-1] for case, run in steps.RUNS.items()} == {
        "spill": {"error": 0.05, "hidden": 0.9}, "two-lanes": {}, "resident": {"error": 0.05}}


def test_a_profile_that_cupti_did_not_record_fails_with_the_figures_that_it_has():
    found = json.loads((ROOT / "tests/fixtures/profile.json").read_text())
    found["provenance"].pop("activity", None)
    with pytest.raises(runner.Failed, match="nothing was recorded by CUPTI") as failed:
        steps.held(found)
    assert failed.value.figures["backward_ms"] > 0
    shipped = profile_with_events()
    assert abs(steps.held(shipped)["layers_error"]) < 0.03
    for model in shipped["models"]:
        model["whole_ns"] *= 2
    with pytest.raises(runner.Failed, match="than whole units: -50.* %, more than 3 %"):
        steps.held(shipped)
    shipped["provenance"]["activity"]["unattributed"] = 0.02
    for model in shipped["models"]:
        model["whole_ns"] //= 2
    with pytest.raises(runner.Failed, match="kernels are not attributed"):
        steps.held(shipped)


def profile_with_events():
    """The one that is shipped, which is older than the events around units."""
    shipped = json.loads((ROOT / "profiles/h100-gpt-2048.json").read_text())
    for model in shipped["models"]:
        model["around_ns"] = sum(cost["alone"][f"{kind}_ns"] for cost in model["costs"] for kind in steps.KINDS)
    shipped["provenance"]["activity"]["over_events"] = 0.98
    return shipped


def test_layers_are_held_against_events_around_their_units_and_so_are_their_records():
    shipped = profile_with_events()
    figures = steps.held(shipped)
    assert (figures["events_error"], figures["records_error"]) == (0, pytest.approx(-0.02))
    for wrong, said in ((1 / 1.04, "-3.8"), (1.04, "[+]4.0")):
        off = profile_with_events()
        off["models"][0]["around_ns"] /= wrong
        with pytest.raises(runner.Failed, match=f"than events around the same units: {said} %"):
            steps.held(off)
    for share, said in ((0.96, "-4.0"), (1.04, "[+]4.0"), (float("nan"), "nan")):
        shipped["provenance"]["activity"]["over_events"] = share
        with pytest.raises(runner.Failed, match=f"CUPTI recorded .* events around the same minibatches: [+]?{said} %"):
            steps.held(shipped)
    for model in shipped["models"]:
        del model["around_ns"]
    with pytest.raises(runner.Failed, match="no minibatch as a whole"):
        steps.held(shipped)


def test_a_step_without_the_build_says_which_step_comes_before(tmp_path):
    with pytest.raises(runner.Failed, match="run the step build first"):
        steps.shardlab(context_in(tmp_path, tmp_path / "nothing"), "profile")


# The build's environment

def test_with_unpacked_packages_pkg_config_looks_there_and_nowhere_else(tmp_path):
    (tmp_path / "usr/lib/x86_64-linux-gnu/pkgconfig").mkdir(parents=True)
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "usr/bin/pkgconf").touch()
    found = machine.environment(tmp_path)
    assert found["PKG_CONFIG_LIBDIR"] == f"{tmp_path}/usr/lib/x86_64-linux-gnu/pkgconfig:{tmp_path}/usr/share/pkgconfig"
    assert found["PKG_CONFIG_SYSROOT_DIR"] == str(tmp_path)
    assert found["PKG_CONFIG"] == f"{tmp_path}/usr/bin/pkgconf"
    assert found["LD_LIBRARY_PATH"].split(":")[0] == f"{tmp_path}/usr/lib/x86_64-linux-gnu"
    assert machine.environment(None) == dict(os.environ)


def test_a_toolkit_needs_the_headers_of_cuda_and_of_cupti(tmp_path):
    (tmp_path / "extras/CUPTI/include").mkdir(parents=True)
    (tmp_path / "extras/CUPTI/include/cupti.h").touch()
    assert machine.cupti_headers(tmp_path) is None
    (tmp_path / "include").mkdir()
    (tmp_path / "include/cuda.h").touch()
    assert machine.cupti_headers(tmp_path) == tmp_path / "extras/CUPTI/include"


# The page

def step(name, result="passed", detail="", **figures):
    return {"name": name, "what": f"what {name} is", "result": result, "seconds": 1.25, "limit_s": 60, "figures": figures,
            "detail": detail}


RESULTS = {
    "format": "shardlab-gpu-check", "version": 1,
    "provenance": {"gpu": "Example GPU", "driver": "1.2", "date": "2026-01-31T12:00:00Z", "shardlab": "0.1.0", "commit": "abc"},
    "steps": [
        step("tests", "failed", "executor: Executor.Fails", passed=10, failed=1),
        step("profile:a", device="Example GPU", backward_ms=1.5, parameter_bytes=2**30, largest_spread=0.02),
        step("profile:b", device="Example GPU", backward_ms=2.5, rounds=20),
        step("links", rows=[{"case": "up/1 MiB", "copy_bytes_per_second": 5e10}]),
        step("run:pair", predicted_s=1.0, measured_s=1.0625, error=0.0625),
        step("run:other", "failed", "a | b\ncannot"),
    ],
}


def test_the_page_has_a_table_per_group_in_readable_units():
    text = page.page(RESULTS)
    assert "on 2026-01-31T12:00:00Z. Shardlab 0.1.0, commit abc." in text
    assert "| gpu | Example GPU |" in text
    assert "| tests | what tests is | failed | 1.2 |" in text
    assert "| case | device | backward ms | parameter GiB | largest spread % | rounds |" in text
    assert "| a | Example GPU | 1.50 | 1.00 | 2.0 |  |" in text
    assert "| b | Example GPU | 2.50 |  |  | 20 |" in text
    assert "| up/1 MiB | 50.00 |" in text
    assert "| case | predicted s | measured s | error % |\n|" in text
    assert "| pair | 1.000 | 1.062 | +6.2 |" in text
    assert "run:other, failed:\n\n    a | b\n    cannot\n" in text
    assert "tests, failed:\n\n    executor: Executor.Fails\n" in text
    assert text == page.page(RESULTS)


def test_the_page_of_nothing_is_a_page():
    assert page.page({**RESULTS, "steps": []}).startswith("# Shardlab on a GPU\n")


# Figures, of a CPU: the command's objects have the members that the steps read

@pytest.mark.skipif(not (BUILD / "cli/libshardlab_torch.so").exists(), reason="built without LibTorch")
def test_a_run_case_lays_what_was_measured_over_what_was_predicted(tmp_path):
    cluster = tmp_path / "cluster.toml"
    cluster.write_text('[[device]]\nname = "cpu"\ncount = 2\nmemory = "40 MiB"\n')
    context = context_in(tmp_path)
    figures = steps.train(context, "cpu", ROOT / "tests/fixtures/workload.toml", cluster, steps.SPILL, 0.5, steps.NO_BARS)
    assert (figures["plan"], figures["jobs"]) == ("spill/lrtf", 3)
    assert figures["measured_s"] > 0
    assert figures["error"] == pytest.approx(figures["measured_s"] / figures["predicted_s"] - 1)
    assert 0 < figures["peak_bytes"] <= 40 * 2**20
    known = steps.profile_figures(json.loads((tmp_path / "run-cpu/profile.json").read_text()))
    assert known["backward_ms"] > known["forward_ms"] / 2 > 0
    assert known["parameter_bytes"] > 0
