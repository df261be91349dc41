//! Attacks that succeeded on other content backends, tried on this one. The tests of a case begin with its number. The table
//! of cases names them, and is the part of `SECURITY.md` that says what is defended.

/// Loads content in a browser.
mod browser;
/// Checks that every response conforms to the OpenAPI document.
#[path = "../api/conform.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest")]
mod conform;
/// A store that counts what is asked of it.
#[path = "../../crates/migrator/tests/engine/counting.rs"]
#[expect(dead_code, reason = "the migrator's tests use the rest")]
mod counting;
/// Errors, origins and panics.
mod failures;
/// A double of Google.
#[path = "../api/google_double.rs"]
mod google_double;
/// Tokens and accounts.
mod identity;
/// Queries, bodies, ids, limits, redirects.
mod input;
/// Stored scripts, in a browser.
mod scripts;
/// Items to attack.
mod site;
/// The application under test.
#[path = "../api/support.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest")]
mod support;
/// Paths that lead somewhere, and those that must not.
mod surface;
/// Files of clients.
mod uploads;
/// Videos that name other files.
mod videos;
/// Hidden content, and that of others.
mod visibility;
/// Helpers for requests that write.
#[path = "../api/writing.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest")]
mod writing;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// An attack, and the tests that try it.
struct Case {
    number: u32,
    attack: &'static str,
    /// The reason why only a part of the case can be tried; empty if all of it can.
    limits: &'static str,
    tests: &'static [&'static str],
}

