use super::{Difference, extend, fix, without};

pub(crate) const ROUTES: &[Difference] = &[
    without(
        "newest-original",
        "Search, tags, photo essays, versions, nested paths and the contact form of the newest original are not implemented.",
        "the_router_has_the_routes_of_the_table_and_no_others",
    ),
    fix(
        "asset-browser",
        "`/assets/list` and `/assets/by-section/{id}` read the library and not the bucket, so files enter them by upload or import; `referenced_by` is always filled, and names no drafts of others.",
        "asset_lists_have_the_shape_of_the_contract",
    ),
    extend(
        "media-library",
        "`/media` lists uploaded files; `/media/{id}` shows one, changes its alternative text, and deletes it unless content refers to it.",
        "files_in_use_are_only_deleted_by_force",
    ),
    extend("index", "`GET /` lists the main routes; it was 404.", "everything_is_well"),
    extend(
        "section-two-names",
        "`/sections/slug/{slug}`, as documented by the original, is served beside `/sections/by-slug/{slug}`.",
        "one_section_has_three_addresses",
    ),
    fix(
        "section-by-id",
        "`GET /sections/{id}` is public for published sections, as documented by the original.",
        "one_section_has_three_addresses",
    ),
    extend(
        "readiness",
        "`/readyz` reports whether the process accepts requests, and the phase of a start; `/livez` equals `/health`.",
        "before_the_start_is_over_only_liveness_answers",
    ),
    extend(
        "trash",
        "`GET /trash` lists deleted items for administrators; `POST /trash/{type}/{id}/restore` restores one.",
        "what_is_deleted_is_listed_by_type_the_latest_first",
    ),
    extend(
        "trash-delete",
        "`DELETE /trash/{type}/{id}` removes a deleted item permanently; a picture or video with its files.",
        "deleted_files_keep_their_bytes_until_they_are_purged",
    ),
    extend("head", "HEAD is supported wherever GET is; it was 405.", "head_says_what_get_would"),
    extend(
        "openapi",
        "`/openapi.json` is OpenAPI 3.1 and describes every response and header; `/docs` loads nothing from other hosts. There is no `/redoc`.",
        "it_is_served_with_a_page_that_needs_nothing_else",
    ),
];

pub(crate) const UPLOADS: &[Difference] = &[
    fix(
        "uploads-authors",
        "`POST /uploads` is for authors and administrators; every signed-in user could store files.",
        "callers_are_judged_before_files",
    ),
    fix(
        "uploads-sniffed",
        "The type of an upload is that of its bytes, not the one that the client names; SVG and HTML are 415.",
        "refused_uploads_have_the_bodies_of_the_contract",
    ),
    fix(
        "uploads-errors",
        "A file that is too large is 413, of another type 415, damaged or empty 422, with the original's `detail`; they were 400 and 500.",
        "refused_uploads_have_the_bodies_of_the_contract",
    ),
    fix(
        "uploads-streamed",
        "Files are checked while they arrive, and written to temporary files; they were read into memory whole.",
        "regression_10_uploads_are_judged_while_they_arrive",
    ),
    fix(
        "uploads-pixels",
        "Pictures of more than 50 megapixels, and animations of more than 500 frames, are refused before they are decoded.",
        "declared_sizes_are_refused_before_decoding",
    ),
    fix(
        "uploads-together",
        "Either all files of a request are stored or none; files before the failing one stayed.",
        "files_of_a_request_are_stored_together_or_not_at_all",
    ),
    fix(
        "uploads-widths",
        "`srcset` lists the widths that exist; a picture of 300 pixels was stored three times and listed as 1200 wide.",
        "variants_are_never_wider_than_the_picture",
    ),
    extend(
        "uploads-once",
        "The same file is stored once, under one name, whose digits come from its content; the collection `media` describes it.",
        "same_bytes_are_one_file_with_one_name",
    ),
    extend(
        "uploads-animations",
        "Animated GIF and WebP files stay animated; only their first frame was kept.",
        "animations_stay_animated",
    ),
    extend(
        "uploads-private",
        "Colors are converted to sRGB, and all metadata is removed, such as the place of a photo.",
        "orientation_is_applied_and_metadata_is_dropped",
    ),
    fix(
        "uploads-video-size",
        "The size of a video is read from its headers; it was always 1280 by 720.",
        "video_is_stored_as_it_is_with_its_true_size",
    ),
];

