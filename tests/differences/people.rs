use super::{Difference, extend, fix};

pub(crate) const RIGHTS: &[Difference] = &[
    fix(
        "authors",
        "Creating is for authors and administrators, else 403; it was for anyone signed in, as `OPEN_AUTHORSHIP=true` still has it.",
        "weak_spot_02_authors_and_administrators_create",
    ),
    fix(
        "drafts",
        "Drafts are shown to their owner and administrators alone, in lists, counts, by id and by slug; to others they are 404.",
        "weak_spot_01_drafts_are_for_their_owner_and_for_administrators",
    ),
    fix(
        "unpublished-projects",
        "So are unpublished projects: `include_unpublished` needs a token, and shows the caller's own.",
        "weak_spot_01_unpublished_ones_are_for_their_owner_and_for_administrators",
    ),
    fix(
        "unpublished-sections",
        "So are unpublished sections.",
        "unpublished_ones_are_for_their_owner_and_for_administrators",
    ),
    fix(
        "unpublished-pages",
        "So are unpublished pages, which were public.",
        "weak_spot_1_unpublished_pages_are_for_their_owner_and_administrators",
    ),
    fix(
        "unpublished-links",
        "So are unpublished links, which were public.",
        "weak_spot_1_unpublished_links_are_for_their_owner_and_administrators",
    ),
    fix(
        "navlink-authors",
        "Links are made by authors and administrators; anybody signed in could.",
        "weak_spot_2_links_are_made_by_authors_and_administrators",
    ),
];

pub(crate) const IDENTITY: &[Difference] = &[
    extend(
        "roles",
        "Roles are `admin`, `author` and `commenter`; `AUTHOR_EMAILS` names the authors.",
        "everybody_is_told_who_they_are",
    ),
    fix(
        "role-changes",
        "Roles follow the configuration at once; those of a user were fixed when they first came.",
        "roles_follow_the_configuration_not_the_store",
    ),
    fix(
        "audience",
        "A Google token has to be issued to one of `GOOGLE_CLIENT_ID`, with a verified address.",
        "weak_spot_03_tokens_that_are_not_for_us_are_refused",
    ),
    fix(
        "token-expiry",
        "A token is not believed beyond its own end; it was for up to five minutes.",
        "weak_spot_09_a_token_is_not_believed_beyond_its_end",
    ),
    fix(
        "google-down",
        "Google unreachable is 503; it was 500.",
        "that_google_does_not_answer_is_not_the_fault_of_the_token",
    ),
    fix(
        "malformed-address",
        "A token with an address that nobody can have is 401; it was 500.",
        "addresses_that_nobody_can_have_are_refused",
    ),
    extend(
        "one-look-up",
        "Many requests with one new token ask Google once.",
        "many_requests_with_one_cold_token_ask_once",
    ),
    fix(
        "log-secrets",
        "Tokens are never logged; all headers of requests were.",
        "weak_spot_04_no_log_line_holds_a_token",
    ),
    extend(
        "development-tokens",
        "`ALLOW_DEV_AUTH=true` admits `dev-mock-admin`, `dev-mock-author` and `dev-mock-commenter`; production refuses to start with it.",
        "development_tokens_are_refused_in_production",
    ),
];

pub(crate) const LIMITS: &[Difference] = &[
    fix(
        "limit-key",
        "Limits count by client and route; by concrete address, they were avoided by another id.",
        "weak_spot_08_a_client_cannot_avoid_a_limit_by_varying_the_address",
    ),
    fix(
        "limit-proxies",
        "The client is who `X-Forwarded-For` names, if `TRUSTED_PROXIES` holds the sender; all behind one proxy counted as one.",
        "the_address_that_a_trusted_proxy_names_is_the_client",
    ),
    extend(
        "limit-writes",
        "All writes are limited; it was sections and links only.",
        "writes_are_limited_and_reads_are_not",
    ),
    extend(
        "limit-sign-in",
        "Who shows too many bad tokens in a minute is not listened to.",
        "who_shows_too_many_bad_tokens_is_not_listened_to",
    ),
    extend(
        "limit-headers",
        "429 has `Retry-After` and `detail` beside `error`; limited routes tell `RateLimit` and `RateLimit-Policy`.",
        "weak_spot_08_a_client_cannot_avoid_a_limit_by_varying_the_address",
    ),
];
