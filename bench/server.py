"""The programs that are measured: a private cluster with filled databases, and gateways on them."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / ".build/release/muhatap"


class Cluster:
    """A private cluster that does not wait for the disk, so that both sides are bound by their own work."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.host, self.port = subprocess.check_output([ROOT / "scripts/cluster", "start", directory, "--fast"], text=True).split()

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={self.host}&port={self.port}"

    def sql(self, database: str, sql: str, **variables: object) -> str:
        arguments = [f"--set={name}={value}" for name, value in variables.items()]
        return subprocess.run(
            ["psql", "-XqAt", "--set=ON_ERROR_STOP=1", *arguments, self.url("postgres", database)],
            input=sql, text=True, check=True, stdout=subprocess.PIPE).stdout.strip()

    def make_database(self, name: str, customers: int, orders: int) -> None:
        subprocess.run([ROOT / "scripts/database", self.host, self.port, name], check=True)
        muhatap(self.url("crm_migrator", name), "migrate", "up")
        muhatap(self.url("crm_app", name), "admin", "demo-company")
        if orders:
            self.sql(name, (ROOT / "bench/orders.sql").read_text(), customers=customers, orders=orders)

    def cpu_seconds(self) -> float:
        """CPU of all connections and workers that have ended so far."""
        time.sleep(0.5)  # until the postmaster has seen them end
        postmaster = (self.directory / "data/postmaster.pid").read_text().split()[0]
        fields = Path(f"/proc/{postmaster}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> Path:
        return Path(os.path.realpath(self.directory)) / "log"

    def remove(self) -> None:
        subprocess.run([ROOT / "scripts/cluster", "remove", self.directory], check=True)


def muhatap(url: str, *arguments: str) -> str:
    done = subprocess.run([PROGRAM, *arguments], env={**os.environ, "DATABASE_URL": url}, text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise SystemExit(f"muhatap {' '.join(arguments)} failed:\n{done.stdout}")
    return done.stdout.strip()


@dataclass
class Gateway:
    process: subprocess.Popen
    port: int
    key: str

    @staticmethod
    def start(cluster: Cluster, database: str, port: int, connections: int, user: str = "ayse@carsi.example") -> "Gateway":
        url = cluster.url("crm_app", database)
        key = muhatap(url, "admin", "api-key", "--user", user, "--name", "bench").splitlines()[-1]
        environment = {
            **os.environ, "DATABASE_URL": url, "MUHATAP_HTTP_PORT": str(port), "MUHATAP_DATABASE_CONNECTIONS": str(connections),
            "MUHATAP_HTTP_CURSOR_KEY": "YmVuY2htYXJrcyBhcmUgbm90IGEgc2VjcmV0LCBzbyB0aGlzIGtleSBpcyBub25l",
        }
        gateway = Gateway(subprocess.Popen([PROGRAM, "serve"], env=environment, stdout=subprocess.DEVNULL), port, key)
        for _ in range(200):
            try:
                if gateway.request("GET", "/readyz")[0] == 200:
                    return gateway
            except OSError:
                pass
            if gateway.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit("the gateway did not become ready")

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body), self.headers())
        answer = connection.getresponse()
        result = answer.status, answer.read()
        connection.close()
        return result

    def json(self, method: str, path: str, body: object = None) -> dict:
        status, content = self.request(method, path, body)
        if status >= 300:
            raise SystemExit(f"{method} {path} answered {status}: {content[:500]!r}")
        return json.loads(content)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise SystemExit("the gateway's memory cannot be read")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
