"""The import of a year of orders against a bare COPY of the same file.

The COPY is the strictest there is: into an ordinary, logged table of typed columns without key, index, constraint or trigger, from the file already unpacked.
Beside it stands what no import into this schema can be faster than: a COPY of the finished lines, in the order of their key, into a table with their
two indexes and their checks."""

from __future__ import annotations

import gzip
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from server import PROGRAM, ROOT, muhatap

SOURCE = Path(os.environ.get("JOURNEY_DATA", ROOT.parent / "shared/data/complete_journey"))


def measure(bench) -> None:
    orders, products = SOURCE / "dev/transactions.csv.gz", SOURCE / "shared/products.csv.gz"
    if not orders.exists():
        bench.report.figure("import ÷ COPY", f"not measured: no data in {SOURCE.name}", "≤ 3", False)
        return
    folder = Path(tempfile.mkdtemp(prefix="muhatap-bench-"))
    with gzip.open(orders) as packed, open(folder / "lines.csv", "wb") as plain:
        shutil.copyfileobj(packed, plain)
    copies, runs, floors = [], [], []
    for number in range(bench.options.import_rounds):
        name = f"bench_import_{number}"
        bench.cluster.make_database(name, customers=0, orders=0)
        url = bench.cluster.url("crm_worker", name)
        muhatap(url, "import", str(products), "--resource", "products", "--mapping", str(ROOT / "demo/mappings/products.json"), "--as", "deniz@carsi.example")
        copies.append(timed(bench, lambda: copy(bench, name, folder / "lines.csv")))
        runs.append(timed(bench, lambda: run(url, orders)))
        floors.append(timed(bench, lambda: floor(bench, name, folder / "finished")))
    (bare, bare_cpu, _), (took, cpu, peak), (least, least_cpu, _) = (
        [statistics.median(column) for column in zip(*rounds)] for rounds in (copies, runs, floors))
    ratio = took / bare
    lines = sum(1 for _ in open(folder / "lines.csv", "rb")) - 1
    bench.report.figure(
        f"import of {lines:,} order lines with validation ÷ bare COPY", f"{ratio:.1f} ({took:.1f} s ÷ {bare:.1f} s)", "≤ 3", ratio <= 3)
    print(
        f"CPU of PostgreSQL: import {cpu:.1f} s, bare COPY {bare_cpu:.1f} s; COPY of the finished lines into a table with their two indexes and checks: "
        f"{least:.1f} s, CPU {least_cpu:.1f} s", flush=True)
    bench.report.figure("memory of the importing process, peak", f"{peak:.0f} MiB", "< 150 MiB", peak < 150)
    shutil.rmtree(folder)


def timed(bench, work) -> tuple[float, float, float]:
    """What `work` says it took in seconds, the CPU seconds that PostgreSQL's processes for it took, and what else it measured."""
    before = bench.cluster.cpu_seconds()
    took, measured = work()
    return took, bench.cluster.cpu_seconds() - before, measured


def copy(bench, database: str, file: Path) -> tuple[float, float]:
    """Seconds of a COPY of the plain file into an ordinary table of typed columns."""
    bench.cluster.sql(database, """
        CREATE TABLE public.bare (household_id int, store_id int, basket_id bigint, product_id bigint, quantity int, sales_value numeric,
          retail_disc numeric, coupon_disc numeric, coupon_match_disc numeric, week int, transaction_timestamp timestamp)""")
    start = time.monotonic()
    subprocess.run(
        ["psql", "-Xq", "--set=ON_ERROR_STOP=1", bench.cluster.url("postgres", database), "-c", f"\\copy public.bare FROM '{file}' CSV HEADER"], check=True)
    return time.monotonic() - start, 0


def floor(bench, database: str, file: Path) -> tuple[float, float]:
    """Seconds of a COPY of the finished lines into a table like theirs, without triggers."""
    url = bench.cluster.url("postgres", database)
    psql = ["psql", "-Xq", "--set=ON_ERROR_STOP=1", url, "-c"]
    subprocess.run([*psql, f"\\copy (SELECT * FROM crm.sales_order_line ORDER BY customer_id, order_id, line_number) TO '{file}' (FORMAT binary)"], check=True)
    bench.cluster.sql(database, "CREATE TABLE public.finished (LIKE crm.sales_order_line INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)")
    start = time.monotonic()
    subprocess.run([*psql, f"\\copy public.finished FROM '{file}' (FORMAT binary)"], check=True)
    return time.monotonic() - start, 0


def run(url: str, file: Path) -> tuple[float, float]:
    """Seconds and peak memory in MiB of an import by the command line."""
    start = time.monotonic()
    process = subprocess.Popen(
        [PROGRAM, "import", file, "--resource", "orders", "--mapping", ROOT / "demo/mappings/orders.json", "--as", "deniz@carsi.example"],
        env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit("the import failed")
    return took, usage.ru_maxrss / 1024
