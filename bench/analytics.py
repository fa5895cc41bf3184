"""The analytical module: a value model over a year of real shopping against the bare aggregates, a lifetime model against the Python library, and a million customers."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

from imports import SOURCE
from load import HTTPLoad
from server import PROGRAM, ROOT, Gateway, muhatap

if TYPE_CHECKING:
    from run import Bench

YEAR, MILLION, LIFETIME = "bench_value", "bench_million", "bench_lifetime"
CUSTOMERS = int(os.environ.get("BENCH_CUSTOMERS", 1_000_000))
AS_OF = "2018-01-02T00:00:00Z"

# What the keys of the shipped model count, and nothing else: no policies, no scale, no ranks, nothing stored.
BARE = """
WITH orders AS (
  SELECT customer_id, sum(amount) AS revenue, count(*) AS orders, max(ordered_at) AS last_at, min(ordered_at) AS first_at
  FROM crm.sales_order WHERE status <> 'cancelled' AND ordered_at < '2018-01-02' AND ordered_at >= '2017-01-02' GROUP BY customer_id
), breadth AS (
  SELECT customer_id, count(*) AS categories FROM (
    SELECT l.customer_id, coalesce(b.parent_id, a.parent_id, a.id) AS category
    FROM crm.sales_order_line AS l JOIN crm.sales_order AS o ON o.customer_id = l.customer_id AND o.id = l.order_id
    JOIN crm.product AS p ON p.id = l.product_id JOIN crm.product_category AS a ON a.id = p.category_id LEFT JOIN crm.product_category AS b ON b.id = a.parent_id
    WHERE o.status <> 'cancelled' AND o.ordered_at < '2018-01-02' AND o.ordered_at >= '2017-01-02' GROUP BY 1, 2
  ) AS x GROUP BY customer_id
), referred AS (
  SELECT c.referred_by_id AS customer_id, sum(o.amount) AS revenue FROM crm.customer AS c JOIN crm.sales_order AS o ON o.customer_id = c.id GROUP BY 1
), served AS (
  SELECT customer_id, count(*) AS contacts FROM crm.activity WHERE status = 'done' GROUP BY customer_id
), paid AS (
  SELECT customer_id, avg(due_on) AS due FROM (SELECT customer_id, due_on - date '2018-01-02' AS due_on FROM crm.instalment) AS i GROUP BY customer_id
)
SELECT count(*), sum(revenue), sum(categories) FROM (
  SELECT o.*, b.categories, r.revenue AS referred, s.contacts, p.due FROM orders AS o LEFT JOIN breadth AS b USING (customer_id) LEFT JOIN referred AS r USING (customer_id)
  LEFT JOIN served AS s USING (customer_id) LEFT JOIN paid AS p USING (customer_id) OFFSET 0) AS everything
