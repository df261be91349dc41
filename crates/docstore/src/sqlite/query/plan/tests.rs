use super::*;
use crate::Index;
use crate::order::key_fields;

const UP: Direction = Direction::Ascending;
const DOWN: Direction = Direction::Descending;

fn stored(indexes: &[Index], multikey: bool) -> CollectionMeta {
    let index = |(id, index): (i64, &Index)| {
        let fields = key_fields(index.fields());
        Arc::new(IndexMeta { id, index: index.clone(), fields, partial: None, multikey })
    };
    CollectionMeta {
        id: 1,
        name: "c".into(),
        checksums: true,
        indexes: (1..).zip(indexes).map(index).collect(),
    }
}

#[track_caller]
fn check(index: &Index, filter: &Filter, sort: &Sort, used: bool, sorts: bool) {
    let access = choose(&stored(std::slice::from_ref(index), false), filter, sort, true).unwrap();
    let index = used.then(|| index.name().to_owned());
    assert_eq!(access.explain(sort), Plan { index, sorts_in_memory: sorts }, "{filter:?} {sort:?}");
}

#[test]
fn the_id_has_an_index_of_its_own() {
    let none = stored(&[], false);
    let index = |filter, sort| choose(&none, &filter, &sort, false).unwrap().explain(&sort);
    assert_eq!(index(Filter::id(1), Sort::default()).index.as_deref(), Some("_id_"));
    assert_eq!(index(Filter::gt("_id", 1), Sort::default()).index.as_deref(), Some("_id_"));
    let sorted = index(Filter::eq("a", 1), Sort::descending("_id"));
    assert_eq!(sorted, Plan { index: Some("_id_".into()), sorts_in_memory: false });
    assert_eq!(index(Filter::ne("_id", 1), Sort::default()).index, None);
}

#[test]
fn equalities_and_ranges_use_the_leading_fields() {
    let index = Index::by([("a", UP), ("b", DOWN)]);
    let none = Sort::default();
    for filter in [
        Filter::eq("a", 1),
        Filter::is_in("a", [1, 2]),
        Filter::eq("a", bson::Bson::Null),
        Filter::gt("a", 1),
        Filter::starts_with("a", "x"),
        Filter::and([Filter::eq("b", 1), Filter::and([Filter::lt("a", 3)])]),
    ] {
        check(&index, &filter, &none, true, false);
    }
    for filter in [
        Filter::All,
        Filter::eq("b", 1),
        Filter::ne("a", 1),
        Filter::exists("a"),
        Filter::eq("a", vec![1]),
        Filter::gt("a", f64::NAN),
        Filter::or([Filter::eq("a", 1), Filter::eq("b", 1)]),
        Filter::eq("a", 1).negated(),
    ] {
        check(&index, &filter, &none, false, false);
    }
}

#[test]
fn an_order_comes_from_an_index() {
    let index = Index::by([("a", UP), ("b", DOWN), ("_id", UP)]);
    let by_b = Sort::descending("b").then_ascending("_id");
    check(&index, &Filter::eq("a", 1), &by_b, true, false);
    check(&index, &Filter::eq("a", 1), &Sort::ascending("b").then_descending("_id"), true, false);
    check(&index, &Filter::eq("a", 1), &Sort::ascending("a").then_descending("b"), true, false);
    check(&index, &Filter::All, &Sort::ascending("a").then_descending("b"), true, false);
    check(&index, &Filter::gt("a", 1), &Sort::descending("a"), true, false);
    // The leading part of the order is worth something with a limit.
    check(&index, &Filter::eq("a", 1), &Sort::descending("b").then_descending("_id"), true, true);
    check(&index, &Filter::is_in("a", [1, 2]), &by_b, true, false);
    check(&index, &Filter::is_in("a", 1..30), &by_b, true, true);
    check(&index, &Filter::is_in("a", [1, 2]), &Sort::ascending("a").then_descending("b"), true, true);
    check(&index, &Filter::All, &by_b, false, true);
}

#[test]
fn arrays_take_the_order_and_narrow_the_bounds() {
    let index = Index::on(["a", "b"]);
    let arrays = stored(std::slice::from_ref(&index), true);
    let sort = Sort::ascending("a");
    let access = choose(&arrays, &Filter::eq("a", 1), &sort, true).unwrap();
    assert_eq!(access.explain(&sort), Plan { index: Some("a_1_b_1".into()), sorts_in_memory: true });
    assert!(!access.exact);

    // Two elements of an array may each meet one condition.
    let within = stored(&[Index::on(["l.x", "l.y"])], true);
    let both = Filter::and([Filter::eq("l.x", 1), Filter::eq("l.y", 2)]);
    let Source::Index(_, ranges) = choose(&within, &both, &Sort::default(), false).unwrap().source else {
        panic!("an index was expected")
    };
    assert_eq!(ranges, [Range::prefix(order::encode_value(&bson::Bson::Int32(1)).unwrap())]);
}