pub(crate) const ANSWERS: &[Difference] = &[
    fix(
        "media-size",
        "`?size=` delivers the narrowest variant of a picture that has this width, or else the widest one, for every naming; the largest width and all widths of the newest naming were 404.",
        "sizes_select_the_variant_of_every_naming",
    ),
    fix(
        "media-ranges",
        "`GET /uploads/…` understands suffix ranges, answers 416 beyond the end, and has `ETag`, `Last-Modified`, 304 and `If-Range` on every storage; `HEAD` works.",
        "files_are_delivered_with_ranges_and_conditions",
    ),
    fix(
        "media-types",
        "What is not a known type of picture or video is delivered as `application/octet-stream` to be saved; browsers run nothing in any file.",
        "only_known_media_are_shown_by_browsers",
    ),
    fix(
        "media-paths",
        "A path that leads out of `uploads/` is 404; it was 403 on a disk.",
        "no_path_leads_out_of_the_folder",
    ),
    extend(
        "media-storage",
        "Files can be in S3 and Azure (`MEDIA_URL`); a storage that fails is 503. Bytes are always delivered by this server, never by a redirect to a signed address.",
        "files_of_s3_are_delivered_with_ranges_and_conditions",
    ),
    fix(
        "list-order",
        "Lists have a total order, so that pages do not overlap: `_id` breaks ties.",
        "ties_are_broken_by_id",
    ),
    extend("list-link", "Lists have a `Link` header: first, prev, next.", "windows_move_over_the_list"),
    extend(
        "list-cursor",
        "Every list supports `cursor`, a signed token from its `Link` header: items that exist throughout appear exactly once, despite concurrent writes. With `offset` it is 422; a cursor of another list is 400.",
        "a_walk_meets_what_was_there_all_along_once",
    ),
    fix(
        "root-sections",
        "`/sections?parent_id=null` lists root sections; it never matched any.",
        "filters_choose",
    ),
    extend(
        "section-filter",
        "`?section_id=` filters stories and projects by section.",
        "regression_16_stories_have_a_section",
    ),
    fix(
        "bad-documents",
        "An unreadable stored document is skipped in lists and logged; requested alone it is 500. It broke the whole list.",
        "corrupt_documents_are_passed_over_in_lists_and_500_alone",
    ),
    extend(
        "damaged-documents",
        "The embedded store has a checksum for each document; a damaged one is skipped in lists and makes `/readyz` degraded, repeated damage 503.",
        "damaged_documents_are_skipped_in_lists_and_500_alone",
    ),
    extend(
        "disk-full",
        "On a full disk, writes are 507, content is served, and `/readyz` is `degraded`.",
        "full_disk_is_507_and_readiness_is_degraded",
    ),
    fix(
        "references",
        "References are read as string or `ObjectId` and returned as string.",
        "regression_15_references_are_read_in_both_types",
    ),
    extend(
        "etag",
        "Public responses have a strong `ETag`; `If-None-Match` returns 304.",
        "if_none_match_returns_304",
    ),
    extend(
        "if-match",
        "Single items have an `ETag`; a stale `If-Match` on PUT and DELETE is 412 and reports the current version.",
        "a_change_of_another_state_is_412",
    ),
    extend(
        "if-none-match",
        "`If-None-Match: *` on PUT only creates, and `If-Match: *` needs an existing item; otherwise 412.",
        "if_none_match_protects_existing_items",
    ),
    extend(
        "idempotency-key",
        "A POST that creates an item takes `Idempotency-Key`: for 24 hours a repetition gets the first response and creates nothing.",
        "repeated_create_with_idempotency_key_returns_first_response",
    ),
    extend(
        "cache-headers",
        "Every response has `Cache-Control` and `Vary`: public ones must be revalidated, personal ones must not be stored.",
        "answers_to_somebody_are_theirs",
    ),
    extend(
        "codings",
        "Anonymous reads are sent in br, zstd or gzip if accepted, each variant with its own strong `ETag`.",
        "a_coded_form_is_rendered_for_those_who_come_later",
    ),
    extend(
        "served-without-store",
        "Cached responses are served while the store is unreachable, which `Cache-Status` reports; `/readyz` is then `degraded`.",
        "what_is_rendered_is_served_while_the_store_is_away",
    ),
    extend(
        "no-queue",
        "Requests beyond the concurrency limit are 503 with `Retry-After`.",
        "beyond_what_can_be_worked_on_there_is_no_queue",
    ),
    extend(
        "security-headers",
        "Every response has `Content-Security-Policy`, `X-Content-Type-Options`, `X-Frame-Options` and `Referrer-Policy`.",
        "responses_have_security_headers",
    ),
    extend(
        "request-id",
        "Every response has `X-Request-Id`, taken from the request if it is harmless.",
        "a_request_id_that_could_do_harm_is_replaced",
    ),
    extend(
        "traceparent",
        "A W3C `traceparent` is propagated to the log.",
        "only_well_formed_traceparent_is_used",
    ),
    fix(
        "timestamps",
        "The times of `/health` and `/warmup` are UTC; they were local times.",
        "everything_is_well",
    ),
];

