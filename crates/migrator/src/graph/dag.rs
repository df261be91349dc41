use std::collections::{BTreeMap, BTreeSet};

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
    /// Sorts the nodes topologically, each time taking the smallest id whose dependencies are placed.
    pub(crate) fn new(list: &[NodeSpec]) -> Result<Self, GraphError> {
        let mut open = BTreeMap::new();
        for spec in list {
            if !is_id(&spec.id) {
                return Err(GraphError::BadId(spec.id.clone()));
            }
            if open.insert(spec.id.as_str(), spec).is_some() {
                return Err(GraphError::Duplicate(spec.id.clone()));
            }
        }
        for NodeSpec { id, depends_on, contexts, .. } in list {
            for name in depends_on {
                let (migration, dependency) = (id.clone(), name.clone());
                let Some(parent) = open.get(name.as_str()) else {
                    return Err(GraphError::Unknown { migration, dependency });
                };
                let runs_in = |context: &String| parent.contexts.contains(context);
                let is_wider = contexts.is_empty() || !contexts.iter().all(runs_in);
                if !parent.contexts.is_empty() && is_wider {
                    return Err(GraphError::Context { migration, dependency });
                }
            }
        }
        let mut dag = Self { nodes: Vec::with_capacity(list.len()) };
        while !open.is_empty() {
            let is_ready =
                |spec: &&&NodeSpec| !spec.depends_on.iter().any(|id| open.contains_key(id.as_str()));
            let Some(spec) = open.values().find(is_ready).copied() else {
                return Err(GraphError::Cycle(cycle(&open)));
            };
            open.remove(spec.id.as_str());
            let depends_on: BTreeSet<_> = spec.depends_on.iter().filter_map(|id| dag.position(id)).collect();
            dag.nodes.push(Node { spec: spec.clone(), depends_on: depends_on.into_iter().collect() });
        }
        Ok(dag)
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

/// Returns a cycle among nodes of which each depends on another one; the first is repeated at the end.
fn cycle(open: &BTreeMap<&str, &NodeSpec>) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut next = open.values().next().copied();
    while let Some(spec) = next {
        let start = path.iter().position(|seen| *seen == spec.id);
        path.push(spec.id.clone());
        if let Some(start) = start {
            path.drain(..start);
            break;
        }
        next = spec.depends_on.iter().find_map(|id| open.get(id.as_str()).copied());
    }
    path
}

fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() > 5
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'_'
        && bytes[5..].iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}
