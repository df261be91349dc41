use docstore::Index;

/// The name of the collection.
pub(super) const COLLECTION: &str = "navlinks";

/// The indexes of the collection.
pub(super) fn indexes() -> Vec<Index> {
    vec![Index::on(["sort_order"]), Index::on(["is_published"])]
}