pub(crate) const ERRORS: &[Difference] = &[
    extend(
        "error-members",
        "Errors have `type`, `title`, `status`, `instance` (RFC 9457) and `request_id` beside `detail`.",
        "an_error_has_the_members_of_both_worlds",
    ),
    extend(
        "problem-json",
        "Errors are `application/problem+json` for clients that accept it by name.",
        "problem_json_must_be_accepted_by_name",
    ),
    fix(
        "no-internals",
        "A 500 never contains the text of an exception.",
        "a_panic_is_a_500_without_its_text",
    ),
    fix(
        "warmup-error",
        "`/warmup` returns a `request_id` instead of the driver's text.",
        "a_store_that_is_gone_is_said_so",
    ),
    fix(
        "store-unavailable",
        "An unreachable store is 503 with `Retry-After`; it was 500.",
        "regression_34_without_the_store_it_is_503",
    ),
    extend(
        "outcome",
        "A 503 has `\"outcome\": \"unknown\"` if the request may have been executed nevertheless.",
        "create_without_confirmation_has_unknown_outcome_and_can_be_repeated",
    ),
    extend(
        "time-out",
        "A request that takes too long is 503 (`REQUEST_TIMEOUT_SECONDS`).",
        "a_request_without_end_is_a_503",
    ),
    fix("www-authenticate", "401 has `WWW-Authenticate`.", "me_without_a_valid_token_is_401"),
    fix("allow", "405 has `Allow`.", "other_methods_are_405_with_allow"),
    fix(
        "error-cors",
        "Errors have the CORS headers too, so that the frontend can read them.",
        "regression_35_errors_may_be_read_by_known_origins_too",
    ),
    fix(
        "duplicate-key",
        "Concurrent creates never end in 500: a slug gets the next suffix, a real conflict is 409 and names the field.",
        "regression_11_equal_titles_at_once_get_different_slugs",
    ),
    extend(
        "operators",
        "Query parameters with `[`, `]` or a leading `$` in their names are 422.",
        "names_that_look_like_operators_are_422",
    ),
    extend("nul", "A string with a NUL character is 422.", "invalid_values_have_the_kinds_of_the_contract"),
    extend(
        "body-limits",
        "A JSON body may have 1 MiB, otherwise it is 413.",
        "fields_are_judged_together_and_the_store_is_unchanged",
    ),
    extend(
        "body-types",
        "Bodies of other types than JSON, and encoded ones, are 415; a byte order mark is ignored.",
        "other_types_and_encodings_than_plain_json_are_415",
    ),
    extend(
        "request-heads",
        "Ambiguous `Host` or `Authorization` headers are 400, URLs over 8 KiB 414, unknown expectations 417.",
        "odd_request_heads_are_refused_with_their_status",
    ),
    extend(
        "refused-bodies",
        "A body that is refused is read up to 128 MiB or 2 seconds, so that clients receive the response.",
        "refused_bodies_are_read_to_their_end",
    ),
    fix("error-echo", "A 422 never repeats the value that was sent.", "errors_never_repeat_the_value"),
];
