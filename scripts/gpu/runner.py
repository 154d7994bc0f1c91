"""Runs named steps one after the other, each within its own time. Whatever one does, the others run."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PROGRESS_S = 15  # between lines that say that a step still runs
PASSED, FAILED, SKIPPED, LEFT_OUT = "passed", "failed", "skipped", "left out"


class Failed(Exception):
    """The step ran and is not well; the text says why. `figures` are those that it has all the same."""

    def __init__(self, text, figures=None):
        super().__init__(text)
        self.figures = figures or {}


class Skipped(Exception):
    """The step cannot run on this machine; the text says what it lacks."""


@dataclass(frozen=True)
class Step:
    """`name` is a group or `group:case`; `act` takes the Context and returns figures by name, with the unit in the name.

    `usual_s` is what it took on an H100: with less left of the time for all steps it is not begun. None: it comes before that
    time begins, as the build does, which takes as long as the machine has cores.
    """
    name: str
    what: str
    limit_s: float
    act: Callable
    usual_s: float | None = 0


@dataclass
class Context:
    """Where steps run. `build_arguments` are those of `meson setup`, `environment` that of all commands."""
    root: pathlib.Path
    build: pathlib.Path
    out: pathlib.Path
    build_arguments: list = field(default_factory=list)
    environment: dict = field(default_factory=lambda: dict(os.environ))
    jobs: int = 1
    gpus: list = field(default_factory=list)
    cuda_libraries: list = field(default_factory=list)  # folders that may hold libcudart
    lacking: list = field(default_factory=list)  # what the build needs and this machine has not
    began: float = field(default_factory=time.monotonic)
    step: str = ""
    deadline: float = float("inf")

    def say(self, text):
        print(f"[{time.monotonic() - self.began:5.0f} s] {text}", flush=True)

    def command(self, *arguments):
        """What the command prints. Raises Failed with its last lines, TimeoutError at the end of the step's time."""
        arguments = [str(argument) for argument in arguments]
        log = self.out / "logs" / (self.step.replace(":", "-") + ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=self.root,
                                       env=self.environment, start_new_session=True)
            try:
                self._wait(process)
            finally:
                end(process)
                texts = [read(output), read(errors)]
                with log.open("a") as file:
                    file.write("\n".join(["$ " + " ".join(arguments), *texts]))
        if process.returncode != 0:
            raise Failed(f"{pathlib.Path(arguments[0]).name}: exit code {process.returncode}: {last_lines(*texts)}")
        return texts[0]

    def _wait(self, process):
        while process.poll() is None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(left, PROGRESS_S))
                return
            self.say(f"{self.step}: {max(0, self.deadline - time.monotonic()):.0f} s left")


def end(process):
    """Asks the command and its children to end, then ends them."""
    for request in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, request)  # A group of its own.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def read(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def last_lines(output, errors, count=8):
    """Of errors; of the output where there are none. Lines with an error come first: they say more than the last."""
    lines = (errors.strip() or output.strip()).splitlines()
    telling = [line for line in output.splitlines() if "error:" in line.lower() or line.startswith("FAILED")][:3]
    return "\n".join(telling + lines[-count:])


def left_out(step, left_s):
    why = f"takes about {step.usual_s:g} s, {max(0, left_s):.0f} s were left of the time for all steps (--minutes)"
    return {"name": step.name, "what": step.what, "result": LEFT_OUT, "seconds": 0, "limit_s": step.limit_s, "figures": {},
            "detail": why}


def run_step(step, context, left_s=float("inf")):
    context.step, started = step.name, time.monotonic()
    limit_s = min(step.limit_s, left_s)
    context.deadline = started + limit_s
    context.say(f"{step.name}: {step.what} (at most {limit_s:.3g} s)")
    result, figures, detail = PASSED, {}, ""
    try:
        figures = step.act(context)
    except TimeoutError:
        over = " and with it the time for all steps (--minutes)" if limit_s < step.limit_s else ""
        result, detail = FAILED, f"not done after {limit_s:.3g} s{over}"
    except Skipped as lacking:
        result, detail = SKIPPED, str(lacking)
    except Exception as problem:  # Of whatever kind: the other steps run.
        result, detail = FAILED, str(problem) or repr(problem)
        figures = getattr(problem, "figures", {})
    seconds = round(time.monotonic() - started, 1)
    context.say(f"{step.name}: {result} in {seconds} s" + (f": {detail.splitlines()[0]}" if detail else ""))
    return {"name": step.name, "what": step.what, "result": result, "seconds": seconds, "limit_s": step.limit_s,
            "figures": figures, "detail": detail}


def run_steps(steps, context, keep, budget_s=float("inf")):
    """Results in order; `keep(results)` is called after each, so that what an interrupted check found is not lost.

    Steps but those before all (the build) take `budget_s` together: what does not fit any more is left out by name.
    """
    results, end_s = [], None
    for step in steps:
        counts = step.usual_s is not None
        if counts and end_s is None:
            end_s = time.monotonic() + budget_s
        left_s = end_s - time.monotonic() if counts else float("inf")
        if left_s <= 0 or (counts and left_s < step.usual_s):
            results.append(left_out(step, left_s))
            context.say(f"{step.name}: left out: {results[-1]['detail']}")
        else:
            results.append(run_step(step, context, left_s))
        keep(results)
    return results


def choose(steps, names):
    """Those named, by group or by whole name; all where there are no names. Raises ValueError for a name of no step."""
    unknown = [name for name in names if not any(name in (step.name, step.name.split(":")[0]) for step in steps)]
    if unknown:
        raise ValueError(f"no step {', '.join(unknown)}; --list shows them")
    return [step for step in steps if not names or {step.name, step.name.split(":")[0]} & set(names)]
