//! Filters, updates, reads and indexes as values, independent of any engine.

mod collection_options;
pub(crate) mod definition;
mod field;
mod filter;
pub(crate) mod find;
mod index;
mod update;
pub(crate) mod validate;

pub use collection_options::CollectionOptions;
pub use field::Field;
pub use filter::Filter;
pub use find::{Direction, Find, Plan, Projection, Sort};
pub use index::{Ensured, Index, IndexField};
pub use update::{Update, UpdateOp, UpdateResult, Write};
