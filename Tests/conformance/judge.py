"""Judges a report of the Autobahn test suite: judge.py NAME index.json EXPECTED_CASES

Prints one line with the counts and one for each case that is not plainly OK; ends with 1 when a
case failed, more than 12 are NON-STRICT, or cases are missing. Runs under Python 2 and 3.
"""

from __future__ import print_function

import json
import sys

NON_STRICT_MAX = 12
GOOD = ("OK", "NON-STRICT", "INFORMATIONAL")


def order(case):
    return [int(part) for part in case.split(".")]


def main(name, path, expected):
    with open(path) as report:
        agents = json.load(report)
    results = list(agents.values())[0] if agents else {}
    counts = {}
    failed = []
    for case in sorted(results, key=order):
        result = results[case]
        verdicts = (result["behavior"], result["behaviorClose"])
        counts[verdicts[0]] = counts.get(verdicts[0], 0) + 1
        if not all(verdict in GOOD for verdict in verdicts):
            failed.append(case)
        if verdicts[0] not in ("OK", "INFORMATIONAL") or verdicts[1] not in GOOD:
            print("  %s: %s, close %s" % (case, verdicts[0], verdicts[1]))
    non_strict = counts.get("NON-STRICT", 0)
    text = ", ".join("%d %s" % (counts[key], key) for key in sorted(counts))
    print("%s: %d cases, %s; %d failed" % (name, len(results), text, len(failed)))
    if len(results) != expected:
        print("%s: %d cases were expected" % (name, expected))
        return 1
    return 1 if failed or non_strict > NON_STRICT_MAX else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
