use proptest::prelude::*;

use super::*;

/// A random graph: each node depends on some of those before it, in a shuffled numbering; one head joins the rest.
fn specs() -> impl Strategy<Value = Vec<NodeSpec>> {
    (1_usize..9)
        .prop_flat_map(|n| {
            let numbers = Just((0..n).collect::<Vec<_>>()).prop_shuffle();
            (numbers, proptest::collection::vec(proptest::collection::vec(any::<bool>(), n), n))
        })
        .prop_map(|(numbers, edges)| {
            let id = |i: usize| format!("{:04}_x", numbers[i]);
            let n = numbers.len();
            // The touched collections also follow from the edges: any pseudo-random choice will do.
            let touches =
                |i: usize| (0..n).skip(i).filter(|&j| edges[i][j]).map(|j| format!("c{j}")).collect();
            let node = |i: usize| NodeSpec {
                id: id(i),
                depends_on: (0..i).filter(|&j| edges[i][j]).map(id).collect(),
                touches: touches(i),
                ..NodeSpec::default()
            };
            let mut list: Vec<NodeSpec> = (0..n).map(node).collect();
            let all = (0..n).map(id).collect();
            list.push(NodeSpec { id: "9999_head".into(), depends_on: all, ..NodeSpec::default() });
            list
        })
}

/// One in which the order among unrelated ones does not matter.
fn graphs() -> impl Strategy<Value = Dag> {
    specs().prop_map(|mut list| {
        for spec in &mut list {
            spec.out_of_order = true;
        }
        Dag::new(&list).unwrap()
    })
}

/// Applies actions to a ledger.
fn execute(dag: &Dag, ledger: &mut Entries, actions: &[Action]) {
    for action in actions {
        let id = dag.id(action.at());
        match action {
            Action::Undo(_) => ledger.get_mut(id).unwrap().state = State::RolledBack,
            Action::Apply(_) => {
                let (id, new) = entry(id, State::Applied, 1);
                ledger.insert(id, new);
            }
        }
    }
}

fn is_applied(dag: &Dag, ledger: &Entries, at: usize) -> bool {
    ledger.get(dag.id(at)).is_some_and(|e| e.state == State::Applied)
}

fn states() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0_u8..7, 10)
}

fn random_ledger(dag: &Dag, states: &[u8]) -> Entries {
    let all = [
        State::Running,
        State::Applied,
        State::Failed,
        State::Interrupted,
        State::RollingBack,
        State::RolledBack,
    ];
    dag.ids()
        .zip(states)
        .filter_map(|(id, &s)| all.get(usize::from(s)).map(|&state| entry(id, state, i64::from(s))))
        .collect()
}

