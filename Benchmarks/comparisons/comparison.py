"""What the comparisons share: other engines from PyPI, Weir's side, turns, tables and files.

Python 3.9 or newer, standard library only.
"""

import argparse
import contextlib
import dataclasses
import errno
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
# Of event time, when results are compared: so 100,000 events fill two windows of ten seconds.
CHECK_RATE = 5000
QUERIES = [f"q{number}" for number in range(23)]
GIB = 1 << 30

# Bar Q2: events a CPU second against Flink's. Queries that look at each bid alone, and the rest.
STATELESS = {"q0", "q1", "q2", "q14", "q21", "q22"}
BAR_STATELESS, BAR_OTHERS = 10, 5


class Failure(Exception):
    """What went wrong, and what to do about it."""


def main(name, body):
    """Runs a script's body; a failure is a message and exit code 1."""
    try:
        body()
    except Failure as failure:
        sys.exit(f"{name}: {failure}")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(f"{name}: the disk is full ({error.filename}); make room, {CACHE} can be removed")
    except KeyboardInterrupt:
        sys.exit(130)


def add_options(parser, events, rate):
    """The options that all comparisons have."""
    parser.add_argument("--queries", default="all", metavar="q0,q1",
                        help="the queries, separated by commas (default: all that the engine runs)")
    parser.add_argument("--events", type=positive, default=events, metavar="N",
                        help=f"people, auctions and bids of a run (default: {events:,})")
    parser.add_argument("--rounds", type=positive, default=3, metavar="R",
                        help="how often each side runs, in turn (default: 3)")
    parser.add_argument("--parallelism", type=positive, default=1, metavar="P",
                        help="of both sides (default: 1)")
    parser.add_argument("--cores", type=positive, metavar="C",
                        help="run both sides on the first C cores only (default: on all)")
    parser.add_argument("--rate", type=positive, default=rate,
                        help=f"events a second of event time (default: {rate:,})")
    parser.add_argument("--seed", type=positive, default=42, help="of the generator (default: 42)")
    parser.add_argument("--json", metavar="FILE", help="write everything measured into FILE")
    parser.add_argument("--weir", metavar="FILE", type=Path,
                        default=HERE.parent / ".build/release/weir-bench",
                        help="the binary of weir-bench (default: the release build's)")
    parser.add_argument("--check-events", type=positive, default=100_000, metavar="N",
                        help="events over which both sides' results are compared first "
                        "(default: 100,000)")
    parser.add_argument("--no-check", action="store_true", help="don't compare results")
    parser.add_argument("--check-only", action="store_true", help="compare results, then end")
    parser.add_argument("--timeout", type=positive, default=900, metavar="SECONDS",
                        help="the longest that one step may take (default: 900)")


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)


def chosen(text, runnable, reasons):
    """The queries of a list; `reasons` says why the engine does not run the others."""
    if text == "all":
        return list(runnable)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name in reasons:
            raise Failure(f"{name} does not run here: {reasons[name]}")
        if name not in runnable:
            raise Failure(f"there is no {name}; there are {', '.join(runnable)}, and all")
    if not names:
        raise Failure(f"--queries names none; there are {', '.join(runnable)}, and all")
    return names


def pin(cores):
    """Binds this process, and so both sides, to the first cores."""
    if cores is None:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise Failure("--cores needs Linux; leave it out")
    available = sorted(os.sched_getaffinity(0))
    if cores > len(available):
        raise Failure(f"--cores {cores}: this machine lends {len(available)}")
    os.sched_setaffinity(0, available[:cores])


def check_writable(path):
    """Fails before the runs, not after them, if the file of the figures can't be written."""
    if path is None:
        return
    try:
        Path(path).touch()
    except OSError as error:
        raise Failure(f"{path} can't be written: {error.strerror}") from error


