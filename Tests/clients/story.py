"""Every exchange of the story against the served OpenAPI document: the address is known, the status and media type documented, the body as its schema says.

usage: story.py OPENAPI FOLDER      prints what is wrong; exit code 1 when anything is
"""

import json
import re
import sys
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker

document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
wrong: list[str] = []


def operation(method: str, path: str) -> dict | None:
    """Addresses in words come before those with parameters."""
    candidates = []
    for template, item in document["paths"].items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in item:
            candidates.append((template.count("{"), item[method.lower()]))
    return min(candidates, key=lambda candidate: candidate[0])[1] if candidates else None


def resolved(part: dict) -> dict:
    while "$ref" in part:
        node = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            node = node[name]
        part = node
    return part


def mistakes(schema: dict, value: object) -> list[str]:
    whole = {**schema, "components": document.get("components", {})}
    validator = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(value)]


files = sorted(Path(sys.argv[2]).glob("*.json"))
for file in files:
    exchange = json.loads(file.read_text(encoding="utf-8"))
    path = exchange["path"].split("?")[0]
    name = f"{exchange['method']} {path}: {exchange['status']}"
    found = operation(exchange["method"], path)
    if found is None:
        wrong.append(f"{name}: there is no such address in the document")
        continue
    answer = found["responses"].get(str(exchange["status"])) or found["responses"].get(f"{exchange['status'] // 100}XX") or found["responses"].get("default")
    if answer is None:
        wrong.append(f"{name}: the status is not documented")
        continue
    content = resolved(answer).get("content", {})
    sent = re.search(r"(?im)^content-type:\s*([^;\r\n]+)", exchange["head"])
    media = sent.group(1).strip() if sent else None
    if not exchange["body"]:
        continue
    if media not in content:
        wrong.append(f"{name}: {media} is not documented")
    elif media.endswith("json"):
        wrong += [f"{name}: {mistake}" for mistake in mistakes(content[media].get("schema") or {}, json.loads(exchange["body"]))]
    if exchange["sent"] and exchange["status"] < 300:
        schema = next(iter(resolved(found.get("requestBody", {})).get("content", {}).values()), {}).get("schema") or {}
        wrong += [f"{name}: what was sent: {mistake}" for mistake in mistakes(schema, json.loads(exchange["sent"]))]

print("\n".join(wrong + [f"{len(files)} exchanges checked"]))
sys.exit(1 if wrong or not files else 0)
