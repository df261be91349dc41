//! Random operations. The generator avoids what MongoDB leaves unspecified:
//!
//! - which of several matches is *the first*: updates of one document name its id, or a key that at most one document
//!   has;
//! - the progress of an update of many documents before it failed: outside a transaction such updates only touch fields
//!   without an index and cannot fail, the others run in a transaction of their own;
//! - the order of a result without a total sort: windows are only requested with a total sort;
//! - `lte` and `gte` of null: they match a missing field, unless MongoDB 6.0 answers them from a sparse index, which
//!   does not have it;
//! - a field named twice in one document.

use docstore::bson::{Bson, Document};
use docstore::{Direction, Field, Filter, Find, Index, Projection, Sort, Update, UpdateOp, Write};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::values::{id, scalar, value};

/// One operation on the collection of a sequence.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Insert(Vec<Document>),
    Find(Find),
    Count(Filter),
    UpdateOne {
        filter: Filter,
        update: Update,
        upsert: bool,
    },
    /// An update that cannot fail.
    UpdateMany {
        filter: Filter,
        update: Update,
    },
    FindAndUpdate {
        filter: Filter,
        update: Update,
        upsert: bool,
    },
    DeleteOne(Filter),
    DeleteMany(Filter),
    Bulk(Vec<Write>),
    EnsureIndex(Index),
    DropIndex(String),
    ListIndexes,
    Transaction {
        ops: Vec<Op>,
        commit: bool,
    },
    /// Runs in a transaction of its own.
    UpdateManyOrNone {
        filter: Filter,
        update: Update,
    },
}

fn path() -> BoxedStrategy<Field> {
    select(vec!["a", "a", "b", "b", "c", "a.b", "a.b", "a.c", "b.c", "a.b.c", "n"])
        .prop_map(Field::from)
        .boxed()
}

fn document() -> BoxedStrategy<Document> {
    let fields = subsequence(vec!["a", "b", "c", "n"], 0..=3).prop_shuffle();
    (id(), fields, vec(value(), 3), any::<prop::sample::Index>())
        .prop_map(|(id, names, values, place)| {
            let mut fields: Vec<(String, Bson)> = names.into_iter().map(str::to_owned).zip(values).collect();
            // The id may be at any position; both engines move it to the front.
            fields.insert(place.index(fields.len() + 1), ("_id".to_owned(), id));
            fields.into_iter().collect()
        })
        .boxed()
}

fn leaf() -> BoxedStrategy<Filter> {
    let field = || prop_oneof![8 => path(), 1 => Just(Field::ID)];
    let operand = || prop_oneof![4 => value(), 1 => id()];
    let operands = || vec(prop_oneof![3 => scalar(), 1 => value()], 0..4);
    prop_oneof![
        1 => Just(Filter::All),
        4 => (field(), operand()).prop_map(|(f, v)| Filter::Eq(f, v)),
        1 => (field(), operand()).prop_map(|(f, v)| Filter::Ne(f, v)),
        2 => (field(), operands()).prop_map(|(f, v)| Filter::In(f, v)),
        1 => (field(), operand()).prop_map(|(f, v)| Filter::Lt(f, v)),
        1 => (field(), operand()).prop_map(|(f, v)| if v == Bson::Null { Filter::Missing(f) } else { Filter::Lte(f, v) }),
        1 => (field(), operand()).prop_map(|(f, v)| Filter::Gt(f, v)),
        1 => (field(), operand()).prop_map(|(f, v)| if v == Bson::Null { Filter::Exists(f) } else { Filter::Gte(f, v) }),
        1 => field().prop_map(Filter::Exists),
        1 => field().prop_map(Filter::Missing),
        1 => (field(), select(vec!["", "a", "a.", "é", "$", "(", "ab"])).prop_map(|(f, p)| Filter::StartsWith(f, p.into())),
    ]
    .boxed()
}

fn filter() -> BoxedStrategy<Filter> {
    leaf()
        .prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                2 => vec(inner.clone(), 0..4).prop_map(Filter::And),
                2 => vec(inner.clone(), 0..4).prop_map(Filter::Or),
                1 => inner.prop_map(Filter::negated),
            ]
        })
        .boxed()
}