"""


class Company:
    """A database with a gateway and a worker on it."""

    running: list["Company"] = []

    def __init__(self, bench: "Bench", database: str):
        self.bench, self.database = bench, database
        self.url = bench.cluster.url("crm_app", database)

    def start(self) -> "Company":
        self.gateway = self.bench.start(self.database, user="deniz@carsi.example")
        environment = {**os.environ, "DATABASE_URL": self.bench.cluster.url("crm_worker", self.database)}
        self.worker = subprocess.Popen([PROGRAM, "worker"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        Company.running.append(self)
        return self

    def stop(self) -> None:
        self.worker.terminate()
        self.worker.wait(timeout=60)
        Company.running.remove(self)

    def run(self, path: str, body: dict) -> tuple[dict, float]:
        """A run that is over, and the seconds that it took from when a worker began it."""
        run = self.gateway.json("POST", path, body)
        while run["status"] not in ("done", "failed"):
            time.sleep(0.1)
            run = self.gateway.json("GET", f"/v1/analysis_runs/{run['id']}")
        if run["status"] == "failed":
            raise SystemExit(f"{path}: {run['problem']}")
        seconds = self.sql(f"SELECT extract(epoch FROM finished_at - started_at) FROM crm.analysis_run WHERE id = '{run['id']}'")
        return run, float(seconds)

    def sql(self, statement: str) -> str:
        return self.bench.cluster.sql(self.database, statement)

    def model(self) -> str:
        return self.gateway.json("GET", "/v1/value_models?code=eq.customer_value")["data"][0]["id"]


def measure(bench: "Bench") -> None:
    for part in (year, lifetime, million):
        if bench.options.analysis in (None, part.__name__):
            try:
                part(bench)
            finally:
                for company in Company.running:
                    company.worker.kill()
                Company.running.clear()


def year(bench: "Bench") -> None:
    orders, products = SOURCE / "dev/transactions.csv.gz", SOURCE / "shared/products.csv.gz"
    if not orders.exists():
        bench.report.figure("value model over a year ÷ bare aggregates", f"not measured: no data in {SOURCE.name}", "≤ 1.5", False)
        return
    bench.cluster.make_database(YEAR, customers=0, orders=0)
    url = bench.cluster.url("crm_worker", YEAR)
    for file, resource in ((products, "products"), (orders, "orders")):
        muhatap(url, "import", str(file), "--resource", resource, "--mapping", str(ROOT / f"demo/mappings/{resource}.json"), "--as", "deniz@carsi.example")
    company = Company(bench, YEAR).start()
    company.sql("ANALYZE")
    model = company.model()
    bare, runs = [], []
    for _ in range(max(3, bench.options.rounds)):
        began = time.monotonic()
        company.sql(BARE)
        bare.append(time.monotonic() - began)
        runs.append(company.run(f"/v1/value_models/{model}/run", {"as_of": AS_OF})[1])
    company.stop()
    least, took = min(bare), min(runs)
    bench.report.figure(
        "value model with 8 keys and pyramid over 726,740 lines ÷ the bare aggregates", f"{took / least:.2f} ({took:.2f} s ÷ {least:.2f} s)", "≤ 1.5", took / least <= 1.5)


FIT = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy, pandas
from lifetimes import BetaGeoFitter
data = pandas.read_csv(sys.argv[1])
took = []
for _ in range(3):
    began = time.monotonic()
    model = BetaGeoFitter().fit(data.frequency, data.recency, data.age)
    took.append(time.monotonic() - began)
print(json.dumps({"seconds": min(took), "parameters": dict(model.params_), "log_likelihood": float(model.log_likelihood_) if hasattr(model, "log_likelihood_") else None}))
"""


def lifetime(bench: "Bench") -> None:
    """The same 23,570 customers, fitted by both."""
    bench.cluster.make_database(LIFETIME, customers=0, orders=0)
    muhatap(bench.cluster.url("crm_migrator", LIFETIME), "simulate", "--seed", "5", "--customers", "23570", "--months", "18", "--from", "1997-01", "--orders-per-customer", "3", "--lines-per-order", "0",
        "--truth", os.devnull)
    company = Company(bench, LIFETIME).start()
    company.sql("ANALYZE")
    runs = [company.run("/v1/analytics/lifetime/runs", {"as_of": "1998-07-01T00:00:00Z"}) for _ in range(3)]
    run, took = min(runs, key=lambda each: each[1])
    folder = bench.cluster.directory.parent
    data = folder / "lifetime.csv"
    data.write_text("frequency,recency,age\n" + company.sql(
        f"SELECT frequency || ',' || recency_days || ',' || age_days FROM crm.customer_lifetime WHERE run_id = '{run['id']}'") + "\n", encoding="utf-8")
    company.stop()
    python = folder / "python"
    subprocess.run(["python3", "-m", "venv", python], check=True)
    subprocess.run([python / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "lifetimes==0.11.3"], check=True)
    theirs = json.loads(subprocess.run([python / "bin/python", "-c", FIT, data], check=True, text=True, stdout=subprocess.PIPE).stdout)
    fitting = float(run["result"]["seconds"]["fitting"])
    ratio = theirs["seconds"] / fitting
    print(f"lifetimes: {theirs}; muhatap: {run['result']}", flush=True)
    bench.report.figure(
        "fit of 23,570 customers: lifetimes' BG/NBD ÷ our BG/NBD and Gamma-Gamma", f"{ratio:.1f} ({theirs['seconds']:.2f} s ÷ {fitting:.3f} s; our whole run, with reading and storing: {took:.2f} s)", "≥ 5",
        ratio >= 5)


FIVE_CONDITIONS = {
    "and": [
        {"metric": "revenue", "window_days": 365, "op": "gte", "value": "1000"}, {"metric": "orders", "window_days": 365, "op": "gte", "value": 3},
        {"kind": "person"}, {"lifecycle_phase": {"ne": "lost"}}, {"tier": ["top", "big", "medium"]},
    ]
}


