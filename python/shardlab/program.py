"""A lowered plan, as `shardlab simulate --save-program` writes it, and the tasks that it consists of.

Times are integer nanoseconds, sizes bytes. docs/formats.md says what the file holds.
"""

import copy
import dataclasses
import json
import math


class Problem(Exception):
    """What is wrong with a file or an instance, for people."""


@dataclasses.dataclass(frozen=True)
class Link:
    latency: int
    rate: float  # Bytes per second; 0: copies take no time.

    def time(self, size):
        """Of one copy, rounded up, in the arithmetic of the simulator."""
        return self.latency + (math.ceil(size / self.rate * 1e9) if self.rate else 0)

    @property
    def free(self):
        return self.latency == 0 and self.rate == 0


MOST_TASKS = 20_000


@dataclasses.dataclass(frozen=True)
class Task:
    """One unit of one minibatch."""

    job: int
    minibatch: int
    unit: int


class Program:
    def __init__(self, root):
        self.root = root
        self.jobs = root["jobs"]
        self.devices = root["devices"]
        self.plan = root["plan"]
        self.tasks = [task for chain in self.chains() for task in chain]

    def chains(self):
        """The tasks of each track, in their order."""
        return [
            [Task(j, minibatch, unit) for minibatch in range(job["minibatches"]) for unit in range(first, first + count)]
            for j, job in enumerate(self.jobs)
            for first, count in job["tracks"]
        ]

    def unit(self, task):
        return self.jobs[task.job]["units"][task.unit]

    def where(self, task):
        """The devices that may run it."""
        bound = self.unit(task)["device"]
        return range(len(self.devices)) if bound is None else [bound]

    def time(self, task, device, alone):
        """With the dispatch in front of it, of a lane that has not rested. A single device is always alone."""
        alone = alone or len(self.devices) == 1
        kind = "alone" if alone else "loaded"
        dispatch = self.root["dispatch_loaded_ns"]
        if alone:
            dispatch = min(dispatch, self.root["dispatch_alone_ns"])
        return dispatch + self.unit(task)[f"{kind}_ns"][self.devices[device]["class"]]

    def may_be_alone(self, task):
        """Of several tracks, one is never the only one that runs."""
        return len(self.devices) == 1 or len(self.jobs[task.job]["tracks"]) == 1

    def before(self, task):
        """The tasks that must be done first."""
        job = self.jobs[task.job]
        first, count = next(t for t in job["tracks"] if t[0] <= task.unit < t[0] + t[1])
        if task.unit > first:
            yield Task(task.job, task.minibatch, task.unit - 1)
        elif task.minibatch > 0:
            yield Task(task.job, task.minibatch - 1, first + count - 1)
        for unit, lag in self.unit(task)["after"]:
            if task.minibatch >= lag:
                yield Task(task.job, task.minibatch - lag, unit)

    def arrival(self, task):
        return self.jobs[task.job]["arrival_ns"]

    def link(self, device, direction):
        return Link(self.devices[device][direction]["latency_ns"], self.devices[device][direction]["bytes_per_second"])

    def divided(self):
        """The same with all times divided by what divides them all, and by what: small numbers are sooner solved."""
        if self.copies_take_time:
            return self, 1
        root = copy.deepcopy(self.root)
        dispatch = ("dispatch_alone_ns", "dispatch_loaded_ns")
        units = [unit for job in root["jobs"] for unit in job["units"]]
        times = [time for unit in units for time in unit["alone_ns"] + unit["loaded_ns"]]
        by = math.gcd(*times, *(root[key] for key in dispatch), *(job["arrival_ns"] for job in root["jobs"])) or 1
        for key in dispatch:
            root[key] //= by
        for job in root["jobs"]:
            job["arrival_ns"] //= by
        for unit in units:
            for key in ("alone_ns", "loaded_ns"):
                unit[key] = [time // by for time in unit[key]]
        if "lower_bound_ns" in root:  # No schedule ends between multiples, unless it is a relaxation that does.
            root["lower_bound_ns"] = root["lower_bound_ns"] // by if self.relaxed else -(-root["lower_bound_ns"] // by)
        return Program(root), by

    @property
    def lower_bound(self):
        """Below it no run comes, by what the simulator knows of chains, levels, memory and links; 0: not known."""
        return self.root.get("lower_bound_ns", 0)

    @property
    def relaxed(self):
        """Runs may take longer than any schedule here says."""
        return self.copies_take_time or self.tight or bool(self.left_out)

    @property
    def copies_take_time(self):
        lane = [self.root["copy_alone"], self.root["copy_loaded"]]
        costs = any(cost["latency_ns"] or cost["bytes_per_second"] for cost in lane)
        by_lane = costs and any(device["copy_engines"] == 0 for device in self.devices)
        paced = any(not self.link(d, way).free for d in range(len(self.devices)) for way in ("link", "back"))
        return by_lane or paced

    @property
    def left_out(self):
        """Names of what makes runs longer and is not in the file."""
        return self.root.get("left_out", [])

    @property
    def tight(self):
        """Memory may keep a job waiting."""
        return any(device["memory_bytes"] is not None for device in self.devices) and any(job["held"] for job in self.jobs)


def refuse_too_many(root):
    """Before they are listed, which may take all memory."""
    units = 0
    for job in root["jobs"]:
        if job["minibatches"] < 0:
            raise Problem(f"{job['name']}: minibatches: must be at least 0, is {job['minibatches']}")
        units += job["minibatches"] * sum(count for _, count in job["tracks"])
    if units > MOST_TASKS:
        raise Problem(f"{units} units are too many for an exact search, at most {MOST_TASKS} are not; "
                      "simulate fewer minibatches, or cut the models into fewer shards")


def read_program(path):
    try:
        with open(path, encoding="utf-8") as file:
            root = json.load(file)
    except (OSError, ValueError) as error:
        raise Problem(f"{path}: {error}") from error
    if not isinstance(root, dict) or root.get("format") != "shardlab-program":
        raise Problem(f"{path}: is no shardlab-program; write one with shardlab simulate --save-program FILE")
    if root.get("version") != 1:
        raise Problem(f"{path}: version {root.get('version')}, this reads version 1")
    try:
        refuse_too_many(root)
        program = Program(root)
    except Problem as error:
        raise Problem(f"{path}: {error}") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise Problem(f"{path}: {error}: missing or of a wrong type") from error
    if not program.devices or not program.tasks:
        raise Problem(f"{path}: there is nothing to schedule")
    return program
