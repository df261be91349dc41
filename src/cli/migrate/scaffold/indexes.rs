use std::fmt::Write as _;

use docstore::{Direction, Index};
use migrator::{DriftKind, IndexDrift};

use super::Body;

/// The steps that make the database's indexes those that are declared. Nothing, if none is to be repaired, or if it is
/// with what no source can be written for.
pub(in crate::cli::migrate) fn repair(drifts: &[IndexDrift]) -> Result<Option<Body>, String> {
    let mut lines = Vec::new();
    let mut makes = false;
    for IndexDrift { collection, kind, declared, found, .. } in drifts {
        if let (DriftKind::Different | DriftKind::Extra, Some(found)) = (kind, found) {
            let step = format!("drop {} of {collection}", found.name());
            lines.push(format!("Step::drop_index({step:?}, {collection:?}, {:?})", found.name()));
        }
        if let (DriftKind::Different | DriftKind::Missing, Some(declared)) = (kind, declared) {
            let step = format!("make {} of {collection}", declared.name());
            lines.push(format!("Step::create_index({step:?}, {collection:?}, {})", source(declared)?));
            makes = true;
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let directions = lines.iter().any(|line| line.contains("Direction::"));
    let names = if directions { "{Direction, Index}" } else { "Index" };
    let uses = if makes { vec![format!("use docstore::{names};")] } else { Vec::new() };
    Ok(Some(Body::Steps { uses, lines }))
}

fn source(index: &Index) -> Result<String, String> {
    if index.partial_filter().is_some() {
        return Err(format!("{} is partial: write that migration by hand, its filter is code", index.name()));
    }
    let fields = index.fields();
    let plain = fields.iter().all(|field| field.direction == Direction::Ascending);
    let mut text = if plain {
        let names: Vec<_> = fields.iter().map(|field| format!("{:?}", field.field.to_string())).collect();
        format!("Index::on([{}])", names.join(", "))
    } else {
        let pairs: Vec<_> = fields
            .iter()
            .map(|field| format!("({:?}, Direction::{:?})", field.field.to_string(), field.direction))
            .collect();
        format!("Index::by([{}])", pairs.join(", "))
    };
    let named = |index: Index| index.name().to_owned();
    let by_itself = named(Index::by(fields.iter().map(|field| (field.field.clone(), field.direction))));
    if index.name() != by_itself {
        _ = write!(text, ".named({:?})", index.name());
    }
    if index.is_unique() {
        text.push_str(".unique()");
    }
    if index.is_sparse() {
        text.push_str(".sparse()");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_written_as_it_would_be_by_hand() {
        for (index, text) in [
            (Index::on(["slug"]).unique(), "Index::on([\"slug\"]).unique()"),
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
