"""The shortest schedule of a lowered plan, or how far the best that was found is from what is possible.

    shardlab simulate work.toml cluster.toml -p profile.json --strategy spill --save-program program.json
    python -m shardlab.exact program.json --save-plan best.json
    shardlab simulate work.toml cluster.toml -p profile.json --plan best.json

A constraint model for OR-Tools CP-SAT. Equal devices are one cumulative constraint: units have a start, and no variable says
on which of them they run; that is swept out afterwards. Devices of several kinds, shards that are bound, and copies that take
time make units optional intervals, one per kind or per device. The lower bound that the simulator knows is given. Ctrl-C
stops the search and keeps the best schedule so far, and exit code 1.
"""

import argparse
import concurrent.futures
import contextlib
import json
import math
import os
import sys
import time

try:
    from ortools.sat.python import cp_model
except ModuleNotFoundError:
    sys.exit("error: OR-Tools is not there; run ./bootstrap build and this with .venv/bin/python, or install what "
             "requirements.txt names")

from shardlab.output_file import output_file
from shardlab.program import Problem, read_program
from shardlab.schedule import Schedule, assigned, greedy, plan
from shardlab.transfers import add_transfers, write_back



class Model:
    """Starts, ends and, where devices differ, who runs where."""

    def __init__(self, program, first):
        """`first`: a schedule, whose makespan no better one exceeds."""
        self.program = program
        self.transfers = program.copies_take_time
        self.cp = cp_model.CpModel()
        self.groups = self._groups()
        self.horizon = self._horizon(first)
        self.true = self.cp.new_constant(1)
        self.start = {}
        self.end = {}
        self.size = {}
        self.present = {}  # Per task: literals by group, or by the group's only device.
        self.over = []  # Per job: when its last unit is done.
        self._add_tasks()
        self._add_order()
        if self._alone_matters():
            self._add_alone()
        if self.transfers:
            add_transfers(self)
        # No run is shorter: a schedule of a relaxation that is counts as one that takes so long, and ends the search.
        self.makespan = self.cp.new_int_var(program.lower_bound, max(self.horizon, program.lower_bound), "makespan")
        self._add_makespan()
        self._hint(first)
        self.cp.minimize(self.makespan)

    def _groups(self):
        """Devices that stand for each other."""
        program = self.program
        apart = self.transfers or any(
            job["resident"] or any(unit["device"] is not None for unit in job["units"]) for job in program.jobs
        )
        groups = {}
        for d, device in enumerate(program.devices):
            groups.setdefault(d if apart else device["class"], []).append(d)
        return list(groups.values())

    def _horizon(self, first):
        """What copies take in the first schedule is not known: at most all of them one after the other."""
        if not self.transfers:
            return first.makespan
        program = self.program
        copies = 0
        for task in program.tasks:
            items = program.jobs[task.job]["items"]
            unit = program.unit(task)
            for size in (items[item]["bytes"] for item in unit["reads"] + unit["writes"]):
                copies += max(program.link(d, way).time(size) for d in range(len(program.devices)) for way in ("link", "back"))
        return first.makespan + copies

    def _alone_matters(self):
        """A unit's time depends on what else runs."""
        return len(self.program.jobs) > 1 and any(
            self.program.time(task, d, True) != self.program.time(task, d, False)
            for task in self.program.tasks
            for d in self.program.where(task)
            if self.program.may_be_alone(task)
        )

    def _add_tasks(self):
        """The time of a task is a variable where it depends on the device or on what else runs."""
        self.alone = {}
        machines = [[] for _ in self.groups]
        varies = self._alone_matters()
        for task in self.program.tasks:
            where = [g for g, group in enumerate(self.groups) if group[0] in self.program.where(task)]
            if varies and self.program.may_be_alone(task):
                self.alone[task] = self.cp.new_bool_var("")
            times = {g: self._times(task, self.groups[g][0]) for g in where}
            all_times = sorted({each for pair in times.values() for each in pair})
            self.start[task] = self.cp.new_int_var(self.program.arrival(task), self.horizon, "")
            self.end[task] = self.cp.new_int_var(0, self.horizon, "")
            size = self.cp.new_int_var_from_domain(cp_model.Domain.from_values(all_times), "")
            self.size[task] = size
            literals = [self.true] if len(where) == 1 else [self.cp.new_bool_var("") for _ in where]
            self.cp.add_exactly_one(literals)
            self.present[task] = dict(zip(where, literals))
            for g, literal in self.present[task].items():
                self._set_time(task, size, times[g], literal)
                whole = all_times[0] if len(all_times) == 1 else size
                interval = (self.start[task], whole, self.end[task])
                machines[g].append(
                    self.cp.new_interval_var(*interval, "") if literal is self.true
                    else self.cp.new_optional_interval_var(*interval, literal, "")
                )
        for group, intervals in zip(self.groups, machines):
            if len(group) == 1:
                self.cp.add_no_overlap(intervals)
            else:
                self.cp.add_cumulative(intervals, [1] * len(intervals), len(group))

    def _times(self, task, device):
        """Alone or not. A job that is the only one is alone from its beginning to its end."""
        alone = self.program.time(task, device, True)
        if len(self.program.jobs) == 1 and self.program.may_be_alone(task):
            return (alone, alone)
        return (alone if task in self.alone else self.program.time(task, device, False), self.program.time(task, device, False))

    def _set_time(self, task, size, times, literal):
        alone, loaded = times
        if alone == loaded:
            self.cp.add(size == alone).only_enforce_if(literal)
            return
        self.cp.add(size == alone).only_enforce_if([literal, self.alone[task]])
        self.cp.add(size == loaded).only_enforce_if([literal, self.alone[task].negated()])

    def _add_order(self):
        for task in self.program.tasks:
            for each in self.program.before(task):
                self.cp.add(self.start[task] >= self.end[each])
        for j, job in enumerate(self.program.jobs):
            ends = [self.end[chain[-1]] for chain in self.program.chains() if chain and chain[0].job == j]
            over = self.cp.new_int_var(job["arrival_ns"], self.horizon, "")
            self.cp.add_max_equality(over, ends or [job["arrival_ns"]])
            self.over.append(over)
        for j, job in enumerate(self.program.jobs):
            if not job["resident"]:
                continue
            mine = [task for task in self.program.tasks if task.job == j]
            for task, following in zip(mine, mine[1:]):
                for g, literal in self.present[task].items():
                    self.cp.add(literal == self.present[following][g])

    def _add_alone(self):
        """A unit costs what it costs alone exactly if each other job has ended, or not arrived, when it starts."""
        for task, alone in self.alone.items():
            start = self.start[task]
            away = []
            for j, job in enumerate(self.program.jobs):
                if j == task.job:
                    continue
                ended = self.cp.new_bool_var("")
                self.cp.add(start >= self.over[j]).only_enforce_if(ended)
                self.cp.add(start < self.over[j]).only_enforce_if(ended.negated())
                if job["arrival_ns"] == 0:
                    away.append(ended)
                    continue
                before = self.cp.new_bool_var("")
                self.cp.add(start < job["arrival_ns"]).only_enforce_if(before)
                self.cp.add(start >= job["arrival_ns"]).only_enforce_if(before.negated())
                either = self.cp.new_bool_var("")
                self.cp.add_max_equality(either, [ended, before])
                away.append(either)
            self.cp.add_min_equality(alone, away)
        if not any(job["arrival_ns"] for job in self.program.jobs):
            self._add_last()

    def _add_last(self):
        """Of jobs that all come at once only one is ever alone, with all that is left of it: said once more, for proofs."""
        for chain in self.program.chains():
            for task, following in zip(chain, chain[1:]):
                if task in self.alone and following in self.alone:
                    self.cp.add_implication(self.alone[task], self.alone[following])
        last = [self.cp.new_bool_var("") for _ in self.program.jobs]
        self.cp.add_at_most_one(last)
        for task, alone in self.alone.items():
            self.cp.add_implication(alone, last[task.job])

    def _add_makespan(self):
        """Also that no group of devices computes for longer, which the solver would have to find out."""
        for g, group in enumerate(self.groups):
            times = [min(self._times(task, group[0])) * literals[g] for task, literals in self.present.items() if g in literals]
            self.cp.add(sum(times) <= len(group) * self.makespan)
        self._add_idle_while_alone()
        for chain in self.program.chains():
            if chain:
                self.cp.add(self.makespan >= self.end[chain[-1]] + self._home(chain))

    def _home(self, chain):
        return write_back(self.program, chain[-1]) if self.transfers else 0

    def _add_idle_while_alone(self):
        """All devices but one are idle while a unit is alone, where nobody can arrive meanwhile."""
        program = self.program
        if not self.alone or any(job["arrival_ns"] for job in program.jobs):
            return
        devices = len(program.devices)
        idle = [
            alone * ((devices - 1) * min(program.time(task, d, True) for d in program.where(task)))
            for task, alone in self.alone.items()
        ]
        self.cp.add(sum(self.size.values()) + sum(idle) <= devices * self.makespan)

    def _hint(self, first):
        """Its orders; where copies take time, each as soon as they let it."""
        self.first = first = Schedule(self.program, first.orders, self.copies) if self.transfers else first
        ends = (first.end[chain[-1]] + self._home(chain) for chain in self.program.chains() if chain)
        self.first_makespan = max([self.program.lower_bound, *ends])
        self.cp.add_hint(self.makespan, self.first_makespan)
        of = {d: g for g, group in enumerate(self.groups) for d in group}
        for device, order in enumerate(first.orders):
            for task in order:
                self.cp.add_hint(self.start[task], first.start[task])
                self.cp.add_hint(self.end[task], first.end[task])
                for g, literal in self.present[task].items():
                    if literal is not self.true:
                        self.cp.add_hint(literal, g == of[device])
                if task in self.alone:
                    self.cp.add_hint(self.alone[task], first.alone[task])
                self._hint_copies(task, device)

    def _hint_copies(self, task, on):
        """On the devices where it does not run, and where nothing has to come, they are at the times of no copy."""
        for device in self.present[task] if self.transfers else ():
            begins = self.first.copied[task] if device == on else [None] * len(self.copies[task, device])
            for copy, begin in zip(self.copies[task, device], begins):
                at = self.program.arrival(task) if begin is None else begin
                self.cp.add_hint(copy.needed, begin is not None)
                self.cp.add_hint(copy.begin, at)
                self.cp.add_hint(copy.done, at + copy.time)


