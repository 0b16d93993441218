"""bytewax's side of the comparison; runs with the Python that has bytewax.

    side.py measure QUERY EVENTS PARALLELISM    answers each line of the standard input, a number
                                                of events, with a line `wall-seconds cpu-seconds`
    side.py result QUERY EVENTS FILE            writes the final result as CSV, without a header

EVENTS is a directory with person.csv, auction.csv and bid.csv, which are read into memory first.
"""

import csv
import gc
import sys
import time
from datetime import date, datetime, timezone
from importlib.metadata import version

from bytewax.dataflow import Dataflow
import bytewax.operators as op
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main, run_main

import flows

BATCH = 1000
NUMBERS = {"id", "initialBid", "reserve", "seller", "category", "auction", "bidder", "price"}
TIMES = {"dateTime", "expires"}


def rows(directory, name, kind):
    """The events of a file as tuples, one after the other."""
    with open(f"{directory}/{name}.csv", newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        readers = [int if column in NUMBERS else moment if column in TIMES else str
                   for column in next(lines)]
        for line in lines:
            yield (kind, *(read(text) for read, text in zip(readers, line)))


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def read_events(directory):
    """All events in the order of the generator: of fifty one person, then three auctions, bids."""
    kinds = [rows(directory, name, kind) for kind, name in enumerate(["person", "auction", "bid"])]
    events = []
    while True:
        place = len(events) % 50
        event = next(kinds[0 if place < 1 else 1 if place < 4 else 2], None)
        if event is None:
            return events
        events.append(event)


class Part(StatelessSourcePartition):
    def __init__(self, events, first, step):
        self.events, self.place, self.step = events, first * BATCH, step * BATCH

    def next_batch(self):
        if self.place >= len(self.events):
            raise StopIteration
        batch = self.events[self.place:self.place + BATCH]
        self.place += self.step
        return batch


class Events(DynamicSource):
    """Events in memory; each worker has batches of its own."""

    def __init__(self, events):
        self.events = events

    def build(self, step_id, worker_index, worker_count):
        return Part(self.events, worker_index, worker_count)


class Taken(StatelessSinkPartition):
    def __init__(self, kept):
        self.kept = kept

    def write_batch(self, items):
        if self.kept is not None:
            self.kept.extend(items)


class Take(DynamicSink):
    """Drops all rows, or keeps them in a list."""

    def __init__(self, kept=None):
        self.kept = kept

    def build(self, step_id, worker_index, worker_count):
        return Taken(self.kept)


def flow(query, events, kept=None):
    dataflow = Dataflow(query)
    source = op.input("events", dataflow, Events(events))
    op.output("sink", flows.QUERIES[query](source), Take(kept))
    return dataflow


def measure(query, directory, parallelism):
    events = read_events(directory)
    # What was read stays; the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    print("ready", version("bytewax"), flush=True)
    for line in sys.stdin:
        dataflow = flow(query, events[:int(line)])
        cpu, wall = time.process_time(), time.perf_counter()
        if parallelism == 1:
            run_main(dataflow)
        else:
            cluster_main(dataflow, [], 0, worker_count_per_proc=parallelism)
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


def text(value):
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03}"
    return value.isoformat() if isinstance(value, date) else str(value)


def result(query, directory, path):
    kept = []
    run_main(flow(query, read_events(directory), kept))
    columns = flows.CHANGING.get(query)
    if columns:
        kept = list({row[:columns]: row for row in kept}.values())
    place = flows.THOUSANDTHS.get(query)
    with open(path, "w", encoding="utf-8") as file:
        lines = []
        for row in kept:
            texts = [text(value) for value in row]
            if place is not None:
                whole, rest = divmod(row[place], 1000)
                texts[place] = f"{whole}.{rest:03}"
            lines.append(",".join(texts))
        file.writelines(line + "\n" for line in sorted(lines))


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        measure(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        result(*sys.argv[2:5])