const fn case(number: u32, attack: &'static str, tests: &'static [&'static str]) -> Case {
    Case { number, attack, limits: "", tests }
}

impl Case {
    const fn limited(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }
}

const CASES: &[Case] = &[
    case(
        1,
        "drafts in public lists, through parameters that ask for them",
        &[
            "t01_drafts_are_on_no_public_list",
            "regression_01_drafts_are_for_their_owner_and_for_administrators",
        ],
    ),
    case(
        2,
        "hidden items on any surface; telling them from unknown ones",
        &[
            "t02_hidden_items_are_on_no_surface",
            "t02_unknown_deleted_and_draft_addresses_take_the_same_reads",
            "t02_reactions_and_comments_reveal_no_hidden_item",
        ],
    )
    .limited("no search, feed, sitemap, schedule or revisions yet"),
    case(3, "query keys that no route validates", &["t03_unknown_query_keys_change_nothing"]),
    case(4, "filters and orders by private fields", &["t04_private_fields_neither_filter_nor_sort"]),
    case(
        5,
        "operators in place of values in bodies",
        &["t05_operators_in_place_of_values_are_422", "a_title_is_a_text_and_nothing_else"],
    ),
    case(
        6,
        "operators in queries",
        &[
            "t06_query_operators_reach_no_store",
            "names_that_look_like_operators_are_422",
            "values_that_look_like_operators_are_values",
        ],
    ),
    case(7, "search texts that are executed or take long", &["t07_texts_are_data_and_take_the_same_reads"])
        .limited("no search yet"),
    case(
        8,
        "lists of ids that become a part of a query",
        &[
            "t08_lists_of_ids_are_typed_and_bounded",
            "reordering_takes_the_same_reads_for_any_number_of_sections",
        ],
    ),
    case(
        9,
        "members that are not for clients",
        &["t09_members_that_are_not_asked_for_never_reach_the_store", "a_body_takes_no_dates"],
    ),
    case(10, "texts that are taken for ids", &["t10_only_24_hexadecimal_digits_are_an_id"]),
    case(
        11,
        "other spellings of protected paths",
        &[
            "t11_spellings_of_a_path_open_no_protected_route",
            "a_path_is_taken_as_it_is_written",
            "a_method_is_the_one_that_was_sent",
        ],
    ),
    case(
        12,
        "routes without a policy",
        &[
            "t12_every_route_admits_whom_its_policy_names",
            "the_router_has_the_routes_of_the_table_and_no_others",
        ],
    ),
    case(
        13,
        "forged and malformed tokens",
        &[
            "t13_claims_of_a_token_are_never_believed",
            "t13_malformed_answers_about_a_token_admit_no_one",
            "invalid_fields_are_rejected",
        ],
    )
    .limited("tokens are opaque: the issuer is asked, no signature is verified here"),
    case(
        14,
        "floods of unknown tokens; an issuer that is silent or down",
        &[
            "t14_thousand_bad_tokens_do_not_keep_others_from_signing_in",
            "t14_silent_issuer_of_tokens_delays_no_one_else",
            "public_reads_are_served_while_google_is_down",
        ],
    )
    .limited("no key set is fetched"),
    case(
        15,
        "tokens of other applications, and users without a role",
        &["t15_valid_tokens_of_others_may_not_write", "regression_03_tokens_that_are_not_for_us_are_refused"],
    ),
    case(
        16,
        "accounts that are taken over by an e-mail address",
        &[
            "t16_unverified_addresses_open_no_account",
            "an_account_is_one_user_whatever_its_address",
            "an_address_of_another_user_is_not_taken_over",
        ],
    ),
    case(
        17,
        "tokens and roles that outlive their end",
        &[
            "t17_revoked_and_demoted_callers_are_refused",
            "regression_09_a_token_is_not_believed_beyond_its_end",
        ],
    )
    .limited("no sessions and no keys; a revoked token is refused after 5 minutes at the latest"),
    case(
        18,
        "rate limits whose key the client chooses",
        &[
            "t18_the_address_that_a_trusted_proxy_names_is_the_client",
            "regression_08_a_client_cannot_avoid_a_limit_by_varying_the_address",
            "addresses_of_one_ipv6_network_are_one_client",
        ],
    ),
    case(
        19,
        "stored scripts",
        &[
            "t19_stored_scripts_run_in_no_browser",
            "t19_comments_stay_plain_text",
            "t19_content_of_other_programs_is_reported_and_sanitized_by_doctor",
            "regression_7_content_is_cleaned_on_every_way_in",
            "output_of_tiptap_extensions_is_stored_byte_for_byte",
        ],
    ),
    case(
        20,
        "uploads",
        &[
            "t20_only_uploads_take_files_and_only_pictures_and_videos",
            "refused_uploads_have_the_bodies_of_the_contract",
            "names_of_clients_are_text_and_no_paths",
            "broken_files_are_refused",
            "declared_sizes_are_refused_before_decoding",
            "orientation_is_applied_and_metadata_is_dropped",
            "polyglots_are_what_their_first_bytes_say",
            "t20_videos_show_nothing_of_other_files",
            "t20_subtitles_of_videos_open_nothing",
        ],
    ),
    case(
        21,
        "addresses that the server fetches for a client",
        &["t21_nothing_fetches_an_address_that_a_client_names"],
    )
    .limited("no webhooks, no imports from an address"),
    case(
        22,
        "items of other authors",
        &["t22_author_reaches_nothing_of_another_author", "only_administrators_move_content_of_others"],
    ),
    case(
        23,
        "private responses in shared caches",
        &[
            "t23_responses_to_callers_are_never_shared",
            "what_depends_on_the_caller_is_never_kept",
            "one_response_is_kept_once_whatever_its_address",
        ],
    ),
    case(24, "conditional requests that reveal an item", &["t24_conditional_requests_reveal_nothing"]),
    case(
        25,
        "requests without limits",
        &[
            "t25_limits_of_lists_and_queries_are_enforced",
            "more_than_a_mebibyte_is_413",
            "what_is_no_object_is_422_with_its_place",
            "other_types_and_encodings_than_plain_json_are_415",
            "odd_request_heads_are_refused_with_their_status",
            "slow_bodies_take_a_share_of_the_places_and_are_given_up",
            "unread_responses_do_not_fill_the_memory",
            "slow_reader_of_one_http2_stream_is_disconnected",
            "idle_connections_do_not_block_requests",
        ],
    ),
    case(
        26,
        "sections that are no tree, or too large a one",
        &["t26_sections_stay_a_tree_of_bounded_depth", "regression_18_sections_stay_a_tree"],
    ),
    case(
        27,
        "guessing by differences in responses and work",
        &["t27_wrong_tokens_cannot_be_told_apart", "a_cursor_is_good_for_its_list_and_nothing_else"],
    )
    .limited("no passwords; tokens are found by their digest, signatures compared in constant time"),
    case(
        28,
        "internals in errors and logs",
        &[
            "t28_server_errors_reveal_nothing",
            "regression_04_no_log_line_holds_a_token",
            "malformed_connection_string_is_refused_without_its_password",
        ],
    ),
    case(
        29,
        "foreign origins",
        &["t29_foreign_origins_are_never_reflected", "preflights_of_others_are_refused"],
    ),
    case(
        30,
        "redirects and links to other sites",
        &["t30_redirects_stay_on_this_site_and_end", "links_lead_somewhere_and_run_nothing"],
    ),
    case(
        31,
        "paths to files",
        &[
            "t31_no_path_reaches_a_file",
            "t31_no_path_of_uploads_leads_to_another_file",
            "no_path_leads_out_of_the_folder",
        ],
    ),
    case(
        32,
        "races",
        &[
            "t32_fifty_of_one_title_are_all_made",
            "t32_of_fifty_changes_of_one_state_one_is_made",
            "eight_concurrent_starts_migrate_once_and_all_serve",
        ],
    ),
    case(33, "secrets in operational routes", &["t33_operational_routes_reveal_no_secret"]),
    case(34, "panics", &["t34_panic_is_one_500_and_the_process_lives", "a_panic_is_a_500_without_its_text"]),
];

/// The lines of `SECURITY.md` around the generated part.
const BEGIN: &str = "<!-- generated from the table of cases: make security -->\n";
const END: &str = "<!-- end -->\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("SECURITY.md")).expect("the document is read")
}

