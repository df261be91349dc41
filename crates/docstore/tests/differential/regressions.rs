use docstore::bson::doc;
use docstore::{Direction, Field, Filter, Find, Index, Sort, Update};

use crate::agree;
use crate::generate::Op;

#[test]
fn upsert_copies_equalities() {
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

#[test]
fn sort_by_two_arrays_fails_and_ends_the_transaction() {
    agree(|| {
        let sort = Sort::ascending("a").then_descending("b").then_ascending(Field::ID);
        let find = Op::Find(Find::new(Filter::All).sort(sort));
        let insert = |id: i32| Op::Insert(vec![doc! { "_id": id, "a": [1, 2], "b": [3] }]);
        vec![insert(1), find.clone(), Op::Transaction { ops: vec![insert(2), find, insert(3)], commit: true }]
    });
}

#[test]
fn ended_transaction_can_be_aborted() {
    agree(|| {
        let twice = Op::Insert(vec![doc! { "_id": 1 }, doc! { "_id": 1.0 }]);
        vec![Op::Transaction { ops: vec![twice.clone(), Op::Count(Filter::All)], commit: false }, twice]
    });
}

#[test]
fn sparse_index_is_not_used_for_null() {
    agree(|| {
        let sparse = Index::by([("b", Direction::Descending)]).sparse();
        vec![
            Op::EnsureIndex(sparse),
            Op::Insert(vec![doc! { "_id": 1, "b": null }, doc! { "_id": 2 }, doc! { "_id": 3, "b": 1 }]),
            Op::Count(Filter::eq("b", docstore::bson::Bson::Null)),
            Op::Count(Filter::ne("b", 1)),
            Op::Count(Filter::missing("b")),
        ]
    });
}