def million(bench: "Bench") -> None:
    """A million customers with ten million orders; without lines, which none of these figures counts but the breadth, which is then nothing."""
    bench.cluster.make_database(MILLION, customers=0, orders=0)
    began = time.monotonic()
    muhatap(bench.cluster.url("crm_migrator", MILLION), "simulate", "--customers", str(CUSTOMERS), "--months", "24", "--orders-per-customer", "10", "--lines-per-order", "0", "--truth", os.devnull)
    # Contracts are in none of these figures, and renewing two hundred thousand of them beside would share the two cores.
    bench.cluster.sql(MILLION, "TRUNCATE crm.contract CASCADE")
    company = Company(bench, MILLION).start()
    company.sql("VACUUM ANALYZE")
    counted = company.sql("SELECT (SELECT count(*) FROM crm.customer) || ' customers, ' || (SELECT count(*) FROM crm.sales_order) || ' orders'")
    print(f"{counted}; made in {time.monotonic() - began:.0f} s", flush=True)
    as_of = company.sql("SELECT to_char(max(ordered_at) + interval '1 day', 'YYYY-MM-DD') FROM crm.sales_order") + "T00:00:00Z"
    _, scores = company.run("/v1/analytics/rfm/runs", {"as_of": as_of})
    model = company.model()
    _, value = company.run(f"/v1/value_models/{model}/run", {"as_of": as_of})
    bench.report.figure(f"RFM, value and pyramid of {counted}", f"{scores + value:.1f} s (RFM {scores:.1f}, value and pyramid {value:.1f})", "< 60 s", scores + value < 60)

    customers = company.sql("SELECT string_agg(id::text, ' ') FROM (SELECT id FROM crm.customer TABLESAMPLE SYSTEM (0.01) LIMIT 30) AS chosen").split()
    glance = HTTPLoad(company.gateway, [("GET", f"/v1/customers/{id}/360", None) for id in customers])
    glance.run(1, 1)
    milliseconds = 1000 / glance.run(1, bench.options.seconds).per_second
    bench.report.figure(f"a customer at a glance (360) among {CUSTOMERS:,}, one after the other", f"{milliseconds:.1f} ms", "< 20 ms", milliseconds < 20)
    taken = []
    for _ in range(3):
        began = time.monotonic()
        found = company.gateway.json("POST", "/v1/segments/preview", {"definition": FIVE_CONDITIONS, "as_of": as_of})
        taken.append(time.monotonic() - began)
    bench.report.figure(f"a segment of 5 conditions counted among {CUSTOMERS:,} ({found['customers']:,} found)", f"{min(taken):.2f} s", "< 2 s", min(taken) < 2)

    company.gateway.json("POST", "/v1/segments", {"code": "buyers_of_today", "name": "Bugün alanlar", "definition": {"metric": "orders", "window_days": 1, "op": "gte", "value": 1}})
    company.run(f"/v1/value_models/{model}/run", {})
    while company.sql("SELECT EXISTS (SELECT FROM crm.change_follower f CROSS JOIN LATERAL (SELECT FROM crm.change c WHERE (c.xid, c.seq) > (f.xid, f.seq) LIMIT 1) c)") == "t":
        time.sleep(1)  # the first nightly run of the phases moved everybody
    delays = [live(company, customer) for customer in customers[:10]]
    bench.report.figure(
        f"from a new order to the customer's value and segment following it, among {CUSTOMERS:,}: median and slowest of {len(delays)}",
        f"{sorted(delays)[len(delays) // 2]:.2f} s, {max(delays):.2f} s", "< 1 s", max(delays) < 1)
    company.stop()


def live(company: Company, customer: str) -> float:
    """Seconds from the answer to a new order until the customer is in the segment and its standing counts the order."""
    before = company.sql(f"SELECT max(as_of) FROM crm.customer_standing WHERE customer_id = '{customer}'")
    company.gateway.json("POST", "/v1/orders", {"customer_id": customer, "currency": "TRY", "channel": "phone", "status": "completed"})
    began = time.monotonic()
    while time.monotonic() - began < 60:
        segments = [segment["code"] for segment in company.gateway.json("GET", f"/v1/customers/{customer}/segments")["data"]]
        if "buyers_of_today" in segments and company.sql(f"SELECT max(as_of) FROM crm.customer_standing WHERE customer_id = '{customer}'") != before:
            return time.monotonic() - began
        time.sleep(0.02)
    return 60.0
