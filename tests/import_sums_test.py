"""What importers make of files of others, against sums over them by a few lines of Python that share no code with them.

The files are those of shared/data beside the checkout, or of $SHARDLAB_DATA; without them these tests are skipped.
"""
import bisect
import collections
import gzip
import json
import os
import pathlib
import re
import statistics
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = pathlib.Path(os.environ.get("SHARDLAB_BUILD", ROOT / "build")) / "cli/shardlab"
DATA = pathlib.Path(os.environ.get("SHARDLAB_DATA", ROOT.parent / "shared/data"))
FIXTURES = ROOT / "tests/fixtures/imports"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no measured data: set SHARDLAB_DATA")

# Operators that become layers
RULES = {
    "alexnet-a100": "^aten::(conv2d|linear|max_pool2d|relu_|adaptive_avg_pool2d)$",
    "resnet-2080ti-old-dialect": "^aten::(conv2d|batch_norm|relu_|max_pool2d|linear|adaptive_avg_pool2d)$",
    "minitoy-mi250": "^aten::(linear|mse_loss)$",
    "prefetch-overlap-a100": "^aten::(linear|matmul)$",
    "sampled-rank0-a100": "^aten::linear$",
    "sampled-rank1-a100": "^aten::linear$",
}


def imported(tmp_path, form, file, *options):
    """What the verb prints, and the model of the profile that it writes."""
    profile = tmp_path / "p.json"
    run = subprocess.run([COMMAND, "import", form, file, "-o", profile, "--json", *options], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    written = json.loads(profile.read_text())
    return json.loads(run.stdout)["models"][0], written["models"][0]["costs"], written["provenance"]


def nanoseconds(microseconds):
    return round(microseconds * 1000)


class Trace:
    """Events of a Kineto trace: work on the device, launches and operators, in nanoseconds."""

    def __init__(self, name):
        text = gzip.open(DATA / f"kineto/{name}.json.gz").read().decode(errors="replace")
        events = [event for event in json.loads(text, parse_float=float)["traceEvents"] if event.get("ph") == "X"]
        span = [(event, nanoseconds(event["ts"]), nanoseconds(event["dur"])) for event in events]
        self.work, self.launches, self.ranges, self.optimizer_ends = [], {}, collections.defaultdict(list), []
        for event, start, time in span:
            kind, name, args = event.get("cat"), event["name"], event.get("args", {})
            host_copy = kind == "gpu_memcpy" and ("HtoD" in name or "DtoH" in name)
            if kind in ("kernel", "gpu_memset", "gpu_memcpy") and not host_copy:
                self.work.append((start, start + time, args["correlation"]))
            elif kind in ("cuda_runtime", "cuda_driver") and "correlation" in args:
                earlier = self.launches.get(args["correlation"])
                if earlier is None or start < earlier[1]:
                    self.launches[args["correlation"]] = ((event["pid"], event["tid"]), start)
            elif kind in ("cpu_op", "user_annotation"):
                self.ranges[name].append((start, start + time, (event["pid"], event["tid"])))
                if "optimizer" in name.lower() and "zero_grad" not in name:
                    self.optimizer_ends.append(start + time)
        self.optimizer_ends.sort()


def union(spans):
    total, end = 0, None
    for start, stop in sorted(spans):
        if end is None or start > end:
            end = start
        total, end = total + max(0, stop - end), max(end, stop)
    return total


@pytest.mark.parametrize("name", RULES)
def test_no_time_of_the_device_is_lost(tmp_path, name):
    trace = Trace(name)
    # These train with Shampoo, which has to be said.
    said = ["--optimizer", "sgd"] if name.startswith("sampled") else []
    found, _, _ = imported(tmp_path, "kineto", DATA / f"kineto/{name}.json.gz", "--batch", "8",
                           "--layer-rule", RULES[name], *said)
    time = found["device_time_ns"]
    whole = union((start, end) for start, end, _ in trace.work)
    assert time["all"] == whole > 0
    parts = time["layers"] + time["optimizer"] + time["unattributed"]
    # Work of two layers at once counts for both; nothing counts twice for one.
    assert whole <= parts <= sum(end - start for start, end, _ in trace.work)
    if name in ("alexnet-a100", "resnet-2080ti-old-dialect", "minitoy-mi250"):  # One stream.
        assert parts == whole
    said = sum(float(re.search(r"took ([\d.]+) ms", unused["why"])[1]) for unused in found["unused"]
               if unused["what"] == "kernels and copies on the device")
    assert said >= time["unattributed"] / 1e6 - 0.01


@pytest.mark.parametrize("name", ["alexnet-a100", "resnet-2080ti-old-dialect"])
def test_every_layers_forward_is_the_time_of_what_its_operator_launched(tmp_path, name):
    trace, rule = Trace(name), re.compile(RULES[name])
    # Operators of a name are numbered within their minibatch, which ends with the optimizer.
    layers = []
    for operator, spans in trace.ranges.items():
        if not rule.search(operator):
            continue
        seen = collections.Counter()
        for start, end, thread in sorted(spans):
            minibatch = bisect.bisect_left(trace.optimizer_ends, start)
            layers.append((start, end, thread, f"{operator.removeprefix('aten::')} #{seen[minibatch]}", minibatch))
            seen[minibatch] += 1
    layers.sort()
    starts = [layer[0] for layer in layers]
    spans = collections.defaultdict(lambda: collections.defaultdict(list))
    for start, end, correlation in trace.work:
        thread, at = trace.launches.get(correlation, (None, 0))
        # The innermost began last; none of these holds another one for long.
        for layer in reversed(layers[max(0, bisect.bisect_right(starts, at) - 8):bisect.bisect_right(starts, at)]):
            if layer[2] == thread and layer[1] >= at:
                spans[layer[3]][layer[4]].append((start, end))
                break
    _, costs, _ = imported(tmp_path, "kineto", DATA / f"kineto/{name}.json.gz", "--batch", "8", "--layer-rule", RULES[name])
    known = {cost["name"]: cost["alone"]["forward_busy_ns"] for cost in costs if cost["alone"].get("forward_busy_ns")}
    # A name that comes once a minibatch has no number.
    expected = {}
    for layer, of in spans.items():
        once = layer.endswith(" #0") and layer.replace(" #0", " #1") not in spans
        values = sorted(union(each) for each in of.values())
        expected[layer.removesuffix(" #0") if once else layer] = values[len(values) // 2]
    assert len(known) > 15
    assert known == expected


def test_a_graphs_times_and_sizes_are_all_there(tmp_path):
    for path in sorted((DATA / "pipedream").glob("*.graph.txt")):
        nodes = [line for line in path.read_text().splitlines() if " -- " in line and not line.startswith("\t")]
        nodes = [node for node in nodes if not re.search(r"-- Input\d* --", node)]

        def all_of(key):
            return [float(re.search(key + r"=([\d.]+)", node)[1]) for node in nodes]
        _, costs, _ = imported(tmp_path, "pipedream", path, "--batch", "8")
        assert len(costs) == len(nodes) > 20
        forward = sum(cost["alone"]["forward_ns"] for cost in costs)
        assert forward == pytest.approx(1e6 * sum(all_of("forward_compute_time")), abs=len(nodes))
        assert sum(cost["parameter_bytes"] for cost in costs) == pytest.approx(sum(all_of("parameter_size")), abs=len(nodes))
        known = [(a, b) for a, b, p in zip(all_of("backward_compute_time"), all_of("forward_compute_time"),
                                          all_of("parameter_size")) if not (p > 0 and a * 10 < b)]
        backward = sum(cost["alone"]["backward_ns"] or 0 for cost in costs)
        assert backward == pytest.approx(1e6 * sum(a for a, _ in known), abs=len(nodes))


def test_stages_of_a_pipeline_have_the_medians_of_their_microbatches(tmp_path):
    path = DATA / "perseus/a100/gpt3-xl.custom_dp1_pp4_tp1_mbs8_nmb128.0.prof.json"
    _, costs, _ = imported(tmp_path, "perseus", path)
    ranks = sorted(json.loads(path.read_text()), key=lambda rank: rank["rank"])
    assert len(ranks) == len(costs) == 4
    for cost, rank in zip(costs, ranks):
        for kind in ("forward", "backward"):
            values = [value for each in rank["time_breakdown"][kind][1:] for value in each[:128]]
            assert cost["alone"][f"{kind}_samples"] == len(values)
            assert cost["alone"][f"{kind}_ns"] == pytest.approx(1e9 * statistics.median(values), rel=1e-4)


def test_an_imports_provenance_names_its_files(tmp_path):
    path = DATA / "pipedream/image_classification.vgg16.graph.txt"
    _, _, provenance = imported(tmp_path, "pipedream", path, "--batch", "8")
    (source,) = provenance["sources"]
    assert (source["file"], source["bytes"]) == (path.name, path.stat().st_size)
    copy = tmp_path / "copy.txt"
    copy.write_text(path.read_text().replace("forward_compute_time=", "forward_compute_time=1", 1))
    _, _, changed = imported(tmp_path, "pipedream", copy, "--batch", "8")
    assert re.fullmatch("[0-9a-f]{16}", source["xxh3"]) and changed["sources"][0]["xxh3"] != source["xxh3"]
