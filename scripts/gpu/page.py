"""The results of a check as a page in Markdown. A pure function: the same results give the same page."""

PERCENT = {"error", "naive_error", "shared_error", "largest_error", "layers_error", "events_error", "records_error", "overhead",
           "drift", "largest_spread", "occupied", "busy", "useful", "hidden", "beside_copies", "unattributed", "by_launch",
           "recording", "residual", "mismatched", "median_interval", "allocator_rounding"}
UNITS = [  # the end of a figure's name -> what the page shows: unit, divisor, decimals
    ("_bytes_per_second", "GB/s", 1e9, 2),
    ("_bytes", "GiB", 2**30, 2),
    ("_us", "µs", 1, 1),
    ("_ms", "ms", 1, 2),
    ("_s", "s", 1, 3),
]
NOT_EXPRESSIBLE = """
## What no step covers

Models read bytes of text, 256 of them, not the tokens of the papers' vocabularies: embedding and head are smaller by that. The
ViT is profiled on synthetic pixels.
"""


def heading(name):
    for end, unit, *_ in UNITS:
        if name.endswith(end):
            return f"{name.removesuffix(end)} {unit}".replace("_", " ")
    return name.replace("_", " ") + (" %" if name in PERCENT else "")


def cell(name, value):
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name in PERCENT:
        return f"{100 * value:+.1f}" if "error" in name or name in ("drift", "beside_copies") else f"{100 * value:.1f}"
    for end, _, divisor, decimals in UNITS:
        if name.endswith(end):
            return f"{value / divisor:.{decimals}f}"
    return f"{value:g}"


def table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(value).replace("|", "\\|").replace("\n", "<br>") for value in line) + " |"
                     for line in lines) + "\n"


def rows_of(step):
    """(case, figures): one of the step, or one for each of its `rows`."""
    found = step["figures"]
    if "rows" in found:
        return [(row["case"], {name: row[name] for name in row if name != "case"}) for row in found["rows"]]
    return [(step["name"].partition(":")[2] or step["name"], found)] if found else []


def figures(group, steps):
    """One table per group: a row per case, a column per figure that any of them has."""
    rows = [row for step in steps for row in rows_of(step)]
    names = list(dict.fromkeys(name for _, found in rows for name in found))
    lines = [[case, *(cell(name, found.get(name)) for name in names)] for case, found in rows]
    return f"\n## {group}\n\n" + table(["case", *map(heading, names)], lines) if rows else ""


def page(results):
    known = results["provenance"]
    text = ("# Shardlab on a GPU\n\n"
            f"Written by `scripts/gpu-check` on {known['date']}. Shardlab {known['shardlab']}, commit {known['commit']}.\n\n")
    text += table(["what", ""], [[name.replace("_", " "), value] for name, value in known.items()
                                 if name not in ("date", "shardlab", "commit")])
    text += "\n## Steps\n\n" + table(["step", "what", "result", "s"],
                                     [[step["name"], step["what"], step["result"], f"{step['seconds']:.1f}"]
                                      for step in results["steps"]])
    groups = dict.fromkeys(step["name"].partition(":")[0] for step in results["steps"])
    for group in groups:
        text += figures(group, [step for step in results["steps"] if step["name"].partition(":")[0] == group])
    told = [step for step in results["steps"] if step["detail"]]
    if told:
        text += "\n## Not passed, or not run\n" + "".join(
            f"\n{step['name']}, {step['result']}:\n\n" + "".join(f"    {line}\n" for line in step["detail"].splitlines())
            for step in told)
    return text + NOT_EXPRESSIBLE
