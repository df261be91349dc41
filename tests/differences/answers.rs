use super::{Difference, extend, fix, without};

pub(crate) const ROUTES: &[Difference] = &[
    without(
        "no-engagement",
        "Reactions, comments, uploads and video jobs are not served.",
        "the_router_has_the_routes_of_the_table_and_no_others",
    ),
    extend("index", "`GET /` names what there is; it was 404.", "everything_is_well"),
    extend(
        "section-two-names",
        "`/sections/slug/{slug}`, as the documents had it, is served beside `/sections/by-slug/{slug}`.",
        "one_section_has_three_addresses",
    ),
    fix(
        "section-by-id",
        "`GET /sections/{id}` is public for published sections, as the documents had it.",
        "one_section_has_three_addresses",
    ),
    extend(
        "readiness",
        "`/readyz` says whether requests should be sent here, and the phase of a start; `/livez` is `/health`.",
        "before_the_start_is_over_only_liveness_answers",
    ),
    extend(
        "trash",
        "`GET /trash` lists what is deleted, for administrators; `POST /trash/{type}/{id}/restore` brings it back.",
        "what_is_deleted_is_listed_by_type_the_latest_first",
    ),
    extend("head", "HEAD is answered where GET is; it was 405.", "head_says_what_get_would"),
    extend(
        "openapi",
        "`/openapi.json` is OpenAPI 3.1 and describes every answer and header; `/docs` takes nothing from elsewhere. There is no `/redoc`.",
        "it_is_served_with_a_page_that_needs_nothing_else",
    ),
];

pub(crate) const ANSWERS: &[Difference] = &[
    fix(
        "list-order",
        "Lists have a total order, so that windows do not overlap: `_id` decides among equals.",
        "ties_are_broken_by_id",
    ),
    extend("list-link", "Lists have a `Link` header: first, prev, next.", "windows_move_over_the_list"),
    extend(
        "list-cursor",
        "Every list can be walked by `cursor`, a signed text from its `Link` header: what was there all along comes once, whatever is added or removed meanwhile. Not together with `offset` (422); one that is none of the list is 400.",
        "a_walk_meets_what_was_there_all_along_once",
    ),
    fix(
        "root-sections",
        "`/sections?parent_id=null` lists root sections; it never matched any.",
        "filters_choose",
    ),
    extend(
        "section-filter",
        "`?section_id=` chooses stories and projects of a section.",
        "weak_spot_16_stories_have_a_section",
    ),
    fix(
        "bad-documents",
        "A stored document that cannot be read is left out of lists and logged; by itself it is 500. It broke the whole list.",
        "corrupt_documents_are_passed_over_in_lists_and_500_alone",
    ),
    fix(
        "references",
        "References are read as text or `ObjectId` and answered as text.",
        "weak_spot_15_references_are_read_in_both_types",
    ),
    extend(
        "etag",
        "What everybody may see has a strong `ETag`; `If-None-Match` is answered 304.",
        "what_is_held_already_is_not_sent_again",
    ),
    extend(
        "if-match",
        "Single items have an `ETag`; `If-Match` on PUT and DELETE is 412 when it is stale, and names the current version.",
        "a_change_of_another_state_is_412",
    ),
    extend(
        "cache-headers",
        "Every answer has `Cache-Control` and `Vary`: public ones are asked about again, those to somebody are not kept.",
        "answers_to_somebody_are_theirs",
    ),
    extend(
        "codings",
        "Anonymous reads come in br, zstd or gzip where they are taken, each form with its own strong `ETag`.",
        "a_coded_form_is_rendered_for_those_who_come_later",
    ),
    extend(
        "served-without-store",
        "What is rendered is served while the store is away, and `Cache-Status` says so; `/readyz` is then `degraded`.",
        "what_is_rendered_is_served_while_the_store_is_away",
    ),
    extend(
        "no-queue",
        "Beyond what can be worked on at once a request is 503 with `Retry-After`.",
        "beyond_what_can_be_worked_on_there_is_no_queue",
    ),
    extend(
        "security-headers",
        "Every answer tells browsers to be careful: `Content-Security-Policy`, `X-Content-Type-Options`, `X-Frame-Options`, `Referrer-Policy`.",
        "browsers_are_told_to_be_careful",
    ),
    extend(
        "request-id",
        "Every answer has `X-Request-Id`, which is taken from the request if it is harmless.",
        "a_request_id_that_could_do_harm_is_replaced",
    ),
    extend(
        "traceparent",
        "A W3C `traceparent` is taken over into the log.",
        "traces_are_taken_over_if_they_are_well_formed",
    ),
    fix(
        "timestamps",
        "The times of `/health` and `/warmup` are UTC; they were of the machine's zone.",
        "everything_is_well",
    ),
];

pub(crate) const ERRORS: &[Difference] = &[
    extend(
        "error-members",
        "Errors carry `type`, `title`, `status`, `instance` (RFC 9457) and `request_id` beside `detail`.",
        "an_error_has_the_members_of_both_worlds",
    ),
    extend(
        "problem-json",
        "They are `application/problem+json` for those who ask for it by name.",
        "problem_json_has_to_be_asked_for_by_name",
    ),
    fix("no-internals", "A 500 never carries the text of an exception.", "a_panic_is_a_500_without_its_text"),
    fix(
        "warmup-error",
        "`/warmup` has a `request_id` in place of the driver's text.",
        "a_store_that_is_gone_is_said_so",
    ),
    fix(
        "store-unavailable",
        "A store that cannot be reached is 503 with `Retry-After`; it was 500.",
        "weak_spot_34_without_the_store_it_is_503",
    ),
    extend(
        "time-out",
        "A request that takes too long is 503 (`REQUEST_TIMEOUT_SECONDS`).",
        "a_request_without_end_is_a_503",
    ),
    fix("www-authenticate", "401 has `WWW-Authenticate`.", "nobody_is_told_to_sign_in"),
    fix("allow", "405 has `Allow`.", "other_methods_are_405_with_allow"),
    fix(
        "error-cors",
        "Errors have the CORS headers too, so that the frontend can read them.",
        "weak_spot_35_errors_may_be_read_by_known_origins_too",
    ),
    fix(
        "duplicate-key",
        "Two at once never end in 500: a slug takes the next suffix, a real clash is 409 that names the field.",
        "weak_spot_11_equal_titles_at_once_get_different_slugs",
    ),
    extend(
        "operators",
        "Query parameters with `[`, `]` or a leading `$` in their names are 422.",
        "names_that_look_like_operators_are_422",
    ),
    extend(
        "nul",
        "A text with a NUL character is 422.",
        "wrong_types_and_broken_rules_have_the_words_of_the_contract",
    ),
    extend(
        "body-limits",
        "A JSON body may have 1 MiB, else 413; a body of a form is 415.",
        "fields_are_judged_together_and_the_store_is_unchanged",
    ),
    fix("error-echo", "A 422 never repeats the value that was sent.", "errors_never_repeat_the_value"),
];
