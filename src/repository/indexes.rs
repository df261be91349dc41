use std::collections::HashMap;
use std::collections::hash_map::Entry;

use docstore::{Database, EngineKind, Ensured, Index};

use super::Entity;
use super::duplicates::{self, Duplicates};
use super::entities::{comment, reaction, user, video_job};
use super::idempotency;
use super::row::SLUG_HISTORY;
use super::slug_history::slug_history_indexes;
use crate::domain::{Media, NavLink, Page, Project, Section, Story};

/// An index of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredIndex {
    /// The collection.
    pub collection: &'static str,
    /// The index.
    pub index: Index,
}

/// An index that could not be created.
#[derive(Debug, thiserror::Error)]
pub enum IndexFailure {
    /// Existing documents have the same key.
    #[error(
        "failed to create the unique index {index} of {collection}: documents have the same {}{}\n  \
         change or delete all but one of each{}, and start again",
        fields.join(", "),
        documents.iter().flat_map(|one| ["\n  ".to_owned(), one.to_string()]).collect::<String>(),
        if fields == &["slug"] { ", or run `field-notes doctor --fix duplicate-slugs`" } else { "" }
    )]
    Duplicates {
        /// The collection.
        collection: &'static str,
        /// The name of the index.
        index: String,
        /// Its fields.
        fields: Vec<String>,
        /// The documents, for at most 20 keys.
        documents: Vec<Duplicates>,
    },
    /// An index with the same name or the same keys has another definition.
    #[error(
        "failed to create the index {} of {collection}, because a different one exists\n  declared: {declared}\n  \
         existing: {existing}\n  {}",
        declared.name(),
        conflict_remedy(*engine, collection, existing)
    )]
    Conflict {
        /// The engine, which decides how an index is dropped.
        engine: EngineKind,
        /// The collection.
        collection: &'static str,
        /// The declared index.
        declared: Box<Index>,
        /// The existing index.
        existing: Box<Index>,
    },
    /// A collection is of a kind that cannot hold content.
    #[error(
        "{collection} is {kind}, which cannot hold content\n  copy its documents into an ordinary collection, drop \
         {collection}, and rename the copy to {collection}"
    )]
    Collection {
        /// The collection.
        collection: &'static str,
        /// Its kind.
        kind: &'static str,
    },
    /// The store failed.
    #[error("failed to create the index {index} of {collection}: {source}")]
    Store {
        /// The collection.
        collection: &'static str,
        /// The name of the index.
        index: String,
        /// The cause.
        source: docstore::Error,
    },
}

impl IndexFailure {
    /// Returns the collection.
    pub fn collection(&self) -> &'static str {
        match self {
            Self::Duplicates { collection, .. }
            | Self::Conflict { collection, .. }
            | Self::Collection { collection, .. }
            | Self::Store { collection, .. } => collection,
        }
    }

    /// Reports whether the disk of the store is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Store { source, .. } if matches!(source.root(), docstore::Error::DiskFull(_)))
    }
}

/// Returns every index of every collection.
pub fn declared_indexes() -> Vec<DeclaredIndex> {
    let with_collection = |(collection, indexes): (&'static str, Vec<Index>)| {
        indexes.into_iter().map(move |index| DeclaredIndex { collection, index })
    };
    indexes_by_collection().into_iter().flat_map(with_collection).collect()
}

