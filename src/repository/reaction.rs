use docstore::Index;

/// The name of the collection.
pub(super) const COLLECTION: &str = "reactions";

/// The indexes of the collection.
pub(super) fn indexes() -> Vec<Index> {
    vec![
        Index::on(["target_type", "target_id"]),
        Index::on(["target_type", "target_id", "user_id", "reaction_tag"])
            .named("unique_user_reaction")
            .unique(),
    ]
}
