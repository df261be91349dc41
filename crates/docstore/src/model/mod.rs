//! Filters, updates, reads and indexes as values, independent of any engine.

mod collection_options;
pub(crate) mod index;
pub(crate) mod query;
mod update;

pub use collection_options::CollectionOptions;
pub use index::{Ensured, Index};
pub use query::{Direction, Field, Filter, Find, Plan, Projection, Sort};
pub use update::{Update, UpdateOp, UpdateResult, Write};