fn indexes_by_collection() -> [(&'static str, Vec<Index>); 12] {
    [
        (Story::COLLECTION, Story::indexes()),
        (Page::COLLECTION, Page::indexes()),
        (Project::COLLECTION, Project::indexes()),
        (Section::COLLECTION, Section::indexes()),
        (NavLink::COLLECTION, NavLink::indexes()),
        (Media::COLLECTION, Media::indexes()),
        (user::COLLECTION, user::indexes()),
        (video_job::COLLECTION, video_job::indexes()),
        (SLUG_HISTORY, slug_history_indexes()),
        (idempotency::COLLECTION, idempotency::indexes()),
        (reaction::COLLECTION, reaction::indexes()),
        (comment::COLLECTION, comment::indexes()),
    ]
}

/// Returns the failures for collections with declared indexes that cannot hold content. Migrations and index creation would
/// fail on them, with other errors.
pub async fn special_collections(database: &Database) -> Result<Vec<IndexFailure>, docstore::Error> {
    let special = database.special_collections().await?;
    let mut declared: Vec<_> = declared_indexes().iter().map(|declared| declared.collection).collect();
    declared.dedup();
    let failure = |collection| {
        let (_, kind) = special.iter().find(|(name, _)| name == collection)?;
        Some(IndexFailure::Collection { collection, kind })
    };
    Ok(declared.into_iter().filter_map(failure).collect())
}

/// Creates the declared indexes that are missing and returns their number. An equal index with another name is accepted.
pub async fn ensure_all(database: &Database) -> Result<usize, IndexFailure> {
    let mut created = 0;
    for (collection, indexes) in indexes_by_collection() {
        created += ensure(database, collection, &indexes).await?;
    }
    Ok(created)
}

/// As [`ensure_all`], for one collection.
pub async fn ensure_of<E: Entity>(database: &Database) -> Result<usize, IndexFailure> {
    ensure(database, E::COLLECTION, &E::indexes()).await
}

async fn ensure(
    database: &Database,
    collection: &'static str,
    indexes: &[Index],
) -> Result<usize, IndexFailure> {
    let ensured = match database.ensure_indexes(collection, indexes).await {
        Ok(ensured) => ensured,
        Err((index, error)) => return Err(index_failure(database, collection, index, error).await),
    };
    let mut created = 0;
    for (index, ensured) in indexes.iter().map(Index::name).zip(ensured) {
        match ensured {
            Ensured::Created => {
                created += 1;
                tracing::debug!(collection, index, "created an index");
            }
            Ensured::Existed => {}
            Ensured::ExistedAs(existing) => {
                tracing::info!(collection, index, existing, "the index exists under another name");
            }
        }
    }
    Ok(created)
}

/// Returns the failure to create an index.
async fn index_failure(
    database: &Database,
    collection: &'static str,
    index: &Index,
    error: docstore::Error,
) -> IndexFailure {
    match error {
        error if error.duplicate_index().is_some() => {
            // The list is a help; without it the failure is the same.
            let documents = duplicates::find(database, collection, index).await.unwrap_or_default();
            duplicate_failure(collection, index, documents)
        }
        docstore::Error::IndexConflict { declared, existing, .. } => {
            IndexFailure::Conflict { engine: database.kind(), collection, declared, existing }
        }
        source => IndexFailure::Store { collection, index: index.name().to_owned(), source },
    }
}

/// Returns the declared unique indexes that are missing, as `collection.index`.
pub async fn missing_unique_indexes(database: &Database) -> Result<Vec<String>, docstore::Error> {
    let mut missing = Vec::new();
    let mut existing = HashMap::new();
    for DeclaredIndex { collection, index } in declared_indexes() {
        if !index.is_unique() {
            continue;
        }
        let existing = match existing.entry(collection) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(database.list_indexes(collection).await?),
        };
        if !existing.iter().any(|other| other.same_definition(&index)) {
            missing.push(format!("{collection}.{}", index.name()));
        }
    }
    Ok(missing)
}

/// Returns the failures with which [`ensure_all`] would end, one for each index or collection. Reads the collections whose
/// unique index is missing, and writes nothing.
pub async fn expected_failures(database: &Database) -> Result<Vec<IndexFailure>, docstore::Error> {
    failures(database, true).await
}

/// Returns the failures of [`expected_failures`] that are known without reading documents.
pub async fn index_conflicts(database: &Database) -> Result<Vec<IndexFailure>, docstore::Error> {
    failures(database, false).await
}

async fn failures(
    database: &Database,
    search_duplicates: bool,
) -> Result<Vec<IndexFailure>, docstore::Error> {
    let mut failures = special_collections(database).await?;
    let special: Vec<_> = failures.iter().map(IndexFailure::collection).collect();
    let mut existing = HashMap::new();
    for DeclaredIndex { collection, index } in declared_indexes() {
        if special.contains(&collection) {
            continue;
        }
        let existing = match existing.entry(collection) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(database.list_indexes(collection).await?),
        };
        if existing.iter().any(|other| other.same_definition(&index)) {
            continue;
        }
        let conflict = existing.iter().find(|other| other.same_keys(&index) || other.name() == index.name());
        if let Some(existing) = conflict.cloned().map(Box::new) {
            let declared = Box::new(index);
            failures.push(IndexFailure::Conflict { engine: database.kind(), collection, declared, existing });
        } else if search_duplicates && index.is_unique() {
            let documents = duplicates::find(database, collection, &index).await?;
            if !documents.is_empty() {
                failures.push(duplicate_failure(collection, &index, documents));
            }
        }
    }
    Ok(failures)
}

fn duplicate_failure(collection: &'static str, index: &Index, documents: Vec<Duplicates>) -> IndexFailure {
    let fields = index.fields().iter().map(|(field, _)| field.to_string()).collect();
    IndexFailure::Duplicates { collection, index: index.name().to_owned(), fields, documents }
}

