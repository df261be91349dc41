use docstore::{
    Direction::{Ascending, Descending},
    Index,
};

/// The name of the collection.
pub(super) const COLLECTION: &str = "projects";

/// The indexes of the collection.
pub(super) fn indexes() -> Vec<Index> {
    vec![
        Index::on(["slug"]).unique(),
        Index::by([("is_published", Ascending), ("is_featured", Descending)]),
        Index::by([("is_published", Ascending), ("createdDate", Descending)]),
        Index::on(["user_id"]),
        Index::on(["section_id"]),
    ]
}
