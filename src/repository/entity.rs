use docstore::{Filter, Index, Sort};

use super::row::Row;

/// A field of a stored document that is not what it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField(pub &'static str);

/// A noun of the domain that has a collection.
pub trait Entity: Sized + Send + 'static {
    /// The name of the collection.
    const COLLECTION: &'static str;
    /// A document as it is read, borrowed from its bytes. Its fields take any value, so that reading cannot fail; [`Entity::from_row`] judges.
    type Row<'a>: Row<'a>;
    /// Which of them a list is of.
    type Filter: Send + Sync;

    /// The indexes of the collection.
    fn indexes() -> Vec<Index>;

    /// Makes the noun of a row, or says which field is in the way.
    fn from_row(row: Self::Row<'_>) -> Result<Self, BadField>;

    /// Which documents a filter means. Deleted ones are left out by the repository.
    fn filter(filter: &Self::Filter) -> Filter;

    /// The order of lists, without the id that ends it.
    fn sort() -> Sort;
}
