#!/usr/bin/env python3
"""Kills the ledger sample, or lets a call fail, at the N-th system call of a kind, for every N.

    Tests/crash/sweep.py [--calls pwrite64,fdatasync,…] [--errors KILL,EIO,ENOSPC] [--every K]
                         [--limit SECONDS] [--jobs 2] [--binary Samples/.build/release/ledger]

Each run begins with an empty store, takes a few acknowledged transfers and checkpoints, and is stopped;
strace injects one fault. Then the service is started on what is left, without a fault; what was not
acknowledged is sent again. The output file has to have each transfer once, and what was acknowledged has
to be known. strace counts calls by thread; so the files that different threads write are swept one after
the other. Exits with 1 when something is wrong, and says how to see it again.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time

from service import BINARY, Client, Problem, Service, finish, remove, trap

CALLS = "pwrite64,fdatasync,fsync,rename,ftruncate,unlink,rmdir,fallocate,mkdir,openat,write"
BATCHES, BATCH = 10, 10
STAGES = ["accounts", "changed", "merge", "merge-2", "seconds", "totals", "transactionalJSONLines",
          "transfers", "transfers-tcp", "webSocket"]


def paths(work):
    """The files of a run by the thread that writes them, as strace can be told them."""
    store = f"{work}/store"
    checkpoints = [f"{store}/checkpoints/{number:012}" for number in range(1, 25)]
    journal = f"{store}/ingest/transfers-tcp"
    segments = [f"{journal}/{position:016x}.wj" for position in range(0, BATCHES * BATCH + 2)]
    return {
        "store": [store, f"{store}/LOCK", f"{store}/checkpoints", f"{store}/savepoints", *checkpoints,
                  *(f"{directory}/MANIFEST{end}" for directory in checkpoints for end in ("", ".tmp")),
                  *(f"{directory}/{stage}.0.part" for directory in checkpoints for stage in STAGES)],
        "output": [work, *(f"{work}/out.jsonl{end}" for end in (
            "", ".staging", *(f".pending-{number}" for number in range(1, 25))))],
        "ingest": [f"{store}/ingest", journal, f"{journal}/journal.lock",
                   *segments, *(f"{path}.new" for path in segments)],
        "any": [],
    }


class Outcome:
    def __init__(self, case):
        self.case = case
        self.was_injected = False
        self.status = None
        self.problem = None
        self.is_silent = False
        self.messages = []


def inject(binary, case):
    """One run with a fault and one without, on a store of its own."""
    error, group, call, number = case
    outcome = Outcome(case)
    work = tempfile.mkdtemp(prefix="weir-sweep-")
    action = "signal=SIGKILL" if error == "KILL" else f"error={error}"
    # With --seccomp-bpf strace 6.1 loses the signals that it injects.
    tool = ["strace", "-D", "-f", "-qq", *([] if error == "KILL" else ["--seccomp-bpf"]),
            "-o", f"{work}/strace.log",
            *(word for path in paths(work)[group] for word in ("-P", path)),
            "-e", f"trace={call}", "-e", f"inject={call}:{action}:when={number}"]
    client = Client()
    service = None
    try:
        service = Service(binary, work, tool)
        try:
            port = service.port()
            if port is not None:
                load(client, service, port)
        except (ConnectionError, BrokenPipeError):
            pass
        except TimeoutError:
            raise Problem("it runs but acknowledges nothing") from None
        finally:
            outcome.status = service.stop(45)
        log = service.log().decode(errors="replace")
        with open(f"{work}/strace.log", errors="replace") as trace:
            outcome.was_injected = outcome.status == -9 if error == "KILL" else "(INJECTED)" in trace.read()
        outcome.messages = complaints(log)
        judge(outcome, error)
        finish(binary, work, client, BATCHES * BATCH + BATCH)
    except Problem as problem:
        outcome.problem = str(problem)
        print(f"{describe(case)}: {problem}; it is in {work}", file=sys.stderr, flush=True)
    finally:
        if service:
            service.end()
        if not outcome.problem:
            remove(work)
    return outcome


def load(client, service, port):
    client.connect(port)
    for batch in range(1, BATCHES + 1):
        client.send(batch * BATCH)
        client.wait(batch * BATCH)
        time.sleep(0.05)
    client.close()


def complaints(log):
    return sorted({re.sub(r"weir-sweep-\w+|\d+", "…", line.split(": ", 1)[-1]) for line in log.splitlines()
                   if " error " in line or " warning " in line or line.startswith("Error")})


def judge(outcome, error):
    """Whether the service has taken the fault as it should."""
    crash = trap(outcome.status)
    if crash:
        raise Problem(f"it has crashed: {crash}")
    if error == "KILL" and outcome.was_injected:
        return
    if not outcome.was_injected and outcome.status != 0:
        raise Problem(f"it ended with {outcome.status} without a fault")
    if outcome.was_injected and outcome.status != 0 and not outcome.messages:
        raise Problem(f"it ended with {outcome.status} and doesn't say why")
    outcome.is_silent = outcome.was_injected and not outcome.messages


def describe(case):
    error, group, call, number = case
    return f"{error} at {call} {number} of {group}"


def sweep(binary, options, error, group, call, totals, deadline):
    """All N of one combination; ends when runs don't reach them, which differ by a checkpoint or so."""
    number = options.first
    misses = 0
    while time.monotonic() < deadline:
        outcome = inject(binary, (error, group, call, number))
        if not outcome.was_injected and not outcome.problem:
            misses += 1
            if misses == (3 if options.every == 1 else 1):
                return
            number += options.every
            continue
        misses = 0
        with totals["lock"]:
            entry = totals["by"][error, group, call]
            entry["runs"] += 1
            entry["last"] = number
            entry["ended"] += error != "KILL" and outcome.status != 0
            entry["silent"] += outcome.is_silent
            totals["messages"].update(outcome.messages)
            if outcome.problem:
                totals["problems"].append(f"{describe(outcome.case)}: {outcome.problem}")
        number += options.every
    with totals["lock"]:
        totals["unfinished"].append(f"{error} {call} {group} from {number}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", default=CALLS)
    parser.add_argument("--errors", default="KILL,EIO,ENOSPC")
    parser.add_argument("--groups", default="store,output,ingest,any")
    parser.add_argument("--first", type=int, default=1, help="the first N")
    parser.add_argument("--every", type=int, default=1, help="sweep each K-th N")
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which no run begins")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--binary", default=BINARY)
    parser.add_argument("--messages", action="store_true", help="print what the service has logged")
    options = parser.parse_args()
    if not shutil.which("strace"):
        print("skipped: there is no strace")
        return 0
    binary = os.path.abspath(options.binary)
    began = time.monotonic()
    totals = {"lock": threading.Lock(), "problems": [], "unfinished": [], "messages": collections.Counter(),
              "by": collections.defaultdict(lambda: {"runs": 0, "last": 0, "ended": 0, "silent": 0})}
    # `write` is for sockets, pipes and the log; a failure of these is no failure of the disk.
    combinations = [
        (error, group, call) for call in options.calls.split(",") for group in options.groups.split(",")
        for error in options.errors.split(",")
        if (group == "any") == (call == "write") and (call != "write" or error == "KILL")]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for job in [pool.submit(sweep, binary, options, *combination, totals, began + options.limit)
                    for combination in combinations]:
            job.result()
    for (error, group, call), entry in sorted(totals["by"].items()):
        print(f"{error:7} {call:10} {group:7} {entry['runs']:4} runs, last N {entry['last']:4}, "
              f"{entry['ended']:3} ended the service, {entry['silent']:3} not logged")
    if options.messages:
        for message, count in totals["messages"].most_common():
            print(f"{count:5} {message}")
    print(json.dumps({
        "injections": sum(entry["runs"] for entry in totals["by"].values()),
        "seconds": round(time.monotonic() - began), "unfinished": totals["unfinished"],
        "problems": totals["problems"]}))
    return 1 if totals["problems"] or not totals["by"] else 0


if __name__ == "__main__":
    sys.exit(main())
