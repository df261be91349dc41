"""Fails unless the fuzzing got through to every operation of the document, and was never turned away by a limit."""

import collections
import json
import sys

document, record = sys.argv[1:]
with open(document, encoding="utf-8") as file:
    paths = json.load(file)["paths"]
# The document itself is left out by schemathesis, which has read it.
operations = [f"{verb.upper()} {path}" for path, item in paths.items() for verb in item if path != "/openapi.json"]
met = collections.defaultdict(collections.Counter)
with open(record, encoding="utf-8") as file:
    for line in file:
        operation, status = line.rstrip("\n").split("\t")
        met[operation][int(status)] += 1

for operation in operations:
    print(f"  {operation:<36}", *(f"{status}×{count}" for status, count in sorted(met[operation].items())))
never = [operation for operation in operations if not any(status < 300 for status in met[operation])]
limited = [operation for operation in operations if met[operation][429]]
for what, which in (("never succeeded", never), ("was limited (429)", limited)):
    for operation in which:
        print(f"fuzz-api: {operation} {what}", file=sys.stderr)
total = sum(sum(counter.values()) for counter in met.values())
print(f"{total} requests to {len(operations)} operations")
sys.exit(1 if never or limited or not operations else 0)
