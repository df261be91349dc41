use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;

use crate::Migration;

/// Migrations in an order in which every one comes after those it depends on; among equals, by id.
pub struct Graph {
    migrations: Vec<Box<dyn Migration>>,
    shape: Shape,
}

/// Why a list of migrations is no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An id is not of the form `NNNN_lower_case_name`.
    #[error(
        "{0:?} is no migration id: four digits, an underscore, then lower-case letters, digits and underscores"
    )]
    BadId(String),
    /// Two migrations have the same id.
    #[error("two migrations are called {0}")]
    Duplicate(String),
    /// A dependency that is not in the list.
    #[error("{migration} depends on {dependency}, which does not exist")]
    Unknown {
        /// The migration that names it.
        migration: String,
        /// What it names.
        dependency: String,
    },
    /// Migrations that depend on each other; the first is named again at the end.
    #[error("migrations depend on each other in a circle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
    /// More than one migration that no other depends on, so there are several states to arrive at.
    #[error("several migrations come last: {}; let one depend on the others", .0.join(", "))]
    SeveralHeads(Vec<String>),
}

impl Graph {
    /// Puts migrations in order.
    ///
    /// # Errors
    /// A bad or repeated id, a dependency that does not exist, a circle, or several migrations that come last.
    pub fn new(migrations: Vec<Box<dyn Migration>>) -> Result<Self, GraphError> {
        let nodes: Vec<_> = migrations
            .iter()
            .map(|m| {
                let meta = m.meta();
                (meta.id.to_owned(), meta.depends_on.iter().map(|&d| d.to_owned()).collect())
            })
            .collect();
        let shape = Shape::new(&nodes)?;
        let mut by_id: BTreeMap<&str, Box<dyn Migration>> =
            migrations.into_iter().map(|m| (m.meta().id, m)).collect();
        let migrations = shape.ids().filter_map(|id| by_id.remove(id)).collect();
        Ok(Self { migrations, shape })
    }

    /// The migrations, in order.
    pub fn migrations(&self) -> impl ExactSizeIterator<Item = &dyn Migration> {
        self.migrations.iter().map(|m| &**m)
    }

    /// The ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.shape.ids()
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn get(&self, position: usize) -> &dyn Migration {
        &*self.migrations[position]
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// A graph without its migrations: ids in order, and who depends on whom.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    id: String,
    depends_on: Vec<usize>,
}

impl Shape {
    pub(crate) fn new(list: &[(String, Vec<String>)]) -> Result<Self, GraphError> {
        let mut position = BTreeMap::new();
        for (i, (id, _)) in list.iter().enumerate() {
            if !is_id(id) {
                return Err(GraphError::BadId(id.clone()));
            }
            if position.insert(id.clone(), i).is_some() {
                return Err(GraphError::Duplicate(id.clone()));
            }
        }
        let mut parents = vec![Vec::new(); list.len()];
        let mut children = vec![Vec::new(); list.len()];
        for (i, (id, names)) in list.iter().enumerate() {
            for name in names {
                let Some(&parent) = position.get(name) else {
                    return Err(GraphError::Unknown { migration: id.clone(), dependency: name.clone() });
                };
                if !parents[i].contains(&parent) {
                    parents[i].push(parent);
                    children[parent].push(i);
                }
            }
        }
        let order = sort(list, &parents, &children)?;
        let heads: Vec<_> =
            order.iter().filter(|&&i| children[i].is_empty()).map(|&i| list[i].0.clone()).collect();
        if heads.len() > 1 {
            return Err(GraphError::SeveralHeads(heads));
        }
        let mut place = vec![0; list.len()];
        for (at, &i) in order.iter().enumerate() {
            place[i] = at;
        }
        let nodes = order
            .iter()
            .map(|&i| {
                let mut depends_on: Vec<_> = parents[i].iter().map(|&p| place[p]).collect();
                depends_on.sort_unstable();
                Node { id: list[i].0.clone(), depends_on }
            })
            .collect();
        Ok(Self { nodes })
    }

    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.nodes.iter().map(|n| n.id.as_str())
    }