class Result:
    """What is known of the shortest schedule."""

    def __init__(self, status, schedule, makespan, bound, seconds, relaxed, interrupted):
        self.status = status
        self.schedule = schedule
        self.makespan = makespan  # In ns; where `relaxed`, what only a run of the plan says is not in it.
        self.bound = bound  # In ns: no schedule is shorter.
        self.seconds = seconds
        self.relaxed = relaxed
        self.interrupted = interrupted  # By Ctrl-C.

    @property
    def gap(self):
        """A fraction of the bound; None where nothing is known of that."""
        if self.bound == 0:
            return None if self.makespan else 0.0
        return (self.makespan - self.bound) / self.bound


class _Progress(cp_model.CpSolverSolutionCallback):
    def __init__(self, say):
        super().__init__()
        self._say = say

    def on_solution_callback(self):
        self._say(self.wall_time, self.objective_value, self.best_objective_bound)


def _search(solver, model, progress):
    """The status, and whether Ctrl-C ended it. That is handled here: where OR-Tools does, it ends the process now and then."""
    solver.parameters.catch_sigint_signal = False
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        found = thread.submit(solver.solve, model, progress)
        stopped = False
        while True:
            try:
                return found.result(0.1), stopped
            except concurrent.futures.TimeoutError:
                if stopped:
                    solver.stop_search()  # Again, as it may not have begun.
            except KeyboardInterrupt:
                stopped = True
                solver.stop_search()


