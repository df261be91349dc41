//! Tests for the 36 known defects of the original; each test begins with the number of its defect. Tests that need a
//! process are in `tests/process/regressions.rs`.

/// Public responses: sanitized content, rejections, errors.
mod answers;
/// Tokens and rate limits.
mod callers;
/// Navigation links.
mod navlinks;
/// Pages.
mod pages;
/// Projects.
mod projects;
/// Sections.
mod sections;
/// Stories.
mod stories;
/// Two processes at the same time.
mod two_processes;
/// Uploads.
mod uploads;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use Regression::{Elsewhere, Tested};

/// The coverage of a defect.
enum Regression {
    /// These tests cover it; several resources may have a test of one name.
    Tested(&'static [&'static str]),
    /// These tests do not cover it; the place that does.
    Elsewhere(&'static str),
}

/// Number, defect and coverage.
const REGRESSIONS: &[(u32, &str, Regression)] = &[
    (
        1,
        "drafts and unpublished items were public",
        Tested(&[
            "regression_01_drafts_are_for_their_owner_and_for_administrators",
            "regression_01_unpublished_ones_are_for_their_owner_and_for_administrators",
            "regression_1_unpublished_links_are_for_their_owner_and_administrators",
            "regression_1_unpublished_pages_are_for_their_owner_and_administrators",
        ]),
    ),
    (
        2,
        "anybody with an account created content",
        Tested(&[
            "regression_02_authors_and_administrators_create",
            "regression_02_who_creates_changes_and_deletes",
            "regression_2_links_are_made_by_authors_and_administrators",
        ]),
    ),
    (
        3,
        "tokens of other applications were accepted",
        Tested(&["regression_03_tokens_that_are_not_for_us_are_refused"]),
    ),
    (4, "tokens were logged", Tested(&["regression_04_no_log_line_holds_a_token"])),
    (5, "errors revealed internals", Tested(&["regression_05_errors_tell_nothing_of_the_inside"])),
    (6, "jobs of the video processing took anything from anybody", Elsewhere("no video routes")),
    (7, "HTML was stored as sent", Tested(&["regression_7_content_is_cleaned_on_every_way_in"])),
    (
        8,
        "rate limits could be avoided",
        Tested(&["regression_08_a_client_cannot_avoid_a_limit_by_varying_the_address"]),
    ),
    (
        9,
        "tokens were believed after their end",
        Tested(&["regression_09_a_token_is_not_believed_beyond_its_end"]),
    ),
    (
        10,
        "uploads were read whole before they were judged",
        Tested(&["regression_10_uploads_are_judged_while_they_arrive"]),
    ),
    (11, "a race for a slug was a 500", Tested(&["regression_11_equal_titles_at_once_get_different_slugs"])),
    (
        12,
        "the title of something deleted was lost",
        Tested(&[
            "regression_12_a_deleted_page_can_be_made_again",
            "regression_12_and_13_slugs_are_free_again_and_lead_on",
            "regression_12_the_title_of_a_deleted_section_can_be_used_again",
            "regression_12_the_title_of_a_deleted_story_can_be_used_again",
        ]),
    ),
    (
        13,
        "titles without an address; links that broke",
        Tested(&[
            "regression_12_and_13_slugs_are_free_again_and_lead_on",
            "regression_13_every_title_has_an_address_and_old_addresses_lead_on",
        ]),
    ),
    (14, "two marks of deletion", Tested(&["regression_14_deletion_has_two_marks"])),
    (
        15,
        "references of two types",
        Tested(&[
            "regression_15_and_16_references_and_the_default_section",
            "regression_15_references_are_read_in_both_types",
        ]),
    ),
    (
        16,
        "new content was in no section",
        Tested(&[
            "regression_15_and_16_references_and_the_default_section",
            "regression_16_stories_have_a_section",
        ]),
    ),
    (17, "the filter for root sections matched none", Tested(&["regression_17_null_means_the_root"])),
    (
        18,
        "sections were no tree",
        Tested(&[
            "regression_18_a_move_waits_until_another_process_has_made_its_own",
            "regression_18_a_section_with_something_in_it_is_not_deleted",
            "regression_18_children_and_deletions_at_once_leave_no_orphan",
            "regression_18_moves_at_once_in_two_processes_make_no_ring",
            "regression_18_null_is_a_value_of_the_parent_alone",
            "regression_18_sections_are_at_most_32_deep",
            "regression_18_sections_stay_a_tree",
            "regression_18_slugs_are_normal_and_free",
            "regression_18_who_died_while_moving_sections_stops_nobody_for_good",
        ]),
    ),
    (
        19,
        "addresses could not be cleared; dates were lost",
        Tested(&[
            "regression_19_an_address_is_cleared_by_an_empty_text",
            "regression_19_the_date_is_that_of_the_first_publication",
        ]),
    ),
    (
        20,
        "one bad document broke a list",
        Tested(&[
            "regression_20_a_bad_document_breaks_no_list",
            "regression_20_a_bad_link_does_not_break_the_list",
        ]),
    ),
    (21, "lists had no stable order", Tested(&["regression_21_equal_dates_have_an_order"])),
    (22, "each start published and dated stories", Tested(&["regression_22_a_start_changes_no_content"])),
    (23, "one width of an image was never found", Elsewhere("no uploads")),
    (24, "jobs of the video processing could not be changed by file", Elsewhere("no video routes")),
    (25, "reactions and comments", Elsewhere("tests/api/engagement")),
    (
        26,
        "indexes that could not be created were only logged",
        Tested(&["regression_26_without_its_indexes_nothing_is_served"]),
    ),
    (27, "undoing one migration undid all", Elsewhere("migrations/tests, crates/migrator/tests")),
    (28, "an upgrade to an applied migration ran all after it", Elsewhere("crates/migrator/tests")),
    (29, "migrations had no lock, no dry run, no record", Elsewhere("crates/migrator/tests")),
    (30, "migrations undid more than they had done", Elsewhere("migrations/tests")),
    (
        31,
        "the application and its migrations could use different databases",
        Elsewhere("src/config/tests.rs, tests/process/bad_input.rs: one program, one setting"),
    ),
    (
        32,
        "the address of the administrator was read too early or too late",
        Elsewhere("tests/process/bad_input.rs: the configuration is read first, by every command"),
    ),
    (33, "nothing said whether the store answers", Tested(&["regression_33_readiness_asks_the_store"])),
    (34, "without the store everything was a 500", Tested(&["regression_34_without_the_store_it_is_503"])),
    (
        35,
        "refusals did not say what to do, and could not be read by scripts",
        Tested(&[
            "regression_35_errors_may_be_read_by_known_origins_too",
            "regression_35_refusals_say_what_to_do",
        ]),
    ),
    (
        36,
        "the example of the configuration was not enough; passwords were not escaped",
        Tested(&["regression_36_passwords_are_escaped", "regression_36_the_example_is_enough_to_start"]),
    ),
];

