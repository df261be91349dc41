//! Nouns and rules. No I/O, no clock, no serialisation.

/// Revisions of items and preconditions.
mod etag;
/// Ids of documents.
mod id;
/// Links of the navigation.
mod navlink;
/// Pages.
mod page;
/// Page requests and listings.
mod page_request;
/// Changes of fields of which nothing is a value.
mod patch;
/// Callers and their permissions.
mod permissions;
/// Projects.
mod project;
/// Sections: the places that content hangs in.
mod section;
/// Names in addresses.
mod slug;
/// Stories.
mod story;
/// What is deleted.
mod trash;
/// Sections inside one another.
mod tree;
/// Links and web URLs.
mod url;

pub use etag::{Precondition, Revised, Revision};
pub use id::{Id, InvalidId};
pub use navlink::{NavLink, NavLinkChange, NewNavLink};
pub use page::{NewPage, Page, PageChange, is_builtin_page_type, is_page_type};
pub use page_request::{CursorPage, Listing, PageRequest, Position, Window};
pub use patch::Patch;
pub use permissions::{Authorship, Caller, Item, Role, Visibility};
pub use project::{NewProject, Project, ProjectChange, ProjectFilter, ProjectText};
pub use section::{
    ContentType, DisplayType, NavVisibility, NewSection, ParentFilter, Section, SectionChange, SectionFilter,
};
pub use slug::{nth_slug, slug_suffix, slugify};
pub use story::{NewStory, Story, StoryChange, StoryFilter};
pub use trash::{DeletedItem, Restored, TrashType};
pub use tree::{MAX_SECTION_DEPTH, PlacementError, SectionTree};
pub use url::{is_link_target, is_script_url, is_web_url};
