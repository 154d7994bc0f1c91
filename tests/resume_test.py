"""`shardlab run --resume`: killed at any moment, it comes to the weights of a run that nobody disturbed."""

import fcntl
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SHARDLAB_BUILD", ROOT / "build"))
COMMAND = BUILD / "cli/shardlab"
KILLED_RUNS = int(os.environ.get("SHARDLAB_KILLED_RUNS", "6"))
pytestmark = pytest.mark.skipif(not (COMMAND.parent / "libshardlab_torch.so").exists(), reason="built without LibTorch")

WORKLOAD = """
[defaults]
model = "gpt"
layers = 2
width = 32
heads = 2
context = 16
batch = 2
minibatches = 60
dropout = 0.1
data = "text.txt"

[[job]]
name = "one"

[[job]]
name = "two"
optimizer = "sgd"
seed = 3

[[job]]
name = "late"
minibatches = 25
"""
CLUSTER = """
[[device]]
name = "cpu"
count = 2
memory = "640 KiB"
"""
PATHS = ["workload.toml", "cluster.toml", "-p", "profile.json"]
PLANS = [["--strategy", "spill"], ["--strategy", "spill", "--slots", "1", "--policy", "random"],
         ["--strategy", "model_parallel"], ["--strategy", "model_parallel", "--keep-activations"]]


def shardlab(*arguments, cwd, **options):
    return subprocess.run([str(COMMAND), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=200, **options)


def good(*arguments, cwd, **options):
    run = shardlab(*arguments, cwd=cwd, **options)
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def results(folder):
    jobs = json.loads((folder / "losses.json").read_text())["jobs"]
    assert all(job["completed"] for job in jobs), jobs
    return [(job["name"], job["weights_hash"], job["losses"]) for job in jobs]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 200)
    (folder / "workload.toml").write_text(WORKLOAD)
    (folder / "cluster.toml").write_text(CLUSTER)
    good("profile", "workload.toml", "cluster.toml", "--seconds", "0.1", cwd=folder)
    good("run", *PATHS, *PLANS[0], "--checkpoint-every", "never", "-o", "undisturbed", cwd=folder)
    return folder


