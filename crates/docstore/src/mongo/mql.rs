use bson::Document;

use crate::mongo::schema::indexes;
use crate::mongo::translate;
use crate::{Filter, Index, Update};

impl Filter {
    /// Returns the filter in MongoDB's query language, for display, manifests and comparison. It is never parsed again.
    pub fn to_mql(&self) -> Document {
        translate::filter(self)
    }
}

impl Update {
    /// Returns the update in MongoDB's query language, for display and comparison. It is never parsed again.
    pub fn to_mql(&self) -> Document {
        translate::update(self)
    }
}

impl Index {
    /// Returns the index as an argument of `createIndexes`: `key`, `name` and the options that are set.
    pub fn to_mql(&self) -> Document {
        indexes::specification(self)
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn filters_updates_and_indexes_are_shown_in_mql() {
        let filter = Filter::eq("a", 1).also(Filter::missing("b"));
        assert_eq!(filter.to_mql(), doc! { "$and": [{ "a": { "$eq": 1 } }, { "b": { "$exists": false } }] });
        let update = Update::new().set("a", 1).unset("b");
        assert_eq!(update.to_mql(), doc! { "$set": { "a": 1 }, "$unset": { "b": "" } });
        let index = Index::on(["a"]).unique().partial(Filter::exists("a"));
        let expected = doc! {
            "key": { "a": 1 }, "name": "a_1", "unique": true, "partialFilterExpression": { "a": { "$exists": true } },
        };
        assert_eq!(index.to_mql(), expected);
    }
}
