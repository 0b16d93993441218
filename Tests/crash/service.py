"""The ledger sample as a process under test, a client of its TCP port, and a check of its output."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = f"{ROOT}/Samples/.build/release/ledger"
LISTENING = re.compile(rb"lines of TCP to 127\.0\.0\.1:(\d+)")
ACCOUNTS = 5


class Problem(Exception):
    """What the service must not do."""


class Service:
    """One start of the service, in front of which a tool such as strace may stand."""

    def __init__(self, binary, work, tool=(), log=None, every=0.1):
        self.log_path = f"{log or work}/service.log"
        self.log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*tool, binary, "--port", "0", "--tcp-port", "0", "--parallelism", "1",
                 "--store", f"{work}/store", "--output", f"{work}/out.jsonl",
                 "--checkpoint-every", str(every)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})

    def log(self):
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read()

    def is_running(self):
        return self.process.poll() is None

    def port(self, seconds=20):
        """The port of the TCP lines once it listens; None when the service ends before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = not self.is_running()
            found = LISTENING.search(self.log())
            if found:
                return int(found[1])
            if ended:
                return None
            time.sleep(0.005)
        raise Problem(f"it neither listens nor ends within {seconds} s")

    def wait(self, seconds=20):
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise Problem(f"it does not end within {seconds} s") from None

    def stop(self, seconds=20):
        """Asks it to stop; its status."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def end(self):
        if self.is_running():
            self.process.kill()
        self.process.wait()


def trap(status):
    """The name of the signal of a crash, None for any other end."""
    crashes = (signal.SIGILL, signal.SIGTRAP, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE)
    return next((entry.name for entry in crashes if status in (-entry, 128 + entry)), None)


class Client:
    """A producer that keeps in mind what was acknowledged: transfer N gives N to account N % 5."""

    def __init__(self, name="sweep"):
        self.name = name
        self.acknowledged = 0

    def connect(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.received = b""
        self.socket.sendall(b"WEIR-ACK/1 %s\n" % self.name.encode())
        first = self.read()
        if first < self.acknowledged:
            raise Problem(f"it has {first} transfers, but had acknowledged {self.acknowledged}")
        self.acknowledged = first

    def read(self):
        """The next acknowledgement; after a TimeoutError it may be called again."""
        while b"\n" not in self.received:
            some = self.socket.recv(4096)
            if not some:
                raise ConnectionError("the connection has ended")
            self.received += some
        line, self.received = self.received.split(b"\n", 1)
        if line.startswith(b"ERR"):
            raise Problem(f"it refuses: {line.decode()}")
        return int(line.removeprefix(b"ACK "))

    def send(self, last, first=None):
        """Sends up to a number: what is not acknowledged, or from another one on."""
        self.socket.sendall(b"".join(
            b'%d {"account":"a%d","amount":%d}\n' % (number, number % ACCOUNTS, number)
            for number in range(first or self.acknowledged + 1, last + 1)))

    def wait(self, last):
        while self.acknowledged < last:
            number = self.read()
            if number < self.acknowledged:
                raise Problem(f"acknowledgement {number} comes behind {self.acknowledged}")
            self.acknowledged = number

    def close(self):
        self.socket.close()


def expected(last):
    """What the accounts have to be after so many transfers: a count and a sum each."""
    totals = {}
    for number in range(1, last + 1):
        count, amount = totals.get(f"a{number % ACCOUNTS}", (0, 0))
        totals[f"a{number % ACCOUNTS}"] = (count + 1, amount + number)
    return totals


def accounts(path):
    """The accounts as the output file has them."""
    last = {}
    with open(path, "rb") as lines:
        for text in lines:
            try:
                entry = json.loads(text)
            except ValueError:
                raise Problem(f"the file has a line that is none: {text}") from None
            before = last.get(entry["account"])
            if before and (before["checkpoint"] >= entry["checkpoint"] or before["count"] >= entry["count"]):
                raise Problem(f"{entry} comes behind {before}")
            last[entry["account"]] = entry
    return {name: (entry["count"], entry["sum"]) for name, entry in last.items()}


def check(path, last):
    """Whether the file has each transfer once."""
    found = accounts(path)
    if found != expected(last):
        raise Problem(f"the file has {found}, sent was {expected(last)}")


def finish(binary, work, client, last, **options):
    """Starts the service again, sends the rest up to a number, stops it and checks the file."""
    service = Service(binary, work, **options)
    try:
        port = service.port()
        if port is None:
            raise Problem(f"it doesn't start again: {service.log().decode()}")
        client.connect(port)
        client.send(last)
        client.wait(last)
        client.close()
        status = service.stop()
        if status != 0:
            raise Problem(f"it ended with {status} without any fault: {service.log().decode()}")
        check(f"{work}/out.jsonl", last)
    except OSError as error:
        raise Problem(f"without any fault: {error}: {service.log().decode()}") from None
    finally:
        service.end()


def remove(work):
    shutil.rmtree(work, ignore_errors=True)
