use clap::{Args, ValueEnum};
use migrator::{Graph, Meta, Status};
use serde::Serialize;

use super::{CliError, Context, Lines, Output, Run};

/// Print the dependency graph
///
/// Examples:
///   field-notes migrate graph
///   field-notes migrate graph --format dot | dot -Tsvg > migrations.svg
///   field-notes migrate graph --format mermaid
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct GraphArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    format: GraphFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// A list for a terminal
    Text,
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown
    Mermaid,
}

impl Run for GraphArgs {
    async fn run(self, context: &Context) -> Result<Output, CliError> {
        let status = context.migrator.status().await?;
        let view = GraphView::new(context.migrator.graph(), &status);
        let text = match self.format {
            GraphFormat::Text => view.text(),
            GraphFormat::Dot => view.dot(),
            GraphFormat::Mermaid => view.mermaid(),
        };
        Ok(Output::new(&view, text))
    }
}

#[derive(Debug, Serialize)]
struct GraphView {
    migrations: Vec<GraphNode>,
}

#[derive(Debug, Serialize)]
struct GraphNode {
    id: &'static str,
    summary: &'static str,
    depends_on: &'static [&'static str],
    /// `applied`, `pending`, `failed` or `not_in_context`.
    state: &'static str,
}

impl GraphView {
    fn new(graph: &Graph, status: &Status) -> Self {
        let groups = [
            (&status.applied, "applied"),
            (&status.failed, "failed"),
            (&status.not_in_context, "not_in_context"),
        ];
        let state = |id| {
            let group = groups.iter().find(|(entries, _)| entries.iter().any(|entry| entry.id == id));
            group.map_or("pending", |(_, state)| *state)
        };
        let nodes = graph.migrations().map(|migration| {
            let Meta { id, summary, depends_on, .. } = *migration.meta();
            GraphNode { id, summary, depends_on, state: state(id) }
        });
        Self { migrations: nodes.collect() }
    }

    /// Dependencies and their dependents, in order.
    fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.migrations.iter().flat_map(|node| node.depends_on.iter().map(|parent| (*parent, node.id)))
    }

    /// Lists the migrations in order. Dependencies are printed where they are not just the line before.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut previous: &[&str] = &[];
        for GraphNode { id, summary, depends_on, state } in &self.migrations {
            let mark = match *state {
                "applied" => "✓",
                "failed" => "✗",
                "not_in_context" => "-",
                _ => "·",
            };
            let after = match *depends_on {
                parents if parents == previous => String::new(),
                [] => "  after nothing".to_owned(),
                parents => format!("  after {}", parents.join(", ")),
            };
            text.push_line(format!("{mark} {id}: {summary}{after}"));
            previous = std::slice::from_ref(id);
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = String::from("digraph migrations {\n    node [shape=box];\n");
        for GraphNode { id, state, .. } in &self.migrations {
            let style = match *state {
                "applied" => "filled",
                "failed" => "bold",
                _ => "dashed",
            };
            text.push_line(format!("    {id:?} [style={style}];"));
        }
        text.push_lines(self.edges().map(|(parent, id)| format!("    {parent:?} -> {id:?};")));
        text + "}\n"
    }

    fn mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        text.push_lines(
            self.migrations
                .iter()
                .map(|GraphNode { id, state, .. }| format!("    m{id}[\"{id}\"]:::{state}")),
        );
        text.push_lines(self.edges().map(|(parent, id)| format!("    m{parent} --> m{id}")));
        text + "    classDef applied fill:#dfd\n    classDef failed fill:#fdd\n    classDef pending stroke-dasharray:4\n    \
                classDef not_in_context stroke:#999\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diamond() -> GraphView {
        let node = |id, depends_on, state| GraphNode { id, summary: "x", depends_on, state };
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
    fn diamond_is_drawn_with_all_edges() {
        let view = diamond();
        let text = "✓ 0001_a: x\n✓ 0002_b: x\n· 0003_c: x  after 0001_a\n· 0004_d: x  after 0002_b, 0003_c\n";
        assert_eq!(view.text(), text);
        assert_eq!(view.dot().matches(" -> ").count(), 4);
        assert_eq!(view.mermaid().matches(" --> ").count(), 4);
    }
}
