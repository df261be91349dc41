use bson::{Bson, Document, doc};

use crate::model::definition::broken;
use crate::{EngineKind, Index, Result, Validator};

/// What a collection is besides its documents: indexes, validator, options.
///
/// It also holds the words of the engine that it comes from, which say exactly what ours may not be able to: text
/// indexes, collations, expiry, … Put into the same engine, a collection becomes what it was.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionOptions {
    /// The indexes in the order of their making, without that on the id.
    pub indexes: Vec<Index>,
    /// What its documents have to satisfy.
    pub validator: Option<Validator>,
    /// The engine, and its own words.
    own: Option<(EngineKind, Document)>,
}

impl CollectionOptions {
    /// A shape that is declared.
    pub fn new(indexes: Vec<Index>, validator: Option<Validator>) -> Self {
        Self { indexes, validator, own: None }
    }

    /// A shape that an engine found, with its own words for it.
    pub fn found(indexes: Vec<Index>, validator: Option<Validator>, kind: EngineKind, own: Document) -> Self {
        Self { indexes, validator, own: Some((kind, own)) }
    }

    /// The engine's own words, if they are those of this engine.
    pub fn own(&self, kind: EngineKind) -> Option<&Document> {
        self.own.as_ref().filter(|(of, _)| *of == kind).map(|(_, own)| own)
    }

    /// Whether it is a view: it has no documents of its own.
    pub fn is_view(&self) -> bool {
        self.own(EngineKind::Mongo)
            .and_then(|own| own.get_document("options").ok())
            .is_some_and(|o| o.contains_key("viewOn"))
    }

    /// As a document. [`CollectionOptions::from_document`] reads it.
    pub fn to_document(&self) -> Document {
        let indexes: Vec<Bson> = self.indexes.iter().map(|index| index.to_document().into()).collect();
        let mut document = doc! { "indexes": indexes };
        if let Some(validator) = &self.validator {
            document.insert("validator", validator.to_document());
        }
        match &self.own {
            Some((EngineKind::Mongo, own)) => {
                document.insert("mongo", own.clone());
            }
            Some((EngineKind::Embedded, own)) => {
                document.insert("embedded", own.clone());
            }
            None => {}
        }
        document
    }

    /// The shape that [`CollectionOptions::to_document`] wrote.
    ///
    /// # Errors
    /// [`crate::Error::Engine`] if it did not.
    pub fn from_document(document: &Document) -> Result<Self> {
        let listed = document.get_array("indexes").map_err(|_| broken("a shape without indexes"))?;
        let index = |one: &Bson| {
            one.as_document().ok_or_else(|| broken("an index is no document")).and_then(Index::from_document)
        };
        let indexes = listed.iter().map(index).collect::<Result<_>>()?;
        let validator = document.get_document("validator").ok().map(Validator::from_document).transpose()?;
        let own = [("mongo", EngineKind::Mongo), ("embedded", EngineKind::Embedded)]
            .into_iter()
            .find_map(|(key, kind)| Some((kind, document.get_document(key).ok()?.clone())));
        Ok(Self { indexes, validator, own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;

    #[test]
    fn it_comes_back_as_it_was() {
        let indexes = vec![Index::on(["a"]).unique(), Index::on(["b"]).partial(Filter::exists("c"))];
        let validator = Some(Validator::new(Filter::exists("a")));
        let declared = CollectionOptions::new(indexes.clone(), validator.clone());
        let own = doc! { "options": { "viewOn": "things" } };
        let found = CollectionOptions::found(indexes, validator, EngineKind::Mongo, own.clone());
        for shape in [declared, found.clone()] {
            assert_eq!(CollectionOptions::from_document(&shape.to_document()).unwrap(), shape);
        }
        assert_eq!((found.own(EngineKind::Mongo), found.own(EngineKind::Embedded)), (Some(&own), None));
        assert!(found.is_view());
    }
}
