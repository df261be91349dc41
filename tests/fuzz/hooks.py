"""What the fuzzing of the API adds to schemathesis: an address for each request, items that exist, and a record."""

import itertools
import json
import os
import random

import schemathesis

RECORD = open(os.environ["FUZZ_RECORD"], "a", encoding="utf-8")
CHANCE = random.Random(os.environ["FUZZ_SEED"])
ADDRESSES = itertools.count(1)
KEPT = 50

# What answers have named: values by collection and name, and the tag of each item by its path. What is drawn never
# exists, and what is behind it would not be reached; so about half of the requests for one item go to a real one.
known = {("pages", "page_type"): ["about", "contact"]}
tags = {}


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each request comes from an address of its own, so that what is met is the API and not its rate limits. The program
    # believes it since it is told that this machine is a trusted proxy.
    n = next(ADDRESSES)
    case.headers["X-Forwarded-For"] = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
    parameters = case.path_parameters or {}
    collection = str(parameters.get("type") or case.path.split("/")[1])
    for name in parameters:
        values = known.get((collection, name))
        if values and CHANCE.random() < 0.5:
            parameters[name] = CHANCE.choice(values)
    if "If-Match" in case.headers and CHANCE.random() < 0.7:
        tag = tags.get(case.formatted_path)
        if tag and CHANCE.random() < 0.5:
            case.headers["If-Match"] = tag
        else:
            del case.headers["If-Match"]


@schemathesis.hook
def after_call(context, case, response):
    RECORD.write(f"{case.operation.label}\t{response.status_code}\t{','.join(response.headers)}\n")
    RECORD.flush()
    try:
        body = json.loads(response.content)
    except ValueError:
        return
    if not isinstance(body, dict) or response.status_code >= 300:
        return
    collection = case.path.split("/")[1]
    for item in body.get("items", [body]):
        # The trash says of each item where it belongs.
        for name in ("id", "slug", "page_type"):
            learn((item.get("type", collection), name), item.get(name))
    if "etag" in response.headers and "id" in body:
        tags[f"/{collection}/{body.get('page_type') or body['id']}"] = response.headers["etag"][0]


def learn(key, value):
    values = known.setdefault(key, [])
    if isinstance(value, str) and value not in values:
        values.append(value)
        del values[:-KEPT]


# Refusals of valid requests that no schema can say: something that is not there, or does not fit; a page that is made
# needs more than one that is changed.
STATES = ("Invalid reassign_to: has to name ", "Invalid page: a new page needs ", "The cursor is none of this list ")
# As above; content of which nothing is left, a slug of which nothing is left, a cursor beside an offset.
FIELDS = ("section_id", "parent_id", "content", "slug", "cursor")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if failure.code != "ST202" or response.status_code not in (400, 422):
        return True
    body = json.loads(response.content)
    if response.status_code == 400:
        return not body["detail"].startswith(STATES)
    return not all(beyond_a_schema(error) for error in body["errors"])


def beyond_a_schema(error):
    # No text may hold NUL, which JSON can.
    return error["type"] == "value_error" and (error["loc"][-1] in FIELDS or "NUL" in error["msg"])
