use docstore::bson::doc;
use docstore::{Filter, Update};

use crate::agree;
use crate::generate::Op;

#[test]
fn an_upsert_takes_over_equalities() {
    agree(|| {
        vec![
            Op::UpdateOne {
                filter: Filter::and([Filter::id(1), Filter::is_in("a", [5])]),
                update: Update::new().set("n", 1),
                upsert: true,
            },
            Op::UpdateOne {
                filter: Filter::and([Filter::id(2), Filter::or([Filter::eq("a", 5)])]),
                update: Update::new().set("n", 1),
                upsert: true,
            },
            Op::Insert(vec![doc! { "a": 1, "_id": 3 }]),
        ]
    });
}