/// Returns a hint on how to replace an index by the declared one. It is only a hint: whether the existing one is needed is for the operator
/// to decide.
fn conflict_remedy(engine: EngineKind, collection: &str, existing: &Index) -> String {
    match engine {
        EngineKind::Mongo => format!(
            "to replace it, drop it in mongosh and start again: db.{collection}.dropIndex({:?})",
            existing.name()
        ),
        EngineKind::Embedded => {
            "to replace it, write a migration: field-notes migrate diff \"repair the indexes\"".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use docstore::Field;

    use super::*;

    #[test]
    fn declared_indexes_match_contract_and_lists() {
        let all = declared_indexes();
        let (of_lists, others): (Vec<_>, Vec<_>) =
            all.iter().partition(|d| d.index.fields().last().is_some_and(|(field, _)| *field == Field::ID));
        let shown = |declared: &[&DeclaredIndex]| -> BTreeSet<_> {
            declared.iter().map(|d| format!("{}.{}", d.collection, d.index.name())).collect()
        };
        let of_lists = shown(&of_lists);
        let expected = [
            "media.type_1_createdDate_-1__id_1",
            "media.createdDate_-1__id_1",
            "comments.created_at_-1__id_1",
            "comments.status_1_created_at_-1__id_1",
            "navlinks.is_published_1_sort_order_1_createdDate_-1__id_1",
            "navlinks.sort_order_1_createdDate_-1__id_1",
            "projects.section_id_1_sort_order_1_createdDate_-1__id_1",
            "projects.is_featured_1_sort_order_1_createdDate_-1__id_1",
            "projects.is_published_1_sort_order_1_createdDate_-1__id_1",
            "projects.sort_order_1_createdDate_-1__id_1",
            "sections.parent_id_1_sort_order_1_createdDate_-1__id_1",
            "sections.nav_visibility_1_sort_order_1_createdDate_-1__id_1",
            "sections.is_published_1_sort_order_1_createdDate_-1__id_1",
            "sections.sort_order_1_createdDate_-1__id_1",
            "stories.section_id_1_createdDate_-1__id_1",
            "stories.is_published_1_createdDate_-1__id_1",
            "stories.createdDate_-1__id_1",
            "video_processing_jobs.created_at_1__id_1",
            "video_processing_jobs.original_file_1_created_at_1__id_1",
            "video_processing_jobs.status_1_created_at_1__id_1",
        ];
        let trash =
            ["media", "pages", "projects", "sections", "stories"].into_iter().flat_map(|collection| {
                ["deleted", "is_deleted"].map(|mark| format!("{collection}.{mark}_1_deletedDate_-1__id_1"))
            });
        assert_eq!(of_lists, expected.into_iter().map(str::to_owned).chain(trash).collect());
        let names: BTreeSet<_> = others.iter().map(|d| format!("{}.{}", d.collection, d.index)).collect();
        let expected = [
            "comments.parent_id_1 (parent_id)",
            "comments.target_type_1_target_id_1 (target_type, target_id)",
            "comments.user_id_1 (user_id)",
            "idempotency_keys.createdDate_1 (createdDate) expireAfterSeconds 86400",
            "media.asset_id_1 (asset_id)",
            "media.content_hash_1_filter_1 (content_hash, filter) unique",
            "navlinks.is_published_1 (is_published)",
            "navlinks.sort_order_1 (sort_order)",
            "pages.is_published_1 (is_published)",
            "pages.page_type_1 (page_type) unique",
            "pages.section_id_1 (section_id)",
            "pages.user_id_1 (user_id)",
            "projects.is_published_1_createdDate_-1 (is_published, createdDate descending)",
            "projects.is_published_1_is_featured_-1 (is_published, is_featured descending)",
            "projects.section_id_1 (section_id)",
            "projects.slug_1 (slug) unique",
            "projects.user_id_1 (user_id)",
            "reactions.target_type_1_target_id_1 (target_type, target_id)",
            "reactions.user_id_1 (user_id)",
            "reactions.unique_user_reaction (target_type, target_id, user_id, reaction_tag) unique",
            "sections.is_published_1_sort_order_1 (is_published, sort_order)",
            "sections.nav_visibility_1_sort_order_1 (nav_visibility, sort_order)",
            "sections.parent_id_1 (parent_id)",
            "sections.slug_1 (slug) unique",
            "slug_history.collection_1_slug_1 (collection, slug) unique",
            "stories.is_published_1_date_-1 (is_published, date descending)",
            "stories.section_id_1 (section_id)",
            "stories.slug_1 (slug) unique",
            "stories.user_id_1 (user_id)",
            "users.auth_provider_lookup (auth_providers.provider, auth_providers.provider_user_id)",
            "users.email_1 (email) unique",
            "video_processing_jobs.job_id_1 (job_id)",
        ];
        assert_eq!(names, expected.into_iter().map(str::to_owned).collect());
    }
}