/// Returns the table of cases in Markdown.
fn table() -> String {
    let mut text = "| Case | Attack | Tests |\n|---|---|---|\n".to_owned();
    for Case { number, attack, limits, tests } in CASES {
        let limits = if limits.is_empty() { String::new() } else { format!(" ({limits})") };
        let tests = tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(" ");
        writeln!(text, "| {number} | {attack}{limits} | {tests} |").expect("a string takes text");
    }
    text
}

#[test]
fn security_document_has_the_table_of_cases() {
    let text = document();
    let (head, rest) = text.split_once(BEGIN).expect("the generated part begins");
    let (committed, tail) = rest.split_once(END).expect("the generated part ends");
    if env::var_os("WRITE_SECURITY").is_some() {
        let generated = format!("{head}{BEGIN}{}{END}{tail}", table());
        return fs::write(root().join("SECURITY.md"), generated).expect("the document is written");
    }
    assert!(committed == table(), "SECURITY.md is out of date: run `make security`");
}

#[test]
fn security_document_names_existing_tests() {
    let existing = testkit::test_names(root());
    let text = document();
    // The names of tests are the quoted words of at least three parts in lower case.
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        word.split('_').count() > 2
            && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let named: BTreeSet<_> = quoted.filter(is_name).collect();
    assert!(named.len() > 60, "{}", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !existing.contains(**name)).collect();
    assert!(missing.is_empty(), "no tests named {missing:?}");
    for risk in 1..=10 {
        let row = text.lines().find(|line| line.starts_with(&format!("| API{risk} ")));
        let row = row.unwrap_or_else(|| panic!("API{risk} has no row"));
        assert!(row.split('`').any(|word| is_name(&word)), "API{risk} names no test");
    }
}

#[test]
fn every_case_names_its_tests() {
    assert!(CASES.iter().map(|case| case.number).eq(1..=34));
    let names = testkit::test_names(root());
    let mut listed = BTreeSet::new();
    for Case { number, tests, .. } in CASES {
        let prefix = format!("t{number:02}_");
        assert!(tests.iter().any(|test| test.starts_with(&prefix)), "case {number} has no test of its own");
        for test in *tests {
            assert!(names.contains(*test), "case {number}: no test named {test}");
            listed.insert(*test);
        }
    }
    // Every test with a number is in the table.
    let is_numbered = |name: &&String| {
        let mut bytes = name.bytes();
        bytes.next() == Some(b't')
            && bytes.next().is_some_and(|b| b.is_ascii_digit())
            && bytes.next().is_some_and(|b| b.is_ascii_digit())
            && bytes.next() == Some(b'_')
    };
    let forgotten: Vec<_> =
        names.iter().filter(is_numbered).filter(|name| !listed.contains(name.as_str())).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}
