#!/usr/bin/env python3
"""Opens 10,000 connections to the ledger sample, and ends them in every way but the right one.

    Tests/crash/connections.py [--connections 10000] [--rounds 3] [--binary Samples/.build/release/ledger]

In each round so many clients connect over TCP, send half a frame each, and stay; meanwhile a producer sends
transfers and wants them acknowledged. (A round may take longer than the service gives a frame that has begun:
then the clients end theirs, which is a dead letter, and begin another.) Then a third of them reset, a third end their side, a third close in
the middle of a frame. WebSocket clients that never read what the service sends them stay through all rounds.
The service has to go on, to have closed every connection after each round, and to need no more memory
after the last round than after the first; its file has to have each transfer once. Exits with 1 otherwise.
"""
import argparse
import json
import os
import re
import resource
import socket
import struct
import sys
import tempfile
import time

from service import BINARY, Client, Problem, Service, finish, remove

HALF = b'{"account":"half of a'
# The service waits 60 s for the other half.
PATIENCE = 20

WEB = re.compile(rb"127\.0\.0\.1:(\d+)")


def memory(pid):
    """Resident bytes that belong to the process alone."""
    with open(f"/proc/{pid}/statm") as file:
        fields = file.read().split()
    return (int(fields[1]) - int(fields[2])) * resource.getpagesize()


def sockets(pid):
    """How many sockets a process has open; its files come and go with checkpoints."""
    count = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(entry.path).startswith("socket:")
        except FileNotFoundError:
            pass  # closed since
    return count


def wait(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Problem(f"{what} does not come to pass within {seconds} s")
        time.sleep(0.02)


class Halves:
    """Clients that have sent half a frame each, and never keep the service waiting too long for the rest."""

    def __init__(self, port, count):
        self.clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(count)]

    def begin(self, first=HALF):
        self.begun = time.monotonic()
        for client in self.clients:
            client.sendall(first)

    def renew(self):
        if time.monotonic() - self.begun > PATIENCE:
            self.begin(b"\n" + HALF)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def deaf(port, count):
    """WebSocket clients that ask for what the service sends, and never read it."""
    clients = []
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /totals HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        if not client.recv(12).startswith(b"HTTP/1.1 101"):
            raise Problem("a WebSocket is refused")
        clients.append(client)
    return clients


def end_all(clients):
    """Ends connections: reset, half closed, or closed within a frame."""
    halves = []
    for number, client in enumerate(clients):
        if number % 3 == 0:
            reset(client)
        elif number % 3 == 1:
            client.shutdown(socket.SHUT_WR)
            halves.append(client)
        else:
            client.close()
    # The service ends its own side of those that have ended theirs.
    for client in halves:
        while client.recv(4096):
            pass
        client.close()


def work_on(producer, count, meanwhile=lambda: None):
    began = time.monotonic()
    for end in range(producer.acknowledged + 500, producer.acknowledged + count + 1, 500):
        producer.send(end)
        producer.wait(end)
        meanwhile()
    return round(count / (time.monotonic() - began))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transfers", type=int, default=5_000, help="in each round")
    parser.add_argument("--deaf", type=int, default=10)
    parser.add_argument("--binary", default=BINARY)
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        print("skipped: only Linux has /proc")
        return 0
    # Two for each connection that this process and its child hold, and some to spare.
    needed = options.connections + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        print(f"skipped: {needed} descriptors are needed, {hard} may be open")
        return 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    work = tempfile.mkdtemp(prefix="weir-connections-")
    service = Service(os.path.abspath(options.binary), work)
    pid = service.process.pid
    # One of the 10,000 that a listener takes by default is the producer's.
    count = options.connections - 1
    rounds, problem = [], None
    try:
        port = service.port()
        web = int(next(found for found in WEB.findall(service.log()) if int(found) != port))
        producer = Client()
        producer.connect(port, timeout=30)
        work_on(producer, options.transfers)
        unread = deaf(web, options.deaf)
        base = sockets(pid)
        for _ in range(options.rounds):
            before = memory(pid)
            began = time.monotonic()
            halves = Halves(port, count)
            wait("every connection's being open", lambda: sockets(pid) >= base + count)
            seconds = time.monotonic() - began
            halves.begin()
            rate = work_on(producer, options.transfers, halves.renew)
            held = memory(pid)
            if sockets(pid) < base + count:
                raise Problem("the service has closed connections in the middle of a frame")
            end_all(halves.clients)
            wait("every connection's end", lambda: sockets(pid) <= base)
            rounds.append({
                "connections": count, "opened_per_second": round(count / seconds),
                "kib_per_connection": round((held - before) / count / 1024, 2),
                "transfers_per_second": rate, "mib_after": round(memory(pid) / 2**20, 1)})
            print(json.dumps(rounds[-1]), flush=True)
        growth = rounds[-1]["mib_after"] - rounds[0]["mib_after"]
        if growth > 16:
            raise Problem(f"after {options.rounds} rounds it needs {growth:.1f} MiB more than after the first")
        for client in unread:
            client.close()
        last = producer.acknowledged
        producer.close()
        if service.stop(60) != 0:
            raise Problem("it did not end in order")
        finish(os.path.abspath(options.binary), work, producer, last + 10)
    except (Problem, OSError) as error:
        problem = str(error)
        print(f"{problem}: it is in {work}", file=sys.stderr)
    finally:
        service.end()
    if not problem:
        remove(work)
    print(json.dumps({"rounds": len(rounds), "deaf": options.deaf, "problem": problem}))
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