def solve(program, *, seconds=60.0, gap=0.0, threads=None, seed=1, say=None):
    """The best schedule that is found in that time, or the first within that fraction of the bound.
    `say(seconds, makespan, bound)` hears of each better one.
    """
    began = time.monotonic()
    small, unit = program.divided()
    first = Schedule(small, greedy(small))
    model = Model(small, first)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = threads or max(8, os.cpu_count() or 1)
    solver.parameters.random_seed = seed
    solver.parameters.relative_gap_limit = gap
    known = program.lower_bound
    heard = _Progress(lambda *at: say(at[0], at[1] * unit, max(at[2] * unit, known))) if say else None
    status, interrupted = _search(solver, model.cp, heard)
    if status == cp_model.MODEL_INVALID:
        raise Problem(f"the solver does not take this: {model.cp.validate() or 'see --time-limit, --gap and --threads'}")
    bound = max(known, math.ceil(solver.best_objective_bound - 1e-6) * unit)
    schedule = Schedule(program, first.orders)
    makespan = model.first_makespan * unit if model.transfers else schedule.makespan
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        start = {task: solver.value(each) for task, each in model.start.items()}
        end = {task: solver.value(each) for task, each in model.end.items()}
        chosen = {
            task: next(g for g, literal in groups.items() if solver.boolean_value(literal))
            for task, groups in model.present.items()
        }
        found = Schedule(program, assigned(program, model.groups, chosen, start, end))
        if model.transfers or found.makespan <= makespan:
            schedule, makespan = found, found.makespan
        if model.transfers:
            makespan = solver.value(model.makespan) * unit
    makespan = max(makespan, known)  # A relaxation's may be shorter than any run.
    name = "optimal" if makespan <= bound else "feasible"
    return Result(name, schedule, makespan, bound, time.monotonic() - began, program.relaxed, interrupted)


