#!/usr/bin/env python3
"""Runs the ledger sample on a full disk, a read-only one, and stores that it may not use.

    Tests/crash/fulldisk.py [--binary Samples/.build/release/ledger]

Needs root, for a small tmpfs; says so and ends with 0 otherwise. Exits with 1 when something is wrong.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

from service import BINARY, Client, Problem, Service, check, finish, remove

PRIVATE = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@contextlib.contextmanager
def disk(size):
    work = tempfile.mkdtemp(prefix="weir-disk-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", work], check=True)
    try:
        yield work
    finally:
        subprocess.run(["umount", "--lazy", work], check=True)
        os.rmdir(work)


def fill(work):
    """Takes all the room that is left."""
    with open(f"{work}/ballast", "ab", buffering=0) as ballast:
        with contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))


def full(binary):
    """Senders wait while the disk is full, and go on when there is room; nothing is lost."""
    with disk("2m") as work:
        with open(f"{work}/ballast", "wb") as ballast:
            ballast.write(bytes(1_200_000))
        log = tempfile.mkdtemp(prefix="weir-disk-log-")
        service = Service(binary, work, log=log)
        client = Client("full")
        try:
            client.connect(service.port(), timeout=3)
            sent = 0
            for _ in range(2_000):
                sent += 200
                client.send(sent, sent - 199)
                try:
                    client.wait(sent)
                except TimeoutError:
                    break
                if sent == 1_000:
                    fill(work)
            else:
                raise Problem("it acknowledges more than the disk can take")
            stuck = client.acknowledged
            blocked = service.log().count(b"can't be written: nothing is acknowledged")
            if blocked != 1:
                raise Problem(f"it says {blocked} times that nothing can be acknowledged")
            if not service.is_running():
                raise Problem("it has ended on a full disk")
            os.truncate(f"{work}/ballast", 0)
            began = time.monotonic()
            client.socket.settimeout(20)
            client.wait(sent)
            seconds = time.monotonic() - began
            client.send(sent + 500, sent + 1)
            sent += 500
            client.wait(sent)
            client.close()
            status = service.stop()
            if status != 0:
                raise Problem(f"it ended with {status}")
            check(f"{work}/out.jsonl", sent)
            failures = service.log().count(b"checkpoint failed")
            waits = service.log().count(b"the sink waits for room")
            finish(binary, work, client, sent + 20, log=log)
            return {"acknowledged_when_full": stuck, "sent": sent, "failed_checkpoints": failures,
                    "sink_waits": waits, "seconds_to_go_on": round(seconds, 2)}
        except (ConnectionError, TimeoutError) as error:
            raise Problem(f"{error or 'time is up'}: {service.log().decode()[-2000:]}") from None
        finally:
            service.end()
            remove(log)


def refused(service, *words):
    """Whether a start is refused with a text that has all the words."""
    if service.port() is not None:
        service.end()
        raise Problem("it starts")
    status, text = service.wait(), service.log().decode()
    missing = [word for word in words if word not in text]
    if status <= 0 or status > 128 or missing:
        raise Problem(f"it ended with {status}; its log lacks {missing}: {text}")
    return text.strip().splitlines()[-1]


def read_only(binary):
    """A read-only file system: refused, and usable when it is writable again."""
    with disk("8m") as work:
        log = tempfile.mkdtemp(prefix="weir-disk-log-")
        client = Client("read-only")
        finish(binary, work, client, 40, log=log)
        subprocess.run(["mount", "-o", "remount,ro", work], check=True)
        text = refused(Service(binary, work, log=log), f"{work}/", "read-only")
        subprocess.run(["mount", "-o", "remount,rw", work], check=True)
        finish(binary, work, client, 80, log=log)
        remove(log)
        return text


def owned(binary):
    """A store that another process has: refused with its number; that one goes on."""
    work = tempfile.mkdtemp(prefix="weir-disk-")
    first = Service(binary, work)
    try:
        port = first.port()
        log = tempfile.mkdtemp(prefix="weir-disk-log-")
        text = refused(Service(binary, work, log=log), str(first.process.pid), f"{work}/store/LOCK")
        remove(log)
        client = Client("owner")
        client.connect(port)
        client.send(40)
        client.wait(40)
        client.close()
        if first.stop() != 0:
            raise Problem("the owner did not end well")
        check(f"{work}/out.jsonl", 40)
        return text
    finally:
        first.end()
        remove(work)


def denied(binary):
    """A directory without permission: refused with its name."""
    work = tempfile.mkdtemp(prefix="weir-disk-")
    try:
        os.chmod(work, 0o755)
        return refused(Service(binary, work, PRIVATE), f"{work}/store", "permission")
    finally:
        remove(work)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=BINARY)
    binary = os.path.abspath(parser.parse_args().binary)
    if os.geteuid() != 0:
        print("skipped: a small disk needs root")
        return 0
    results, problems = {}, []
    for test in (full, read_only, owned, denied):
        try:
            results[test.__name__] = test(binary)
        except subprocess.CalledProcessError as error:
            results[test.__name__] = f"skipped: {error}"
        except Problem as problem:
            problems.append(f"{test.__name__}: {problem}")
    print(json.dumps({**results, "problems": problems}, indent=2))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
