#!/usr/bin/env python3
"""The workloads of `shardlab validate ranking` in a naive model: SimPy 4, units that compute, no memory, links or overheads.

Reads the cases.json that the command leaves, simulates every workload under every policy, and prints how the naive makespans
order the measured ones: the members of `naive` that the command prints, from a program that shares nothing with it.

Example: bench/naive_ranking.py ranking-out/cases.json
"""
import argparse
import itertools
import json
import math
import pathlib
import statistics

import simpy

from simpy_peer import counter_hash


class Naive:
    """Devices that take a ready unit whenever they are idle; ties go to the lower job."""

    def __init__(self, case, policy, seed):
        self.env = simpy.Environment()
        self.seed, self.turn = seed, 0
        self.key = getattr(self, policy)
        self.jobs = case["jobs"]
        self.class_of = case["class_of_device"]
        self.done = [0] * len(self.jobs)  # Units.
        self.since = [0] * len(self.jobs)
        self.last_turn = [0] * len(self.jobs)
        self.home = [None] * len(self.jobs)
        self.ready = set(range(len(self.jobs)))
        self.idle = set(range(case["devices"]))

    # Of a ready job for an idle device: smallest first.

    def remaining(self, job):
        units = self.jobs[job]["units_ns"][0]
        minibatches, unit = divmod(self.done[job], len(units))
        return sum(units) * (self.jobs[job]["minibatches"] - minibatches) - sum(units[:unit])

    def lrtf(self, job, _device):
        return -self.remaining(job)

    def srtf(self, job, _device):
        return self.remaining(job)

    def fifo(self, job, _device):
        return self.since[job]

    def round_robin(self, job, _device):
        return self.last_turn[job]

    def random(self, job, _device):
        minibatch, unit = divmod(self.done[job], len(self.jobs[job]["units_ns"][0]))
        return -(counter_hash(self.seed, job, minibatch, unit) >> 1)

    def task_parallel(self, job, device):
        """A job stays where it began; a device takes another when its own has ended."""
        if self.home[job] is not None:
            return -math.inf if self.home[job] == device else math.inf
        return -self.remaining(job)

    def decide(self):
        for device in sorted(self.idle):
            keys = [(self.key(job, device), job) for job in self.ready]
            key, job = min(keys, default=(math.inf, None))
            if key == math.inf:
                continue
            self.turn += 1
            self.home[job] = device
            self.last_turn[job] = self.turn
            self.ready.remove(job)
            self.idle.remove(device)
            self.env.process(self.run(device, job))

    def run(self, device, job):
        units = self.jobs[job]["units_ns"][self.class_of[device] if self.class_of else 0]
        yield self.env.timeout(units[self.done[job] % len(units)])
        self.done[job] += 1
        self.since[job] = self.env.now
        self.idle.add(device)
        if self.done[job] < len(units) * self.jobs[job]["minibatches"]:
            self.ready.add(job)
        yield self.env.timeout(0)  # All that ends now is known before anything is decided.
        self.decide()

    def makespan(self):
        self.decide()
        self.env.run()
        return self.env.now * 1e-9


def score(cases, predictions, stated_error):
    pairs = wrong = 0
    regrets = []
    for case, predicted in zip(cases, predictions):
        measured = case["measured_s"]
        for a, b in itertools.permutations(range(len(predicted)), 2):
            if predicted[b] > predicted[a] * (1 + stated_error):
                pairs += 1
                wrong += measured[b] <= measured[a]
        regrets.append(measured[predicted.index(min(predicted))] / min(measured) - 1)
    return {"pairs": pairs, "wrong": wrong, "regret_median": statistics.median(regrets), "regret_worst": max(regrets)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=pathlib.Path, help="cases.json of shardlab validate ranking")
    study = json.loads(parser.parse_args().cases.read_text())
    cases = study["cases"]
    predictions = [[Naive(case, policy, study["seed"]).makespan() for policy in study["policies"]] for case in cases]
    differences = [abs(mine / theirs - 1) for case, row in zip(cases, predictions)
                   for mine, theirs in zip(row, case["naive_s"])]
    print(json.dumps({**score(cases, predictions, study["stated_error"]),
                      "largest_difference_from_shardlab": max(differences)}, indent=1))


if __name__ == "__main__":
    main()
