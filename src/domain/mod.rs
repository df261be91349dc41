//! Nouns and rules. No I/O, no clock, no serialisation.

/// Who asks, and what they may see and do.
mod caller;
/// Ids of documents.
mod id;
/// Windows over lists, and what is seen through them.
mod listing;
/// Sections: the places that content hangs in.
mod section;

pub use caller::{Caller, Role, Visibility};
pub use id::{Id, InvalidId};
pub use listing::{Listing, Window};
pub use section::{ContentType, DisplayType, NavVisibility, ParentFilter, Section, SectionFilter};