/// A filter that matches at most one document.
fn one() -> BoxedStrategy<Filter> {
    prop_oneof![
        2 => id().prop_map(Filter::id),
        2 => (id(), filter()).prop_map(|(id, more)| Filter::and([Filter::id(id), more])),
    ]
    .boxed()
}

/// Like [`one`], or by a key that only upserts set.
fn one_to_upsert() -> BoxedStrategy<Filter> {
    let keyed = select(vec!["k1", "k2", "k3"]).prop_map(|k| Filter::eq("k", k));
    prop_oneof![3 => one(), 1 => keyed].boxed()
}

fn change(field: BoxedStrategy<Field>) -> BoxedStrategy<UpdateOp> {
    let number = select(vec![
        Bson::Int32(1),
        Bson::Int64(1),
        Bson::Double(0.5),
        Bson::Int32(0),
        Bson::Int64(i64::MAX),
        Bson::Int32(i32::MAX),
        Bson::Double(0.0),
    ]);
    (field, value(), number, 0..7)
        .prop_map(|(field, value, by, kind)| match kind {
            0..=2 => UpdateOp::Set(field, value),
            3 => UpdateOp::Unset(field),
            4 => UpdateOp::Inc(field, by),
            5 => UpdateOp::SetOnInsert(field, value),
            _ => UpdateOp::AddToSet(field, value),
        })
        .boxed()
}

fn update() -> BoxedStrategy<Update> {
    vec(change(path()), 1..4).prop_map(|ops| ops.into_iter().fold(Update::new(), Update::with)).boxed()
}

/// An update of fields without an index that no other operation sets to an unexpected type.
fn safe_update() -> BoxedStrategy<Update> {
    (select(vec!["m", "o"]), value(), 0..3)
        .prop_map(|(field, value, kind)| match kind {
            0 => Update::new().set(field, value),
            1 => Update::new().unset(field),
            _ => Update::new().set(field, value).set_on_insert("late", true).unset("n"),
        })
        .boxed()
}

fn sort_fields() -> BoxedStrategy<Sort> {
    let fields = subsequence(vec!["a", "b", "c", "a.b", "b.c"], 0..3).prop_shuffle();
    (fields, vec(any::<bool>(), 3))
        .prop_map(|(fields, up)| {
            fields.into_iter().zip(up).fold(Sort::default(), |sort, (field, up)| {
                if up { sort.then_ascending(field) } else { sort.then_descending(field) }
            })
        })
        .boxed()
}

fn total(sort: Sort, up: bool) -> Sort {
    if up { sort.then_ascending(Field::ID) } else { sort.then_descending(Field::ID) }
}

fn total_sort() -> BoxedStrategy<Sort> {
    (sort_fields(), any::<bool>()).prop_map(|(sort, up)| total(sort, up)).boxed()
}

fn projection() -> BoxedStrategy<Projection> {
    let all = ["a", "b", "c", "a.b", "a.c", "b.c", "a.b.c", "n"].map(Field::from).to_vec();
    let fields = subsequence(all, 0..3).prop_shuffle();
    fields.prop_map(Projection::include).boxed()
}

fn find() -> BoxedStrategy<Find> {
    let window = (prop_oneof![Just(0), 0..6_u64], option::of(0..8_u64));
    let shape = prop_oneof![
        1 => sort_fields().prop_map(|sort| (sort, (0, None))),
        3 => (total_sort(), window),
    ];
    (filter(), shape, option::weighted(0.3, projection()))
        .prop_map(|(filter, (sort, (skip, limit)), projection)| Find {
            filter,
            sort,
            after: None,
            skip,
            limit,
            projection,
        })
        .boxed()
}

fn write() -> BoxedStrategy<Write> {
    prop_oneof![
        3 => document().prop_map(Write::Insert),
        3 => (one(), update()).prop_map(|(filter, update)| Write::UpdateOne { filter, update }),
        1 => (filter(), safe_update()).prop_map(|(filter, update)| Write::UpdateMany { filter, update }),
        2 => prop_oneof![one(), filter()].prop_map(Write::DeleteMany),
    ]
    .boxed()
}

