#!/usr/bin/env python3
"""The instance of `compute_only` (simulator_bench.cc) in SimPy 4: the peer that our speed is compared with.

One process per device, as SimPy's own examples have it: take the ready job with the longest remaining time, hold the
device for its unit, put the job back. Prints one JSON object: units, units_per_s, makespan_ns.

Example: bench/simpy_peer.py --minibatches 50
"""
import argparse
import heapq
import json
import time

import simpy

MASK = (1 << 64) - 1


def mix(x):
    """core/counter_hash.h."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def counter_hash(*parts):
    x = 0
    for part in parts:
        x = (mix(x ^ part) + part) & MASK
    return mix(x)


def durations(job, shards, longest):
    """Of the 2K-1 units of a minibatch: F0 .. F(K-2), the last shard's forward and backward, B(K-2) .. B0."""
    drawn = [[1 + counter_hash(job, shard, phase) % longest for phase in range(2)] for shard in range(shards)]
    return [f for f, _ in drawn[:-1]] + [b for _, b in reversed(drawn)]


class Peer:
    def __init__(self, options):
        self.env = simpy.Environment()
        self.units = [durations(job, options.shards, options.longest) for job in range(options.jobs)]
        self.left = [sum(units) * options.minibatches for units in self.units]
        self.unit = [0] * options.jobs
        self.ready = [(-left, job) for job, left in enumerate(self.left)]
        heapq.heapify(self.ready)
        self.idle = []
        self.done = 0
        for _ in range(options.devices):
            self.env.process(self.device())

    def device(self):
        while True:
            while not self.ready:
                woken = self.env.event()
                self.idle.append(woken)
                yield woken
            _, job = heapq.heappop(self.ready)
            units = self.units[job]
            duration = units[self.unit[job]]
            yield self.env.timeout(duration)
            self.done += 1
            self.unit[job] = (self.unit[job] + 1) % len(units)
            self.left[job] -= duration
            if self.left[job]:
                heapq.heappush(self.ready, (-self.left[job], job))
                if self.idle:
                    self.idle.pop().succeed()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--minibatches", type=int, default=1000)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--longest", type=int, default=1_000_000, help="ns; times are drawn from 1 to this")
    options = parser.parse_args()
    peer = Peer(options)
    begin = time.perf_counter()
    peer.env.run()
    seconds = time.perf_counter() - begin
    print(json.dumps({"units": peer.done, "units_per_s": peer.done / seconds, "makespan_ns": peer.env.now}))


if __name__ == "__main__":
    main()
