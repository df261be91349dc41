//! List orders and the indexes that support them. Each index has the fields that narrow a list, then the fields of its
//! order, then the id.

use docstore::Direction::{Ascending, Descending};
use docstore::{Direction, Field, Filter, Index, Sort};

/// A field of an order.
pub(in crate::repository) type OrderField = (&'static str, Direction);

/// By `sort_order`, then newest first.
pub(in crate::repository) const BY_PLACE: &[OrderField] =
    &[("sort_order", Ascending), ("createdDate", Descending)];
/// Newest first.
pub(in crate::repository) const NEWEST_FIRST: &[OrderField] = &[("createdDate", Descending)];
/// Last deleted first.
const LAST_DELETED_FIRST: &[OrderField] = &[("deletedDate", Descending)];

/// Returns an order as a sort, ended by the id.
pub(in crate::repository) fn sort(order: &[OrderField]) -> Sort {
    let sort = order.iter().fold(Sort::default(), |sort, (field, direction)| match direction {
        Ascending => sort.then_ascending(*field),
        Descending => sort.then_descending(*field),
    });
    sort.then_ascending(Field::ID)
}

/// Returns the index of lists in this order that one field narrows.
pub(in crate::repository) fn narrowed(by: &'static str, order: &[OrderField]) -> Index {
    index(Some((by, Ascending)), order)
}

/// Returns the index of whole lists in this order.
pub(in crate::repository) fn whole(order: &[OrderField]) -> Index {
    index(None, order)
}

fn index(first: Option<OrderField>, order: &[OrderField]) -> Index {
    let fields = first.into_iter().chain(order.iter().copied());
    let fields = fields.map(|(field, direction)| (Field::from(field), direction));
    Index::by(fields.chain([(Field::ID, Ascending)]))
}

/// Returns the indexes of deleted documents, one per mark of deletion. They are partial: documents that are not deleted
/// take no space in them.
pub(in crate::repository) fn for_deleted() -> [Index; 2] {
    ["deleted", "is_deleted"].map(|mark| narrowed(mark, LAST_DELETED_FIRST).partial(Filter::eq(mark, true)))
}
