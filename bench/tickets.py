"""Tickets: making one with its promise and its routing, against pgbench with the same statements; computing 100,000 of them anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from capture import Script, captured
from load import HTTPLoad
from server import ROOT

if TYPE_CHECKING:
    from run import Bench

DATABASE, TICKETS = "bench_tickets", 100_000
BODY = {"subject": "Kahve makinesi bozuk @@", "type": "problem", "priority": "high", "channel": "phone"}
# As the job does it: in portions, by the order of their ids.
RECOMPUTE = """
SELECT set_config('muhatap.via', 'system:bench', false); SET jit = off;
DO $$
DECLARE ids uuid[]; last uuid;
BEGIN
  LOOP
    SELECT array_agg(t.id ORDER BY t.id) INTO ids FROM (SELECT x.id FROM crm.ticket AS x WHERE x.status <> 'closed' AND (last IS NULL OR x.id > last) ORDER BY x.id LIMIT 1000) AS t;
    EXIT WHEN ids IS NULL;
    PERFORM crm.recompute_sla(ids, now());
    last := ids[array_upper(ids, 1)];
  END LOOP;
END
$$;
SELECT count(*) FROM crm.ticket_clock WHERE wakes_at IS NOT NULL OR state <> 'untimed'
"""


def measure(bench: "Bench") -> None:
    cluster = bench.cluster
    cluster.make_database(DATABASE, 0, 0)
    cluster.sql(DATABASE, (ROOT / "bench/tickets.sql").read_text(), tickets=TICKETS)
    for what, change in (
        ("for the first time", None),
        ("after every policy changed", "UPDATE crm.sla_policy SET resolution_minutes = resolution_minutes + 60, pauses = '{pending_customer,on_hold}'"),
        ("after the calendar changed", "INSERT INTO crm.calendar_exception (calendar_id, day, name) SELECT id, current_date - 20, 'x' FROM crm.business_calendar"),
    ):
        if change:
            cluster.sql(DATABASE, change)
        began = time.monotonic()
        cluster.sql(DATABASE, RECOMPUTE)
        seconds = time.monotonic() - began
        bench.report.figure(f"computing the promises of {TICKETS:,} tickets anew, {what}", f"{seconds:.1f} s", "< 60 s", seconds < 60)

    gateway = bench.start(DATABASE, "zeynep@carsi.example")
    ids = bench.some_customers(DATABASE)
    made: list[str] = []
    statements = captured(cluster, DATABASE, lambda: made.append(gateway.json("POST", "/v1/tickets", {"customer_id": ids[0], **BODY})["id"]))
    fresh = {value: "gen_random_uuid()" for _, values in statements for value in values if value == made[-1]}
    script = Script(statements, fresh)
    http = HTTPLoad(gateway, [("POST", "/v1/tickets", {"customer_id": id, **BODY}) for id in ids], fresh=True)
    bench.compare("open a ticket, promised and routed", 0.50, DATABASE, http, script, [{ids[0]: id} for id in ids])
    bench.report.statements("open a ticket, promised and routed", script)
