"""Adds up what `meson test` ran in each build folder given, and prints `N passed, N failed, N skipped`.

Counts cases (from the JUnit files of GoogleTest and pytest in test-results/), not executables. `--passed N`, `--failed NAME`
and `--skipped NAME` add checks made elsewhere. Exits with 1 when anything failed.
"""

import argparse
import json
import pathlib
import sys
import xml.etree.ElementTree as xml
from collections import Counter

OUTCOMES = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}  # Meson's words; all others are failures


def outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped") is not None or case.get("status") == "notrun"
    return "skipped" if skipped else "passed"


def tally_test(entry, results):
    """Counts of one Meson test, and the names of the cases that failed."""
    name = entry["name"].split(":")[-1]
    verdict = OUTCOMES.get(entry["result"], "failed")
    counts, failures = Counter(), []
    try:
        cases = list(xml.parse(results / f"{name}.xml").iter("testcase"))
    except (FileNotFoundError, xml.ParseError):
        cases = []
    for case in cases:
        result = outcome(case)
        counts[result] += 1
        if result == "failed":
            failures.append(f"{name}: {case.get('classname')}.{case.get('name')}")
    # A crash, a time-out or a test without cases: Meson's verdict is all there is.
    if not cases or (verdict == "failed" and not counts["failed"]):
        counts[verdict] += 1
        if verdict == "failed":
            failures.append(f"{name}: {entry['result']}")
    return counts, failures


def tally(build):
    counts, failures = Counter(), []
    log = build / "meson-logs/testlog.json"
    if not log.exists():
        return Counter(failed=1), [f"{build.name}: the tests did not run"]
    for line in log.read_text().splitlines():
        more, names = tally_test(json.loads(line), build / "test-results")
        counts += more
        failures += [f"{build.name}: {name}" for name in names]
    return counts, failures


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--passed", type=int, default=0)
    parser.add_argument("--failed", action="append", default=[])
    parser.add_argument("--skipped", action="append", default=[])
    parser.add_argument("builds", nargs="*", type=pathlib.Path)
    given = parser.parse_args(arguments)
    counts = Counter(passed=given.passed, failed=len(given.failed), skipped=len(given.skipped))
    failures = list(given.failed)
    for build in given.builds:
        more, names = tally(build)
        counts.update(more)
        failures += names
    for name in failures:
        print(f"failed: {name}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