def killed(arguments, cwd, after):
    """Whether it was still running so many seconds after its first minibatch."""
    with subprocess.Popen([str(COMMAND), *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        run.stdout.readline()
        try:
            run.wait(timeout=after)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
        return run.wait() == -signal.SIGKILL


@pytest.mark.parametrize("seed", range(KILLED_RUNS))
def test_killed_at_any_moment_it_goes_on_to_the_same_weights(inputs, seed):
    draw = random.Random(seed)
    out = f"killed-{seed}"
    plan = PLANS[seed % len(PLANS)] + (["--step", "host"] if draw.random() < 0.5 else [])
    begin = ["run", *PATHS, *plan, "--checkpoint-every", str(draw.choice([1, 3, 7])), "-o", out]
    command, kills = begin, 0
    while killed(command, inputs, draw.uniform(0, 0.4)):
        kills += 1
        if kills > 12:
            good(*command, cwd=inputs)
            break
        if (inputs / out / "command.json").exists():
            command = ["run", "--resume", out]
    assert results(inputs / out) == results(inputs / "undisturbed"), f"{kills} kills"


def kill_in_its_midst(inputs, out, *arguments, damaged=0):
    """Once two checkpoints of the first job are there, and so many were set aside."""
    def there():
        found = [len(list((inputs / out).glob(f"checkpoints/job-0.*.{kind}"))) for kind in ("checkpoint", "damaged")]
        return found[0] >= 2 and found[1] >= damaged

    run = subprocess.Popen([str(COMMAND), "run", *arguments], cwd=inputs, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not there() and run.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    run.kill()
    run.wait()


def interrupted(inputs, out, paths=PATHS, plan=PLANS[0]):
    """A folder of a run that was killed in its midst, with at least two checkpoints of the first job."""
    kill_in_its_midst(inputs, out, *paths, *plan, "--checkpoint-every", "2", "-o", out)
    return inputs / out


def test_it_goes_on_on_other_devices_by_another_plan(inputs):
    out = interrupted(inputs, "moved")
    (inputs / "three.toml").write_text(CLUSTER.replace("count = 2", "count = 3").replace("640", "900"))
    text = good("run", "workload.toml", "three.toml", "-p", "profile.json", "--strategy", "model_parallel", "--resume", out,
                cwd=inputs).stdout
    assert "one goes on after minibatch " in text
    assert results(out) == results(inputs / "undisturbed")


def test_a_flipped_bit_is_found_and_the_checkpoint_before_taken(inputs):
    out = interrupted(inputs, "flipped")
    newest = sorted(out.glob("checkpoints/job-0.*.checkpoint"))[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 4
    newest.write_bytes(content)
    run = good("run", "--resume", out, cwd=inputs)
    assert f"{newest.name}: layer " in run.stderr
    assert "the checksum does not match; one goes on from the one before" in run.stderr
    assert results(out) == results(inputs / "undisturbed")


def test_damaged_checkpoints_do_not_drive_out_those_that_come(inputs):
    out = interrupted(inputs, "damaged")
    damaged = sorted(out.glob("checkpoints/job-0.*.checkpoint"))
    for path in damaged:
        path.write_bytes(b"damaged" + path.read_bytes())
    kill_in_its_midst(inputs, "damaged", "--resume", out, "--checkpoint-every", "1", damaged=2)
    assert sorted(out.glob("checkpoints/*.damaged")) == [path.with_name(path.name + ".damaged") for path in damaged]
    again = good("run", "--resume", out, cwd=inputs)
    assert "one goes on after minibatch " in again.stdout and again.stderr == "", again.stderr
    assert results(out) == results(inputs / "undisturbed")


def test_a_plan_that_deals_minibatches_out_otherwise_is_refused(inputs):
    (inputs / "roomy.toml").write_text(CLUSTER.replace("640 KiB", "64 MiB"))
    paths = ["workload.toml", "roomy.toml", "-p", "profile.json"]
    pipe = ["--strategy", "gpipe(2,2)", "--accept-profile", "batch"]
    good("run", *paths, *pipe, "--checkpoint-every", "never", "-o", "pipe", cwd=inputs)
    out = interrupted(inputs, "parts", paths, pipe)
    refused = shardlab("run", "--resume", out, "--strategy", "spill", cwd=inputs)
    assert refused.returncode == 1 and refused.stdout == ""
    assert "one was trained in 2 microbatches on 1 replicas, this plan has 1 on 1, which adds" in refused.stderr, refused.stderr
    good("run", "--resume", out, "--strategy", "one_f_one_b(2,2)", cwd=inputs)
    assert results(out) == results(inputs / "pipe") != results(inputs / "undisturbed")
    out = interrupted(inputs, "order", paths, pipe)
    good("run", "--resume", out, "--strategy", "spill", "--accept-order", cwd=inputs)


def test_a_run_without_its_checkpoints_begins_anew_and_says_so(inputs):
    out = interrupted(inputs, "emptied")
    shutil.rmtree(out / "checkpoints")
    run = good("run", "--resume", out, cwd=inputs)
    assert f"{out}/checkpoints: is not there; all jobs begin anew" in run.stderr
    assert results(out) == results(inputs / "undisturbed")


def test_a_pipe_among_the_checkpoints_is_set_aside(inputs):
    out = interrupted(inputs, "pipe-among")
    os.mkfifo(out / "checkpoints/job-0.000000000090.checkpoint")
    (out / "checkpoints/job-1.000000000090.checkpoint").mkdir()
    run = good("run", "--resume", out, cwd=inputs)
    assert "job-0.000000000090.checkpoint: is no regular file; one goes on from the one before" in run.stderr
    assert results(out) == results(inputs / "undisturbed")


def test_two_runs_are_not_in_one_folder_at_once(inputs):
    good("run", *PATHS, *PLANS[0], "-o", "shared", cwd=inputs)
    out = inputs / "shared"
    with (out / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for arguments in [["--resume", "shared"], [*PATHS, *PLANS[0], "-o", "shared"]]:
            run = shardlab("run", *arguments, cwd=inputs)
            assert run.returncode == 1 and "shared: another run is going on in this folder" in run.stderr, run.stderr
    good("run", *PATHS, *PLANS[0], "-o", "shared", cwd=inputs)


def test_a_policy_of_ones_own_is_found_from_another_folder(inputs):
    example = os.environ.get("SHARDLAB_EXAMPLE_POLICY", BUILD / "tests/most_bytes.so")
    shutil.copy(example, inputs / "mine.so")
    out = interrupted(inputs, "own-policy", plan=["--strategy", "spill", "--policy", "./mine.so"])
    good("run", "--resume", out, cwd=inputs.parent)
    assert results(out) == results(inputs / "undisturbed")


@pytest.mark.parametrize("option", ["-o", "--resume"])
def test_an_empty_folder_name_is_refused(inputs, option):
    run = shardlab("run", *PATHS, *PLANS[0], option, "", cwd=inputs)
    assert run.returncode == 2 and "must not be empty" in run.stderr, run.stderr


def test_too_little_host_memory_for_all_versions_is_refused(inputs):
    (inputs / "narrow.toml").write_text('host_memory = "1500 KiB"\n' + CLUSTER)
    paths = ["workload.toml", "narrow.toml", "-p", "profile.json"]
    run = shardlab("run", *paths, *PLANS[0], "-o", "narrow", cwd=inputs)
    assert run.returncode == 1 and "for the next versions of parameters and state" in run.stderr, run.stderr
    assert not (inputs / "narrow").exists()
    good("simulate", *paths, *PLANS[0], cwd=inputs)


def test_a_finished_run_has_nothing_left_to_do(inputs):
    out = interrupted(inputs, "finished")
    good("run", "--resume", out, cwd=inputs)
    again = good("run", "--resume", out, cwd=inputs)
    assert "one is done after minibatch 60 of 60" in again.stdout
    assert results(out) == results(inputs / "undisturbed")
    assert json.loads((out / "timeline.json").read_text())["units"]["rows"], "what it wrote stands"
    good("run", *PATHS, *PLANS[0], "-o", out, cwd=inputs)  # It ended, so its folder may be used again.


def test_what_is_not_given_is_as_it_was(inputs):
    def plan(folder):
        return json.loads((inputs / folder / "plan.json").read_text())["name"]

    paths = ["few.toml", *PATHS[1:]]
    (inputs / "few.toml").write_text(WORKLOAD.replace("minibatches = 60", "minibatches = 4").replace("minibatches = 25\n", ""))
    good("run", *paths, *PLANS[3], "-o", "as-it-was", cwd=inputs)
    for path in (inputs / "as-it-was/checkpoints").iterdir():
        path.unlink()  # So that it begins anew.
    kept = plan("as-it-was")
    good("run", "--resume", "as-it-was", "--policy", "fifo", cwd=inputs)
    assert kept == "model_parallel/lrtf/keep" and plan("as-it-was") == "model_parallel/fifo/keep"
    (inputs / "of-a-file.json").write_text((inputs / "as-it-was/plan.json").read_text())
    good("run", *paths, "--plan", "of-a-file.json", "-o", "by-file", cwd=inputs)
    run = shardlab("run", "--resume", "by-file", "--policy", "srtf", cwd=inputs)
    assert run.returncode == 2 and "of-a-file.json; give another by --plan" in run.stderr


def test_unfinished_checkpoints_are_not_overwritten_by_mistake(inputs):
    out = interrupted(inputs, "unfinished")
    run = shardlab("run", *PATHS, *PLANS[0], "-o", "unfinished", cwd=inputs)
    assert run.returncode == 1
    assert run.stderr.startswith("shardlab: unfinished: holds checkpoints of a run that has not ended; go on with it by "
                                 "--resume unfinished, ")
    assert list(out.glob("checkpoints/job-0.*.checkpoint"))


def test_another_workload_is_refused_naming_the_difference(inputs):
    out = interrupted(inputs, "another")
    # Of the first job: no other is sure to have a checkpoint.
    for old, new, said in [('"one"', '"one"\nseed = 4', "one: seed: 0 in the checkpoint, 4 in the workload"),
                           ("minibatches = 60", "minibatches = 1", "one is in minibatch ")]:
        (inputs / "other.toml").write_text(WORKLOAD.replace(old, new))
        run = shardlab("run", "other.toml", "cluster.toml", "-p", "profile.json", *PLANS[0], "--resume", out, cwd=inputs)
        assert run.returncode == 1 and run.stdout == "", run.stdout
        assert said in run.stderr, run.stderr
    (inputs / "text.txt").write_text((inputs / "text.txt").read_text() + ".")
    try:
        run = shardlab("run", "--resume", out, cwd=inputs)
    finally:
        (inputs / "text.txt").write_text((inputs / "text.txt").read_text()[:-1])
    assert run.returncode == 1 and "one: data: of hash " in run.stderr, run.stderr
    run = shardlab("run", "--resume", "nowhere", cwd=inputs)
    assert run.returncode == 1 and "nowhere: no run has begun here" in run.stderr


def small_files(kib):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (kib << 10, resource.RLIM_INFINITY))

    return limit


def test_a_full_disk_is_reported_and_training_goes_on(inputs):
    run = shardlab("run", *PATHS, *PLANS[0], "--checkpoint-every", "20", "-o", "full", cwd=inputs, preexec_fn=small_files(100))
    assert "one: no checkpoint of minibatch 20, training goes on: full/checkpoints/job-0." in run.stderr, run.stderr
    assert "File too large" in run.stderr and " one minibatch 60/60 loss " in run.stdout
    assert not list((inputs / "full/checkpoints").iterdir())
    last = run.stderr.splitlines()[-1]
    assert run.returncode == 1 and last.startswith("shardlab: full/timeline.json"), last
    assert "; the final weights are not on disk of one: full/checkpoints/job-0." in last, last


def test_a_run_whose_final_weights_are_not_on_disk_has_not_ended(inputs):
    (inputs / "few.toml").write_text(WORKLOAD.replace("minibatches = 60", "minibatches = 4").replace("minibatches = 25\n", ""))
    paths = ["few.toml", *PATHS[1:]]
    good("run", *paths, *PLANS[0], "--checkpoint-every", "never", "-o", "few", cwd=inputs)
    run = shardlab("run", *paths, *PLANS[0], "-o", "lost", cwd=inputs, preexec_fn=small_files(320))
    assert results(inputs / "lost") == results(inputs / "few"), "what they were is written"
    last = run.stderr.splitlines()[-1]
    assert run.returncode == 1, last
    assert last.startswith("shardlab: the final weights are not on disk of one: lost/checkpoints/job-0."), last
    assert last.endswith("make room there, then shardlab run --resume lost goes on from the checkpoints before"), last
    assert not json.loads((inputs / "lost/command.json").read_text())["ended"]
    good("run", "--resume", "lost", cwd=inputs)
    assert results(inputs / "lost") == results(inputs / "few")
    assert json.loads((inputs / "lost/command.json").read_text())["ended"]


def test_a_cadence_that_is_none_is_refused(inputs):
    run = shardlab("run", *PATHS, *PLANS[0], "--checkpoint-every", "5 parsecs", cwd=inputs)
    assert run.returncode == 2 and 'a time (30s, 10min, 2h) or never, is "5 parsecs"' in run.stderr


SEARCH = WORKLOAD.split("[[job]]")[0].replace("minibatches = 60", "minibatches = 24") + "\n".join(
    f'[[job]]\nname = "rate-{i}"\nlearning_rate = {3e-5 * 3 ** i:g}' for i in range(6))


def search(folder, method):
    """The arguments of a run of it, and what it comes to where nobody disturbs it."""
    name = f"{method}.toml"
    (folder / name).write_text(SEARCH + f'\n[early_stop]\nmethod = "{method}"\neta = 2\n'
                               + ("" if method == "hyperband" else "min = 3\n"))
    arguments = [name, *PATHS[1:], "--strategy", "spill"]
    good("run", *arguments, "--checkpoint-every", "never", "-o", f"{method}-whole", cwd=folder)
    return arguments, json.loads((folder / f"{method}-whole/losses.json").read_text())["jobs"]


@pytest.mark.parametrize("seed", range(KILLED_RUNS))
def test_a_search_that_is_killed_at_any_moment_stops_the_same_jobs_at_the_same_weights(inputs, seed):
    method = ["successive_halving", "hyperband", "asha"][seed % 3]
    arguments, whole = search(inputs, method)
    draw, out = random.Random(seed), f"search-{seed}"
    command, kills = ["run", *arguments, "--checkpoint-every", str(draw.choice([1, 2, 5])), "-o", out], 0
    while killed(command, inputs, draw.uniform(0, 0.3)):
        kills += 1
        if kills > 12:
            break
        if (inputs / out / "command.json").exists():
            command = ["run", "--resume", out]
    if kills > 12:
        assert shardlab(*command, cwd=inputs).returncode == 0
    jobs = json.loads((inputs / out / "losses.json").read_text())["jobs"]
    if method != "asha":
        assert jobs == whole, f"{kills} kills"
    # Whom ASHA stops depends on who comes first; what anybody is by then does not.
    losses = [max((run["losses"] for run in (a, b)), key=len) for a, b in zip(jobs, whole)]
    assert all(job["losses"] == most[:job["minibatches"]] for job, most in zip(jobs, losses))
    assert all(job["weights_hash"] and job["reason"] for job in jobs if not job["completed"])
    assert len([job for job in jobs if job["completed"]]) >= (1 if method != "asha" else 0)


def test_decisions_that_are_damaged_are_made_again(inputs):
    arguments, whole = search(inputs, "successive_halving")
    out = inputs / "damaged-decisions"
    kill_in_its_midst(inputs, out, *arguments, "--checkpoint-every", "1", "-o", out)
    until = time.monotonic() + 60
    while not (out / "checkpoints/decisions.txt").exists():
        assert time.monotonic() < until
        subprocess.run([COMMAND, "run", "--resume", out], cwd=inputs, timeout=60, stdout=subprocess.DEVNULL)
    path = out / "checkpoints/decisions.txt"
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 20] ^= 1
    path.write_bytes(content)
    run = good("run", "--resume", out, cwd=inputs)
    assert "decisions.txt:2: the checksum does not match; what was decided from there on is decided again" in run.stderr
    assert json.loads((out / "losses.json").read_text())["jobs"] == whole
    (inputs / "other-search.toml").write_text((inputs / arguments[0]).read_text().replace("eta = 2", "eta = 3"))
    run = shardlab("run", "other-search.toml", *arguments[1:], "--resume", out, cwd=inputs)
    assert run.returncode == 1 and "decisions.txt: is of another search: successive_halving, eta 2, min 3, max 24, 6 jobs " \
        "there, successive_halving, eta 3, " in run.stderr, run.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("searches", [False, True])
def test_a_run_that_is_interrupted_is_on_disk_and_goes_on(inputs, how, searches):
    arguments, whole = search(inputs, "successive_halving") if searches else ([*PATHS, *PLANS[1]], None)
    out = inputs / f"interrupted-{how}-{searches}"
    for _ in range(2):
        command = ["--resume", out] if out.exists() else [*arguments, "--checkpoint-every", "never", "-o", out]
        with subprocess.Popen([COMMAND, "run", *command], cwd=inputs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as run:
            for line in run.stdout:
                if " minibatch " in line and "goes on" not in line:
                    break
            run.send_signal(how)
            said, warned = run.communicate(timeout=60)
        if run.returncode == 0:
            break  # It was at its end.
        assert run.returncode == 1, said + warned
        assert "stopping: each job comes to the end of its minibatch and is written to disk" in warned
        assert "interrupted after " in said and f"shardlab run --resume {out} goes on" in said
        ended = json.loads((out / "losses.json").read_text())["jobs"]
        kept = [path.name for path in out.glob("checkpoints/job-*.checkpoint")]
        for j, job in enumerate(ended):
            assert job["minibatches"] == 0 or f"job-{j}.{job['minibatches']:012}.checkpoint" in kept, (job["minibatches"], kept)
    run = shardlab("run", "--resume", out, cwd=inputs)
    assert run.returncode == 0, run.stderr
    if searches:
        assert json.loads((out / "losses.json").read_text())["jobs"] == whole
    else:
        assert results(out) == results(inputs / "undisturbed")


def test_a_second_interrupt_ends_at_once(inputs):
    (inputs / "slow.toml").write_text(WORKLOAD.replace("minibatches = 60", "minibatches = 60000"))
    (inputs / "thin.toml").write_text(CLUSTER + 'link = { rate = "100 kB" }\n')  # A minibatch takes seconds.
    for seconds in (0, 1, 4, 16):  # Until a job has begun: where none has, the first ends it.
        out = inputs / f"slow{seconds}"
        with subprocess.Popen([COMMAND, "run", "slow.toml", "thin.toml", *PATHS[2:], *PLANS[0], "-o", out], cwd=inputs,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            while not (out / "command.json").exists():
                time.sleep(0.01)
            time.sleep(seconds)
            run.send_signal(signal.SIGINT)
            for line in run.stderr:
                if "stopping: " in line:
                    break
            if run.poll() is None:
                run.send_signal(signal.SIGINT)
            if run.wait(timeout=20) == -signal.SIGINT:
                return
    pytest.fail("four runs ended at the first interrupt")
