"""Promises of service, counted minute by minute in Python and compared with what the API answers.

usage: sla_check.py make ADDRESS KEY CUSTOMER STATE TICKETS   makes calendars, policies and tickets, and keeps in STATE what was done
       sla_check.py change ADDRESS KEY CUSTOMER STATE         changes goals, pauses, hours, holidays and a zone half way
       sla_check.py compare ADDRESS KEY CUSTOMER STATE        prints what differs; exit code 1 when anything does

Between the steps a worker does the jobs service.watch and service.sla_recompute. Everything goes through HTTP, as an administrator. Nothing of the program's
own arithmetic is used: a calendar is the list of its open minutes, found by asking zoneinfo for every minute what its clock shows.
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import local
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

step, address, key, customer, path = sys.argv[1:6]
FIRST, DAYS = datetime(2026, 7, 31, tzinfo=UTC), 130
# What the calendars cover, in days of their zones; the minutes counted lie around it.
COVERED = ("2026-08-01", "2026-12-04")
# Zones whose clocks change in these days (Berlin, New York, Lord Howe by half an hour, Auckland), and some whose do not.
ZONES = ["Europe/Istanbul", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Auckland", "Asia/Kathmandu"]
NATIONAL = {"2026-08-30": 0, "2026-10-28": 780, "2026-10-29": 0}
PRIORITIES, CHANNELS = ["low", "normal", "high", "urgent"], ["email", "phone", "chat", "sms", "social", "web"]
PAUSES = [["pending_customer"], ["pending_customer", "on_hold"], [], ["new"], ["open"]]
threads = local()


def ask(method: str, target: str, body: dict | None = None) -> dict:
    if not hasattr(threads, "connection"):
        threads.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for _ in range(100):
        threads.connection.request(method, target, json.dumps(body) if body is not None else None, headers)
        answer = threads.connection.getresponse()
        text = answer.read().decode()
        # Nothing was done because somebody else held the record: that is asked again.
        if answer.status != 409 or json.loads(text).get("code") != "locked":
            break
        time.sleep(0.2)
    if answer.status >= 300:
        raise SystemExit(f"{method} {target}: {answer.status} {text}")
    return json.loads(text) if text else {}


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


# --- The slow and plain model ---------------------------------------------------------------------------------------------------------


def open_minutes(calendar: dict) -> bytes:
    """One byte a minute from FIRST on: whether it is open."""
    zone, own, weekly, closed = ZoneInfo(calendar["zone"]), {}, {}, dict(calendar["exceptions"])
    if calendar["country"]:
        closed = {**NATIONAL, **closed}
    for hours in calendar["hours"]:
        kind, of = (own, hours["day"]) if hours.get("day") else (weekly, hours["weekday"])
        kind.setdefault(of, []).append((hours["opens"], hours["closes"]))
    found = bytearray(DAYS * 1440)
    for number in range(DAYS * 1440):
        here = (FIRST + timedelta(minutes=number)).astimezone(zone)
        minute, day = here.hour * 60 + here.minute, here.date().isoformat()
        if not COVERED[0] <= day <= COVERED[1]:
            continue
        if day in own:
            found[number] = any(opens <= minute < closes for opens, closes in own[day])
        else:
            found[number] = any(opens <= minute < closes for opens, closes in weekly.get(here.isoweekday(), [])) and minute < closed.get(day, 1440)
    return bytes(found)


def seconds(at: datetime) -> float:
    return (at - FIRST).total_seconds()


def count(minutes: bytes | None, since: float, until: float) -> float:
    """Open seconds between two instants, minute by minute."""
    if minutes is None:
        return max(until - since, 0)
    total, minute = 0.0, int(since // 60)
    while minute * 60 < until and minute < len(minutes):
        if minutes[minute]:
            total += min(until, minute * 60 + 60) - max(since, minute * 60)
        minute += 1
    return total


def limits(minutes: bytes | None, since: float, left: float) -> tuple[float | None, float | None]:
    """When so much open time has gone since an instant: the first instant at which it has, and the last at which no more has."""
    if minutes is None:
        return since + left, since + left
    minute = max(int(since // 60), 0)
    due = since if left == 0 else None
    while minute < len(minutes):
        if minutes[minute]:
            begins = max(since, minute * 60)
            lasts = minute * 60 + 60 - begins
            if due is not None:
                return due, begins
            if lasts > left:
                return begins + left, begins + left
            if lasts == left:
                due = begins + left
            left -= lasts
        minute += 1
    return due, None


def expected(kind: str, started: float, stopped: float | None, stays: list, policy: dict | None, minutes: bytes | None, now: float) -> dict:
    goal = policy and policy[f"{kind}_minutes"]
    if not goal:
        return {"state": "untimed"}
    goal *= 60
    runs = []
    for number, (since, status) in enumerate(stays):
        until = stays[number + 1][0] if number + 1 < len(stays) else None
        until = stopped if until is None or stopped is not None and stopped < until else until
        since = max(since, started)
        if status not in [*policy["pauses"], "resolved", "closed"] and (until is None or since < until):
            runs.append((since, until))
    used, found = 0.0, {"state": "paused", "elapsed_seconds": 0.0}
    for since, until in runs:
        due, breaches = limits(minutes, since, goal - used) if goal >= used else (found.get("due_at"), found.get("breaches_at"))
        if until is None:
            late = breaches is not None and breaches < now
            return {**found, "state": "breached" if late or found["state"] == "breached" else "running", "due_at": due, "breaches_at": breaches, "elapsed_seconds": used}
        inside = count(minutes, since, until)
        if found["state"] != "breached":
            found = {**found, "due_at": due, "breaches_at": breaches}
            if used + inside > goal:
                found["state"] = "breached"
        used += inside
        found["elapsed_seconds"] = used
    if found["state"] != "breached":
        if stopped is not None:
            found["state"] = "met"
        else:
            found |= {"due_at": None, "breaches_at": None}
    return found


def story(ticket: dict) -> tuple[list, list]:
    """The statuses a ticket was in from when on, and its clocks, by what was said and done."""
    opened = seconds(instant(ticket["said"][0][0]))
    stays, clocks = [(opened, "new")], [["first_response", opened, None], ["resolution", opened, None]]
    waiting, answered = clocks[0], False
    for at, direction in ticket["said"][1:]:
        at = seconds(instant(at))
        status = stays[-1][1]
        if direction == "out":
            answered = True
            if waiting:
                waiting[2], waiting = at, None
            if status in ("new", "open"):
                stays.append((at, "pending_customer"))
        else:
            if status == "pending_customer":
                stays.append((at, "open"))
            if waiting is None and answered:
                waiting = ["next_response", at, None]
                clocks.append(waiting)
    if ticket.get("ended"):
        at = seconds(instant(ticket["ended"][1]))
        stays.append((at, ticket["ended"][0]))
        if ticket["ended"][0] == "resolved":
            for each in clocks:
                each[2] = at if each[2] is None else each[2]
    return stays, clocks


# --- The steps -------------------------------------------------------------------------------------------------------------------------


def hours_of_a_day(chance: random.Random) -> list[tuple[int, int]]:
    shape = chance.choice(["office", "night", "any", "day"])
    if shape == "office":
        return [(540, 750), (810, 1080)]
    if shape == "night":
        # A shift over midnight is the end of one day and the beginning of the next.
        return [(0, 360), (1200, 1440)]
    if shape == "day":
        return [(0, 1440)]
    edges = sorted(chance.sample(range(1441), 2 * chance.randint(1, 3)))
    return list(zip(edges[::2], edges[1::2], strict=True))


def make(wanted: int) -> None:
    chance = random.Random(20261122)
    calendars, policies = [], []
    for number, zone in enumerate(ZONES):
        body = {"code": f"sla_check_{number}", "name": zone, "time_zone": zone, "covers_from": COVERED[0], "covers_until": COVERED[1], "holiday_scope": "TR" if number == 0 else None}
        calendar = {"id": ask("POST", "/v1/business_calendars", body)["id"], "zone": zone, "country": number == 0, "hours": [], "exceptions": {}}
        for weekday in range(1, 8):
            if weekday < 6 or chance.random() < 0.3:
                calendar["hours"] += [{"weekday": weekday, "opens": opens, "closes": closes} for opens, closes in hours_of_a_day(chance)]
        days = [(FIRST.date() + timedelta(days=chance.randrange(5, 110))).isoformat() for _ in range(14)]
        for day in sorted(set(days[:3])):
            calendar["hours"] += [{"day": day, "opens": opens, "closes": closes} for opens, closes in hours_of_a_day(chance)]
        for day in sorted(set(days)):
            closes = chance.choice([0, chance.randint(600, 900)])
            calendar["exceptions"][day] = closes
            ask("POST", "/v1/calendar_exceptions", {"calendar_id": calendar["id"], "day": day, "name": "x", "closes_at": clock(closes) if closes else None})
        for hours in calendar["hours"]:
            body = {**hours, "opens": clock(hours["opens"]), "closes": clock(hours["closes"]), "calendar_id": calendar["id"]}
            hours["id"] = ask("POST", "/v1/business_intervals", body)["id"]
        calendars.append(calendar)
    for priority in PRIORITIES:
        for channel in CHANNELS:
            calendar = chance.choice([*range(len(calendars)), None])
            terms = {
                "first_response_minutes": chance.choice([None, chance.randint(1, 2000)]), "next_response_minutes": chance.choice([None, chance.randint(1, 2000)]),
                "resolution_minutes": chance.randint(30, 12000), "pauses": chance.choice(PAUSES),
            }
            body = {"code": f"sla_check_{priority}_{channel}", "name": "x", "priority": priority, "channel": channel, **terms}
            body["calendar_id"] = calendars[calendar]["id"] if calendar is not None else None
            policies.append({**terms, "id": ask("POST", "/v1/sla_policies", body)["id"], "priority": priority, "channel": channel, "calendar": calendar})

    def ticket(number: int) -> dict:
        chance = random.Random(number)
        made = {"priority": chance.choice(PRIORITIES), "channel": chance.choice(CHANNELS), "said": []}
        conversation = ask("POST", "/v1/conversations", {"customer_id": customer, "channel": made["channel"], "priority": made["priority"], "subject": f"Konu {number}"})["id"]
        at = FIRST + timedelta(days=5, seconds=chance.randrange(80 * 86400))
        for turn in range(chance.randint(1, 8)):
            direction = "in" if turn == 0 else chance.choice(["in", "out"])
            body = {"customer_id": customer, "conversation_id": conversation, "channel": made["channel"], "direction": direction, "kind": "message", "sender": "x", "body_text": "x"}
            ask("POST", "/v1/interactions", {**body, "occurred_at": at.isoformat()})
            if turn == 0:
                made["id"] = ask("POST", f"/v1/conversations/{conversation}/ticket", {})["id"]
            made["said"].append((at.isoformat(), direction))
            # Some steps are whole minutes, so that edges of hours and of promises are met exactly.
            at += timedelta(seconds=chance.choice([chance.randrange(1, 90000), 60 * chance.randrange(1, 3000)]))
        end = chance.choice([None, "resolved", "on_hold"])
        if end:
            answer = ask("POST", f"/v1/tickets/{made['id']}/status", {"status": end, "reason": "x"})
            made["ended"] = (end, answer["status_since"])
        return made

    with ThreadPoolExecutor(4) as pool:
        tickets = list(pool.map(ticket, range(wanted)))
    Path(path).write_text(json.dumps({"calendars": calendars, "policies": policies, "tickets": tickets}))


def change() -> None:
    state = json.loads(Path(path).read_text())
    chance = random.Random(5)
    for policy in state["policies"]:
        if chance.random() < 0.6:
            policy |= {"pauses": chance.choice(PAUSES), "resolution_minutes": policy["resolution_minutes"] * 2 // 3 + 7, "first_response_minutes": chance.randint(1, 3000)}
            policy["calendar"] = chance.randrange(len(state["calendars"]))
            terms = {name: policy[name] for name in ("pauses", "resolution_minutes", "first_response_minutes")}
            ask("PATCH", f"/v1/sla_policies/{policy['id']}", {**terms, "calendar_id": state["calendars"][policy["calendar"]]["id"]})
    for calendar in state["calendars"]:
        gone = [hours for hours in calendar["hours"] if hours.get("weekday") == 2]
        for hours in gone:
            ask("DELETE", f"/v1/business_intervals/{hours['id']}")
        calendar["hours"] = [hours for hours in calendar["hours"] if hours not in gone]
        day = next(d.isoformat() for n in range(40, 60) if (d := date(2026, 8, 1) + timedelta(days=n)).isoformat() not in calendar["exceptions"])
        ask("POST", "/v1/calendar_exceptions", {"calendar_id": calendar["id"], "day": day, "name": "x"})
        calendar["exceptions"][day] = 0
    moved = state["calendars"][1]
    moved["zone"] = "America/Santiago"
    ask("PATCH", f"/v1/business_calendars/{moved['id']}", {"time_zone": moved["zone"]})
    for number, ticket in enumerate(state["tickets"]):
        if number % 7 == 0:
            ticket["priority"] = chance.choice(PRIORITIES)
            ask("PATCH", f"/v1/tickets/{ticket['id']}", {"priority": ticket["priority"]})
    Path(path).write_text(json.dumps(state))


def differs(field: str, is_: object, should: object) -> bool:
    if field == "state":
        return is_ != should
    if field.endswith("_at"):
        is_ = seconds(instant(is_)) if is_ else None
    return (is_ is None) != (should is None) or is_ is not None and abs(is_ - should) > 0.001


def compare() -> None:
    state = json.loads(Path(path).read_text())
    now = seconds(datetime.now(UTC))
    minutes = [open_minutes(calendar) for calendar in state["calendars"]]
    policies = {(policy["priority"], policy["channel"]): policy for policy in state["policies"]}
    wrong, seen, done = [], {}, []
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda ticket: ask("GET", f"/v1/tickets/{ticket['id']}/clocks")["data"], state["tickets"]))
    for ticket, clocks in zip(state["tickets"], answers, strict=True):
        policy = policies[ticket["priority"], ticket["channel"]]
        calendar = minutes[policy["calendar"]] if policy["calendar"] is not None else None
        stays, model = story(ticket)
        if len(clocks) != len(model):
            wrong.append(f"{ticket['said']}: {len(clocks)} clocks instead of {len(model)}")
        cycles = {}
        for kind, started, stopped in model:
            cycles[kind] = cycles.get(kind, 0) + 1
            answer = next((c for c in clocks if (c["kind"], c["cycle"]) == (kind, cycles[kind])), None)
            if answer is None:
                wrong.append(f"{ticket['said']}: no {kind} {cycles[kind]}")
                continue
            should = expected(kind, started, stopped, stays, policy, calendar, now)
            seen[should["state"]] = seen.get(should["state"], 0) + 1
            if kind == "first_response" and should["state"] in ("breached", "met"):
                done.append((should["state"] == "met", stopped is None, should["elapsed_seconds"]))
            facts = {"started_at": started, "stopped_at": stopped, **should}
            bad = {field: (answer[field], value) for field, value in facts.items() if differs(field, answer[field], value)}
            if bad:
                wrong.append(f"{kind} {cycles[kind]} {ticket['said']} {ticket.get('ended')} {policy}: {bad}")
    print(json.dumps(seen))
    report = ask("GET", f"/v1/service/sla?from=2026-07-01&to={(datetime.now(UTC) + timedelta(days=1)).date()}&clock=first_response")["data"][0]
    finished = sorted(took for _, is_open, took in done if not is_open)
    at = lambda share: statistics.quantiles(finished, n=100, method="inclusive")[share - 1]  # noqa: E731
    should = {
        "met": sum(met for met, _, _ in done), "breached": sum(not met for met, _, _ in done), "still_open": sum(is_open for _, is_open, _ in done),
        "attainment": sum(met for met, _, _ in done) / len(done), "median_seconds": at(50), "p90_seconds": at(90),
        "median_ticket_seconds": finished[-(-len(finished) * 50 // 100) - 1], "p90_ticket_seconds": finished[-(-len(finished) * 90 // 100) - 1],
    }
    wrong += [f"report {field}: {report[field]} instead of {value}" for field, value in should.items() if abs(report[field] - value) > 0.001]
    print(*wrong[:20], sep="\n")
    print(f"{len(state['tickets'])} tickets, {len(wrong)} differences")
    raise SystemExit(1 if wrong else 0)


{"make": lambda: make(int(sys.argv[6])), "change": change, "compare": compare}[step]()
