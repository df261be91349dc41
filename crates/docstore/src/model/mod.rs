//! Filters, updates, reads and indexes as values, independent of any engine.

mod collection_options;
pub(crate) mod field;
mod filter;
mod find;
pub(crate) mod index;
mod update;

pub use collection_options::CollectionOptions;
pub use field::Field;
pub use filter::Filter;
pub use find::{Direction, Find, Plan, Projection, Sort};
pub use index::{Ensured, Index};
pub use update::{Update, UpdateOp, UpdateResult, Write};
