use docstore::Index;

/// The name of the collection.
pub(super) const COLLECTION: &str = "comments";

/// The indexes of the collection.
pub(super) fn indexes() -> Vec<Index> {
    vec![Index::on(["target_type", "target_id"]), Index::on(["parent_id"])]
}
