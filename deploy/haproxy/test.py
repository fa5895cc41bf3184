"""Two gateways behind HAProxy on this machine: a rolling restart under load fails no request, a crash of one leaves the other serving.

usage: python deploy/haproxy/test.py [PROGRAM]        PROGRAM: the muhatap command, .build/release/muhatap unless given
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import server  # noqa: E402  the bench's way of starting a cluster and filling a database


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def answer(port: int, path: str, key: str | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def wait_until(what: str, is_so, seconds: float = 15) -> float:
    start = time.monotonic()
    while not is_so():
        if time.monotonic() - start > seconds:
            raise SystemExit(f"failed: {what} did not happen within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - start


class Load:
    """Clients that read and write through the proxy, on connections that they keep, until told to stop."""

    def __init__(self, port: int, key: str, clients: int = 8):
        self.port, self.key = port, key
        self.done, self.failures = 0, []
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        count = 0
        while not self.stopping.is_set():
            count += 1
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            try:
                if count % 5 == 0:
                    headers["Idempotency-Key"] = f"load-{os.getpid()}-{number}-{count}"
                    connection.request("POST", "/v1/customers", '{"kind": "person", "name": "Yük Denemesi"}'.encode(), headers)
                else:
                    connection.request("GET", "/v1/customers?limit=5", headers=headers)
                response = connection.getresponse()
                body = response.read()
                problem = None if response.status < 300 else f"{response.status} {body[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
                connection.close()
            with self.lock:
                self.done += 1
                if problem:
                    self.failures.append(problem)
            time.sleep(0.005)
        connection.close()

    def stop(self) -> tuple[int, list[str]]:
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return self.done, self.failures


class Fixture:
    def __init__(self, program: Path):
        server.PROGRAM = program
        self.folder = Path(tempfile.mkdtemp(prefix="muhatap-haproxy-"))
        self.folder.chmod(0o755)
        self.cluster = server.Cluster(self.folder / "cluster")
        self.cluster.make_database("muhatap", customers=100, orders=100)
        url = self.cluster.url("crm_app", "muhatap")
        self.key = server.muhatap(url, "admin", "api-key", "--user", "ayse@carsi.example", "--name", "test").splitlines()[-1]
        # As in the systemd unit: a process that traps is gone at once.
        self.environment = {**os.environ, "DATABASE_URL": url, "MUHATAP_HTTP_CURSOR_KEY": "A" * 43 + "=", "SWIFT_BACKTRACE": "enable=no"}
        self.ports = [free_port(), free_port()]
        self.processes = [self.gateway(0), self.gateway(1)]
        self.proxy_port = free_port()
        names = {
            "MUHATAP_PROXY_ADDRESS": f"127.0.0.1:{self.proxy_port}", "MUHATAP_PROXY_SOCKET": str(self.folder / "haproxy.sock"),
            "MUHATAP_GATEWAY_ONE": f"127.0.0.1:{self.ports[0]}", "MUHATAP_GATEWAY_TWO": f"127.0.0.1:{self.ports[1]}"}
        self.proxy = subprocess.Popen(
            ["haproxy", "-q", "-f", ROOT / "deploy/haproxy/haproxy.cfg"], env={**os.environ, **names}, stderr=subprocess.DEVNULL)
        wait_until("the proxy serves", lambda: answer(self.proxy_port, "/v1/customers", self.key) == 200)

    def gateway(self, number: int) -> subprocess.Popen:
        process = subprocess.Popen(
            [server.PROGRAM, "serve", "--set", f"http.port={self.ports[number]}"], env=self.environment,
            stdout=open(self.folder / f"gateway-{number}.log", "a"), stderr=subprocess.STDOUT)
        wait_until(f"gateway {number} is ready", lambda: answer(self.ports[number], "/readyz") == 200)
        return process

    def close(self) -> None:
        for process in [*self.processes, self.proxy]:
            if process.poll() is None:
                process.terminate()
            process.wait(timeout=60)
        self.cluster.remove()


def main() -> None:
    fixture = Fixture(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".build/release/muhatap").resolve())
    passed = failed = 0

    def check(what: str, ok: bool) -> None:
        nonlocal passed, failed
        passed, failed = passed + ok, failed + (not ok)
        print(f"{'ok' if ok else 'NOT OK'}: {what}", flush=True)

    try:
        load = Load(fixture.proxy_port, fixture.key)
        time.sleep(2)
        for number in (0, 1):
            old = fixture.processes[number]
            old.send_signal(signal.SIGTERM)
            wait_until("readiness turns false", lambda: answer(fixture.ports[number], "/readyz") == 503)
            check(f"gateway {number} says that it is not ready while it still answers",
                  answer(fixture.ports[number], "/v1/customers", fixture.key) == 200)
            took = wait_until("the gateway ends", lambda: old.poll() is not None, 40)
            check(f"gateway {number} ended by itself with exit code 0 after {took:.1f} s", old.returncode == 0)
            fixture.processes[number] = fixture.gateway(number)
            time.sleep(2)
        done, failures = load.stop()
        check(f"a rolling restart under load failed none of {done} requests {failures[:3]}", not failures and done > 500)

        for sent in (signal.SIGILL, signal.SIGSEGV):
            load = Load(fixture.proxy_port, fixture.key)
            time.sleep(1)
            fixture.processes[0].send_signal(sent)
            fixture.processes[0].wait(timeout=60)
            time.sleep(1.5)
            done, failures = load.stop()
            check(f"{sent.name} in one cost at most the requests it was answering: {len(failures)} of {done} {failures[:2]}", len(failures) <= 8)
            load = Load(fixture.proxy_port, fixture.key)
            time.sleep(1)
            done, failures = load.stop()
            check(f"after {sent.name} the other served all of {done} requests {failures[:3]}", not failures and done > 100)
            fixture.processes[0] = fixture.gateway(0)
            time.sleep(1)
    finally:
        fixture.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
