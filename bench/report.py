"""docs/performance.md."""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
from pathlib import Path

from capture import Script

# What people wrote about the bars that are missed; it outlives every run.
MISSES = Path(__file__).resolve().parent / "misses.md"


class Report:
    def __init__(self) -> None:
        self.ratios: list[str] = []
        self.figures: list[str] = []
        self.sql: list[str] = []
        self.is_whole = True

    def ratio(self, what: str, gateway: float, bare: float, pipelined: float, bar: float, p99: float) -> None:
        ratio = gateway / bare
        self.ratios.append(
            f"| {what} | {gateway:,.0f} | {bare:,.0f} | **{ratio:.2f}** | ≥ {bar:.2f} | {met(ratio >= bar)} | {pipelined:,.0f} | {gateway / pipelined:.2f} | {p99:.1f} ms |")
        print(self.ratios[-1], flush=True)

    def figure(self, what: str, value: str, bar: str = "", ok: bool | None = None) -> None:
        """A row of the second table; without a bar it is only told."""
        self.figures.append(f"| {what} | {value} | {bar} | {'' if ok is None else met(ok)} |")
        print(self.figures[-1], flush=True)

    def failed(self, part: str, error: BaseException) -> None:
        """A part that could not be measured does not take the others with it."""
        self.figures.append(f"| {part} | not measured: {type(error).__name__} | | **no** |")
        self.is_whole = False

    def statements(self, what: str, script: Script) -> None:
        self.sql.append(f"{what}:\n\n```sql\n" + "\n".join(script.lines) + "\n```\n")

    def text(self, options: argparse.Namespace) -> str:
        parts = [
            "# Performance\n",
            "Written by `make bench`; not edited by hand, but for the text on misses, which is `bench/misses.md`. Judge the ratios: the absolute numbers belong to the machine.\n",
            f"Machine: {machine()}. PostgreSQL {postgresql()} without flushing to disk (`fsync=off`), so that both sides are bound by their own work; "
            f"load generators on the same cores. {options.connections} connections on either side, medians of {options.rounds} rounds of "
            f"{options.seconds} s in which gateway and pgbench take turns.\n",
        ]
        if self.ratios:
            parts += [
                "## The gateway, with authentication and row-level security, against pgbench\n",
                "pgbench (`-M prepared`, unix socket) sends the very statements that the gateway sends, taken from PostgreSQL's log, between BEGIN and COMMIT. "
                "“pipelined” is the same in one `\\startpipeline … \\endpipeline`, as the gateway sends it.\n",
                "| what | gateway /s | pgbench /s | ratio | bar | met | pgbench pipelined /s | ratio | p99 of the gateway |",
                "|---|---|---|---|---|---|---|---|---|", *self.ratios, "",
            ]
        if self.figures:
            parts += ["## Other figures\n", "| what | measured | bar | met |", "|---|---|---|---|", *self.figures, ""]
        parts.append(MISSES.read_text(encoding="utf-8"))
        if self.sql:
            parts += ["## The statements\n", *self.sql]
        return "\n".join(parts)


def met(ok: bool) -> str:
    return "yes" if ok else "**no**"


def machine() -> str:
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    cores = len(re.findall(r"^processor", info, re.M))
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / 1024 / 1024
    return f"{model[1] if model else platform.machine()}, {cores} cores, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


def postgresql() -> str:
    return re.search(r"(\d+\.\d+)", subprocess.check_output(["psql", "--version"], text=True))[1]