fn index() -> BoxedStrategy<Index> {
    let partial = select(vec![
        Filter::exists("b"),
        Filter::eq("c", 1),
        Filter::gt("a", 0),
        Filter::is_in("b", [1, 2]),
        Filter::and([Filter::exists("c"), Filter::lte("a", "b")]),
        Filter::or([Filter::eq("c", "a"), Filter::gte("b", 1.5)]),
    ]);
    let keys = select(vec![
        vec![("a", Direction::Ascending)],
        vec![("b", Direction::Descending)],
        vec![("a.b", Direction::Ascending)],
        vec![("a", Direction::Ascending), ("b", Direction::Descending)],
        vec![("b", Direction::Ascending), ("c", Direction::Ascending), ("_id", Direction::Descending)],
        vec![("a.b", Direction::Ascending), ("a.c", Direction::Ascending)],
        vec![("c", Direction::Ascending)],
    ]);
    (keys, 0..6, partial)
        .prop_map(|(keys, kind, filter)| {
            let index = Index::by(keys);
            let name = |kind: &str| format!("{}_{kind}", index.name());
            match kind {
                0 | 1 => index,
                2 => index.clone().unique().named(name("unique")),
                3 => index.clone().unique().sparse().named(name("sparse")),
                4 => index.clone().unique().partial(filter).named(name("partial")),
                _ => index.clone().partial(filter).named(name("part")),
            }
        })
        .boxed()
}

fn writing() -> BoxedStrategy<Op> {
    prop_oneof![
        10 => vec(document(), 1..4).prop_map(Op::Insert),
        8 => (one(), update()).prop_map(|(filter, update)| Op::UpdateOne { filter, update, upsert: false }),
        5 => (one_to_upsert(), update()).prop_map(|(filter, update)| Op::UpdateOne { filter, update, upsert: true }),
        3 => (filter(), safe_update()).prop_map(|(filter, update)| Op::UpdateMany { filter, update }),
        6 => (one(), update(), any::<bool>()).prop_map(|(filter, update, upsert)| {
            Op::FindAndUpdate { filter, update, upsert }
        }),
        2 => one().prop_map(Op::DeleteOne),
        1 => (filter(), filter()).prop_map(|(a, b)| Op::DeleteMany(Filter::and([a, b]))),
        3 => vec(write(), 1..6).prop_map(Op::Bulk),
    ]
    .boxed()
}

fn reading() -> BoxedStrategy<Op> {
    prop_oneof![5 => find().prop_map(Op::Find), 1 => filter().prop_map(Op::Count)].boxed()
}

fn op() -> BoxedStrategy<Op> {
    let inside = vec(prop_oneof![2 => writing(), 1 => reading()], 1..6);
    prop_oneof![
        28 => writing(),
        32 => reading(),
        2 => (filter(), update()).prop_map(|(filter, update)| Op::UpdateManyOrNone { filter, update }),
        // Building an index over documents takes the server a tenth of a second.
        1 => index().prop_map(Op::EnsureIndex),
        1 => index().prop_map(|index| Op::DropIndex(index.name().to_owned())),
        1 => Just(Op::ListIndexes),
        2 => (inside, any::<bool>()).prop_map(|(ops, commit)| Op::Transaction { ops, commit }),
    ]
    .boxed()
}

/// The operations on one collection: first some indexes and documents, then anything.
pub(crate) fn sequence() -> BoxedStrategy<Vec<Op>> {
    let indexes = vec(index().prop_map(Op::EnsureIndex), 0..4);
    let filling = vec(document(), 1..12).prop_map(|documents| {
        documents.into_iter().map(|document| Op::Insert(vec![document])).collect::<Vec<_>>()
    });
    (indexes, filling, vec(op(), 35..55)).prop_map(|(a, b, c)| [a, b, c].concat()).boxed()
}
