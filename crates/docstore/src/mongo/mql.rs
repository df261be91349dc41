use bson::Document;

use crate::mongo::schema::indexes;
use crate::mongo::translate;
use crate::{Filter, Index, Update};

impl Filter {
    /// The filter in MongoDB's words: for people, for manifests, and to tell whether two are the same. It is not read
    /// back.
    pub fn to_mql(&self) -> Document {
        translate::filter(self)
    }
}

impl Update {
    /// The update in MongoDB's words: for people, and to tell whether two are the same. It is not read back.
    pub fn to_mql(&self) -> Document {
        translate::update(self)
    }
}

impl Index {
    /// The index as `createIndexes` wants it: `key`, `name`, and the options that are set.
    pub fn to_mql(&self) -> Document {
        indexes::specification(self)
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn they_are_told_in_the_words_of_mongodb() {
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
