use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::GraphError;
use crate::{Meta, Recovery};

/// The declaration of a node, before the order is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeSpec {
    pub(crate) id: String,
    pub(crate) depends_on: Vec<String>,
    pub(crate) contexts: Vec<String>,
    pub(crate) touches: Vec<String>,
    pub(crate) out_of_order: bool,
    pub(crate) manual: bool,
}

impl NodeSpec {
    pub(super) fn from_meta(meta: &Meta) -> Self {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Self {
            id: meta.id.to_owned(),
            depends_on: owned(meta.depends_on),
            contexts: owned(meta.contexts),
            touches: owned(meta.touches),
            out_of_order: meta.out_of_order,
            manual: meta.on_interrupt == Recovery::Manual,
        }
    }
}

/// The graph without its migrations: ids in order, dependencies, and what the planner needs of each.
#[derive(Debug, Clone)]
pub(crate) struct Dag {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    spec: NodeSpec,
    depends_on: Vec<usize>,
}

impl Dag {
    pub(crate) fn new(list: &[NodeSpec]) -> Result<Self, GraphError> {
        let mut position = BTreeMap::new();
        for (i, NodeSpec { id, .. }) in list.iter().enumerate() {
            if !is_id(id) {
                return Err(GraphError::BadId(id.clone()));
            }
            if position.insert(id.clone(), i).is_some() {
                return Err(GraphError::Duplicate(id.clone()));
            }
        }
        let mut parents = vec![Vec::new(); list.len()];
        let mut children = vec![Vec::new(); list.len()];
        for (i, spec) in list.iter().enumerate() {
            for name in &spec.depends_on {
                let Some(&parent) = position.get(name) else {
                    return Err(GraphError::Unknown { migration: spec.id.clone(), dependency: name.clone() });
                };
                let narrow = &list[parent].contexts;
                let everywhere = narrow.is_empty();
                if !everywhere
                    && (spec.contexts.is_empty() || spec.contexts.iter().any(|c| !narrow.contains(c)))
                {
                    return Err(GraphError::Context { migration: spec.id.clone(), dependency: name.clone() });
                }
                if !parents[i].contains(&parent) {
                    parents[i].push(parent);
                    children[parent].push(i);
                }
            }
        }
        let order = sort(list, &parents, &children)?;
        let mut place = vec![0; list.len()];
        for (at, &i) in order.iter().enumerate() {
            place[i] = at;
        }
        let nodes = order
            .iter()
            .map(|&i| {
                let mut depends_on: Vec<_> = parents[i].iter().map(|&p| place[p]).collect();
                depends_on.sort_unstable();
                Node { spec: list[i].clone(), depends_on }
            })
            .collect();
        Ok(Self { nodes })
    }

    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.nodes.iter().map(|n| n.spec.id.as_str())
    }

    pub(crate) fn id(&self, position: usize) -> &str {
        &self.nodes[position].spec.id
    }

    pub(crate) fn spec(&self, position: usize) -> &NodeSpec {
        &self.nodes[position].spec
    }

    pub(crate) fn depends_on(&self, position: usize) -> &[usize] {
        &self.nodes[position].depends_on
    }

    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.ids().position(|known| known == id)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.position(id).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether it runs in any of these contexts.
    pub(crate) fn is_in(&self, position: usize, contexts: &[String]) -> bool {
        let own = &self.spec(position).contexts;
        own.is_empty() || own.iter().any(|c| contexts.contains(c))
    }

    /// Returns this position and everything it depends on.
    pub(crate) fn ancestors(&self, position: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([position]);
        // A dependency comes before its dependents, so one pass backwards finds all of them.
        for at in (0..=position).rev() {
            if found.contains(&at) {
                found.extend(self.depends_on(at));
            }
        }
        found
    }

    /// Returns this position and everything that depends on it.
    pub(crate) fn descendants(&self, position: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([position]);
        for at in position..self.len() {
            if self.depends_on(at).iter().any(|parent| found.contains(parent)) {
                found.insert(at);
            }
        }
        found
    }

    /// Returns the positions that no other depends on. Those restricted to contexts do not count: elsewhere they do not exist.
    pub(crate) fn heads(&self) -> Vec<usize> {
        let everywhere = |at: &usize| self.spec(*at).contexts.is_empty();
        let inner: BTreeSet<usize> =
            (0..self.len()).filter(everywhere).flat_map(|at| self.depends_on(at).iter().copied()).collect();
        (0..self.len()).filter(everywhere).filter(|at| !inner.contains(at)).collect()
    }
}

/// Sorts with Kahn's algorithm, taking the smallest id among the free ones.
fn sort(
    list: &[NodeSpec],
    parents: &[Vec<usize>],
    children: &[Vec<usize>],
) -> Result<Vec<usize>, GraphError> {
    let mut open: Vec<_> = parents.iter().map(Vec::len).collect();
    let free = |i: usize| Reverse((&list[i].id, i));
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
    // Every remaining node has a remaining parent, so following parents leads into a cycle.
    let remaining = |i: &usize| open[*i] > 0;
    let mut path: Vec<usize> = Vec::new();
    let mut next = (0..list.len()).filter(remaining).min_by_key(|&i| &list[i].id);
    while let Some(i) = next {
        if let Some(start) = path.iter().position(|&seen| seen == i) {
            path.drain(..start);
            path.push(i);
            break;
        }
        path.push(i);
        next = parents[i].iter().copied().find(remaining);
    }
    Err(GraphError::Cycle(path.iter().map(|&i| list[i].id.clone()).collect()))
}

fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() > 5
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'_'
        && bytes[5..].iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}
