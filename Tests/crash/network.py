#!/usr/bin/env python3
"""Lets calls on the ledger sample's sockets fail, again and again, and checks its totals.

    Tests/crash/network.py [--transfers 2000] [--calls recv,send,accept4] [--binary Samples/.build/release/ledger]

Every N-th recv of a connection gets ECONNRESET, EINTR, EAGAIN or 7 bytes at most; every N-th send or
sendmsg the same, EPIPE, or 3 bytes at most; accept4 gets EMFILE, ECONNABORTED, EINTR or EAGAIN. The client connects
again when its connection fails, and sends again what was not acknowledged. The service has to go on, and
its file to have each transfer once. `sockets.c`, preloaded, fails recv and send; strace fails accept4.
Exits with 1 when something is wrong. Linux only.
"""
import argparse
import concurrent.futures
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from service import BINARY, Client, Problem, Service, finish, remove, trap

HERE = os.path.dirname(os.path.abspath(__file__))
FAULTS = {
    "recv": ["ECONNRESET", "EINTR", "EAGAIN", "ETIMEDOUT", "short"],
    "send": ["ECONNRESET", "EPIPE", "EINTR", "EAGAIN", "short"],
    "accept4": ["EMFILE", "ENFILE", "ECONNABORTED", "EINTR", "EAGAIN"],
}
EVERY = {"ECONNRESET": 5, "EPIPE": 5, "ETIMEDOUT": 5}


def build(work):
    """The library that fails calls; None without a C compiler."""
    compiler = next(filter(shutil.which, ("clang", "cc", "gcc")), None)
    if not compiler:
        return None
    library = f"{work}/sockets.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, f"{HERE}/sockets.c", "-ldl"], check=True)
    return library


def send(client, service, port, last, most, deadline):
    """Sends up to a number, over as many connections as it takes, of so many transfers each at most; says how many."""
    connections = 0
    while client.acknowledged < last:
        if not service.is_running():
            raise Problem(f"it has ended: {service.log().decode(errors='replace')[-500:]}")
        if time.monotonic() > deadline:
            raise Problem(f"it has acknowledged {client.acknowledged} of {last} transfers and goes no further")
        try:
            connections += 1
            client.connect(port, timeout=5)
            for end in range(client.acknowledged + 50, min(last, client.acknowledged + most) + 50, 50):
                client.send(min(end, last), first=client.acknowledged + 1)
                client.wait(min(end, last))
        except (OSError, ConnectionError):
            pass
        finally:
            if hasattr(client, "socket"):
                client.close()
    return connections


def run(options, library, call, fault):
    """One start of the service with a fault of one kind, and one without on what it has left."""
    work = tempfile.mkdtemp(prefix="weir-network-")
    told = f"{work}/told"
    every = EVERY.get(fault, 2)
    if call == "accept4":
        tool = ["strace", "-D", "-f", "-qq", "-o", told, "-e", "trace=accept4",
                "-e", f"inject=accept4:error={fault}:when=1+2"]
    else:
        number = 0 if fault == "short" else getattr(errno, fault)
        tool = ["env", f"LD_PRELOAD={library}", f"FAULT_CALL={call}", f"FAULT_ERROR={number}",
                f"FAULT_EVERY={every}", f"FAULT_TOLD={told}"]
    client = Client()
    service = Service(options.binary, work, tool)
    try:
        port = service.port()
        if port is None:
            raise Problem(f"it doesn't start: {service.log().decode(errors='replace')}")
        connections = send(client, service, port, options.transfers,
                           100 if call == "accept4" else options.transfers, time.monotonic() + 60)
        status = service.stop(30)
        if trap(status):
            raise Problem(f"it has crashed: {trap(status)}")
        if status != 0:
            raise Problem(f"it ended with {status}")
        injected = 0
        if os.path.exists(told):
            with open(told, errors="replace") as file:
                injected = sum(1 for line in file if "fault" in line or "(INJECTED)" in line)
        if not injected:
            raise Problem("nothing was injected")
        finish(options.binary, work, client, options.transfers + 10)
    except (Problem, OSError) as problem:
        print(f"{fault} at {call}: {problem}; it is in {work}", file=sys.stderr, flush=True)
        return {"call": call, "fault": fault, "problem": str(problem)}
    finally:
        service.end()
    remove(work)
    return {"call": call, "fault": fault, "injected": injected, "connections": connections}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--transfers", type=int, default=1_000)
    parser.add_argument("--calls", default=",".join(FAULTS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--binary", default=BINARY)
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        print("skipped: only Linux preloads and has strace")
        return 0
    options.binary = os.path.abspath(options.binary)
    began = time.monotonic()
    folder = tempfile.mkdtemp(prefix="weir-network-")
    library = build(folder)
    cases = []
    for call in options.calls.split(","):
        if call == "accept4" and not shutil.which("strace"):
            print("skipped: there is no strace, so accept4 does not fail")
            continue
        if call != "accept4" and not library:
            print(f"skipped: there is no C compiler, so {call} does not fail")
            continue
        cases += [(call, fault) for fault in FAULTS[call]]
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda case: run(options, library, *case), cases):
            results.append(result)
            print(json.dumps(result), flush=True)
    remove(folder)
    problems = [result for result in results if "problem" in result]
    print(json.dumps({"runs": len(results), "seconds": round(time.monotonic() - began, 1),
                      "problems": problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
