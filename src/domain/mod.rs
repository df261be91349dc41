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

pub use etag::{Condition, Revised, Revision};
pub use id::{Id, InvalidId};
pub use navlink::{NavLink, NavLinkChange, NewNavLink};
pub use page::{NewPage, Page, PageChange, is_page_of_old, is_page_type};
pub use page_request::{Listing, Start, Stretch, Walk, Window};
pub use patch::Patch;
pub use permissions::{Authorship, Caller, Item, Role, Visibility};
pub use project::{NewProject, Project, ProjectChange, ProjectFilter, ProjectText};
pub use section::{
    ContentType, DisplayType, NavVisibility, NewSection, ParentFilter, Section, SectionChange, SectionFilter,
};
pub use slug::{nth_slug, slugify, suffix_of};
pub use story::{NewStory, Story, StoryChange, StoryFilter};
pub use trash::{Restored, TrashType, Trashed};
pub use tree::{DEEPEST, Misplaced, SectionTree};
pub use url::{is_link, is_web_address, runs_script};
