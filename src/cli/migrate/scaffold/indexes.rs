use std::fmt::Write as _;

use docstore::{Direction, Index};
use migrator::{DriftKind, IndexDrift};

use super::Body;

/// Returns the steps that make the indexes match their declarations; `None` if they match.
///
/// # Errors
///
/// Fails on a partial index: its filter cannot be written as source.
pub(in crate::cli::migrate) fn repair(drifts: &[IndexDrift]) -> Result<Option<Body>, String> {
    let mut lines = Vec::new();
    let mut creates = false;
    for IndexDrift { collection, kind, declared, found, .. } in drifts {
        if let (DriftKind::Different | DriftKind::Extra, Some(found)) = (kind, found) {
            let step = format!("drop {} of {collection}", found.name());
            lines.push(format!("Step::drop_index({step:?}, {collection:?}, {:?})", found.name()));
        }
        if let (DriftKind::Different | DriftKind::Missing, Some(declared)) = (kind, declared) {
            let step = format!("create {} of {collection}", declared.name());
            lines.push(format!("Step::create_index({step:?}, {collection:?}, {})", source(declared)?));
            creates = true;
        }
    }
    let has_directions = lines.iter().any(|line| line.contains("Direction::"));
    let uses = match (creates, has_directions) {
        (false, _) => "",
        (true, false) => "use docstore::Index;\n",
        (true, true) => "use docstore::{Direction, Index};\n",
    };
    Ok((!lines.is_empty()).then(|| Body::Steps { uses: uses.to_owned(), lines }))
}

/// Returns the source of an index.
fn source(index: &Index) -> Result<String, String> {
    if index.partial_filter().is_some() {
        return Err(format!(
            "{index} cannot be generated: write this migration by hand, or drop the index in mongosh",
        ));
    }
    let fields = index.fields();
    let mut text = if fields.iter().all(|(_, direction)| *direction == Direction::Ascending) {
        let names: Vec<_> = fields.iter().map(|(field, _)| field.to_string()).collect();
        format!("Index::on({names:?})")
    } else {
        let pairs = fields
            .iter()
            .map(|(field, direction)| format!("({:?}, Direction::{direction:?})", field.to_string()));
        format!("Index::by([{}])", pairs.collect::<Vec<_>>().join(", "))
    };
    let default = Index::by(fields.iter().cloned());
    if index.name() != default.name() {
        _ = write!(text, ".named({:?})", index.name());
    }
    if index.is_unique() {
        text.push_str(".unique()");
    }
    if index.is_sparse() {
        text.push_str(".sparse()");
    }
    if let Some(seconds) = index.expiration() {
        _ = write!(text, ".expire_after_seconds({seconds})");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_written_as_by_hand() {
        for (index, text) in [
            (Index::on(["slug"]).unique(), "Index::on([\"slug\"]).unique()"),
            (Index::on(["at"]).expire_after_seconds(60), "Index::on([\"at\"]).expire_after_seconds(60)"),
            (
                Index::on(["a", "b"]).named("pair").sparse(),
                "Index::on([\"a\", \"b\"]).named(\"pair\").sparse()",
            ),
            (
                Index::by([("a", Direction::Ascending), ("b", Direction::Descending)]),
                "Index::by([(\"a\", Direction::Ascending), (\"b\", Direction::Descending)])",
            ),
        ] {
            assert_eq!(source(&index).as_deref(), Ok(text));
        }
    }
}