def package(name, requirement, room):
    """The Python of a virtual environment in the cache that has a package of PyPI.

    `room` is how many bytes the package needs; nothing is installed when it is there already.
    """
    directory = CACHE / name
    python = directory / "bin/python"
    done = directory / "installed"
    if done.exists() and done.read_text() == requirement and python.exists():
        return python
    CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(CACHE).free
    if free < room:
        raise Failure(
            f"{requirement} needs {room / GIB:.1f} GiB of disk for a moment and there are "
            f"{free / GIB:.1f} GiB free at {CACHE}; make room there")
    print(f"installing {requirement} into {directory}", flush=True)
    try:
        venv.create(directory, with_pip=True, clear=True)
    except subprocess.CalledProcessError as error:
        raise Failure(
            f"Python could not make a virtual environment ({error}); on Debian, "
            "apt-get install python3-venv") from error
    # Only the package itself: what else it asks for serves Python code that is not run here.
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    found = run(command + requirement.split(), timeout=1800)
    if found.returncode != 0:
        text = found.stdout[-2000:].strip()
        hint = ("make room on the disk" if "No space left" in text else
                "it needs PyPI, once, and a Python that the package supports")
        raise Failure(f"pip could not install {requirement}: {hint}\n{text}")
    done.write_text(requirement)
    return python


def run(command, timeout, **options):
    """A finished command with its output, standard error included unless said otherwise."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    try:
        return subprocess.run([str(part) for part in command], timeout=timeout, **options)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{command[0]} took longer than {timeout} s; --timeout gives it more"
                      ) from error
    except FileNotFoundError as error:
        raise Failure(f"{command[0]} is missing") from error


@dataclasses.dataclass
class Figures:
    """What a run took."""
    events: int
    wall: float
    cpu: float

    @property
    def per_cpu_second(self):
        return self.events / self.cpu

    @property
    def per_second(self):
        return self.events / self.wall

    def record(self):
        return {"events": self.events, "wallSeconds": self.wall, "cpuSeconds": self.cpu}


class Weir:
    """Weir's side: `weir-bench`."""

    LINE = re.compile(r"^(q\d+)  (\d+) events/s  \S+ CPU s  (\d+) events/CPU s  .* (\d+) results$",
                      re.MULTILINE)

    def __init__(self, options):
        self.options = options
        self.binary = options.weir.resolve()
        if not os.access(self.binary, os.X_OK):
            raise Failure(f"{self.binary} is missing; swift build -c release --package-path "
                          f"{HERE.parent}; or name another with --weir")

    def _run(self, *arguments):
        # Beside the binary, so that the commit it names is that of its own source tree.
        found = run([self.binary, *map(str, arguments)], self.options.timeout,
                    cwd=self.binary.parent)
        if found.returncode != 0:
            raise Failure(f"weir-bench {' '.join(map(str, arguments))} failed:\n"
                          f"{found.stdout[-2000:]}")
        return found.stdout

    def version(self):
        """What `weir-bench` says of itself, with the machine."""
        text = self._run("nexmark", "q0", "--events", 1000)
        return text.splitlines()[0]

    def measure(self, query, *arguments):
        options = self.options
        text = self._run("nexmark", query, "--events", options.events, "--rate", options.rate,
                         "--seed", options.seed, "--parallelism", options.parallelism,
                         *arguments)
        line = self.LINE.search(text)
        if line is None or line[1] != query:
            raise Failure(f"weir-bench printed no figures for {query}:\n{text[-2000:]}")
        return Figures(options.events, options.events / int(line[2]),
                       options.events / int(line[3]))

    def write_events(self, directory, events, rate):
        self._run("nexmark-events", directory, "--events", events, "--rate", rate,
                  "--seed", self.options.seed)

    def write_result(self, query, path, rate):
        self._run("nexmark", query, "--events", self.options.check_events, "--rate", rate,
                  "--seed", self.options.seed, "--output", path)


