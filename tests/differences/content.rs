use super::{Difference, extend, fix};

pub(crate) const ITEMS: &[Difference] = &[
    fix(
        "date",
        "`date` of a story is the day of its first publication, also in lists; edits changed it, and lists had null.",
        "regression_19_the_date_is_that_of_the_first_publication",
    ),
    extend(
        "section-id",
        "`section_id` is accepted in bodies and must name an existing section of the right content type, otherwise 422.",
        "regression_15_and_16_references_and_the_default_section",
    ),
    fix(
        "default-section",
        "A new item without a `section_id` gets the published section of its type with the lowest `sort_order`, the oldest first.",
        "new_items_go_to_the_oldest_published_section_of_the_lowest_order",
    ),
    extend(
        "sanitised",
        "HTML is sanitized when it is written and keeps all markup of the editor; `X-Content-Sanitized` lists what was removed.",
        "regression_7_content_is_cleaned_on_every_way_in",
    ),
    extend(
        "content-length",
        "`content` of stories, projects and pages has up to 100,000 characters, also as it is stored; it was 10,000 or 50,000 as it was sent.",
        "content_has_1_to_100_000_characters",
    ),
    extend(
        "content-again",
        "What is returned as `content` can be sent again and is stored unchanged; content that sanitizing makes too long is 422.",
        "content_is_accepted_again_as_it_was_returned",
    ),
    extend(
        "nothing-left",
        "Content that is empty after sanitizing is 422.",
        "content_of_which_nothing_may_stay_is_no_content",
    ),
    fix(
        "clear-address",
        "An empty string clears a URL of a project; it could never be cleared.",
        "regression_19_an_address_is_cleared_by_an_empty_text",
    ),
    extend(
        "url-length",
        "The URLs of a project have up to 2,048 characters, otherwise 422; their length was not limited.",
        "addresses_begin_with_http_or_are_none",
    ),
    extend(
        "sort-order",
        "`sort_order` must be within the range of a JSON number, otherwise 422.",
        "limits_of_fields_are_those_that_are_enforced",
    ),
    extend(
        "page-types",
        "A page's type is `about`, `contact` or the slug of a page section, of any length; an unknown one is 404, it was 422.",
        "a_page_type_names_a_section_of_pages",
    ),
    extend(
        "page-follows",
        "The page of a section gets the new slug when the section is renamed; the old address redirects.",
        "the_page_of_a_renamed_section_follows_it",
    ),
    extend(
        "story-patch",
        "`PUT /stories/{id}` is partial, as for projects: an absent or null field stays.",
        "a_change_may_name_no_field_or_one",
    ),
    extend(
        "story-limit",
        "`GET /stories` accepts `limit` up to 100; it was 50.",
        "lists_have_windows_the_newest_first",
    ),
    extend(
        "card-fields",
        "Projects in lists have `is_published` and `updatedDate`.",
        "a_project_has_the_fields_of_the_contract",
    ),
    extend(
        "empty-reference",
        "An empty `section_id` or `parent_id` means none in a body, and no filter in a query.",
        "an_empty_reference_is_none_and_an_empty_filter_is_no_filter",
    ),
    extend(
        "gone-section",
        "An item that is sent back whole is saved although its section was deleted meanwhile.",
        "a_whole_story_can_be_sent_back_after_its_section_is_gone",
    ),
    extend(
        "visible-titles",
        "A title, label or summary without a visible character is 422; so are more than 50 `technologies`, or one without a visible character or of more than 50.",
        "blank_and_invisible_titles_are_refused",
    ),
];

pub(crate) const SITE: &[Difference] = &[
    fix(
        "section-tree",
        "Sections stay a tree: a parent must exist and must not be a descendant.",
        "regression_18_sections_stay_a_tree",
    ),
    fix(
        "section-moves",
        "Concurrent moves of sections, also in several processes, create no cycle.",
        "regression_18_moves_at_once_in_two_processes_make_no_ring",
    ),
    extend(
        "section-depth",
        "Sections are at most 32 levels deep.",
        "regression_18_sections_are_at_most_32_deep",
    ),
    fix(
        "section-null",
        "In an update of a section only `parent_id` may be null, otherwise 422; it corrupted the stored section.",
        "regression_18_null_is_a_value_of_the_parent_alone",
    ),
    fix(
        "section-delete",
        "A section with children or content is deleted with `?reassign_to=<id>` or `?force=true`, otherwise 409; it left orphans.",
        "regression_18_a_section_with_something_in_it_is_not_deleted",
    ),
    extend(
        "section-others",
        "Only administrators move items of other users out of a section that they delete; its author gets 403.",
        "only_administrators_move_content_of_others",
    ),
    extend(
        "section-type",
        "The `content_type` of a section that contains content cannot change: 409 with the counts.",
        "the_content_type_of_a_section_with_content_stays",
    ),
    extend(
        "section-order",
        "`PUT /sections/order` gives several sections a new order and parent: all of them, or none.",
        "sections_are_reordered_at_once",
    ),
    extend(
        "photo-essay",
        "`photo_essay` is a `content_type` beside `image`.",
        "every_word_parses_to_its_variant",
    ),
    fix(
        "link-scripts",
        "A link must be http, https, mailto, tel or a path of the site (`//host` is none), otherwise 422; a stored script link is hidden.",
        "links_lead_somewhere_and_run_nothing",
    ),
    extend(
        "link-tags",
        "Links have versions like other items: `ETag`, `If-Match`.",
        "changes_may_name_the_state_that_they_are_for",
    ),
];

pub(crate) const SLUGS: &[Difference] = &[
    fix(
        "slug-race",
        "Concurrent creates with equal titles get different slugs; one of them was 500.",
        "regression_11_equal_titles_at_once_get_different_slugs",
    ),
    fix(
        "slug-letters",
        "Letters of other scripts are transliterated, dashes and fractions separate; they were dropped.",
        "other_scripts_are_transliterated_and_symbols_dropped",
    ),
    fix(
        "slug-empty",
        "A title that gives an empty slug gets the id as slug; it had none.",
        "regression_13_every_title_has_an_address_and_old_addresses_lead_on",
    ),
    extend(
        "slug-moved",
        "A former slug redirects with 301 to the last item that had it and is public; a draft never takes a public address.",
        "every_address_leads_to_its_last_public_holder",
    ),
    fix(
        "section-slug",
        "A slug given for a section is normalized and made unique; a taken one was 500.",
        "regression_18_slugs_are_normal_and_free",
    ),
];

pub(crate) const DELETING: &[Difference] = &[
    fix(
        "deleted-marks",
        "`deleted` and `is_deleted` both count as deleted, and both are written.",
        "regression_14_deletion_has_two_marks",
    ),
    fix(
        "deleted-title",
        "The title of a deleted item can be used again; it was 500.",
        "regression_12_the_title_of_a_deleted_story_can_be_used_again",
    ),
    fix(
        "deleted-page",
        "A deleted page can be created again; it was 500 forever.",
        "regression_12_a_deleted_page_can_be_made_again",
    ),
    extend(
        "purge",
        "`field-notes trash purge --older-than 30d` removes deleted items permanently.",
        "purge_requires_dry_run_or_yes",
    ),
];
