"""What the gateway really sends to PostgreSQL for a request, as a pgbench script: nothing is copied by hand."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from server import Cluster

Statement = tuple[str, list[str | None]]


def captured(cluster: Cluster, database: str, send: Callable[[], object]) -> list[Statement]:
    """The statements of one request, with their parameters, from PostgreSQL's own log."""
    for _ in range(20):
        send()  # What is prepared or cached on first use is no part of a request; every connection has had its turn.
    cluster.sql("postgres", "ALTER SYSTEM SET log_line_prefix = '#%b#%d# '")
    cluster.sql("postgres", "ALTER SYSTEM SET log_statement = 'all'")
    cluster.sql("postgres", "SELECT pg_reload_conf()")
    time.sleep(1.0)
    start = cluster.log().stat().st_size
    send()
    time.sleep(0.5)
    cluster.sql("postgres", "ALTER SYSTEM RESET log_statement")
    cluster.sql("postgres", "SELECT pg_reload_conf()")
    time.sleep(0.5)
    with open(cluster.log(), "rb") as file:
        file.seek(start)
        return statements(file.read().decode(), database)


def statements(log: str, database: str) -> list[Statement]:
    found: list[Statement] = []
    for backend, name, text in re.findall(r"^#([^#\n]*)#([^#\n]*)# (.*?)(?=^#|\Z)", log, re.M | re.S):
        if backend != "client backend" or name != database:
            continue
        text = text.rstrip("\n").replace("\n\t", "\n")
        if match := re.match(r"LOG:  (?:execute [^:]+|statement): (.*)", text, re.S):
            found.append((match[1], []))
        elif match := re.match(r"DETAIL:  parameters: (.*)", text, re.S):
            found[-1] = (found[-1][0], parameters(match[1]))
    return found


def parameters(text: str) -> list[str | None]:
    pairs = re.findall(r"\$\d+ = (NULL|'(?:[^']|'')*')", text)
    return [None if value == "NULL" else value[1:-1].replace("''", "'") for value in pairs]


class Script:
    """A request as pgbench sends it: parameters become variables, so that the statements are prepared as the gateway prepares them."""

    def __init__(self, statements: list[Statement], replacements: dict[str, str] | None = None):
        """`replacements`: the expression that stands for a parameter of this value, such as a new id for one that must be new."""
        self.values: dict[str, str] = {}
        self.lines = [self._line(sql, values, replacements or {}) for sql, values in statements]

    def _line(self, sql: str, values: list[str | None], replacements: dict[str, str]) -> str:
        def placed(match: re.Match[str]) -> str:
            value = values[int(match[1]) - 1]
            if value is None:
                return "NULL"
            if value == "":
                return "''"  # pgbench has no empty variables
            if value in replacements:
                return replacements[value]
            name = next((name for name, known in self.values.items() if known == value), f"v{len(self.values)}")
            self.values[name] = value
            return f":{name}"

        return " ".join(re.sub(r"\$(\d+)", placed, sql).split()).rstrip("; ") + ";"

    def write(self, path: Path, prefix: str, pipelined: bool, changed: dict[str, str]) -> list[str]:
        """Writes the script and returns pgbench's arguments for its variables; `changed` gives some values anew."""
        lines = [re.sub(r"(?<!:):(v\d+)\b", lambda match: f":{prefix}{match[1]}", line) for line in self.lines]
        if pipelined:
            lines = ["\\startpipeline", *lines, "\\endpipeline"]
        elif not lines[0].upper().startswith("BEGIN"):
            # The gateway's one flush is a transaction by itself; statements sent one by one need to be made one.
            lines = ["BEGIN;", *lines, "COMMIT;"]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [f"--define={prefix}{name}={changed.get(value, value)}" for name, value in self.values.items()]