#[test]
fn sparse_and_partial_indexes_need_a_filter_that_implies_them() {
    let none = Sort::default();
    let sparse = Index::on(["a"]).sparse();
    check(&sparse, &Filter::eq("a", 1), &none, true, false);
    check(&sparse, &Filter::exists("a"), &none, true, false);
    check(&sparse, &Filter::eq("a", bson::Bson::Null), &none, false, false);
    check(&sparse, &Filter::All, &Sort::ascending("a"), false, true);
    check(&sparse, &Filter::gte("a", 0), &Sort::ascending("a"), true, false);

    let partial = Index::on(["slug"]).unique().partial(Filter::eq("deleted", false));
    check(
        &partial,
        &Filter::and([Filter::eq("slug", "x"), Filter::eq("deleted", false)]),
        &none,
        true,
        false,
    );
    check(&partial, &Filter::eq("deleted", false), &none, true, false);
    check(&partial, &Filter::eq("slug", "x"), &none, false, false);
    check(
        &partial,
        &Filter::and([Filter::eq("slug", "x"), Filter::ne("deleted", true)]),
        &none,
        false,
        false,
    );

    let ranged = Index::on(["n"]).partial(Filter::and([Filter::exists("s"), Filter::gt("n", 5)]));
    let text = || Filter::starts_with("s", "x");
    check(&ranged, &Filter::and([text(), Filter::gte("n", 6)]), &none, true, false);
    check(&ranged, &Filter::and([text(), Filter::is_in("n", [6, 7])]), &none, true, false);
    check(&ranged, &Filter::and([text(), Filter::gte("n", 5)]), &none, false, false);
    check(&ranged, &Filter::and([text(), Filter::is_in("n", [5, 7])]), &none, false, false);
    check(&ranged, &Filter::gte("n", 6), &none, false, false);
}

#[test]
fn the_narrower_index_wins() {
    let both = stored(&[Index::on(["a"]), Index::on(["a", "b"]), Index::on(["b"]).unique()], false);
    let used =
        |filter| choose(&both, &filter, &Sort::default(), false).unwrap().explain(&Sort::default()).index;
    assert_eq!(used(Filter::eq("a", 1)).as_deref(), Some("a_1"));
    assert_eq!(used(Filter::and([Filter::eq("a", 1), Filter::gt("b", 1)])).as_deref(), Some("a_1_b_1"));
    assert_eq!(used(Filter::and([Filter::eq("a", 1), Filter::eq("b", 1)])).as_deref(), Some("b_1"));
}

#[test]
fn a_count_may_rest_on_entries_only_where_they_say_it_all() {
    let plain = stored(&[Index::on(["a", "b"])], false);
    let exact = |filter: &Filter| choose(&plain, filter, &Sort::default(), false).unwrap().exact;
    assert!(exact(&Filter::eq("a", 1)));
    assert!(exact(&Filter::and([Filter::eq("a", 1), Filter::gt("b", 1), Filter::lte("b", 9)])));
    assert!(!exact(&Filter::and([Filter::eq("a", 1), Filter::eq("c", 1)])));
    assert!(!exact(&Filter::and([Filter::gt("a", 1), Filter::eq("b", 1)])));
    assert!(!exact(&Filter::and([Filter::eq("a", 1), Filter::eq("a", 2)])));
}

#[test]
fn a_choice_is_merged_if_each_part_has_the_order() {
    let by_c = Sort::descending("c").then_ascending("_id");
    let index = |field| Index::by([(field, UP), ("c", DOWN), ("_id", UP)]);
    let either = Filter::or([Filter::eq("a", 1), Filter::eq("b", true)]);
    let explain =
        |indexes: &[Index]| choose(&stored(indexes, false), &either, &by_c, true).unwrap().explain(&by_c);
    let merged = Plan { index: Some("a_1_c_-1__id_1".into()), sorts_in_memory: false };
    assert_eq!(explain(&[index("a"), index("b")]), merged);
    let none = Plan { index: None, sorts_in_memory: true };
    assert_eq!(explain(&[index("a")]), none);
    let other = Index::by([("b", UP), ("c", UP), ("_id", DOWN)]);
    assert_eq!(explain(&[index("a"), other]), none, "one is read backwards");
}

#[test]
fn a_truth_value_tells_less_than_a_reference_and_both_ends_of_a_range_of_ids_more() {
    let stored = stored(&[Index::on(["is_published", "c"]), Index::on(["section_id", "c"])], false);
    let both = Filter::and([Filter::eq("is_published", true), Filter::is_in("section_id", ["a", "b"])]);
    let by_c = Sort::ascending("c");
    let index = |filter: &Filter| choose(&stored, filter, &by_c, true).unwrap().explain(&by_c).index.unwrap();
    assert_eq!(index(&both), "section_id_1_c_1");
    assert_eq!(index(&both.clone().also(Filter::gte("_id", 1))), "section_id_1_c_1");
    assert_eq!(index(&both.also(Filter::gte("_id", 1)).also(Filter::lt("_id", 3))), "_id_");
}
