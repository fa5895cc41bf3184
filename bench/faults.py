"""Sells while the gateway and PostgreSQL are killed at random, and holds the books against the rules at every sample.

usage: python bench/faults.py [--sales N] [--clients N] [--seconds-between-kills S] [--program PATH] [--seed N]

A sale is a quote, sent, accepted by the customer over its link, confirmed, shipped, invoiced, issued and paid, by people of three departments. Every client
sends again, under the same Idempotency-Key, what it has no answer to. Afterwards nothing that was acknowledged may be missing and nothing may be there twice.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from datetime import date
from pathlib import Path

import server
from server import ROOT, Cluster, muhatap

PEOPLE = {"ayse": "seller", "emre": "buyer", "fatma": "accountant"}
DATABASE = "faults"


class Company:
    """A cluster, a gateway, and who kills them."""

    def __init__(self, options: argparse.Namespace):
        folder = Path(tempfile.mkdtemp(prefix="muhatap-faults-"))
        folder.chmod(0o755)
        self.cluster = Cluster.__new__(Cluster)
        self.cluster.directory = folder / "cluster"
        self.start_cluster()
        self.cluster.make_database(DATABASE, 0, 0)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = self.cluster.url("crm_app", DATABASE)
        self.keys = {
            name: muhatap(self.url, "admin", "api-key", "--user", f"{name}@carsi.example", "--name", "faults").splitlines()[-1] for name in PEOPLE
        }
        self.log = (folder / "gateway.log").open("wb")
        self.gateway = self.start_gateway()
        self.kills: collections.Counter[str] = collections.Counter()

    def start_cluster(self) -> None:
        self.cluster.host, self.cluster.port = subprocess.check_output([ROOT / "scripts/cluster", "start", self.cluster.directory], text=True).split()

    def start_gateway(self) -> subprocess.Popen:
        environment = {**os.environ, "DATABASE_URL": self.url, "MUHATAP_HTTP_PORT": str(self.port), "MUHATAP_DATABASE_CONNECTIONS": "16",
                       "MUHATAP_HTTP_CURSOR_KEY": "YmVuY2htYXJrcyBhcmUgbm90IGEgc2VjcmV0LCBzbyB0aGlzIGtleSBpcyBub25l"}
        for _ in range(20):
            process = subprocess.Popen([server.PROGRAM, "serve"], env=environment, stdout=self.log, stderr=self.log)
            for _ in range(200):
                try:
                    probe = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                    probe.request("GET", "/readyz")
                    if probe.getresponse().status == 200:
                        return process
                except OSError:
                    pass
                if process.poll() is not None:
                    break
                time.sleep(0.1)
            process.kill()
            process.wait()
        raise SystemExit(f"the gateway does not start; see {self.log.name}")

    def kill(self, chance: random.Random) -> None:
        victim = chance.choice(["gateway (SIGKILL)", "postmaster (SIGQUIT)", "postmaster (SIGKILL)"])
        self.kills[victim] += 1
        if victim.startswith("gateway"):
            self.gateway.kill()
            self.gateway.wait()
            self.gateway = self.start_gateway()
            return
        postmaster = int((self.cluster.directory / "data/postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT if "SIGQUIT" in victim else signal.SIGKILL)
        while Path(f"/proc/{postmaster}").exists():
            time.sleep(0.05)
        while True:
            time.sleep(0.2)
            try:
                self.start_cluster()
                return
            except subprocess.CalledProcessError:
                continue  # connections of the dead postmaster are still on their way out

    def sql(self, statement: str) -> str:
        return subprocess.run(
            ["psql", "-XqAt", "--set=ON_ERROR_STOP=1", "-c", statement, self.cluster.url("postgres", DATABASE)], text=True, check=True, capture_output=True
        ).stdout.strip()


class Client:
    """Somebody who sends again what may not have happened."""

    def __init__(self, company: Company, answers: collections.Counter):
        self.company, self.answers = company, answers
        self.connection: http.client.HTTPConnection | None = None

    def ask(self, person: str | None, method: str, path: str, body: object = None, settled: tuple[str, ...] = ()) -> dict:
        """- settled: problems that say that it has happened already, for what has no Idempotency-Key."""
        key = str(uuid.uuid4())
        for attempt in range(400):
            headers = {"Content-Type": "application/json"}
            if person:
                headers |= {"Authorization": f"Bearer {self.company.keys[person]}", "Idempotency-Key": key}
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.company.port, timeout=20)
                self.connection.request(method, path, None if body is None else json.dumps(body), headers if body is not None or person else {})
                answer = self.connection.getresponse()
                status, content = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                self.connection = None
                self.answers["no answer"] += 1
                time.sleep(0.05 + 0.1 * random.random())
                continue
            self.answers[str(status)] += 1
            if status < 300:
                return json.loads(content) if content else {}
            problem = json.loads(content) if content else {}
            if attempt and problem.get("code") in settled:
                return problem
            if status >= 500 or problem.get("code") in ("locked", "busy", "in-progress", "serialization", "try-again"):
                time.sleep(0.05 + 0.1 * random.random())
                continue
            raise AssertionError(f"{method} {path} answered {status}: {content[:600]!r}")
        raise AssertionError(f"{method} {path} was not answered in 400 attempts; the last: {self.answers}")


def sell(client: Client, shop: dict, number: int) -> dict:
    lines = [{"product_id": product, "quantity": str(number % 3 + 1), "unit_price": "100", "vat_rate": "20"} for product in shop["products"]]
    quote = client.ask("ayse", "POST", "/v1/quotes", {"customer_id": shop["customers"][number % len(shop["customers"])], "lines": lines})
    link = client.ask("ayse", "POST", f"/v1/quotes/{quote['id']}/send", {})["path"]
    client.ask(None, "POST", f"{link}/accept", {"name": f"Müşteri {number}"}, settled=("link-used", "quote-not-open", "already-answered", "not-open", "answered"))
    orders = client.ask("ayse", "GET", f"/v1/orders?quote_id=eq.{quote['id']}")["data"]
    assert len(orders) == 1, f"quote {quote['id']} has {len(orders)} orders"
    order = orders[0]["id"]
    client.ask("emre", "POST", f"/v1/orders/{order}/confirm", {})
    client.ask("emre", "POST", f"/v1/orders/{order}/ship", {})
    draft = client.ask("fatma", "POST", f"/v1/orders/{order}/invoice", {"profile": "TEMELFATURA"})
    invoice = client.ask("fatma", "POST", f"/v1/invoices/{draft['id']}/issue", {})
    payment = client.ask(
        "fatma", "POST", "/v1/payments",
        {"customer_id": invoice["customer_id"], "amount": invoice["payable_amount"], "paid_on": date.today().isoformat(),
         "allocations": [{"invoice_id": invoice["id"], "amount": invoice["payable_amount"]}]})
    return {"quote": quote["id"], "order": order, "invoice": invoice["id"], "number": invoice["number"], "payment": payment["id"]}


INVARIANTS = """
SELECT 'sales: ' || name || ': ' || detail FROM crm.sales_invariants()
UNION ALL SELECT 'turnover: ' || t::text FROM crm.turnover_invariants() AS t
UNION ALL SELECT 'number: ' || v::text FROM crm.invoice_number_violations() AS v
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sales", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds-between-kills", type=float, default=6)
    parser.add_argument("--program", type=Path, default=server.PROGRAM)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    server.PROGRAM = options.program.resolve()
    company = Company(options)
    answers: collections.Counter[str] = collections.Counter()
    setup = Client(company, answers)
    products = [setup.ask("emre", "POST", "/v1/products", {"sku": f"F{n}", "name": f"Mal {n}", "vat_rate": "20", "cost": "60"})["id"] for n in range(2)]
    warehouse = setup.ask("emre", "POST", "/v1/warehouses", {"code": "depo", "name": "Depo"})["id"]
    for product in products:
        setup.ask("emre", "POST", "/v1/stock_movements", {"warehouse_id": warehouse, "product_id": product, "kind": "receipt", "quantity": str(3 * options.sales)})
    customers = []
    for n in range(20):
        customer = setup.ask("ayse", "POST", "/v1/customers", {"kind": "organisation", "name": f"Firma {n} A.Ş.", "tax_number": "9876543217", "tax_office": "Kadıköy"})["id"]
        setup.ask("ayse", "POST", "/v1/addresses", {"customer_id": customer, "kind": "billing", "street": "Moda Cd. 5", "district": "Kadıköy", "city": "İstanbul", "province_code": "34"})
        customers.append(customer)
    shop = {"products": products, "customers": customers}

    done: list[dict] = []
    failures: list[str] = []
    violations: list[str] = []
    samples = 0
    numbers = iter(range(options.sales))
    lock, over = threading.Lock(), threading.Event()

    def work() -> None:
        client = Client(company, answers)
        while not over.is_set():
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                sale = sell(client, shop, number)
                with lock:
                    done.append(sale)
            except Exception as error:  # noqa: BLE001: whatever it was is a failure of the run
                failures.append(f"sale {number}: {error!r}")

    def sample() -> None:
        nonlocal samples
        while not over.is_set():
            try:
                found = company.sql(INVARIANTS)
                samples += 1
                violations.extend(found.splitlines())
            except subprocess.CalledProcessError:
                pass  # PostgreSQL is down just now
            time.sleep(0.5)

    chance = random.Random(options.seed)
    threads = [threading.Thread(target=work) for _ in range(options.clients)]
    sampler = threading.Thread(target=sample)
    began = time.monotonic()
    for thread in [*threads, sampler]:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(options.seconds_between_kills * (0.5 + chance.random()))
        if any(thread.is_alive() for thread in threads):
            company.kill(chance)
            print(f"{time.monotonic() - began:5.0f} s: {len(done)} sales, {sum(company.kills.values())} kills, {samples} samples", flush=True)
    over.set()
    sampler.join()

    violations.extend(company.sql(INVARIANTS).splitlines())
    there = json.loads(company.sql("""
      SELECT json_build_object(
        'quotes', (SELECT json_agg(id) FROM crm.quote), 'orders', (SELECT json_agg(id) FROM crm.sales_order),
        'invoices', (SELECT json_object_agg(id, number) FROM crm.invoice), 'payments', (SELECT json_agg(id) FROM crm.payment),
        'shipments', (SELECT count(*) FROM crm.shipment), 'paid', (SELECT sum(amount) FROM crm.payment), 'issued', (SELECT sum(payable_amount) FROM crm.invoice))"""))
    missing = [sale for sale in done if sale["order"] not in there["orders"] or there["invoices"].get(sale["invoice"]) != sale["number"] or sale["payment"] not in there["payments"]]
    # Every client carried each of its sales to the end, so what is there beyond one of each a sale was made twice.
    counts = {name: len(there[name]) for name in ("quotes", "orders", "invoices", "payments")} | {"shipments": there["shipments"]}
    doubled = {name: count for name, count in counts.items() if count != options.sales}
    seconds = time.monotonic() - began
    print(f"{len(done)} sales in {seconds:.0f} s by {options.clients} clients; kills: {dict(company.kills)}; answers: {dict(answers)}")
    print(f"samples: {samples}, violations: {len(violations)} {violations[:3]}")
    print(f"acknowledged and missing: {len(missing)} {missing[:2]}; counts that are not {options.sales}: {doubled}; paid {there['paid']} of {there['issued']} issued")
    print(f"sales that failed: {len(failures)} {failures[:3]}")
    company.gateway.terminate()
    company.gateway.wait()
    company.cluster.remove()
    sys.exit(1 if violations or missing or doubled or failures or there["paid"] != there["issued"] else 0)


if __name__ == "__main__":
    main()
