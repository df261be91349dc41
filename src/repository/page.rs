use docstore::Index;

/// The name of the collection.
pub(super) const COLLECTION: &str = "pages";

/// The indexes of the collection.
pub(super) fn indexes() -> Vec<Index> {
    vec![
        Index::on(["page_type"]).unique(),
        Index::on(["is_published"]),
        Index::on(["user_id"]),
        Index::on(["section_id"]),
    ]
}