/// Collects the names of all regression tests in the sources under a path, each with its file.
fn collect(path: &Path, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder is read") {
            collect(&entry.expect("an entry").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).expect("a source is read");
        for after in text.split("fn regression_").skip(1) {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            // This function names none.
            if end > 0 {
                found.push((format!("regression_{}", &after[..end]), path.display().to_string()));
            }
        }
    }
}

/// The numbers that a name begins with: `regression_12_and_13_…`.
fn numbers(name: &str) -> BTreeSet<u32> {
    let words = name.trim_start_matches("regression_").split('_');
    words
        .take_while(|word| *word == "and" || word.parse::<u32>().is_ok())
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn every_regression_is_listed_once() {
    assert!(REGRESSIONS.iter().map(|(number, ..)| *number).eq(1..=36));
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut found);
    let mut in_sources = BTreeMap::<u32, BTreeSet<&str>>::new();
    for (name, file) in &found {
        assert!(file.contains("regressions"), "{name} is in {file}");
        assert!(!numbers(name).is_empty(), "{name} has no number");
        for number in numbers(name) {
            in_sources.entry(number).or_default().insert(name);
        }
    }
    for (number, defect, regression) in REGRESSIONS {
        let in_table = match regression {
            Tested(tests) => tests.iter().copied().collect(),
            Elsewhere(why) => {
                assert!(!why.is_empty(), "{number}");
                BTreeSet::new()
            }
        };
        assert_eq!(in_sources.remove(number).unwrap_or_default(), in_table, "{number}: {defect}");
        assert!(!matches!(regression, Tested([])), "{number}: {defect}");
    }
    assert!(in_sources.is_empty(), "{in_sources:?}");
}
