"""Fails unless every operation of the document succeeded at least once, every documented response header was seen, and no
request was rate limited, except for the limits of users."""

import collections
import json
import sys

document, record = sys.argv[1:]
with open(document, encoding="utf-8") as file:
    paths = json.load(file)["paths"]
# Schemathesis does not test the operation that returned the document.
operations = [f"{verb.upper()} {path}" for path, item in paths.items() for verb in item if path != "/openapi.json"]
responses = collections.defaultdict(collections.Counter)
headers_seen = collections.defaultdict(set)
with open(record, encoding="utf-8") as file:
    for line in file:
        operation, status, headers = line.rstrip("\n").split("\t")
        responses[operation][int(status)] += 1
        headers_seen[operation, status].update(headers.lower().split(","))


def documented(operation):
    verb, path = operation.split(" ")
    return paths[path][verb.lower()]


for operation in operations:
    print(f"  {operation:<36}", *(f"{status}×{count}" for status, count in sorted(responses[operation].items())))
never = [operation for operation in operations if not any(status < 300 for status in responses[operation])]
limited = [operation for operation in operations if responses[operation][429] and "/engagement/" not in operation]
for what, which in (("never succeeded", never), ("was limited (429)", limited)):
    for operation in which:
        print(f"fuzz-api: {operation} {what}", file=sys.stderr)
absent = [
    f"{operation} {status}: {name}"
    for operation in operations
    for status, response in documented(operation)["responses"].items()
    if status.startswith("2") and headers_seen[operation, status]
    for name in response.get("headers", {})
    # This header is sent only if HTML was removed, and generated values are rarely HTML.
    if name != "X-Content-Sanitized" and name.lower() not in headers_seen[operation, status]
]
for which in absent:
    print(f"fuzz-api: {which} is documented but was never sent", file=sys.stderr)
total = sum(sum(counter.values()) for counter in responses.values())
print(f"{total} requests to {len(operations)} operations")
sys.exit(1 if never or limited or absent or not operations else 0)
