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
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Failed(Exception):
    """The step ran and is not well; the text says why. `figures` are those that it has all the same."""

    def __init__(self, text, figures=None):
        super().__init__(text)
        self.figures = figures or {}


class Skipped(Exception):
    """The step cannot run on this machine; the text says what it lacks."""


@dataclass(frozen=True)
class Step:
    """`name` is a group or `group:case`; `act` takes the Context and returns figures by name, with the unit in the name."""
    name: str
    what: str
    limit_s: float
    act: Callable


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


def run_step(step, context):
    context.step, started = step.name, time.monotonic()
    context.deadline = started + step.limit_s
    context.say(f"{step.name}: {step.what} (at most {step.limit_s:g} s)")
    result, figures, detail = PASSED, {}, ""
    try:
        figures = step.act(context)
    except TimeoutError:
        result, detail = FAILED, f"not done after {step.limit_s:g} s"
    except Skipped as lacking:
        result, detail = SKIPPED, str(lacking)
    except Exception as problem:  # Of whatever kind: the other steps run.
        result, detail = FAILED, str(problem) or repr(problem)
        figures = getattr(problem, "figures", {})
    seconds = round(time.monotonic() - started, 1)
    context.say(f"{step.name}: {result} in {seconds} s" + (f": {detail.splitlines()[0]}" if detail else ""))
    return {"name": step.name, "what": step.what, "result": result, "seconds": seconds, "limit_s": step.limit_s,
            "figures": figures, "detail": detail}


def run_steps(steps, context, keep):
    """Results in order; `keep(results)` is called after each, so that what an interrupted check found is not lost."""
    results = []
    for step in steps:
        results.append(run_step(step, context))
        keep(results)
    return results


def choose(steps, names):
    """Those named, by group or by whole name; all where there are no names. Raises ValueError for a name of no step."""
    unknown = [name for name in names if not any(name in (step.name, step.name.split(":")[0]) for step in steps)]
    if unknown:
        raise ValueError(f"no step {', '.join(unknown)}; --list shows them")
    return [step for step in steps if not names or {step.name, step.name.split(":")[0]} & set(names)]