class Runner:
    """A process that runs one query as often as it is asked to.

    It says `ready …` at its start. A line with a number of events makes it run, and answer with a
    line of the wall's seconds and the process's CPU seconds.
    """

    def __init__(self, engine, query, command, directory, timeout, hint):
        self.engine, self.query, self.timeout, self.hint = engine, query, timeout, hint
        self.log_path = Path(directory, f"{query}.log")
        self.log = open(self.log_path, "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, text=True)
        self.version = self._answer()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def _answer(self):
        """The next line, in words; a process that takes too long for it is ended."""
        late = threading.Timer(self.timeout, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        if line:
            return line.split()
        log = self.log_path.read_text(encoding="utf-8")[-3000:].strip()
        self.__exit__()
        raise Failure(f"{self.engine} ended while it ran {self.query}; {self.hint}, or more than "
                      f"--timeout {self.timeout}:\n{log}")

    def measure(self, events):
        self.process.stdin.write(f"{events}\n")
        self.process.stdin.flush()
        wall, cpu = map(float, self._answer())
        return Figures(events, wall, cpu)


def same_events(weir, directory, rate, other):
    """Compares the generators: `other(directory, rate)` writes the other side's events."""
    sides = [Path(directory, f"{side}-{rate}") for side in ("weir", "other")]
    weir.write_events(sides[0], weir.options.check_events, rate)
    other(sides[1], rate)
    for kind in ("person", "auction", "bid"):
        difference = first_difference(*(side / f"{kind}.csv" for side in sides))
        if difference:
            raise Failure(f"the generators differ in {kind}.csv at {rate} events/s: {difference}")
    print(f"events at {rate}/s: {weir.options.check_events} of both sides are the same, "
          "byte for byte", flush=True)


def rows(path):
    """The lines of a CSV file behind its header."""
    with open(path, encoding="utf-8") as file:
        return sum(1 for _ in file) - 1


def first_difference(left, right):
    """The first line in which two files differ, or nothing."""
    with open(left, encoding="utf-8") as first, open(right, encoding="utf-8") as second:
        for number, (a, b) in enumerate(zip(first, second), start=1):
            if a != b:
                return f"line {number}: Weir {a.strip()!r}, the other {b.strip()!r}"
        for name, file in (("Weir", first), ("the other", second)):
            if file.readline():
                return f"{name} has more lines"
    return ""


def report(differences):
    """Prints what differs in each query's result; ends with a failure if anything does."""
    different = []
    for query, rows, difference in differences:
        print(f"{query}: {difference or f'{rows} rows, the same'}", flush=True)
        if difference:
            different.append(query)
    if different:
        raise Failure(f"the results of {', '.join(different)} differ: no figures are taken")


def in_turn(rounds, first, second):
    """Runs two sides in turn, so that what else the machine does falls on both.

    Who begins changes with every round.
    """
    runs = []
    for number in range(rounds):
        if number % 2 == 0:
            runs.append((first(), second()))
        else:
            other = second()
            runs.append((first(), other))
    return runs


def bar(query):
    return BAR_STATELESS if query in STATELESS else BAR_OTHERS


class Table:
    """The figures of all queries: printed while they come, and written as JSON."""

    def __init__(self, engine, bars=False):
        self.engine = engine
        self.bars = bars
        self.queries = {}
        columns = [f"{engine}, k/CPU s", "Weir, k/CPU s", "ratio", "least–most",
                   "wall-clock ratio"] + (["bar", ""] if bars else [])
        self.header = ["q"] + columns

    def print_header(self):
        print("| " + " | ".join(self.header) + " |")
        print("|" + " --- |" * len(self.header), flush=True)

    def add(self, query, runs):
        """A query's rounds: the other engine's figures and Weir's."""
        ratios = [weir.per_cpu_second / other.per_cpu_second for other, weir in runs]
        walls = [weir.per_second / other.per_second for other, weir in runs]
        ratio = statistics.median(ratios)
        record = {
            "ratio": ratio, "ratios": ratios, "wallRatio": statistics.median(walls),
            "otherPerCPUSecond": statistics.median(other.per_cpu_second for other, _ in runs),
            "weirPerCPUSecond": statistics.median(weir.per_cpu_second for _, weir in runs),
            "rounds": [{"other": other.record(), "weir": weir.record()} for other, weir in runs],
        }
        cells = [query, f"{record['otherPerCPUSecond'] / 1e3:,.0f}",
                 f"{record['weirPerCPUSecond'] / 1e3:,.0f}", f"{ratio:.1f}",
                 f"{min(ratios):.1f}–{max(ratios):.1f}", f"{record['wallRatio']:.1f}"]
        if self.bars:
            record["bar"] = bar(query)
            cells += [f"{bar(query)}", "met" if ratio >= bar(query) else "not met"]
        self.queries[query] = record
        print("| " + " | ".join(cells) + " |", flush=True)

    def write(self, path, options, about):
        document = {
            "engine": self.engine, **about, "events": options.events, "rounds": options.rounds,
            "parallelism": options.parallelism, "cores": options.cores, "rate": options.rate,
            "seed": options.seed, "queries": self.queries,
        }
        Path(path).write_text(json.dumps(document, indent=2) + "\n")


@contextlib.contextmanager
def scratch():
    """A directory that goes away, in the cache, for events and results."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="run-") as directory:
        yield Path(directory)


def load():
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def about_machine(weir):
    """Where and when, for the JSON file; prints it too."""
    version = weir.version()
    print(version)
    return {"weir": version, "python": platform.python_version(), "loadBefore": load(),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
