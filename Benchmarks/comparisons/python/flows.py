"""Queries of Nexmark as dataflows of bytewax.

Events are tuples: a kind (PERSON, AUCTION, BID), then the columns of its file. Steps that look at
each event alone take batches, which is bytewax's fast way; a result is a tuple of the columns of
Weir's result. Keys of bytewax are texts.
"""

import re
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import bytewax.operators.windowing as win

PERSON, AUCTION, BID = range(3)
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
TEN_SECONDS = timedelta(seconds=10)
CHANNEL_ID = re.compile("(&|^)channel_id=([^&]*)")
KNOWN_CHANNELS = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}


def event_time(place):
    """A clock of the events' times, at most four seconds out of order.

    It stands still between events: with the default, which goes on with the system's clock, what
    is late would depend on the machine's speed.
    """
    return win.EventClock(
        ts_getter=lambda event: event[place], wait_for_system_duration=timedelta(seconds=4),
        now_getter=lambda: START, to_system_utc=lambda time: None)


def q0(events):
    return op.flat_map_batch("bids", events, lambda batch: [
        (event[1], event[2], event[3], event[6], event[7])
        for event in batch if event[0] == BID])


def q1(events):
    # Exact: thousandths of euros.
    return op.flat_map_batch("euros", events, lambda batch: [
        (event[1], event[2], 908 * event[3], event[6], event[7])
        for event in batch if event[0] == BID])


def q2(events):
    return op.flat_map_batch("every-123rd", events, lambda batch: [
        (event[1], event[3]) for event in batch if event[0] == BID and event[1] % 123 == 0])


def q3(events):
    """An auction of category 10 waits for its seller, who then stays."""
    def relevant(batch):
        return [
            (str(event[1]) if event[0] == PERSON else str(event[8]), event) for event in batch
            if event[0] == PERSON and event[6] in ("OR", "ID", "CA")
            or event[0] == AUCTION and event[9] == 10]

    def joined(state, event):
        seller, waiting = state or (None, [])
        if event[0] == PERSON:
            auctions = [] if seller else waiting
            return ((event, []), [(event[2], event[5], event[6], number) for number in auctions])
        if seller is None:
            waiting.append(event[1])
            return ((None, waiting), [])
        return ((seller, waiting), [(seller[2], seller[5], seller[6], event[1])])

    keyed = op.flat_map_batch("relevant", events, relevant)
    return op.key_rm("rows", op.stateful_flat_map("sellers", keyed, joined))


def bids(events):
    return op.flat_map_batch(
        "bids", events, lambda batch: [event for event in batch if event[0] == BID])


def q5(events):
    """The counts are those of bytewax's sliding windows; their maximum is taken at the end."""
    windower = win.SlidingWindower(
        length=TEN_SECONDS, offset=timedelta(seconds=2), align_to=START)
    counts = win.count_window(
        "counts", bids(events), event_time(6), windower, lambda bid: str(bid[1]))
    by_window = op.map(
        "by-window", counts.down, lambda found: (str(found[1][0]), (found[0], found[1][1])))

    def highest(best, found):
        if best and found[1] < best[0][1]:
            return best
        if best and found[1] == best[0][1]:
            return best + [found]
        return [found]

    most = op.fold_final("most", by_window, list, highest)
    return op.flat_map_batch("rows", most, lambda batch: [
        (int(auction), count) for _, best in batch for auction, count in best])


def q8(events):
    windower = win.TumblingWindower(length=TEN_SECONDS, align_to=START)
    persons = op.flat_map_batch("persons", events, lambda batch: [
        (str(event[1]), (event[1], event[2], event[7])) for event in batch if event[0] == PERSON])
    sellers = op.flat_map_batch("sellers", events, lambda batch: [
        (str(event[8]), (event[8], None, event[6])) for event in batch if event[0] == AUCTION])
    joined = win.join_window(
        "new-sellers", event_time(2), windower, persons, sellers, insert_mode="first",
        ordered=False)
    return op.flat_map_batch("rows", joined.down, lambda batch: [
        (person[0], person[1], START + number * TEN_SECONDS)
        for _, (number, (person, seller)) in batch if person and seller])


