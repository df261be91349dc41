"""Fails unless the fuzzing got through to every operation of the document, met every header that is described of what it
got, and was never turned away by a limit."""

import collections
import json
import sys

document, record = sys.argv[1:]
with open(document, encoding="utf-8") as file:
    paths = json.load(file)["paths"]
# The document itself is left out by schemathesis, which has read it.
operations = [f"{verb.upper()} {path}" for path, item in paths.items() for verb in item if path != "/openapi.json"]
met = collections.defaultdict(collections.Counter)
seen = collections.defaultdict(set)
with open(record, encoding="utf-8") as file:
    for line in file:
        operation, status, headers = line.rstrip("\n").split("\t")
        met[operation][int(status)] += 1
        seen[operation, status].update(headers.lower().split(","))



def described(operation):
    verb, path = operation.split(" ")
    return paths[path][verb.lower()]


for operation in operations:
    print(f"  {operation:<36}", *(f"{status}×{count}" for status, count in sorted(met[operation].items())))
never = [operation for operation in operations if not any(status < 300 for status in met[operation])]
limited = [operation for operation in operations if met[operation][429]]
for what, which in (("never succeeded", never), ("was limited (429)", limited)):
    for operation in which:
        print(f"fuzz-api: {operation} {what}", file=sys.stderr)
absent = [
    f"{operation} {status}: {name}"
    for operation in operations
    for status, response in described(operation)["responses"].items()
    if status.startswith("2") and seen[operation, status]
    for name in response.get("headers", {})
    # It is not there where nothing was removed, and what is drawn is seldom HTML.
    if name != "X-Content-Sanitized" and name.lower() not in seen[operation, status]
]
for which in absent:
    print(f"fuzz-api: {which} is described and was never sent", file=sys.stderr)
total = sum(sum(counter.values()) for counter in met.values())
print(f"{total} requests to {len(operations)} operations")
sys.exit(1 if never or limited or absent or not operations else 0)
