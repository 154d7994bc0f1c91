"""Which copies a schedule cannot do without, as optional intervals on the devices' links.

A relaxation: memory has room for everything, and copies are asked for as early as they could be. What is on a device stays
there until a unit elsewhere changes it. So a bound that is proven with it is one of every run, and a plan that is made with
it may take longer when it runs.
"""

import collections

Copy = collections.namedtuple("Copy", "needed begin done time holders ready")  # In; `ready(end)`: when it can begin.


def add_transfers(model):
    """`model`: a shardlab.exact.Model whose groups are single devices."""
    loads = [[] for _ in model.program.devices]
    model.copies = collections.defaultdict(list)  # Per task and device.
    for j, job in enumerate(model.program.jobs):
        if len(job["tracks"]) == 1:  # What tracks share is not followed.
            _add_job(model, j, loads)
    for intervals in loads:
        model.cp.add_no_overlap(intervals)


def _add_job(model, j, loads):
    items = model.program.jobs[j]["items"]
    holders = collections.defaultdict(list)  # Per item: the tasks that left it on their device, since it was last changed.
    changed = {}  # Per item: the task that changed it last.
    for task in (task for task in model.program.tasks if task.job == j):
        unit = model.program.unit(task)
        for item in unit["reads"]:
            comes = items[item]["lasting"] or item in changed
            if comes and items[item]["bytes"] > 0 and items[item]["shared"] is None:
                _add_copies(model, task, items[item]["bytes"], holders[item], changed.get(item), loads)
            holders[item].append(task)
        for item in unit["writes"] + unit["creates"]:
            holders[item] = [task]
            changed[item] = task
        for item in unit["consumes"]:
            holders.pop(item, None)
            changed.pop(item, None)


def _add_copies(model, task, size, holders, writer, loads):
    """Where none of `holders` ran on the task's device, the item has to come first, from the host."""
    program = model.program
    for device, here in model.present[task].items():
        time = program.link(device, "link").time(size)
        held = [model.present[each][device] for each in holders if device in model.present[each]]
        direct = writer is not None and program.devices[device]["peer"] is not None
        if time == 0 or direct or any(literal is here for literal in held):
            continue
        needed = model.cp.new_bool_var("")
        model.cp.add_bool_or([needed, here.negated(), *held])
        begin = model.cp.new_int_var(program.arrival(task), model.horizon, "")
        done = model.cp.new_int_var(0, model.horizon, "")
        loads[device].append(model.cp.new_optional_interval_var(begin, time, done, needed, ""))
        model.cp.add(done <= model.start[task]).only_enforce_if(needed)
        out = _way_out(program, writer, device, size) if writer is not None else 0
        if writer is not None:
            model.cp.add(begin >= model.end[writer] + out).only_enforce_if(needed)

        def ready(end, task=task, writer=writer, out=out):
            return program.arrival(task) if writer is None else max(program.arrival(task), end[writer] + out)

        model.copies[task, device].append(Copy(needed, begin, done, time, list(holders), ready))


def _way_out(program, writer, device, size):
    """The least that a copy takes from wherever else it was changed to the host."""
    return min((program.link(d, "back").time(size) for d in program.where(writer) if d != device), default=0)


def write_back(program, task):
    """The least that it takes to bring home what the last task of a job changed."""
    items = program.jobs[task.job]["items"]
    dirty = [items[item]["bytes"] for item in program.unit(task)["writes"] if items[item]["lasting"]]
    return min(sum(program.link(d, "back").time(size) for size in dirty) for d in program.where(task))
