"""Bounded loads from this machine on this machine: wrk on the gateway, pgbench on PostgreSQL."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

from capture import Script
from server import Cluster, Gateway


THREADS = 2


class HTTPLoad:
    """Requests that wrk draws at random from a list."""

    def __init__(self, gateway: Gateway, requests: list[tuple[str, str, object]], fresh: bool = False, once: bool = False):
        """`fresh`: the placeholder @@ in bodies becomes a number that no other request has. `once`: each request is sent at most once."""
        self.gateway = gateway
        self.folder = Path(tempfile.mkdtemp(prefix="muhatap-bench-"))
        lines = ["local requests = {"]
        for method, path, body in requests:
            text = "nil" if body is None else lua(json.dumps(body))
            lines.append(f"  {{{lua(method)}, {lua(path)}, {text}}},")
        lines += ["}", "local headers = {"]
        lines += [f"  [{lua(name)}] = {lua(value)}," for name, value in gateway.headers().items()]
        lines += [
            "}",
            "local thread_number = 0",
            "function setup(thread) thread:set('id', thread_number); thread_number = thread_number + 1 end",
            f"local thread_count = {THREADS}",
            "local count = 0",
            "local position",
            "function init(args) math.randomseed(os.time() + id * 7919); position = id + 1 - thread_count end",
            "local bad = 0",
            "function request()",
            "  position = position + thread_count",
            f"  local chosen = requests[{'position' if once else 'math.random(#requests)'}]",
            "  local body = chosen[3]",
            "  count = count + 1",
            f"  if body and {str(fresh).lower()} then body = body:gsub('@@', id .. '-' .. count .. '-' .. math.random(1000000000)) end",
            "  return wrk.format(chosen[1], chosen[2], headers, body)",
            "end",
        ]
        (self.folder / "load.lua").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self, connections: int, seconds: int) -> "HTTPResult":
        threads = min(THREADS, connections)
        output = subprocess.check_output(
            ["wrk", "--latency", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "-s", self.folder / "load.lua",
             f"http://127.0.0.1:{self.gateway.port}"], text=True)
        return HTTPResult(output)


class HTTPResult:
    def __init__(self, output: str):
        self.requests = int(re.search(r"(\d+) requests in", output)[1])
        self.per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
        # At the line's beginning: the table above it has percentages of its own, such as 93.99%.
        self.p99_ms = milliseconds(re.search(r"^\s*99%\s+(\S+)", output, re.M)[1])
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        if bad:
            raise SystemExit(f"the gateway refused {bad[1]} of {self.requests} requests")


def milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise ValueError(f"wrk printed {text!r} as a latency")
    value, unit = found.groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def lua(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class SQLLoad:
    """A request's statements, sent by pgbench; with several variants, one is drawn at random for each transaction."""

    def __init__(self, cluster: Cluster, database: str, script: Script, variants: list[dict[str, str]], pipelined: bool, role: str = "crm_app"):
        self.folder = Path(tempfile.mkdtemp(prefix="muhatap-bench-"))
        self.url = cluster.url(role, database)
        self.arguments: list[str] = []
        for number, changed in enumerate(variants):
            path = self.folder / f"{number}.sql"
            self.arguments += script.write(path, f"s{number}_", pipelined, changed)
            self.arguments += ["--file", str(path)]

    def run(self, connections: int, seconds: int) -> float:
        """Transactions a second."""
        done = subprocess.run(
            ["pgbench", "--no-vacuum", "--protocol=prepared", f"--client={connections}", f"--jobs={min(2, connections)}", f"--time={seconds}",
             *self.arguments, self.url], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0 or "number of failed transactions: 0 " not in done.stdout:
            raise SystemExit(f"pgbench failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return float(re.search(r"tps = ([\d.]+)", done.stdout)[1])
