//! Filters, updates, reads and indexes as values, independent of any engine.

pub(crate) mod definition;
mod field;
pub(crate) mod filter;
pub(crate) mod find;
mod index;
mod shape;
mod update;
mod validator;

pub use field::Field;
pub use filter::Filter;
pub use find::{Direction, Find, FindAndUpdate, Plan, Projection, Sort};
pub use index::{Ensured, Index, IndexField};
pub use shape::Shape;
pub use update::{Update, UpdateOp, UpdateResult, Write, WriteResult};
pub use validator::{ValidationAction, ValidationLevel, Validator};
