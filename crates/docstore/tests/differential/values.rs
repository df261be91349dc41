use docstore::bson::oid::ObjectId;
use docstore::bson::spec::BinarySubtype;
use docstore::bson::{Binary, Bson, DateTime, Document, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Returns one of the generated object ids.
pub(crate) fn object_id(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 12])
}

fn scalars() -> Vec<Bson> {
    let texts = ["", "a", "b", "ab", "a\0", "a\0b", "é", "A", "1", "$a"];
    let mut all: Vec<Bson> = vec![Bson::Null, Bson::Boolean(false), Bson::Boolean(true)];
    all.extend([-1, 0, 1, 2, i32::MAX, i32::MIN].map(Bson::Int32));
    all.extend([1, 2, (1 << 53) + 1, i64::MAX, i64::MIN].map(Bson::Int64));
    let doubles =
        [0.0, -0.0, 1.0, 1.5, 2.0, 9_007_199_254_740_992.0, 9.3e18, f64::NAN, f64::INFINITY, -1e300];
    all.extend(doubles.map(Bson::Double));
    all.extend(texts.map(Bson::from));
    all.push(Bson::from(object_id(1).to_hex()));
    all.extend([1, 2].map(|n| Bson::ObjectId(object_id(n))));
    all.extend([-1, 0, 1000].map(|ms| Bson::DateTime(DateTime::from_millis(ms))));
    all.push(Bson::Timestamp(Timestamp { time: 1, increment: 1 }));
    for (subtype, bytes) in [
        (BinarySubtype::Generic, vec![]),
        (BinarySubtype::Generic, vec![1]),
        (BinarySubtype::Uuid, vec![1; 16]),
    ] {
        all.push(Bson::Binary(Binary { subtype, bytes }));
    }
    all
}

/// A scalar value. The first few are the most common, so that values collide.
pub(crate) fn scalar() -> BoxedStrategy<Bson> {
    let common =
        vec![Bson::Null, Bson::Int32(1), Bson::Double(1.0), Bson::Int64(2), Bson::from("a"), Bson::Int32(0)];
    prop_oneof![2 => select(common), 3 => select(scalars())].boxed()
}

pub(crate) fn inner_document(value: impl Strategy<Value = Bson> + 'static) -> BoxedStrategy<Document> {
    vec((select(vec!["b", "c"]), value), 0..3)
        .prop_map(|fields| fields.into_iter().map(|(k, v): (&str, Bson)| (k.to_owned(), v)).collect())
        .boxed()
}

/// Any value, including nested arrays and documents.
pub(crate) fn value() -> BoxedStrategy<Bson> {
    let element = prop_oneof![
        5 => scalar(),
        2 => inner_document(scalar()).prop_map(Bson::Document),
        1 => vec(scalar(), 0..3).prop_map(Bson::Array),
    ];
    let list = vec(element.clone(), 0..4).prop_map(Bson::Array);
    let document = inner_document(prop_oneof![3 => scalar(), 1 => list.clone()]).prop_map(Bson::Document);
    prop_oneof![6 => scalar(), 2 => list, 2 => document].boxed()
}

/// Ids that collide: few, and some of them equal across types.
pub(crate) fn id() -> BoxedStrategy<Bson> {
    let mut ids: Vec<Bson> = (0..7).map(Bson::Int32).collect();
    ids.extend([
        Bson::Double(1.0),
        Bson::Int64(2),
        Bson::Null,
        Bson::from("a"),
        Bson::from(object_id(1).to_hex()),
    ]);
    ids.extend([Bson::ObjectId(object_id(1)), Bson::DateTime(DateTime::from_millis(0)), Bson::Boolean(true)]);
    ids.push(Bson::Document([("b", 1)].into_iter().map(|(k, v)| (k.to_owned(), Bson::Int32(v))).collect()));
    select(ids).boxed()
}
