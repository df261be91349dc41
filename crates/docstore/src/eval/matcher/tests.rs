use bson::{Bson, Document, RawDocumentBuf, doc};

use super::*;

#[track_caller]
fn check(filter: &Filter, yes: &[Document], no: &[Document]) {
    let compiled = CompiledFilter::new(filter).unwrap();
    for (documents, expected) in [(yes, true), (no, false)] {
        for document in documents {
            let raw = RawDocumentBuf::try_from(document).unwrap();
            assert_eq!(compiled.matches(&raw).unwrap(), expected, "{filter:?} on {document}");
        }
    }
}

#[test]
fn equality_looks_into_arrays_and_compares_numbers_by_value() {
    check(
        &Filter::eq("a", 1),
        &[doc! { "a": 1.0 }, doc! { "a": 1_i64 }, doc! { "a": [3, 1] }],
        &[doc! { "a": "1" }, doc! { "a": [[1]] }, doc! {}, doc! { "a": true }],
    );
    check(
        &Filter::eq("a", vec![1, 2]),
        &[doc! { "a": [1, 2] }, doc! { "a": [[1, 2]] }],
        &[doc! { "a": [1] }, doc! { "a": [2, 1] }, doc! { "a": 1 }],
    );
    check(
        &Filter::eq("a", doc! { "x": 1, "y": 2 }),
        &[doc! { "a": { "x": 1.0, "y": 2 } }],
        &[doc! { "a": { "y": 2, "x": 1 } }, doc! { "a": { "x": 1 } }],
    );
}

#[test]
fn paths_go_through_arrays_of_documents() {
    check(
        &Filter::eq("a.b", 1),
        &[doc! { "a": { "b": 1 } }, doc! { "a": [{ "b": 2 }, { "b": 1 }] }, doc! { "a": [{ "b": [1] }] }],
        &[doc! { "a": [[{ "b": 1 }]] }, doc! { "a": [1] }, doc! { "a": 1 }],
    );
}

#[test]
fn null_equals_missing() {
    let filter = Filter::eq("a.b", Bson::Null);
    let yes = [
        doc! {},
        doc! { "a": 5 },
        doc! { "a": { "b": null } },
        doc! { "a": [{}] },
        doc! { "a": { "b": [null] } },
    ];
    let no = [doc! { "a": { "b": 1 } }, doc! { "a": [] }, doc! { "a": [5] }, doc! { "a": { "b": [] } }];
    check(&filter, &yes, &no);
    check(&Filter::lte("a.b", Bson::Null), &yes, &no);
    check(&Filter::ne("a.b", Bson::Null), &no, &yes);
    check(&Filter::In("a.b".into(), vec![Bson::Null]), &yes, &no);
    check(&Filter::lt("a.b", Bson::Null), &[], &yes);
}

#[test]
fn negations_match_what_is_missing() {
    check(&Filter::ne("a", 1), &[doc! {}, doc! { "a": 2 }], &[doc! { "a": 1 }, doc! { "a": [2, 1] }]);
    check(&Filter::gt("a", 1).negated(), &[doc! {}, doc! { "a": "x" }, doc! { "a": 1 }], &[doc! { "a": 2 }]);
}

#[test]
fn comparisons_stay_within_a_type() {
    check(
        &Filter::lt("a", 5),
        &[doc! { "a": 4.9 }, doc! { "a": ["x", 4] }, doc! { "a": f64::NEG_INFINITY }],
        &[doc! { "a": f64::NAN }, doc! { "a": "4" }, doc! { "a": null }, doc! {}, doc! { "a": 5 }],
    );
    check(
        &Filter::gte("a", "b"),
        &[doc! { "a": "b" }, doc! { "a": "é" }],
        &[doc! { "a": "a" }, doc! { "a": 9 }],
    );
    check(
        &Filter::gt("a", vec![1]),
        &[doc! { "a": [1, 0] }, doc! { "a": [2] }],
        &[doc! { "a": [1] }, doc! { "a": 2 }],
    );
}

#[test]
fn not_a_number_equals_only_itself() {
    let nan = doc! { "a": f64::NAN };
    for filter in [Filter::eq("a", f64::NAN), Filter::lte("a", f64::NAN), Filter::gte("a", f64::NAN)] {
        check(&filter, std::slice::from_ref(&nan), &[doc! { "a": 1 }]);
    }
    for filter in
        [Filter::lt("a", f64::NAN), Filter::gt("a", f64::NAN), Filter::gte("a", 0), Filter::lte("a", 0)]
    {
        check(&filter, &[], std::slice::from_ref(&nan));
    }
}

#[test]
fn presence_is_not_a_matter_of_value() {
    let yes = [doc! { "a": { "b": null } }, doc! { "a": [1, { "b": 1 }] }, doc! { "a": { "b": [] } }];
    let no = [doc! {}, doc! { "a": 1 }, doc! { "a": [] }, doc! { "a": [{}] }];
    check(&Filter::exists("a.b"), &yes, &no);
    check(&Filter::missing("a.b"), &no, &yes);
}

#[test]
fn texts_and_elements() {
    check(
        &Filter::starts_with("a", "ab"),
        &[doc! { "a": "abc" }, doc! { "a": ["x", "ab"] }],
        &[doc! { "a": "aB" }],
    );
}

#[test]
fn empty_lists() {
    check(&Filter::and([]), &[doc! {}], &[]);
    check(&Filter::or([]), &[], &[doc! {}]);
    check(&Filter::In("a".into(), vec![]), &[], &[doc! {}, doc! { "a": null }]);
}
