"""The notebook runs on what a demo left, and its figures show the numbers of that run.

tests/fixtures/demo-out/ is a real run of the demo. `python tests/notebook_test.py demo-out` makes it anew from another:
of each plan it keeps the median run, and of its timelines all rows, in the columns that the notebook reads.
"""

import json
import pathlib
import shutil
import sys

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks/first_look.ipynb"
FIXTURE = ROOT / "tests/fixtures/demo-out"
COLUMNS = {
    "units": ["job", "minibatch", "kind", "shard", "device", "from_ns", "to_ns"],
    "copies": ["job", "item", "device", "direction", "lane_from_ns", "lane_to_ns"],
}
PLOTLY = "application/vnd.plotly.v1+json"

# Runs after the notebook, in its kernel: what the notebook found, for the test to compare.
LAST_CELL = """
print(json.dumps({
    "best": best,
    "speedup": speedup,
    "same_losses": same_losses,
    "figures": len(figures),
    "whole_error": split["whole error"].to_dict(),
    "lane_time": lanes.sum(axis="columns").tolist(),
    "units": {f"{plan} {source}": len(tables[0]) for (plan, source), tables in timelines.items()},
    "ends": {f"{plan} {source}": tables[0]["to"].max() for (plan, source), tables in timelines.items()},
}))
"""


def execute(folder, monkeypatch, last_cell=None):
    monkeypatch.setenv("SHARDLAB_OUT", str(folder))
    monkeypatch.setenv("PLOTLY_RENDERER", "plotly_mimetype")  # the figures themselves: no browser, no JavaScript
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if last_cell:
        notebook.cells.append(nbformat.v4.new_code_cell(last_cell))
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    return notebook


@pytest.fixture(scope="module")
def executed():
    with pytest.MonkeyPatch.context() as monkeypatch:
        return execute(FIXTURE, monkeypatch, LAST_CELL)


@pytest.fixture(scope="module")
def found(executed):
    return json.loads(executed.cells[-1].outputs[0].text)


@pytest.fixture(scope="module")
def figures(executed):
    """Title → the name of each trace and how many spans it has. Whole figures would take pytest minutes to print."""
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    drawn = [output.data[PLOTLY] for output in outputs if PLOTLY in output.get("data", {})]
    return {
        figure["layout"]["title"]["text"]: [(trace["name"], len(trace.get("customdata", ()))) for trace in figure["data"]]
        for figure in drawn
    }


@pytest.fixture(scope="module")
def summary():
    return json.loads((FIXTURE / "summary.json").read_text())


def test_is_committed_without_outputs():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_draws_costs_ranking_error_utilization_losses_and_a_timeline_per_plan(figures, found, summary):
    assert len(figures) == found["figures"] == 5 + len(summary["runs"])
    assert all(figures.values())
    for run in summary["runs"]:
        assert f"{run['name']}: predicted {run['predicted_s']:.2f} s, measured {run['measured_s']:.2f} s" in figures


def test_the_speed_ups_are_those_of_the_summary(found, summary):
    assert found["best"] == summary["runs"][0]["name"]
    assert found["speedup"] == pytest.approx(summary["speedup"], rel=1e-12)


def test_the_parts_of_the_error_sum_to_all_of_it(found, summary):
    for run in summary["runs"]:
        assert found["whole_error"][run["name"]] == pytest.approx(run["measured_s"] - run["predicted_s"], abs=1e-6)


def test_the_time_of_every_device_adds_up_to_the_makespan(found, summary):
    assert len(found["lane_time"]) == len(summary["runs"]) * len(summary["devices"])
    assert found["lane_time"] == pytest.approx([1] * len(found["lane_time"]), abs=1e-9)


def test_predicted_and_measured_timelines_hold_the_same_units_and_end_with_the_makespan(found, summary):
    for run in summary["runs"]:
        assert found["units"][f"{run['name']} predicted"] == found["units"][f"{run['name']} measured"] > 0
        for source in ("predicted", "measured"):  # The makespan ends with the copy after the last unit.
            assert 0.95 * run[f"{source}_s"] < found["ends"][f"{run['name']} {source}"] <= run[f"{source}_s"]


def test_every_unit_is_drawn_once(figures, found, summary):
    for run in summary["runs"]:
        [traces] = [traces for title, traces in figures.items() if title.startswith(f"{run['name']}: ")]
        drawn = sum(units for name, units in traces if name in summary["jobs"])
        assert drawn == 2 * found["units"][f"{run['name']} measured"]


def test_all_plans_train_to_the_same_losses(found, summary):
    assert found["same_losses"] is summary["identical_weights"] is True


def test_says_what_to_run_where_there_is_no_demo_out(tmp_path, monkeypatch):
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=r"Run \./bootstrap demo first"):
        execute(tmp_path / "nothing", monkeypatch)


def make_fixture(source):
    shutil.rmtree(FIXTURE, ignore_errors=True)

    def keep(name, change=lambda content: content):
        content = change(json.loads((source / name).read_text()))
        (FIXTURE / name).parent.mkdir(parents=True, exist_ok=True)
        (FIXTURE / name).write_text(json.dumps(content, separators=(",", ":")).replace("],[", "],\n[") + "\n")

    def fewer_columns(timeline):
        for kind, columns in COLUMNS.items():
            places = [timeline[kind]["columns"].index(column) for column in columns]
            rows = [[row[place] for place in places] for row in timeline[kind]["rows"]]
            timeline[kind] = {"columns": columns, "rows": rows}
        return timeline

    for name in ("summary.json", "ranking.json", "profile.json"):
        keep(name)
    for run in json.loads((source / "summary.json").read_text())["runs"]:
        folder = run["folders"][run["median_run"]]
        keep(f"{folder}/losses.json")
        for timeline in ("predicted.json", "timeline.json"):
            keep(f"{folder}/{timeline}", fewer_columns)


if __name__ == "__main__":
    make_fixture(pathlib.Path(sys.argv[1]))
