#!/usr/bin/env python3
"""Kills the ledger sample at random moments under load and checks its totals.

    Tests/crash/ledger.py [--kills 50] [--seed 1] [--binary Samples/.build/release/ledger]

Two feeds send at the same time, one over WebSocket and one over TCP lines, with acknowledgements. The
service is killed with SIGKILL at random moments and started again at once. At the end the service's
totals and the output file have to be exactly what was sent. Exits with 1 when they are not.
"""
import argparse
import collections
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def free_ports():
    sockets = [socket.socket() for _ in range(2)]
    for entry in sockets:
        entry.bind(("127.0.0.1", 0))
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


class Service:
    def __init__(self, binary, work, options):
        self.port, self.tcp_port = free_ports()
        self.command = [
            binary, "--port", str(self.port), "--tcp-port", str(self.tcp_port),
            "--store", f"{work}/store", "--output", f"{work}/out.jsonl",
            "--checkpoint-every", "0.2", *options]
        self.log = open(f"{work}/service.log", "ab")
        self.restart_seconds = []

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(self.command, stderr=self.log, stdout=self.log)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"the service ended with {self.process.returncode}")
                time.sleep(0.002)
        self.restart_seconds.append(time.monotonic() - began)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def check_file(path, events, total):
    last, seen = {}, set()
    with open(path) as lines:
        for line in lines:
            entry = json.loads(line)
            key = (entry["checkpoint"], entry["account"])
            if key in seen:
                return f"{key} is in the file twice"
            seen.add(key)
            before = last.get(entry["account"])
            if before and (before["checkpoint"] >= entry["checkpoint"] or before["count"] >= entry["count"]):
                return f"{entry} comes behind {before}"
            last[entry["account"]] = entry
    count = sum(entry["count"] for entry in last.values())
    amount = sum(entry["sum"] for entry in last.values())
    if (count, amount) != (events, total):
        return f"the file has {count} events and a sum of {amount}, sent were {events} and {total}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--binary", default=f"{ROOT}/Samples/.build/release/ledger")
    parser.add_argument("--option", action="append", default=[], help="one for the service, such as --option=--fault=accounts:1000")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    work = tempfile.mkdtemp(prefix="weir-ledger-")
    service = Service(options.binary, work, options.option)
    service.start()
    seconds = options.kills * 0.45 + 2
    events = int(options.rate * seconds)
    feeds = [
        subprocess.Popen(
            [options.binary, "feed", "--port", str(service.port), "--events", str(events // 2),
             "--seed", str(options.seed), "--rate", str(options.rate // 2), "--timeout", "120", "--json"],
            stdout=subprocess.PIPE, text=True),
        subprocess.Popen(
            [options.binary, "feed", "--port", str(service.port), "--tcp-port", str(service.tcp_port),
             "--events", str(events // 2), "--seed", str(options.seed + 1),
             "--rate", str(options.rate // 2), "--timeout", "120", "--json"],
            stdout=subprocess.PIPE, text=True)]
    for _ in range(options.kills):
        time.sleep(chance.uniform(0.02, 0.8))
        service.kill()
        service.start()
    # Two feeds at once make each other's totals wrong: what counts is both together, in the file.
    sent = [json.loads(feed.communicate(timeout=600)[0].splitlines()[-1]) for feed in feeds]
    expected = sum(entry["events"] for entry in sent), sum(entry["sum"] for entry in sent)
    # What is acknowledged is in the journal; it is in the file as of the checkpoint after it was handled.
    deadline = time.monotonic() + 120
    while check_file(f"{work}/out.jsonl", *expected) and time.monotonic() < deadline:
        time.sleep(0.2)
    status = service.stop()
    problem = check_file(f"{work}/out.jsonl", *expected)
    restarts = sorted(service.restart_seconds)
    print(json.dumps({
        "kills": options.kills, "seed": options.seed, "events": sum(entry["events"] for entry in sent),
        "restart_ms_median": round(1000 * restarts[len(restarts) // 2], 1),
        "restart_ms_max": round(1000 * restarts[-1], 1), "stop_status": status,
        "problem": problem}))
    if problem or status != 0:
        print(f"what the service left is in {work}", file=sys.stderr)
        return 1
    shutil.rmtree(work)
    return 0


sys.exit(main())