def _report(program, result):
    lines = [
        f"units      {len(program.tasks)} of {len(program.jobs)} jobs on {len(program.devices)} devices",
        f"status     {result.status}",
        f"makespan   {result.makespan * 1e-9:.9f} s",
        f"bound      {result.bound * 1e-9:.9f} s: no schedule is shorter",
        f"gap        {'unknown' if result.gap is None else f'{100 * result.gap:.2f} %'}",
        f"took       {result.seconds:.1f} s",
    ]
    if result.relaxed:
        lines.append("Memory has room for everything here, and copies come as early as they could: the bound holds,\n"
                     "the plan may take longer. shardlab simulate --plan says how long.")
    if program.left_out:
        lines.append(f"Not known here, and the reason why runs may take longer: {', '.join(program.left_out)}.")
    return "\n".join(lines)


def between(least, most, number=float):
    """For argparse: a number within these bounds."""
    def parse(text):
        value = number(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be from {least:g} to {most:g}, is {text}")
        return value

    parse.__name__ = "number"  # What argparse calls what is none.
    return parse


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m shardlab.exact", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="what shardlab simulate --save-program wrote")
    parser.add_argument("--save-plan", metavar="FILE", help="write the schedule as a plan, for simulate and run --plan")
    parser.add_argument("--time-limit", type=between(1e-3, 1e9), default=60.0, metavar="SECONDS",
                        help="stop after so long (60)")
    parser.add_argument("--gap", type=between(0, 1e9), default=0.0, metavar="FRACTION",
                        help="stop when no schedule can be shorter by more than this part of it (0)")
    parser.add_argument("--threads", type=between(1, 1024, int),
                        help="searches side by side (8, or as many as there are cores)")
    parser.add_argument("--seed", type=between(0, 2**31 - 1, int), default=1, help="of the search (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    def say(seconds, makespan, bound):
        print(f"{seconds:8.1f} s: makespan {makespan * 1e-9:.6f} s, bound {bound * 1e-9:.6f} s", file=sys.stderr, flush=True)

    try:
        program = read_program(options.program)
        with output_file(options.save_plan) if options.save_plan else contextlib.nullcontext() as file:
            result = solve(program, seconds=options.time_limit, gap=options.gap, threads=options.threads,
                           seed=options.seed, say=say)
            if file:
                file.write(plan(program, result.schedule, timed=not result.relaxed))
    except (Problem, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"format": "shardlab-exact", "version": 1, "status": result.status, "units": len(program.tasks),
                          "makespan_ns": result.makespan, "bound_ns": result.bound, "gap": result.gap,
                          "relaxed": result.relaxed, "interrupted": result.interrupted, "took_s": result.seconds}))
    else:
        print(_report(program, result))
    if not result.interrupted:
        return 0
    print("warning: interrupted: the schedule is the best till then", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
