use super::{Difference, extend, fix};

pub(crate) const ENGAGEMENT: &[Difference] = &[
    fix(
        "user-reactions",
        "`user_reactions` holds the caller's reactions; it was always empty. Responses to a token are private.",
        "own_reactions_are_in_private_responses_only",
    ),
    fix(
        "atomic-toggle",
        "A unique index decides about concurrent toggles; they were 500.",
        "fifty_parallel_toggles_end_in_a_consistent_state",
    ),
    fix(
        "hidden-targets",
        "Deleted content takes no reactions and comments and shows none, like drafts, which are 404 to their owner too.",
        "targets_that_are_not_public_take_no_reactions_and_reveal_nothing",
    ),
    fix(
        "comment-deletion",
        "The owner of the content and administrators delete comments, too; only their authors could.",
        "authors_owners_of_the_content_and_administrators_delete_comments",
    ),
    fix(
        "comment-placeholder",
        "A deleted comment with replies stays as a placeholder with `deleted_at`, without text and author; its replies vanished.",
        "a_deleted_comment_stays_as_placeholder_while_it_has_replies",
    ),
    fix(
        "comment-picture",
        "`user_avatar` is the picture of the user; it was always null.",
        "the_picture_of_the_author_is_real",
    ),
    fix(
        "bulk-bound",
        "Counts of more than 200 targets are 422, and those of content that is not public are zero.",
        "bad_targets_are_422_and_more_than_200_too",
    ),
    extend(
        "engagement-prefix",
        "The routes are served with and without `/api`.",
        "a_reaction_is_added_and_removed_by_turns",
    ),
    extend(
        "comment-edit",
        "`PUT /api/engagement/comments/{id}` changes one's own comment for 15 minutes.",
        "authors_edit_their_comments_for_fifteen_minutes",
    ),
    extend(
        "moderation",
        "`COMMENTS=moderated` shows comments after approval; administrators list, hide and restore them.",
        "moderated_comments_are_shown_after_approval",
    ),
    extend(
        "comments-closed",
        "`COMMENTS=closed` takes no new comments.",
        "closed_comments_take_nothing_new_and_stay_readable",
    ),
    extend(
        "comment-limits",
        "A comment has at most 3 links and 50 mentions, otherwise it is 422; the same one within a minute is 409.",
        "the_same_comment_within_a_minute_is_409",
    ),
    extend(
        "user-erase",
        "`field-notes user export EMAIL` and `user erase EMAIL` print and remove the comments and reactions of a person.",
        "export_and_erasure_cover_everything_of_a_user",
    ),
    extend(
        "engagement-purge",
        "Content that is purged from the trash takes its reactions and comments with it.",
        "purge_takes_reactions_and_comments_with_it",
    ),
    extend(
        "user-limits",
        "Comments are limited to 10 per minute and user beside 3 per minute, address and target; reactions to 60.",
        "comments_are_limited_by_address_and_by_user",
    ),
];
