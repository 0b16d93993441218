#!/usr/bin/env python3
"""Computes the queries of Nexmark plainly, from person.csv, auction.csv and bid.csv, and compares.

    oracle.py EVENTS-DIRECTORY QUERY                 prints the result: a header, then the rows, sorted
    oracle.py EVENTS-DIRECTORY --compare RESULTS QUERY…
                                                     compares the files q0.csv … in the directory
                                                     RESULTS with it; ends with 1 if any differs

Nothing here knows of streams: each query looks at all events at once. Python's csv module and its
own dates do the reading, so that the engine's are checked too.
"""

import csv
import io
import re
import sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MILLISECOND = timedelta(milliseconds=1)


def read(directory, name, numbers):
    """The rows of a file, in its order, with numbers and times (milliseconds) as such."""
    with open(f"{directory}/{name}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for field in numbers:
            row[field] = int(row[field])
        for field in ("dateTime", "expires"):
            if field in row:
                stamp = datetime.strptime(row[field], "%Y-%m-%d %H:%M:%S.%f")
                row[field] = (stamp.replace(tzinfo=timezone.utc) - EPOCH) // MILLISECOND
    return rows


class Events:
    def __init__(self, directory):
        self.persons = read(directory, "person", ["id"])
        self.auctions = read(
            directory, "auction", ["id", "initialBid", "reserve", "seller", "category"])
        self.bids = read(directory, "bid", ["auction", "bidder", "price"])
        self.auction = {auction["id"]: auction for auction in self.auctions}

    def valid_bids(self):
        """Each bid with its auction, if that was open."""
        for bid in self.bids:
            auction = self.auction.get(bid["auction"])
            if auction and auction["dateTime"] <= bid["dateTime"] <= auction["expires"]:
                yield auction, bid

    def winners(self):
        """The best bid of each auction: the highest, of those the earliest."""
        best = {}
        for auction, bid in self.valid_bids():
            last = best.get(auction["id"])
            if last is None or (-bid["price"], bid["dateTime"]) < (-last["price"], last["dateTime"]):
                best[auction["id"]] = bid
        return best


def moment(milliseconds):
    return EPOCH + milliseconds * MILLISECOND


def time(milliseconds):
    return moment(milliseconds).strftime("%Y-%m-%d %H:%M:%S.") + f"{milliseconds % 1000:03}"


def day(milliseconds):
    return moment(milliseconds).strftime("%Y-%m-%d")


def minute(milliseconds):
    return moment(milliseconds).strftime("%H:%M")


def euros(price):
    whole, rest = divmod(908 * price, 1000)
    return f"{whole}.{rest:03}"


def band(price):
    return 0 if price < 10_000 else 1 if price < 1_000_000 else 2


def plain(bid):
    return [bid["auction"], bid["bidder"], bid["price"], time(bid["dateTime"]), bid["extra"]]


def full(bid):
    return [bid["auction"], bid["bidder"], bid["price"], bid["channel"], bid["url"],
            time(bid["dateTime"]), bid["extra"]]


def whole_auction(auction):
    return [auction["id"], auction["itemName"], auction["description"], auction["initialBid"],
            auction["reserve"], time(auction["dateTime"]), time(auction["expires"]),
            auction["seller"], auction["category"], auction["extra"]]


def q0(events):
    yield "auction,bidder,price,dateTime,extra"
    yield from (plain(bid) for bid in events.bids)


def q1(events):
    yield "auction,bidder,price,dateTime,extra"
    for bid in events.bids:
        yield [bid["auction"], bid["bidder"], euros(bid["price"]), time(bid["dateTime"]),
               bid["extra"]]


def q2(events):
    yield "auction,price"
    yield from ([bid["auction"], bid["price"]] for bid in events.bids if bid["auction"] % 123 == 0)


def q3(events):
    yield "name,city,state,id"
    persons = {person["id"]: person for person in events.persons}
    for auction in events.auctions:
        person = persons.get(auction["seller"])
        if auction["category"] == 10 and person and person["state"] in ("OR", "ID", "CA"):
            yield [person["name"], person["city"], person["state"], auction["id"]]


def q4(events):
    yield "id,final"
    prices = defaultdict(list)
    for number, bid in events.winners().items():
        prices[events.auction[number]["category"]].append(bid["price"])
    for category, values in prices.items():
        yield [category, sum(values) // len(values)]


def q5(events):
    yield "auction,num"
    windows = defaultdict(Counter)
    for bid in events.bids:
        last = bid["dateTime"] // 2_000 * 2_000
        for start in range(last - 8_000, last + 1, 2_000):
            windows[start][bid["auction"]] += 1
    for counts in windows.values():
        most = max(counts.values())
        yield from ([auction, count] for auction, count in counts.items() if count == most)


def q6(events):
    yield "seller,avg_price"
    closed = defaultdict(list)
    for number, bid in events.winners().items():
        auction = events.auction[number]
        closed[auction["seller"]].append((auction["expires"], number, bid["price"]))
    for seller, auctions in closed.items():
        last = sorted(auctions)[-10:]
        yield [seller, sum(price for _, _, price in last) // len(last)]


def q7(events):
    yield "auction,bidder,price,dateTime,extra"
    highest = {}
    for bid in events.bids:
        window = bid["dateTime"] // 10_000
        highest[window] = max(highest.get(window, 0), bid["price"])
    for bid in events.bids:
        for window, price in highest.items():
            start = window * 10_000
            if bid["price"] == price and start <= bid["dateTime"] <= start + 10_000:
                yield plain(bid)


def q8(events):
    yield "id,name,starttime"
    sellers = {(auction["dateTime"] // 10_000, auction["seller"]) for auction in events.auctions}
    for person in events.persons:
        window = person["dateTime"] // 10_000
        if (window, person["id"]) in sellers:
            yield [person["id"], person["name"], time(window * 10_000)]


def q9(events):
    yield ("id,itemName,description,initialBid,reserve,dateTime,expires,seller,category,extra,"
           "auction,bidder,price,bid_dateTime,bid_extra")
    for number, bid in events.winners().items():
        yield whole_auction(events.auction[number]) + plain(bid)


def q10(events):
    yield "auction,bidder,price,dateTime,extra,dt,hm"
    for bid in events.bids:
        yield plain(bid) + [day(bid["dateTime"]), minute(bid["dateTime"])]


def q11(events):
    yield "bidder,bid_count,starttime,endtime"
    times = defaultdict(list)
    for bid in events.bids:
        times[bid["bidder"]].append(bid["dateTime"])
    for bidder, stamps in times.items():
        stamps.sort()
        first = 0
        for index, stamp in enumerate(stamps):
            if index + 1 == len(stamps) or stamps[index + 1] - stamp >= 10_000:
                yield [bidder, index + 1 - first, time(stamps[first]), time(stamp + 10_000)]
                first = index + 1


def q12(events):
    # The windows depend on the clock of the run: what is compared is the total of each bidder.
    yield "bidder,bid_count"
    counts = Counter(bid["bidder"] for bid in events.bids)
    yield from ([bidder, count] for bidder, count in counts.items())


def q13(events):
    yield "auction,bidder,price,dateTime,value"
    for bid in events.bids:
        yield [bid["auction"], bid["bidder"], bid["price"], time(bid["dateTime"]),
               bid["auction"] % 10_000]


def q14(events):
    yield "auction,bidder,price,bidTimeType,dateTime,extra,c_counts"
    for bid in events.bids:
        if not 1_000_000_000 < 908 * bid["price"] < 50_000_000_000:
            continue
        hour = moment(bid["dateTime"]).hour
        kind = ("dayTime" if 8 <= hour <= 18 else
                "nightTime" if hour <= 6 or hour >= 20 else "otherTime")
        yield [bid["auction"], bid["bidder"], euros(bid["price"]), kind, time(bid["dateTime"]),
               bid["extra"], bid["extra"].count("c")]


REPORT = ("total_bids,rank1_bids,rank2_bids,rank3_bids,"
          "total_bidders,rank1_bidders,rank2_bidders,rank3_bidders,"
          "total_auctions,rank1_auctions,rank2_auctions,rank3_auctions")


def report(bids):
    bands = [[bid for bid in bids if band(bid["price"]) == number] for number in range(3)]
    row = [len(bids)] + [len(group) for group in bands]
    for field in ("bidder", "auction"):
        row.append(len({bid[field] for bid in bids}))
        row += [len({bid[field] for bid in group}) for group in bands]
    return row


def grouped(bids, key):
    groups = defaultdict(list)
    for bid in bids:
        groups[key(bid)].append(bid)
    return groups


def q15(events):
    yield "day," + REPORT
    for date, bids in grouped(events.bids, lambda bid: day(bid["dateTime"])).items():
        yield [date] + report(bids)


def q16(events):
    yield "channel,day,minute," + REPORT
    groups = grouped(events.bids, lambda bid: (bid["channel"], day(bid["dateTime"])))
    for (channel, date), bids in groups.items():
        yield [channel, date, max(minute(bid["dateTime"]) for bid in bids)] + report(bids)


def q17(events):
    yield ("auction,day,total_bids,rank1_bids,rank2_bids,rank3_bids,"
           "min_price,max_price,avg_price,sum_price")
    groups = grouped(events.bids, lambda bid: (bid["auction"], day(bid["dateTime"])))
    for (auction, date), bids in groups.items():
        prices = [bid["price"] for bid in bids]
        bands = Counter(band(price) for price in prices)
        yield [auction, date, len(prices), bands[0], bands[1], bands[2], min(prices), max(prices),
               sum(prices) // len(prices), sum(prices)]


def q18(events):
    yield "auction,bidder,price,channel,url,dateTime,extra"
    last = {}
    for bid in events.bids:
        key = (bid["bidder"], bid["auction"])
        if key not in last or bid["dateTime"] >= last[key]["dateTime"]:
            last[key] = bid
    yield from (full(bid) for bid in last.values())


def q19(events):
    yield "auction,bidder,price,channel,url,dateTime,extra,rank_number"
    for bids in grouped(events.bids, lambda bid: bid["auction"]).values():
        # Python's sort keeps the order of arrival among equals.
        for rank, bid in enumerate(sorted(bids, key=lambda bid: -bid["price"])[:10], start=1):
            yield full(bid) + [rank]


def q20(events):
    yield ("auction,bidder,price,channel,url,dateTimeB,extraB,itemName,description,initialBid,"
           "reserve,dateTimeA,expires,seller,category,extraA")
    for bid in events.bids:
        auction = events.auction.get(bid["auction"])
        if auction and auction["category"] == 10:
            yield full(bid) + whole_auction(auction)[1:]


def q21(events):
    yield "auction,bidder,price,channel,channel_id"
    known = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}
    for bid in events.bids:
        number = known.get(bid["channel"].lower())
        if number is None:
            match = re.search("(&|^)channel_id=([^&]*)", bid["url"])
            number = match and match.group(2)
        if number is not None:
            yield [bid["auction"], bid["bidder"], bid["price"], bid["channel"], number]


def q22(events):
    yield "auction,bidder,price,channel,dir1,dir2,dir3"
    for bid in events.bids:
        yield [bid["auction"], bid["bidder"], bid["price"], bid["channel"]] + (
            bid["url"].split("/")[3:6])


def lines(rows):
    """A header and the rows as CSV, sorted by their bytes."""
    rows = iter(rows)
    header = next(rows)
    result = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(row)
        result.append(text.getvalue())
    return [header] + sorted(result, key=lambda line: line.encode())


def totals(found):
    """Of q12's windows, the total of each bidder."""
    counts = Counter()
    for line in found[1:]:
        bidder, count = line.split(",")[:2]
        counts[int(bidder)] += int(count)
    return lines(["bidder,bid_count"] + [[bidder, count] for bidder, count in counts.items()])


def compare(query, events, path):
    """Whether a file has the result of a query; says what differs."""
    expected = lines(globals()[query](events))
    with open(path, encoding="utf-8") as file:
        found = file.read().splitlines()
    if query == "q12":
        found = totals(found)
    if found == expected:
        print(f"{query}: {len(found) - 1} rows, the same")
        return True
    missing = list((Counter(expected) - Counter(found)).elements())
    surplus = list((Counter(found) - Counter(expected)).elements())
    print(f"{query}: {len(found) - 1} rows, {len(expected) - 1} expected; {len(missing)} are missing, "
          f"{len(surplus)} are too many")
    for name, rows in (("missing", missing), ("too many", surplus)):
        for row in rows[:5]:
            print(f"  {name}: {row}")
    return False


def main():
    events = Events(sys.argv[1])
    if sys.argv[2] != "--compare":
        print("\n".join(lines(globals()[sys.argv[2]](events))))
        return
    results, queries = sys.argv[3], sys.argv[4:]
    same = [compare(query, events, f"{results}/{query}.csv") for query in queries]
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
