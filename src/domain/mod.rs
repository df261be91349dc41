//! Nouns and rules. No I/O, no clock, no serialization.

/// Reactions and comments.
mod engagement;
/// Ids of documents, and revisions of items.
mod id;
/// Keys of requests that clients may repeat.
mod idempotency;
/// Uploaded pictures and videos.
mod media;
/// Navigation links.
mod navlink;
/// Pages.
mod page;
/// Page requests and listings.
mod page_request;
/// Roles, callers and what they may do.
mod permissions;
/// Projects.
mod project;
/// Items that refer to uploaded files.
mod referrer;
/// The common parts of all resources, and the macros that declare them.
mod resource;
/// Sections.
mod section;
/// Slugs.
mod slug;
/// Stories.
mod story;
/// Visible text.
mod text;
/// Deleted items.
mod trash;
/// The tree of sections.
mod tree;
/// Link targets and web URLs.
mod url;
/// The processing of videos.
mod video_job;

pub use engagement::{
    Comment, CommentDraft, CommentStatus, Commenting, EDIT_WINDOW, EngagementCounts, MAX_COMMENT_LENGTH,
    MAX_COMMENT_LINKS, MAX_COUNTED_TARGETS, MAX_MENTIONS, Participant, Person, REPEAT_WINDOW, ReactionTag,
    Reactions, Target, TargetType, count_links, threads,
};
pub use id::{Id, InvalidId, Revision};
pub use idempotency::{IdempotencyKey, MAX_IDEMPOTENCY_KEY_LENGTH, is_idempotency_key};
pub use media::{
    AssetType, ImageFilter, MAX_ALT_TEXT_LENGTH, MAX_MEDIA_NAMES, Media, MediaAddition, MediaDraft,
    MediaPatch, MediaVariant,
};
pub use navlink::{MAX_LABEL_LENGTH, MAX_LINK_LENGTH, NavLink, NavLinkDraft, NavLinkPatch};
pub use page::{Page, PageDraft, PagePatch, is_builtin_page_type};
pub use page_request::{CursorPage, Listing, PageRequest, Position, Window};
pub use permissions::{Authorship, Caller, Role, Visibility};
pub use project::{
    MAX_SUMMARY_LENGTH, MAX_TECHNOLOGIES, MAX_TECHNOLOGY_LENGTH, Project, ProjectDraft, ProjectFilter,
    ProjectPatch,
};
pub use referrer::{MAX_SHOWN_REFERRERS, MediaUse, Referrer, ReferrerType};
pub use resource::{
    Draft, FieldPatch, Item, MAX_CONTENT_LENGTH, MAX_TITLE_LENGTH, Meta, Patch, PatchOf, Precondition,
    Revised, RevisionMatch, StringEnum,
};
pub use section::{
    ContentType, DisplayType, NavVisibility, ParentFilter, Section, SectionDraft, SectionFilter, SectionPatch,
};
pub use slug::{SlugLookup, is_slug, nth_slug, slug_suffix, slugify};
pub use story::{Story, StoryDraft, StoryFilter, StoryPatch};
pub use text::is_visible;
pub use trash::{DeletedItem, Restored, TrashType};
pub use tree::{MAX_SECTION_DEPTH, PlacementError, SectionTree};
pub use url::{MAX_URL_LENGTH, is_link_target, is_script_url, is_web_url};
pub use video_job::{
    MAX_VIDEO_RESULTS, Thumbnail, VideoFormat, VideoJob, VideoJobDraft, VideoJobPatch, VideoJobStatus,
    VideoMetadata, is_media_url,
};