def q11(events):
    def add(session, bid):
        count, first, last = session
        time = bid[6]
        return (count + 1, time if first is None or time < first else first,
                time if last is None or time > last else last)

    def merged(one, other):
        return (one[0] + other[0], min(one[1], other[1]), max(one[2], other[2]))

    keyed = op.key_on("bidders", bids(events), lambda bid: str(bid[2]))
    sessions = win.fold_window(
        "sessions", keyed, event_time(6), win.SessionWindower(gap=TEN_SECONDS),
        lambda: (0, None, None), add, merged, ordered=False)
    return op.flat_map_batch("rows", sessions.down, lambda batch: [
        (int(bidder), count, first, last + TEN_SECONDS)
        for bidder, (_, (count, first, last)) in batch])


def q12(events):
    windower = win.TumblingWindower(length=TEN_SECONDS, align_to=START)
    counts = win.count_window(
        "by-the-clock", bids(events), win.SystemClock(), windower, lambda bid: str(bid[2]))
    return op.flat_map_batch("rows", counts.down, lambda batch: [
        (int(bidder), count) for bidder, (_, count) in batch])


def q14(events):
    def time_of_day(hour):
        return ("dayTime" if 8 <= hour <= 18 else
                "nightTime" if hour <= 6 or hour >= 20 else "otherTime")

    return op.flat_map_batch("classes", events, lambda batch: [
        (event[1], event[2], 908 * event[3], time_of_day(event[6].hour), event[6], event[7],
         event[7].count("c"))
        for event in batch
        if event[0] == BID and 1_000_000_000 < 908 * event[3] < 50_000_000_000])


def q17(events):
    """Each bid changes its auction's report, which goes out each time."""
    def report(state, bid):
        auction, date, total, low, middle, high, least, most, amount = state or (
            bid[1], bid[6].date(), 0, 0, 0, 0, bid[3], bid[3], 0)
        price = bid[3]
        state = (auction, date, total + 1, low + (price < 10_000),
                 middle + (10_000 <= price < 1_000_000), high + (price >= 1_000_000),
                 min(least, price), max(most, price), amount + price)
        return (state, state)

    keyed = op.key_on("auctions", bids(events), lambda bid: f"{bid[1]} {bid[6].toordinal()}")
    return op.flat_map_batch(
        "rows", op.stateful_map("reports", keyed, report), lambda batch: [
            row[:8] + (row[8] // row[2], row[8]) for _, row in batch])


def q20(events):
    """A bid waits for its auction, which then stays."""
    def keyed(batch):
        return [(str(event[1]), event) for event in batch if event[0] != PERSON]

    def row(bid, auction):
        return bid[1:] + auction[2:]

    def joined(state, event):
        auction, waiting = state or (None, [])
        if event[0] == AUCTION:
            rows = [row(bid, event) for bid in waiting] if event[9] == 10 else []
            return ((event, []), rows)
        if auction is None:
            waiting.append(event)
            return ((None, waiting), [])
        return ((auction, waiting), [row(event, auction)] if auction[9] == 10 else [])

    pairs = op.flat_map_batch("numbers", events, keyed)
    return op.key_rm("rows", op.stateful_flat_map("auctions", pairs, joined))


def channel_id(bid):
    known = KNOWN_CHANNELS.get(bid[4].lower())
    if known is not None:
        return known
    found = CHANNEL_ID.search(bid[5])
    return found and found[2]


def q21(events):
    return op.flat_map_batch("channels", events, lambda batch: [
        (event[1], event[2], event[3], event[4], number)
        for event in batch if event[0] == BID and (number := channel_id(event)) is not None])


def q22(events):
    return op.flat_map_batch("paths", events, lambda batch: [
        (*event[1:5], *event[5].split("/")[3:6]) for event in batch if event[0] == BID])


QUERIES = {
    function.__name__: function
    for function in (q0, q1, q2, q3, q5, q8, q11, q12, q14, q17, q20, q21, q22)}
# Queries whose rows change: how many of the first columns say which row it is.
CHANGING = {"q17": 2}
# Columns that hold thousandths.
THOUSANDTHS = {"q1": 2, "q14": 2}
