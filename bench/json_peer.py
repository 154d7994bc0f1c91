#!/usr/bin/env python3
"""What Python's json takes for a trace: the peer of `import kineto` (import_bench.cc). It only parses; nothing is attributed.

Prints one JSON object: events, events_per_s, peak_bytes.

Example: bench/json_peer.py bench-out/trace-400.json.gz
"""
import argparse
import gzip
import json
import resource
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    path = parser.parse_args().trace
    begin = time.perf_counter()
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        events = len(json.load(file)["traceEvents"])
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"events": events, "events_per_s": events / seconds, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
