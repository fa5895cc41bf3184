"""A calendar program as RFC 5545 wants it: the PyPI package icalendar reads a feed.

usage: icalendar_check.py FILE      prints what it read as JSON; exit code 1 and what is wrong when anything is
"""

import json
import sys

import icalendar

content = open(sys.argv[1], "rb").read()
wrong: list[str] = []
if not content.endswith(b"\r\n"):
    wrong.append("the last line does not end in CRLF")
if b"\n" in content.replace(b"\r\n", b"") or b"\r" in content.replace(b"\r\n", b""):
    wrong.append("a line ends in something else than CRLF")
for line in content.split(b"\r\n"):
    if len(line) > 75:
        wrong.append(f"a line has {len(line)} octets")
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        wrong.append("a line is folded within a character")

calendars = icalendar.Calendar.from_ical(content, multiple=True)
if len(calendars) != 1:
    wrong.append(f"there are {len(calendars)} calendars")
calendar = calendars[0]
for required in ("VERSION", "PRODID"):
    if required not in calendar:
        wrong.append(f"{required} is missing")


def text(component, name: str) -> str | None:
    return str(component[name]) if name in component else None


def instant(component, name: str) -> str | None:
    if name not in component:
        return None
    value = component[name].dt
    if value.tzinfo is None:
        wrong.append(f"{name} floats")
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


entries = []
for component in calendar.subcomponents:
    for error in component.errors:
        wrong.append(f"{component.name}: {error}")
    for required in ("UID", "DTSTAMP"):
        if required not in component:
            wrong.append(f"{component.name} has no {required}")
    attendees = component.get("ATTENDEE", [])
    entries.append({
        "component": component.name, "uid": text(component, "UID"), "sequence": int(component["SEQUENCE"]), "summary": text(component, "SUMMARY"),
        "location": text(component, "LOCATION"), "description": text(component, "DESCRIPTION"), "status": text(component, "STATUS"),
        "start": instant(component, "DTSTART"), "end": instant(component, "DTEND"), "due": instant(component, "DUE"),
        "attendees": sorted(str(a.params["CN"]) for a in (attendees if isinstance(attendees, list) else [attendees])),
    })
if len({entry["uid"] for entry in entries}) != len(entries):
    wrong.append("two entries have one UID")
print("\n".join(wrong) if wrong else json.dumps({"name": text(calendar, "X-WR-CALNAME"), "entries": entries}, ensure_ascii=False))
sys.exit(1 if wrong else 0)
