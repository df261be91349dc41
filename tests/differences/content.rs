use super::{Difference, extend, fix};

pub(crate) const ITEMS: &[Difference] = &[
    fix(
        "date",
        "`date` of a story is the day of its first publication, in lists too; edits moved it, and lists had null.",
        "weak_spot_19_the_date_is_that_of_the_first_publication",
    ),
    extend(
        "section-id",
        "`section_id` is accepted in bodies, and has to name a live section that fits, else 422.",
        "weak_spot_15_and_16_references_and_the_default_section",
    ),
    fix(
        "default-section",
        "Something new without a `section_id` gets the first section that fits.",
        "weak_spot_16_stories_have_a_section",
    ),
    extend(
        "sanitised",
        "HTML is cleaned when it is written, and keeps all that the editor emits; `X-Content-Sanitized` says what was removed.",
        "weak_spot_7_content_is_cleaned_on_every_way_in",
    ),
    extend(
        "nothing-left",
        "Content of which nothing is left after the cleaning is 422.",
        "content_of_which_nothing_may_stay_is_no_content",
    ),
    fix(
        "clear-address",
        "An empty text clears an address of a project; it could never be cleared.",
        "weak_spot_19_an_address_is_cleared_by_an_empty_text",
    ),
    extend(
        "sort-order",
        "`sort_order` stays within what a JSON number can hold, else 422.",
        "limits_of_fields_are_those_that_are_enforced",
    ),
    extend(
        "page-types",
        "A page's type is `about`, `contact` or the slug of a page section; an unknown one is 404, it was 422.",
        "a_page_type_names_a_section_of_pages",
    ),
];

pub(crate) const SITE: &[Difference] = &[
    fix(
        "section-tree",
        "Sections stay a tree: a parent exists and does not lie within its child.",
        "weak_spot_18_sections_stay_a_tree",
    ),
    fix(
        "section-moves",
        "Sections that are moved at once, in several processes too, make no ring.",
        "weak_spot_18_moves_at_once_in_two_processes_make_no_ring",
    ),
    extend("section-depth", "Sections are at most 32 deep.", "weak_spot_18_sections_are_at_most_32_deep"),
    fix(
        "section-null",
        "In the change of a section null is a value of `parent_id` alone, else 422; it spoiled the stored section.",
        "weak_spot_18_null_is_a_value_of_the_parent_alone",
    ),
    fix(
        "section-delete",
        "A section with children or content is deleted with `?reassign_to=<id>` or `?force=true`, else 409; it left orphans.",
        "weak_spot_18_a_section_with_something_in_it_is_not_deleted",
    ),
    extend(
        "photo-essay",
        "`photo_essay` is a `content_type` beside `image`.",
        "every_word_reads_back_as_itself",
    ),
    fix(
        "link-scripts",
        "A link leads to http, https, mailto, tel or a place of the site, else 422; a stored one that a browser would run is not shown.",
        "links_lead_somewhere_and_run_nothing",
    ),
    extend(
        "link-tags",
        "Links have versions as other items have: `ETag`, `If-Match`.",
        "changes_may_name_the_state_that_they_are_for",
    ),
];

pub(crate) const SLUGS: &[Difference] = &[
    fix(
        "slug-race",
        "Equal titles at once get different slugs; one of them was 500.",
        "weak_spot_11_equal_titles_at_once_get_different_slugs",
    ),
    fix(
        "slug-letters",
        "Letters of other scripts are spelled out; they were dropped.",
        "other_letters_are_spelled_out_and_other_signs_dropped",
    ),
    fix(
        "slug-empty",
        "A title that gives no slug has the id for one; it had none.",
        "weak_spot_13_every_title_has_an_address_and_old_addresses_lead_on",
    ),
    extend(
        "slug-moved",
        "A slug that was changed leads to the new one by 301.",
        "weak_spot_13_every_title_has_an_address_and_old_addresses_lead_on",
    ),
    fix(
        "section-slug",
        "A slug given for a section is brought into form and made free; a taken one was 500.",
        "weak_spot_18_slugs_are_normal_and_free",
    ),
];

pub(crate) const DELETING: &[Difference] = &[
    fix(
        "deleted-marks",
        "`deleted` and `is_deleted` both count as deleted, and both are written.",
        "weak_spot_14_deletion_has_two_marks",
    ),
    fix(
        "deleted-title",
        "The title of something deleted can be used again; it was 500.",
        "weak_spot_12_the_title_of_a_deleted_story_can_be_used_again",
    ),
    fix(
        "deleted-page",
        "A deleted page can be made again; it was 500 for ever.",
        "weak_spot_12_a_deleted_page_can_be_made_again",
    ),
    extend(
        "purge",
        "`field-notes trash purge --older-than 30d` removes what is deleted for good.",
        "purging_takes_a_look_or_a_yes",
    ),
];
