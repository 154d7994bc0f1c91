"""The peer that our speed is compared with simulates the same thing: exact makespans of small instances.

peer_test.cc holds our simulator against the same lines of fixtures/simpy_peer.txt: jobs, shards, minibatches, devices and the
makespan in ns.
"""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
INSTANCES = (ROOT / "tests/fixtures/simpy_peer.txt").read_text().splitlines()


@pytest.mark.parametrize("instance", INSTANCES)
def test_simpy_gives_the_makespans_that_our_simulator_gives(instance):
    jobs, shards, minibatches, devices, makespan = map(int, instance.split())
    arguments = ["--jobs", jobs, "--shards", shards, "--minibatches", minibatches, "--devices", devices]
    run = subprocess.run([sys.executable, ROOT / "bench/simpy_peer.py", *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    peer = json.loads(run.stdout)
    assert peer["makespan_ns"] == makespan
    assert peer["units"] == (2 * shards - 1) * minibatches * jobs
