use super::{Difference, extend, fix};

pub(crate) const RIGHTS: &[Difference] = &[
    fix(
        "authors",
        "Creating requires an author or administrator, otherwise 403; every signed-in user could, as with `OPEN_AUTHORSHIP=true`.",
        "regression_02_authors_and_administrators_create",
    ),
    fix(
        "drafts",
        "Drafts are visible to their owner and administrators only, in lists, counts, by id and by slug; to others they are 404.",
        "regression_01_drafts_are_for_their_owner_and_for_administrators",
    ),
    fix(
        "unpublished-projects",
        "The same holds for unpublished projects: `include_unpublished` requires a token and shows the caller's own.",
        "regression_01_unpublished_ones_are_for_their_owner_and_for_administrators",
    ),
    fix(
        "unpublished-sections",
        "The same holds for unpublished sections.",
        "unpublished_ones_are_for_their_owner_and_for_administrators",
    ),
    fix(
        "unpublished-pages",
        "The same holds for unpublished pages, which were public.",
        "regression_1_unpublished_pages_are_for_their_owner_and_administrators",
    ),
    fix(
        "unpublished-links",
        "The same holds for unpublished links, which were public.",
        "regression_1_unpublished_links_are_for_their_owner_and_administrators",
    ),
    fix(
        "navlink-authors",
        "Links are created by authors and administrators; every signed-in user could.",
        "regression_2_links_are_made_by_authors_and_administrators",
    ),
];

pub(crate) const IDENTITY: &[Difference] = &[
    extend(
        "roles",
        "Roles are `admin`, `author` and `commenter`; `AUTHOR_EMAILS` lists the authors.",
        "me_returns_the_caller",
    ),
    fix(
        "role-changes",
        "Roles follow the configuration immediately; they were fixed at a user's first sign-in.",
        "roles_follow_the_configuration_not_the_store",
    ),
    fix(
        "audience",
        "A Google token must be issued to one of `GOOGLE_CLIENT_ID`, with a verified address.",
        "regression_03_tokens_that_are_not_for_us_are_refused",
    ),
    fix(
        "token-expiry",
        "A token is rejected after it expires; it was accepted for up to five more minutes.",
        "regression_09_a_token_is_not_believed_beyond_its_end",
    ),
    fix(
        "google-down",
        "An unreachable Google is 503, not 500, where the caller matters; public reads are answered as for everyone.",
        "public_reads_are_served_while_google_is_down",
    ),
    fix(
        "malformed-address",
        "A token with an invalid e-mail address is 401; it was 500.",
        "non_public_email_addresses_are_rejected",
    ),
    extend(
        "one-look-up",
        "Concurrent requests with one new token query Google once.",
        "concurrent_requests_with_one_token_share_one_verification",
    ),
    fix(
        "log-secrets",
        "Tokens are never logged; all request headers were.",
        "regression_04_no_log_line_holds_a_token",
    ),
    extend(
        "development-tokens",
        "`ALLOW_DEV_AUTH=true` accepts `dev-mock-admin`, `dev-mock-author` and `dev-mock-commenter`; production refuses to start with it.",
        "development_tokens_are_refused_in_production",
    ),
    extend(
        "development-tokens-public",
        "On an address that others reach, development tokens are accepted with `ALLOW_DEV_AUTH=insecure` only.",
        "development_tokens_on_a_public_address_are_refused_or_warned_about",
    ),
    fix(
        "address-case",
        "E-mail addresses are compared without regard to case, also those of `ADMIN_EMAIL` and `AUTHOR_EMAILS`.",
        "addresses_are_one_whatever_their_case",
    ),
    fix(
        "account-first",
        "A user is found by the account first, then by address; another address or spelling made another user.",
        "an_account_is_one_user_whatever_its_address",
    ),
    fix(
        "token-first",
        "Credentials are checked before the body is received: 401 comes before 413, 415 and 422.",
        "callers_are_judged_before_bodies",
    ),
    extend(
        "known-bad-tokens",
        "A rejected token is not looked up again for a minute.",
        "rejected_and_overlong_tokens_are_recalled_without_asking",
    ),
    extend(
        "issuer-pause",
        "After several look-ups without an answer, tokens that are not known are 503 at once for a few seconds.",
        "t14_silent_issuer_of_tokens_delays_no_one_else",
    ),
];

pub(crate) const LIMITS: &[Difference] = &[
    fix(
        "limit-key",
        "Rate limits count by client and path, as before, and all writes of a client are limited to 300 per minute; another id avoided every limit.",
        "regression_08_a_client_cannot_avoid_a_limit_by_varying_the_address",
    ),
    fix(
        "limit-proxies",
        "The client is taken from `X-Forwarded-For` if the sender is one of `TRUSTED_PROXIES`; all clients of a proxy counted as one.",
        "t18_the_address_that_a_trusted_proxy_names_is_the_client",
    ),
    extend(
        "limit-writes",
        "All writes are rate limited; only sections and links were.",
        "writes_are_limited_and_reads_are_not",
    ),
    extend(
        "limit-sign-in",
        "Look-ups of bad tokens are slowed down per client; valid tokens are not refused because of them.",
        "t14_thousand_bad_tokens_do_not_keep_others_from_signing_in",
    ),
    extend(
        "limit-bodies",
        "Bodies that arrive too slowly are 408; one client may send a quarter of all bodies that are received at a time.",
        "slow_bodies_take_a_share_of_the_places_and_are_given_up",
    ),
    extend(
        "limit-responses",
        "Responses that clients are receiving have a budget of bytes (`RESPONSES_MAX_BYTES`), beyond which uncached reads are 503; slow readers are disconnected.",
        "bodies_beyond_the_budget_are_refused",
    ),
    extend(
        "limit-headers",
        "429 has `Retry-After` and `detail` beside `error`; limited routes send `RateLimit` and `RateLimit-Policy`.",
        "regression_08_a_client_cannot_avoid_a_limit_by_varying_the_address",
    ),
];
