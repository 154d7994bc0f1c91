"""Schedules: who runs when and where, evaluated by the simulator's rules, and written as plans."""

import heapq
import json


class Schedule:
    """Tasks per device, in their order."""

    def __init__(self, program, orders, copies=None):
        """`copies`: per task and device, those of shardlab.transfers that it waits for; none: nothing is copied."""
        self.program = program
        self.orders = orders
        self.copies = copies or {}
        self.start = {}
        self.end = {}
        self.alone = {}  # Per task.
        self.copied = {}  # Per task: when its copies begin; those that are not needed never do.
        self._run()

    @property
    def makespan(self):
        return max(self.end.values(), default=0)

    def _run(self):
        """Each device runs its tasks in their order, each as soon as it can.

        A unit costs what it costs alone if no other job runs when it starts: one that has arrived and has not ended.
        """
        program = self.program
        left = [sum(1 for task in program.tasks if task.job == j) for j in range(len(program.jobs))]
        last = [job["arrival_ns"] for job in program.jobs]
        following = [0] * len(self.orders)
        free = [0] * len(self.orders)
        link_free = [0] * len(self.orders)
        ran_on = {}

        def copied(task, device):
            """When each of its copies begins, one after the other, and when the last is done."""
            begins, link = [], link_free[device]
            for copy in self.copies.get((task, device), ()):
                if any(ran_on[each] == device for each in copy.holders):
                    begins.append(None)
                    continue
                begins.append(max(link, copy.ready(self.end)))
                link = begins[-1] + copy.time
            return begins, link

        def ready(device):
            """When its next task can start, if that is known."""
            task = self.orders[device][following[device]]
            before = list(program.before(task))
            if any(each not in self.end for each in before):
                return None
            begins, link = copied(task, device)
            came = link if any(begin is not None for begin in begins) else 0
            return max([free[device], program.arrival(task), came, *(self.end[each] for each in before)])

        def runs(job, now):
            return program.jobs[job]["arrival_ns"] <= now and (left[job] > 0 or last[job] > now)

        while len(self.end) < len(program.tasks):
            heads = [(ready(d), d) for d in range(len(self.orders)) if following[d] < len(self.orders[d])]
            now, device = min(head for head in heads if head[0] is not None)
            task = self.orders[device][following[device]]
            others = any(runs(j, now) for j in range(len(program.jobs)) if j != task.job)
            alone = not others and program.may_be_alone(task)
            self.alone[task] = alone
            self.copied[task], link_free[device] = copied(task, device)
            ran_on[task] = device
            self.start[task] = now
            self.end[task] = free[device] = now + program.time(task, device, alone)
            left[task.job] -= 1
            last[task.job] = max(last[task.job], self.end[task])
            following[device] += 1


def assigned(program, groups, chosen, start, end):
    """Orders per device, from intervals that each belong to a group of equal devices: a sweep over their begins."""
    orders = [[] for _ in program.devices]
    free = [[(0, device) for device in group] for group in groups]
    for task in sorted(program.tasks, key=lambda each: (start[each], end[each], each.job, each.minibatch, each.unit)):
        # The one that has been free longest; intervals of a group never overlap more than it has devices.
        _, device = heapq.heappop(free[chosen[task]])
        orders[device].append(task)
        heapq.heappush(free[chosen[task]], (end[task], device))
    return orders


def greedy(program):
    """Orders per device, longest remaining time first on whichever device ends the unit soonest: a first schedule."""
    chains = program.chains()
    left = [sum(_soonest(program, task) for task in chain) for chain in chains]
    following = [0] * len(chains)
    orders = [[] for _ in program.devices]
    free = [0] * len(program.devices)
    home = {}
    end = {}
    for _ in program.tasks:
        best = None
        for c, chain in enumerate(chains):
            if following[c] == len(chain) or any(each not in end for each in program.before(chain[following[c]])):
                continue
            task = chain[following[c]]
            ready = max([program.arrival(task), *(end[each] for each in program.before(task))])
            where = [home[task.job]] if task.job in home else program.where(task)
            device = min(where, key=lambda d: max(free[d], ready) + program.time(task, d, False))
            key = (max(free[device], ready), -left[c])
            if best is None or key < best[0]:
                best = (key, c, device)
        (begin, _), c, device = best
        task = chains[c][following[c]]
        if program.jobs[task.job]["resident"]:
            home[task.job] = device
        orders[device].append(task)
        end[task] = free[device] = begin + program.time(task, device, False)
        left[c] -= _soonest(program, task)
        following[c] += 1
    return orders


def _soonest(program, task):
    return min(program.time(task, d, False) for d in program.where(task))


def plan(program, schedule, timed):
    """A plan whose order is the schedule's. Untimed: devices take what is next as soon as they can."""
    columns = ["device", "job", "minibatch", "unit"] + (["claim_ns"] if timed else [])
    rows = [
        [device, task.job, task.minibatch, task.unit] + ([schedule.start[task]] if timed else [])
        for device, order in enumerate(schedule.orders)
        for task in order
    ]
    of_an_order = ("order", "evicted", "places", "makespan_ns")
    made = {key: value for key, value in program.plan.items() if key not in of_an_order}
    made.update(policy="replay", admit=0, name=f"exact of {program.plan['name']}")
    if timed:
        made["slots"] = 1  # Nothing has to be brought ahead.
        made["makespan_ns"] = schedule.makespan
    made["order"] = {"columns": columns, "rows": rows}
    return json.dumps(made, indent=1) + "\n"
