use bson::{Bson, Document, doc};

use crate::model::index::broken;
use crate::{EngineKind, Index, Result};

/// The indexes and options of a collection.
///
/// It also holds the native definition of the engine that it comes from, which covers what the typed part cannot
/// express: text indexes, collations, validators, expiry, … Restored to the same engine, the collection is exactly what
/// it was.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CollectionOptions {
    /// The indexes in order of creation, without the one on the id.
    pub indexes: Vec<Index>,
    /// The engine, and its native definition.
    native: Option<(EngineKind, Document)>,
}

impl CollectionOptions {
    /// Declares options.
    pub fn new(indexes: Vec<Index>) -> Self {
        Self { indexes, native: None }
    }

    /// Wraps the options that an engine found, with its native definition.
    pub fn from_engine(indexes: Vec<Index>, kind: EngineKind, native: Document) -> Self {
        Self { indexes, native: Some((kind, native)) }
    }

    /// Returns the native definition, if it comes from this engine.
    pub fn native(&self, kind: EngineKind) -> Option<&Document> {
        self.native.as_ref().filter(|(from, _)| *from == kind).map(|(_, native)| native)
    }

    /// Returns whether the collection is a view, which has no documents of its own.
    pub fn is_view(&self) -> bool {
        self.server_options().is_some_and(|options| options.contains_key("viewOn"))
    }

    /// Returns the validator of a MongoDB collection as the server states it.
    pub fn validator(&self) -> Option<&Document> {
        self.server_options()?.get_document("validator").ok()
    }

    fn server_options(&self) -> Option<&Document> {
        self.native(EngineKind::Mongo)?.get_document("options").ok()
    }

    /// Encodes the options as a document. [`CollectionOptions::from_document`] reads it.
    pub fn to_document(&self) -> Document {
        let indexes: Vec<Bson> = self.indexes.iter().map(|index| index.to_document().into()).collect();
        let mut document = doc! { "indexes": indexes };
        if let Some((kind, native)) = &self.native {
            document.insert(key(*kind), native.clone());
        }
        document
    }

    /// Reads what [`CollectionOptions::to_document`] wrote. A typed validator, which earlier versions wrote, is
    /// ignored.
    ///
    /// # Errors
    /// [`crate::Error::Engine`] if the document is malformed.
    pub fn from_document(document: &Document) -> Result<Self> {
        let listed = document.get_array("indexes").map_err(|_| broken("options without indexes"))?;
        let index = |index: &Bson| {
            index
                .as_document()
                .ok_or_else(|| broken("an index is not a document"))
                .and_then(Index::from_document)
        };
        let indexes = listed.iter().map(index).collect::<Result<_>>()?;
        let native = [EngineKind::Mongo, EngineKind::Embedded]
            .into_iter()
            .find_map(|kind| Some((kind, document.get_document(key(kind)).ok()?.clone())));
        Ok(Self { indexes, native })
    }
}

/// Returns the key of an engine's native definition.
fn key(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Mongo => "mongo",
        EngineKind::Embedded => "embedded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;

    #[test]
    fn options_round_trip_through_a_document() {
        let indexes = vec![Index::on(["a"]).unique(), Index::on(["b"]).partial(Filter::exists("c"))];
        let declared = CollectionOptions::new(indexes.clone());
        let native = doc! { "options": { "viewOn": "things", "validator": { "a": 1 } } };
        let found = CollectionOptions::from_engine(indexes, EngineKind::Mongo, native.clone());
        for options in [declared, found.clone()] {
            assert_eq!(CollectionOptions::from_document(&options.to_document()).unwrap(), options);
        }
        assert_eq!(
            (found.native(EngineKind::Mongo), found.native(EngineKind::Embedded)),
            (Some(&native), None)
        );
        assert!(found.is_view());
        assert_eq!(found.validator(), Some(&doc! { "a": 1 }));
    }

    #[test]
    fn a_typed_validator_of_an_older_backup_is_ignored() {
        let written = doc! { "indexes": [], "validator": { "must": { "op": "all" } }, "embedded": {} };
        let read = CollectionOptions::from_document(&written).unwrap();
        assert_eq!(read, CollectionOptions::from_engine(vec![], EngineKind::Embedded, doc! {}));
    }
}
