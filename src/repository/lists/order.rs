//! The orders of lists, and the indexes that give them: each is the fields that a list is narrowed by, then the fields of
//! its order, to the id.

use docstore::Direction::{Ascending, Descending};
use docstore::{Direction, Field, Filter, Index, Sort};

/// A field of an order.
pub(in crate::repository) type By = (&'static str, Direction);

/// By a place that is given by hand, the newest first among equals.
pub(in crate::repository) const BY_PLACE: &[By] = &[("sort_order", Ascending), ("createdDate", Descending)];
/// The newest first.
pub(in crate::repository) const NEWEST_FIRST: &[By] = &[("createdDate", Descending)];
/// What was deleted last comes first.
const DELETED_LAST: By = ("deletedDate", Descending);

/// An order as a sort, without the id that ends it.
pub(in crate::repository) fn sort(order: &[By]) -> Sort {
    order.iter().fold(Sort::default(), |sort, (field, direction)| match direction {
        Ascending => sort.then_ascending(*field),
        Descending => sort.then_descending(*field),
    })
}

/// The index of lists in this order, narrowed by a field.
pub(in crate::repository) fn narrowed(by: &'static str, order: &[By]) -> Index {
    index(Some((by, Ascending)), order)
}

/// The index of all lists in this order.
pub(in crate::repository) fn whole(order: &[By]) -> Index {
    index(None, order)
}

fn index(first: Option<By>, order: &[By]) -> Index {
    let fields = first.into_iter().chain(order.iter().copied());
    let fields = fields.map(|(field, direction)| (Field::from(field), direction));
    Index::by(fields.chain([(Field::ID, Ascending)]))
}

/// The indexes of the trash. Either mark may be the one that is there; what is live takes no room in them.
pub(in crate::repository) fn for_deleted() -> [Index; 2] {
    ["deleted", "is_deleted"].map(|mark| narrowed(mark, &[DELETED_LAST]).partial(Filter::eq(mark, true)))
}
