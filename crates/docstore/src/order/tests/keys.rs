use bson::{Bson, Document, RawDocumentBuf, doc};

use crate::order::*;
use crate::{Direction, Field};

fn keys(document: &Document, fields: &[(&'static str, Direction)], sparse: bool) -> Keys {
    let fields: Vec<_> = fields.iter().map(|(field, direction)| (Field::from(*field), *direction)).collect();
    let fields = key_fields(&fields);
    extract(&RawDocumentBuf::try_from(document).unwrap(), &fields, sparse).unwrap()
}

const UP: Direction = Direction::Ascending;

#[track_caller]
fn check(
    document: &Document,
    fields: &[&'static str],
    sparse: bool,
    multikey: bool,
    expected: &[&[Option<Bson>]],
) {
    let fields: Vec<_> = fields.iter().map(|f| (*f, UP)).collect();
    let keys = keys(document, &fields, sparse);
    let encode =
        |value: &Option<Bson>| value.as_ref().map_or(vec![EMPTY_ARRAY], |v| encode_value(v).unwrap());
    let expected: BTreeSet<Vec<u8>> =
        expected.iter().map(|key| key.iter().flat_map(encode).collect()).collect();
    assert_eq!((keys.set, keys.multikey), (expected, multikey));
}

#[expect(clippy::unnecessary_wraps, reason = "`None` stands for an empty array beside it")]
fn v(value: impl Into<Bson>) -> Option<Bson> {
    Some(value.into())
}

#[test]
fn document_without_arrays_has_one_key() {
    check(&doc! { "a": 1, "b": { "c": "x" } }, &["a", "b.c"], false, false, &[&[v(1), v("x")]]);
    check(&doc! { "a": 1 }, &["b.c", "a"], false, false, &[&[v(Bson::Null), v(1)]]);
    check(&doc! { "b": 5 }, &["b.c"], false, false, &[&[v(Bson::Null)]]);
}

#[test]
fn each_array_element_has_a_key() {
    check(&doc! { "a": [1, 2, 1.0], "b": 9 }, &["a", "b"], false, true, &[&[v(1), v(9)], &[v(2), v(9)]]);
    check(&doc! { "a": [[1, 2]] }, &["a"], false, true, &[&[v(vec![1, 2])]]);
    check(&doc! { "a": [] }, &["a"], false, true, &[&[None]]);
    check(&doc! { "a": [] }, &["a.b"], false, true, &[&[v(Bson::Null)]]);
    let of_documents = doc! { "a": [{ "b": 1, "c": 2 }, { "b": 3 }, 4] };
    let expected: &[&[Option<Bson>]] =
        &[&[v(1), v(2)], &[v(3), v(Bson::Null)], &[v(Bson::Null), v(Bson::Null)]];
    check(&of_documents, &["a.b", "a.c"], false, true, expected);
    check(&of_documents, &["a.b", "a.c"], true, true, &expected[..2]);
}

#[test]
fn sparse_excludes_documents_without_the_fields() {
    check(&doc! { "x": 1 }, &["a", "b"], true, false, &[]);
    check(&doc! { "b": null }, &["a", "b"], true, false, &[&[v(Bson::Null), v(Bson::Null)]]);
    check(&doc! { "a": [] }, &["a.b"], true, true, &[]);
}

#[test]
fn parallel_arrays_have_no_keys() {
    let both = keys(&doc! { "a": [1], "b": [2] }, &[("a", UP), ("b", UP)], false);
    assert_eq!(both.parallel, Some(("a".into(), "b".into())));
    let nested = keys(&doc! { "a": [{ "b": [1], "c": [1] }] }, &[("a.b", UP), ("a.c", UP)], false);
    assert!(nested.parallel.is_some());
}

#[test]
fn descending_keys_are_inverted() {
    let mut expected = encode_value(&Bson::Int32(1)).unwrap();
    invert(&mut expected);
    assert_eq!(
        keys(&doc! { "a": 1 }, &[("a", Direction::Descending)], false).set,
        BTreeSet::from([expected])
    );
}
