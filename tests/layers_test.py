"""The layers of docs/design.md, read from the includes of the tree: a folder uses only folders to its left."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent

# core ◀ sched ◀ { policies · sim · exec } ◀ report ◀ { cli · python };  { policies, sim } ◀ planning ◀ cli;  core ◀ { traces ·
# models };
# { models, traces } ◀ profiler ◀ imports ◀ cli;  models ◀ exec;  { report, traces } ◀ { fit ◀ validate · study } ◀ cli.
# The command uses them all.
LEFT_OF = {
    "core": set(),
    "sched": {"core"},
    "policies": {"sched"},
    "sim": {"sched"},
    "planning": {"policies", "sim"},
    "traces": {"core"},
    "models": {"core"},
    "exec": {"sched", "models"},
    "profiler": {"models", "traces"},
    "imports": {"models", "profiler"},
    "report": {"policies", "sim", "exec"},
    "fit": {"report", "traces"},
    "validate": {"fit"},
    "study": {"report", "traces"},
    "cli": {"profiler", "imports", "validate", "planning", "study"},
    "python": {"report", "traces", "profiler"},
}
FREE = {"tests", "bench"}  # may use every folder
SOURCES = {".h", ".cc"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
ACCELERATOR = re.compile(r"^(torch|ATen|c10)/|^(cuda|cupti|nv)[a-z_]*(\.h|/)")
ACCELERATOR_FOLDERS = {"models", "exec", "profiler"}  # in their .cc files only


def reachable(folder):
    """The folder and all that is to its left."""
    found = {folder}
    for neighbour in LEFT_OF[folder]:
        found |= reachable(neighbour)
    return found


def breach(file, quote, included):
    """Why `file` (relative to the root) may not include `included`, or None."""
    folder = file.parts[0]
    if ACCELERATOR.match(included):
        allowed = folder in FREE or (folder in ACCELERATOR_FOLDERS and file.suffix == ".cc")
        return None if allowed else "Torch and CUDA stay in .cc files of models/, exec/, profiler/"
    if quote == "<":
        return None
    target = included.split("/")[0]
    if "/" not in included or target not in LEFT_OF.keys() | FREE:
        return 'includes start at the root of the repository: "folder/noun.h"'
    if folder in FREE or target in reachable(folder):
        return None
    return f"{folder}/ may use only {', '.join(sorted(reachable(folder)))}"


def breaches(file, text):
    found = []
    for quote, included in INCLUDE.findall(text):
        reason = breach(file, quote, included)
        if reason:
            found.append(f"{file}: includes {included}: {reason}")
    return found


def sources():
    for folder in sorted(LEFT_OF.keys() | FREE):
        for path in sorted((ROOT / folder).glob("**/*")):
            if path.suffix in SOURCES:
                yield path


def test_every_folder_includes_only_folders_to_its_left():
    files = list(sources())
    assert files, "no sources found: is the test looking at the right folder?"
    found = [line for path in files for line in breaches(path.relative_to(ROOT), path.read_text())]
    assert not found, "\n".join(found)


def found_in(name, text):
    return breaches(pathlib.PurePath(name), text)


def test_a_step_to_the_right_is_found():
    assert found_in("core/time.h", '#include "sched/driver.h"\n')
    assert found_in("sim/clock.cc", '  #  include "policies/lrtf.h"\n')
    assert found_in("sched/driver.cc", '#include <vector>\n#include "exec/lane.h"\n')
    assert not found_in("exec/lane.cc", '#include "core/time.h"\n#include "models/layer.h"\n')


def test_torch_and_cuda_outside_their_files_are_found():
    for header in ["torch/torch.h", "ATen/ATen.h", "c10/core/Stream.h", "cuda.h", "cuda_runtime.h", "cupti.h"]:
        assert found_in("exec/lane.h", f"#include <{header}>\n"), header
        assert found_in("cli/run.cc", f"#include <{header}>\n"), header
        assert not found_in("exec/lane.cc", f"#include <{header}>\n"), header


def test_an_include_without_its_folder_is_found():
    assert found_in("core/time.cc", '#include "time.h"\n')


def policies():
    """Where each policy stands: those of the registry, those of plans with an order."""
    names = re.findall(r'^    \{\{"(\w+)",', (ROOT / "policies/registry.cc").read_text(), re.MULTILINE)
    assert len(names) > 10, "is the registry written otherwise?"
    return [ROOT / "policies" / name for name in [*names, "replay"]] + [ROOT / "planning/search"]


def test_every_policy_is_a_file_of_its_own_that_says_its_rule_and_its_source():
    for path in policies():
        rules = re.findall(r"(?:^ *///.*\n)+", path.with_suffix(".h").read_text(), re.MULTILINE)
        assert any("Source: " in each for each in rules), f"{path.name}: no comment says its rule and its source"
        for part in filter(pathlib.Path.exists, map(path.with_suffix, SOURCES)):
            assert len(part.read_text().splitlines()) < 150, f"{part.name}: under 150 lines, please"
