use bson::doc;

use super::*;

/// By bytes: order of fields and widths of numbers count.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "the cases read better without a reference")]
fn check(before: &Document, change: &Update, expected: Option<Document>) {
    let mut document = before.clone();
    let changed = apply(&mut document, change, false).unwrap();
    let bytes = |document: &Document| RawDocumentBuf::try_from(document).unwrap();
    assert_eq!(bytes(&document), bytes(expected.as_ref().unwrap_or(before)), "{document}");
    assert_eq!(changed, expected.is_some());
}

#[track_caller]
fn unfit(before: &Document, change: &Update) {
    assert!(apply(&mut before.clone(), change, false).is_err(), "{change:?} on {before}");
}

#[test]
fn new_fields_come_in_the_order_of_their_paths() {
    let change = Update::new().set("z", 1).inc("a-b", 2).add_to_set("a.b", 3).unset("q").set("m", 4);
    check(&doc! { "m": 0, "q": 9 }, &change, Some(doc! { "m": 4, "a": { "b": [3] }, "a-b": 2, "z": 1 }));
}

#[test]
fn setting_the_same_bytes_changes_nothing() {
    check(&doc! { "a": { "b": 1 } }, &Update::new().set("a.b", 1), None);
    check(&doc! { "a": 1 }, &Update::new().set("a", 1.0), Some(doc! { "a": 1.0 }));
    check(&doc! { "a": f64::NAN }, &Update::new().set("a", f64::NAN), None);
    check(&doc! { "a": [1] }, &Update::new().set("a", vec![1_i64]), Some(doc! { "a": [1_i64] }));
    check(&doc! { "a": 1 }, &Update::new().set_on_insert("a", 2), None);
}

#[test]
fn unset_takes_away_what_is_there() {
    check(&doc! { "a": { "b": 1, "c": 2 } }, &Update::new().unset("a.b"), Some(doc! { "a": { "c": 2 } }));
    check(&doc! { "a": 5 }, &Update::new().unset("a.b").unset("c"), None);
}

#[test]
fn inc_widens() {
    let inc = |by: Bson| Update::new().inc("n", by);
    check(&doc! {}, &inc(Bson::Int64(1)), Some(doc! { "n": 1_i64 }));
    check(&doc! { "n": i32::MAX }, &inc(Bson::Int32(1)), Some(doc! { "n": 2_147_483_648_i64 }));
    check(&doc! { "n": 1 }, &inc(Bson::Int64(1)), Some(doc! { "n": 2_i64 }));
    check(&doc! { "n": 1_i64 }, &inc(Bson::Double(0.5)), Some(doc! { "n": 1.5 }));
    check(&doc! { "n": 1 }, &inc(Bson::Int32(0)), None);
    check(&doc! { "n": 1 }, &inc(Bson::Double(0.0)), Some(doc! { "n": 1.0 }));
    unfit(&doc! { "n": i64::MAX }, &inc(Bson::Int32(1)));
    unfit(&doc! { "n": null }, &inc(Bson::Int32(1)));
    unfit(&doc! { "n": "1" }, &inc(Bson::Int32(1)));
}

#[test]
fn arrays_compare_their_elements_by_value() {
    check(&doc! { "a": [1] }, &Update::new().add_to_set("a", 2), Some(doc! { "a": [1, 2] }));
    check(&doc! { "a": [1] }, &Update::new().add_to_set("a", 1.0), None);
    check(&doc! {}, &Update::new().add_to_set("a", 1), Some(doc! { "a": [1] }));
    unfit(&doc! { "a": 1 }, &Update::new().add_to_set("a", 1));
    unfit(&doc! { "a": null }, &Update::new().add_to_set("a", 1));
}

#[test]
fn paths_do_not_go_through_what_is_no_document() {
    for stored in [doc! { "a": 1 }, doc! { "a": null }, doc! { "a": [{}] }] {
        unfit(&stored, &Update::new().set("a.b", 1));
        unfit(&stored, &Update::new().inc("a.b", 1));
        unfit(&stored, &Update::new().add_to_set("a.b", 1));
    }
}

#[test]
fn an_upsert_needs_clear_seeds() {
    let set = Update::new().set("x", 1);
    let twice = Filter::and([Filter::eq("a", 1), Filter::eq("a", 1)]);
    assert!(matches!(upserted(&twice, &set), Err(Error::Invalid(_))));
    let meeting = Filter::and([Filter::eq("a", doc! {}), Filter::eq("a.b", 1)]);
    assert!(matches!(upserted(&meeting, &set), Err(Error::Invalid(_))));
    assert!(matches!(upserted(&Filter::eq("_id.a", 1), &set), Err(Error::Invalid(_))));
    let made = upserted(&Filter::and([Filter::eq("b.y", 1), Filter::eq("b.c", 2)]), &set).unwrap().unwrap();
    assert_eq!(made, doc! { "b": { "c": 2, "y": 1 }, "x": 1 });
    assert!(upserted(&Filter::eq("x.y", 1), &Update::new().add_to_set("x", 1)).unwrap().is_err());
}