    pub(crate) fn id(&self, position: usize) -> &str {
        &self.nodes[position].id
    }

    pub(crate) fn depends_on(&self, position: usize) -> &[usize] {
        &self.nodes[position].depends_on
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// Kahn's algorithm, taking the least id of those that are free.
fn sort(
    list: &[(String, Vec<String>)],
    parents: &[Vec<usize>],
    children: &[Vec<usize>],
) -> Result<Vec<usize>, GraphError> {
    let mut open: Vec<_> = parents.iter().map(Vec::len).collect();
    let free = |i: usize| Reverse((&list[i].0, i));
    let mut ready: BinaryHeap<_> = (0..list.len()).filter(|&i| open[i] == 0).map(free).collect();
    let mut order = Vec::with_capacity(list.len());
    while let Some(Reverse((_, i))) = ready.pop() {
        order.push(i);
        for &child in &children[i] {
            open[child] -= 1;
            if open[child] == 0 {
                ready.push(free(child));
            }
        }
    }
    if order.len() == list.len() {
        return Ok(order);
    }
    // Whatever is left has a parent that is left too, so going from parent to parent comes round.
    let left = |i: &usize| open[*i] > 0;
    let mut path: Vec<usize> = Vec::new();
    let mut next = (0..list.len()).filter(left).min_by_key(|&i| &list[i].0);
    while let Some(i) = next {
        if let Some(start) = path.iter().position(|&seen| seen == i) {
            path.drain(..start);
            path.push(i);
            break;
        }
        path.push(i);
        next = parents[i].iter().copied().find(left);
    }
    Err(GraphError::Cycle(path.iter().map(|&i| list[i].0.clone()).collect()))
}

fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() > 5
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'_'
        && bytes[5..].iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn shape(list: &[(&str, &[&str])]) -> Result<Shape, GraphError> {
        let owned =
            list.iter().map(|(id, deps)| ((*id).to_owned(), deps.iter().map(|&d| d.to_owned()).collect()));
        Shape::new(&owned.collect::<Vec<_>>())
    }

    fn order(list: &[(&str, &[&str])]) -> Vec<String> {
        shape(list).unwrap().ids().map(str::to_owned).collect()
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
    fn a_circle_is_named_without_those_that_hang_on_it() {
        let list: &[(&str, &[&str])] = &[
            ("0001_a", &["0003_c"]),
            ("0002_b", &["0001_a"]),
            ("0003_c", &["0002_b"]),
            ("0004_d", &["0003_c"]),
        ];
        let GraphError::Cycle(members) = shape(list).unwrap_err() else { panic!("a circle was not seen") };
        assert_eq!(members, ["0001_a", "0003_c", "0002_b", "0001_a"]);
        assert!(matches!(shape(&[("0001_a", &["0001_a"])]), Err(GraphError::Cycle(_))));
    }

    #[test]
    fn what_is_no_graph_is_refused() {
        let unknown = shape(&[("0001_a", &[]), ("0002_b", &["0001_a", "0009_z"])]).unwrap_err();
        assert_eq!(unknown.to_string(), "0002_b depends on 0009_z, which does not exist");
        assert_eq!(
            shape(&[("0001_a", &[]), ("0001_a", &[])]).unwrap_err(),
            GraphError::Duplicate("0001_a".into())
        );
        assert_eq!(
            shape(&[("0001_a", &[]), ("0002_b", &["0001_a"]), ("0003_c", &["0001_a"])]).unwrap_err(),
            GraphError::SeveralHeads(vec!["0002_b".into(), "0003_c".into()])
        );
        for bad in ["", "1_a", "0001", "0001_", "0001-a", "0001_A", "m0001_a", "0001_a b", "0001_é"] {
            assert!(matches!(shape(&[(bad, &[])]), Err(GraphError::BadId(_))), "{bad:?} was taken");
        }
    }

    #[test]
    fn nothing_is_a_graph_too() {
        assert_eq!(order(&[]), Vec::<String>::new());
    }
}
