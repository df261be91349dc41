//! Nouns and rules. No I/O, no clock, no serialisation.

/// Where links may lead.
mod address;
/// Who asks, and what they may see and do.
mod caller;
/// Ids of documents.
mod id;
/// What everything has that people write and publish.
mod item;
/// Windows over lists, and what is seen through them.
mod listing;
/// Links of the navigation.
mod navlink;
/// Pages.
mod page;
/// Changes of fields of which nothing is a value.
mod patch;
/// Projects.
mod project;
/// States of items, and changes that depend on them.
mod revision;
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

pub use address::{is_link, is_web_address, runs_script};
pub use caller::{Caller, Role, Visibility};
pub use id::{Id, InvalidId};
pub use item::{Authorship, Item};
pub use listing::{Listing, Start, Stretch, Walk, Window};
pub use navlink::{NavLink, NavLinkChange, NewNavLink};
pub use page::{NewPage, Page, PageChange, is_page_of_old, is_page_type};
pub use patch::Patch;
pub use project::{NewProject, Project, ProjectChange, ProjectFilter, ProjectText};
pub use revision::{Condition, Revised, Revision};
pub use section::{
    ContentType, DisplayType, NavVisibility, NewSection, ParentFilter, Section, SectionChange, SectionFilter,
};
pub use slug::{nth_slug, slugify, suffix_of};
pub use story::{NewStory, Story, StoryChange, StoryFilter};
pub use trash::{Restored, TrashType, Trashed};
pub use tree::{DEEPEST, Misplaced, SectionTree};