proptest! {
    #[test]
    fn up_follows_dependencies_and_applies_everything(dag in graphs(), states in states()) {
        let mut ledger = random_ledger(&dag, &states);
        let applied_before: BTreeSet<_> =
            (0..dag.len()).filter(|&i| ledger.get(dag.id(i)).is_some_and(|e| e.state == State::Applied)).collect();
        let plan_once = up(&dag, &ledger, UpMode::Operator).unwrap();
        for action in plan_once {
            match action {
                Action::Undo(at) => ledger.get_mut(dag.id(at)).unwrap().state = State::RolledBack,
                Action::Apply(at) => {
                    prop_assert!(!applied_before.contains(&at));
                    for &parent in dag.depends_on(at) {
                        prop_assert_eq!(ledger[dag.id(parent)].state, State::Applied);
                    }
                    let (id, new) = entry(dag.id(at), State::Applied, 1);
                    ledger.insert(id, new);
                }
            }
        }
        prop_assert!(dag.ids().all(|id| ledger[id].state == State::Applied));
        prop_assert_eq!(up(&dag, &ledger, UpMode::Start), Ok(vec![]));
    }

    #[test]
    fn repeated_down_never_orphans_a_dependent_and_ends_empty(
        dag in graphs(),
        times in proptest::collection::vec(0_i64..5, 10),
    ) {
        let mut ledger: Entries =
            dag.ids().zip(&times).map(|(id, &at)| entry(id, State::Applied, at)).collect();
        for _ in 0..dag.len() {
            let actions = down(&dag, &ledger).unwrap();
            let [Action::Undo(at)] = actions[..] else { panic!("one undo, not {actions:?}") };
            ledger.get_mut(dag.id(at)).unwrap().state = State::RolledBack;
            for other in 0..dag.len() {
                let applied = ledger[dag.id(other)].state == State::Applied;
                prop_assert!(!applied || !dag.depends_on(other).contains(&at));
            }
        }
        prop_assert_eq!(down(&dag, &ledger), Ok(vec![]));
    }

    #[test]
    fn up_to_target_touches_its_ancestors_only(dag in graphs(), states in states(), which in any::<proptest::sample::Index>()) {
        let mut ledger = random_ledger(&dag, &states);
        let at = which.index(dag.len());
        let before = ledger.clone();
        let actions = up_to(&dag, &ledger, UpMode::Operator, UpGoal::To(at)).unwrap();
        execute(&dag, &mut ledger, &actions);
        prop_assert!(is_applied(&dag, &ledger, at));
        for other in 0..dag.len() {
            if !dag.ancestors(at).contains(&other) {
                let was = is_applied(&dag, &before, other);
                prop_assert_eq!(is_applied(&dag, &ledger, other), was);
            }
        }
        prop_assert_eq!(up_to(&dag, &ledger, UpMode::Start, UpGoal::To(at)), Ok(vec![]));
    }

    #[test]
    fn up_steps_is_a_prefix_of_up_all(dag in graphs(), states in states(), n in 0_usize..12) {
        let ledger = random_ledger(&dag, &states);
        let is_apply = |action: &Action| matches!(action, Action::Apply(_));
        let all: Vec<_> = up(&dag, &ledger, UpMode::Operator).unwrap().into_iter().filter(is_apply).collect();
        let some = up_to(&dag, &ledger, UpMode::Operator, UpGoal::Steps(n)).unwrap();
        let some: Vec<_> = some.into_iter().filter(is_apply).collect();
        prop_assert_eq!(&some[..], &all[..n.min(all.len())]);
    }

    #[test]
    fn nothing_dependent_runs_out_of_order(list in specs(), states in states()) {
        let dag = Dag::new(&list).unwrap();
        let mut ledger = random_ledger(&dag, &states);
        let apart = |ledger: &Entries, at: usize| {
            (at + 1..dag.len())
                .filter(|&later| is_applied(&dag, ledger, later) && !dag.descendants(at).contains(&later))
                .all(|later| {
                    let (a, b) = (&dag.spec(at).touches, &dag.spec(later).touches);
                    !a.is_empty() && !b.is_empty() && !a.iter().any(|name| b.contains(name))
                })
        };
        let all = PlanRequest { mode: UpMode::Operator, goal: UpGoal::All };
        match up_actions(situation(&dag, &ledger), &all) {
            Ok(actions) => {
                for action in actions {
                    if let Action::Apply(at) = action {
                        prop_assert!(apart(&ledger, at));
                    }
                    execute(&dag, &mut ledger, &[action]);
                }
            }
            Err(Error::OutOfOrder { late, .. }) => prop_assert!(!apart(&ledger, dag.position(&late).unwrap())),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn down_rolls_back_exactly_the_closure(
        dag in graphs(),
        times in proptest::collection::vec(0_i64..5, 10),
        which in any::<proptest::sample::Index>(),
        kind in 0_usize..4,
    ) {
        let mut ledger: Entries =
            dag.ids().zip(&times).map(|(id, &at)| entry(id, State::Applied, at)).collect();
        for (id, at) in dag.ids().zip(&times) {
            ledger.get_mut(id).unwrap().applied_run = Some(format!("run {at}"));
        }
        let at = which.index(dag.len());
        let (goal, expected): (DownGoal, BTreeSet<usize>) = match kind {
            0 => (DownGoal::All, (0..dag.len()).collect()),
            1 => (DownGoal::One(at), dag.descendants(at)),
            2 => (DownGoal::To(at), dag.descendants(at).into_iter().filter(|&other| other != at).collect()),
            _ => {
                let own = (0..dag.len()).filter(|&i| times[i] == times[at]);
                (DownGoal::Run(format!("run {}", times[at])), own.flat_map(|i| dag.descendants(i)).collect())
            }
        };
        let actions = down_to(&dag, &ledger, goal).unwrap();
        for action in actions {
            execute(&dag, &mut ledger, &[action]);
            for other in 0..dag.len() {
                let orphan = is_applied(&dag, &ledger, other)
                    && dag.depends_on(other).iter().any(|&parent| !is_applied(&dag, &ledger, parent));
                prop_assert!(!orphan);
            }
        }
        let gone: BTreeSet<usize> = (0..dag.len()).filter(|&i| !is_applied(&dag, &ledger, i)).collect();
        prop_assert_eq!(gone, expected);
    }
}
