use std::collections::BTreeMap;
use std::fmt::Write as _;

use migrator::{Graph, Status};
use serde::Serialize;

use super::look::Format;

/// What depends on what.
#[derive(Debug, Serialize)]
pub(super) struct GraphView {
    migrations: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Node {
    id: String,
    summary: String,
    depends_on: Vec<String>,
    /// `applied`, `pending`, `failed` or `not_in_context`.
    state: &'static str,
}

impl GraphView {
    pub(super) fn of(graph: &Graph, status: &Status) -> Self {
        let groups = [
            (&status.applied, "applied"),
            (&status.failed, "failed"),
            (&status.not_in_context, "not_in_context"),
        ];
        let known: BTreeMap<&str, &'static str> = groups
            .into_iter()
            .flat_map(|(entries, state)| entries.iter().map(move |entry| (entry.id.as_str(), state)))
            .collect();
        let nodes = graph.migrations().map(|migration| {
            let meta = migration.meta();
            Node {
                id: meta.id.to_owned(),
                summary: meta.summary.to_owned(),
                depends_on: meta.depends_on.iter().map(|&id| id.to_owned()).collect(),
                state: known.get(meta.id).copied().unwrap_or("pending"),
            }
        });
        Self { migrations: nodes.collect() }
    }

    pub(super) fn drawn(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Dot => self.dot(),
            Format::Mermaid => self.mermaid(),
        }
    }

    /// In order; where one does not simply come after the line before it, it says what it comes after.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut before: Option<&str> = None;
        for Node { id, summary, depends_on, state } in &self.migrations {
            let mark = match *state {
                "applied" => "✓",
                "failed" => "✗",
                "not_in_context" => "-",
                _ => "·",
            };
            let follows = match (depends_on.as_slice(), before) {
                ([], None) => true,
                ([parent], Some(before)) => parent == before,
                _ => false,
            };
            let after = match (follows, depends_on.as_slice()) {
                (true, _) => String::new(),
                (false, []) => "  after nothing".to_owned(),
                (false, parents) => format!("  after {}", parents.join(", ")),
            };
            let _ = writeln!(text, "{mark} {id}: {summary}{after}");
            before = Some(id);
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = String::from("digraph migrations {\n    node [shape=box];\n");
        for Node { id, state, .. } in &self.migrations {
            let style = match *state {
                "applied" => "filled",
                "failed" => "bold",
                _ => "dashed",
            };
            let _ = writeln!(text, "    {id:?} [style={style}];");
        }
        for Node { id, depends_on, .. } in &self.migrations {
            for parent in depends_on {
                let _ = writeln!(text, "    {parent:?} -> {id:?};");
            }
        }
        text + "}\n"
    }

    fn mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        for Node { id, state, .. } in &self.migrations {
            let _ = writeln!(text, "    m{id}[\"{id}\"]:::{state}");
        }
        for Node { id, depends_on, .. } in &self.migrations {
            for parent in depends_on {
                let _ = writeln!(text, "    m{parent} --> m{id}");
            }
        }
        text + "    classDef applied fill:#dfd\n    classDef failed fill:#fdd\n    classDef pending stroke-dasharray:4\n    \
                classDef not_in_context stroke:#999\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diamond() -> GraphView {
        let node = |id: &str, parents: &[&str], state| Node {
            id: id.to_owned(),
            summary: "x".to_owned(),
            depends_on: parents.iter().map(|&id| id.to_owned()).collect(),
            state,
        };
        GraphView {
            migrations: vec![
                node("0001_a", &[], "applied"),
                node("0002_b", &["0001_a"], "applied"),
                node("0003_c", &["0001_a"], "pending"),
                node("0004_d", &["0002_b", "0003_c"], "pending"),
            ],
        }
    }

    #[test]
    fn a_diamond_is_drawn_with_all_its_edges() {
        let drawing = diamond();
        let text = "✓ 0001_a: x\n✓ 0002_b: x\n· 0003_c: x  after 0001_a\n· 0004_d: x  after 0002_b, 0003_c\n";
        assert_eq!(drawing.drawn(Format::Text), text);
        assert_eq!(drawing.drawn(Format::Dot).matches(" -> ").count(), 4);
        assert_eq!(drawing.drawn(Format::Mermaid).matches(" --> ").count(), 4);
    }
}
