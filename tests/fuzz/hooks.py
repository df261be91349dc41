"""Schemathesis hooks: a client address for each request, ids of existing items, and a record of all responses."""

import base64
import itertools
import json
import os
import random

import schemathesis

RECORD = open(os.environ["FUZZ_RECORD"], "a", encoding="utf-8")
CHANCE = random.Random(os.environ["FUZZ_SEED"])
ADDRESSES = itertools.count(1)
KEPT = 50
# A schema can say that a file is bytes, and not that they are a picture. Half of the uploads have one.
PICTURE = base64.b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")

# Values seen in responses, by collection and name, and the entity tag of each item by path. Generated ids never exist, so
# about half of the requests for one item use a real id.
known = {
    ("pages", "page_type"): ["about", "contact"],
    ("uploads", "path"): ["here.webp"],
    ("media", "id"): [os.environ["FUZZ_MEDIA"]],
}
tags = {}


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each request has its own client address, so that rate limits do not apply. The program accepts the header because
    # this machine is configured as a trusted proxy.
    n = next(ADDRESSES)
    case.headers["X-Forwarded-For"] = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
    parameters = case.path_parameters or {}
    collection = str(parameters.get("type") or case.path.split("/")[1])
    for name in parameters:
        # Reactions and comments are about stories.
        values = known.get(("stories", "id") if name == "target_id" else (collection, name))
        if values and CHANCE.random() < 0.5:
            parameters[name] = CHANCE.choice(values)
    if is_upload(case) and isinstance(case.body, dict) and CHANCE.random() < 0.5:
        case.body["files"] = [PICTURE]
    if case.path.endswith(("/hide", "/restore")) and CHANCE.random() < 0.5:
        parameters["id"] = os.environ["FUZZ_COMMENT"]
    if collection == "video-processing":
        use_video_job(case, parameters)
    if "If-Match" in case.headers and CHANCE.random() < 0.7:
        tag = tags.get(case.formatted_path)
        if tag and CHANCE.random() < 0.5:
            case.headers["If-Match"] = tag
        else:
            del case.headers["If-Match"]


# Generated names of files and thumbnails are never those of a job either.
def use_video_job(case, parameters):
    if CHANCE.random() < 0.5 or not isinstance(case.body, dict):
        return
    if "thumbnail_id" in case.body:
        parameters["job_id"] = os.environ["FUZZ_VIDEO_JOB"]
        case.body["thumbnail_id"] = "here"
    elif "update_data" in case.body:
        case.body["original_file"] = "uploads/there.mp4"


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
        # Items in the trash include the type of their collection; the type of a file is another.
        kind = item.get("type", collection) if collection == "trash" else collection
        for name in ("id", "slug", "page_type", "job_id"):
            learn((kind, name), item.get(name))
    if "etag" in response.headers and "id" in body:
        tags[f"/{collection}/{body.get('page_type') or body['id']}"] = response.headers["etag"][0]


def learn(key, value):
    values = known.setdefault(key, [])
    if isinstance(value, str) and value not in values:
        values.append(value)
        del values[:-KEPT]


# Rejections that a schema cannot express: a reference to a missing or unsuitable item, a cursor of another list, and a
# new page without the fields that only an update may omit.
STATES = ("Invalid reassign_to: ", "Invalid page: ", "Invalid cursor: ", "The cursor ")
# The same for single fields; also content or a slug that is empty after sanitizing, a cursor together with an offset, and a
# key of another request.
FIELDS = ("section_id", "parent_id", "content", "slug", "cursor", "Idempotency-Key")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if failure.code == "ST202" and is_upload(case):
        return response.status_code not in (400, 413, 415, 422)
    # The limits of a user do not depend on the address.
    if failure.code == "ST202" and response.status_code == 429 and "/engagement/" in case.path:
        return False
    if failure.code != "ST202" or response.status_code not in (400, 422):
        return True
    # A link whose reference is null, such as the section of an item without one.
    if "None" in map(str, (case.path_parameters or {}).values()):
        return False
    body = json.loads(response.content)
    if response.status_code == 400:
        return not body["detail"].startswith(STATES)
    return not all(beyond_a_schema(error) for error in body.get("errors", [{"type": "coded"}]))


def is_upload(case):
    return case.method == "POST" and case.path == "/uploads"


def beyond_a_schema(error):
    # JSON strings may contain NUL, which the API rejects. No pattern knows which characters are visible, or that objects
    # of a list have different ids.
    texts = ("NUL", "visible character", "each section once")
    return error["type"] == "value_error" and (error["loc"][-1] in FIELDS or any(text in error["msg"] for text in texts))
