use std::collections::BTreeSet;

use super::*;

pub(crate) fn spec(id: &str, depends_on: &[&str]) -> NodeSpec {
    let depends_on = depends_on.iter().map(|&d| d.to_owned()).collect();
    NodeSpec { id: id.to_owned(), depends_on, ..NodeSpec::default() }
}

pub(crate) fn dag(list: &[(&str, &[&str])]) -> Result<Dag, GraphError> {
    Dag::new(&list.iter().map(|(id, deps)| spec(id, deps)).collect::<Vec<_>>())
}

fn order(list: &[(&str, &[&str])]) -> Vec<String> {
    dag(list).unwrap().ids().map(str::to_owned).collect()
}

#[test]
fn a_diamond_runs_each_once_and_the_last_after_both() {
    let list: &[(&str, &[&str])] = &[
        ("0004_d", &["0002_b", "0003_c"]),
        ("0003_c", &["0001_a"]),
        ("0002_b", &["0001_a"]),
        ("0001_a", &[]),
    ];
    assert_eq!(order(list), ["0001_a", "0002_b", "0003_c", "0004_d"]);
}

#[test]
fn a_dependency_wins_over_the_number() {
    assert_eq!(order(&[("0001_a", &["0002_b"]), ("0002_b", &[])]), ["0002_b", "0001_a"]);
}

#[test]
fn cycle_is_named_without_its_dependents() {
    let list: &[(&str, &[&str])] =
        &[("0001_a", &["0003_c"]), ("0002_b", &["0001_a"]), ("0003_c", &["0002_b"]), ("0004_d", &["0003_c"])];
    let GraphError::Cycle(members) = dag(list).unwrap_err() else { panic!("a circle was not seen") };
    assert_eq!(members, ["0001_a", "0003_c", "0002_b", "0001_a"]);
    assert!(matches!(dag(&[("0001_a", &["0001_a"])]), Err(GraphError::Cycle(_))));
}

#[test]
fn what_is_no_graph_is_refused() {
    let unknown = dag(&[("0001_a", &[]), ("0002_b", &["0001_a", "0009_z"])]).unwrap_err();
    assert_eq!(unknown.to_string(), "0002_b depends on 0009_z, which does not exist");
    assert_eq!(dag(&[("0001_a", &[]), ("0001_a", &[])]).unwrap_err(), GraphError::Duplicate("0001_a".into()));
    for bad in ["", "1_a", "0001", "0001_", "0001-a", "0001_A", "m0001_a", "0001_a b", "0001_é"] {
        assert!(matches!(dag(&[(bad, &[])]), Err(GraphError::BadId(_))), "{bad:?} was taken");
    }
}

#[test]
fn nothing_is_a_graph_too() {
    assert_eq!(order(&[]), Vec::<String>::new());
}

#[test]
fn several_heads_are_reported_and_do_not_block_reads() {
    let forked = dag(&[("0001_a", &[]), ("0002_b", &["0001_a"]), ("0003_c", &["0001_a"])]).unwrap();
    assert_eq!(forked.heads(), [1, 2]);
    let merged = dag(&[("0001_a", &[]), ("0002_b", &["0001_a"]), ("0003_c", &["0001_a", "0002_b"])]).unwrap();
    assert_eq!(merged.heads(), [2]);
    assert_eq!(dag(&[]).unwrap().heads(), Vec::<usize>::new());
    let error = GraphError::SeveralHeads(vec!["0002_b".into(), "0003_c".into()]).to_string();
    for part in ["0002_b, 0003_c", "nothing was changed", "`field-notes migrate merge`"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_is_run_in_some_contexts_only_is_no_head() {
    let demo = NodeSpec { contexts: vec!["demo".into()], ..spec("0003_c", &["0001_a"]) };
    let both = Dag::new(&[spec("0001_a", &[]), spec("0002_b", &["0001_a"]), demo.clone()]).unwrap();
    assert_eq!(both.heads(), [1]);
    let on_top = NodeSpec { depends_on: vec!["0002_b".into()], ..demo };
    let above = Dag::new(&[spec("0001_a", &[]), spec("0002_b", &["0001_a"]), on_top]).unwrap();
    assert_eq!(above.heads(), [1]);
}

#[test]
fn a_dependency_is_run_wherever_what_depends_on_it_is() {
    let within = |contexts: &[&str], id: &str, deps: &[&str]| NodeSpec {
        contexts: contexts.iter().map(|&c| c.to_owned()).collect(),
        ..spec(id, deps)
    };
    let two = |parent: &[&str], child: &[&str]| {
        Dag::new(&[within(parent, "0001_a", &[]), within(child, "0002_b", &["0001_a"])])
    };
    for (parent, child) in
        [(&[][..], &[][..]), (&[], &["demo"]), (&["demo"], &["demo"]), (&["demo", "test"], &["test"])]
    {
        assert!(two(parent, child).is_ok(), "{parent:?} {child:?}");
    }
    for (parent, child) in [(&["demo"][..], &[][..]), (&["demo"], &["test"]), (&["demo"], &["demo", "test"])]
    {
        assert!(matches!(two(parent, child), Err(GraphError::Context { .. })), "{parent:?} {child:?}");
    }
}

#[test]
fn relatives_are_found_through_others() {
    let list: &[(&str, &[&str])] = &[
        ("0001_a", &[]),
        ("0002_b", &["0001_a"]),
        ("0003_c", &["0001_a"]),
        ("0004_d", &["0002_b"]),
        ("0005_e", &["0003_c", "0004_d"]),
    ];
    let dag = dag(list).unwrap();
    assert_eq!(dag.ancestors(3), BTreeSet::from([0, 1, 3]));
    assert_eq!(dag.ancestors(4), BTreeSet::from([0, 1, 2, 3, 4]));
    assert_eq!(dag.descendants(1), BTreeSet::from([1, 3, 4]));
    assert_eq!(dag.descendants(4), BTreeSet::from([4]));
}
