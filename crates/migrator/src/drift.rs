//! The difference between the indexes of a database and the declared ones.

use std::fmt;

use docstore::{Database, Index};
use serde::{Serialize, Serializer};

use crate::Result;

/// An index that is not as declared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexDrift {
    /// The collection.
    pub collection: String,
    /// The kind of difference.
    pub kind: DriftKind,
    /// The declared index.
    #[serde(serialize_with = "as_mql", skip_serializing_if = "Option::is_none")]
    pub declared: Option<Index>,
    /// The index in the database.
    #[serde(serialize_with = "as_mql", skip_serializing_if = "Option::is_none")]
    pub found: Option<Index>,
}

/// The kind of difference of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// Declared, but not in the database.
    Missing,
    /// In the database, but not declared, in a collection with declared indexes.
    Extra,
    /// An index with the same fields or name exists with other options.
    Different,
    /// It exists under another name, which is harmless.
    OtherName,
}

impl DriftKind {
    /// Returns whether nothing needs to be done about it.
    pub fn is_harmless(self) -> bool {
        self == Self::OtherName
    }
}

impl fmt::Display for IndexDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collection, kind, declared, found } = self;
        let name = |index: &Option<Index>| index.as_ref().map(ToString::to_string).unwrap_or_default();
        match kind {
            DriftKind::Missing => write!(f, "{collection}: {} is declared but missing", name(declared)),
            DriftKind::Extra => write!(f, "{collection}: {} exists but is not declared", name(found)),
            DriftKind::Different => {
                write!(f, "{collection}: {} is declared, but {} exists", name(declared), name(found))
            }
            DriftKind::OtherName => {
                write!(f, "{collection}: {} exists under another name: {}", name(declared), name(found))
            }
        }
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn as_mql<S: Serializer>(index: &Option<Index>, serializer: S) -> Result<S::Ok, S::Error> {
    index.as_ref().map(Index::to_mql).serialize(serializer)
}

/// Compares the indexes of the declared collections with those in the database. Other collections are ignored; a declared
/// collection may have no indexes. Writes nothing.
pub async fn compare(db: &Database, declared: &[(String, Vec<Index>)]) -> Result<Vec<IndexDrift>> {
    let mut drifts = Vec::new();
    for (collection, wanted) in declared {
        drifts.extend(differences(collection, wanted, &db.list_indexes(collection).await?));
    }
    Ok(drifts)
}

fn differences(collection: &str, wanted: &[Index], there: &[Index]) -> Vec<IndexDrift> {
    let drift = |kind, declared: Option<&Index>, found: Option<&Index>| IndexDrift {
        collection: collection.to_owned(),
        kind,
        declared: declared.cloned(),
        found: found.cloned(),
    };
    let mut left: Vec<&Index> = there.iter().collect();
    let (mut drifts, mut open) = (Vec::new(), Vec::new());
    for declared in wanted {
        match left.iter().position(|found| found.same_definition(declared)).map(|at| left.remove(at)) {
            Some(found) if found.name() == declared.name() => {}
            Some(found) => drifts.push(drift(DriftKind::OtherName, Some(declared), Some(found))),
            None => open.push(declared),
        }
    }
    for declared in open {
        let is_near = |found: &&Index| found.same_keys(declared) || found.name() == declared.name();
        let found = left.iter().position(is_near).map(|at| left.remove(at));
        let kind = if found.is_some() { DriftKind::Different } else { DriftKind::Missing };
        drifts.push(drift(kind, Some(declared), found));
    }
    drifts.extend(left.into_iter().map(|found| drift(DriftKind::Extra, None, Some(found))));
    drifts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(wanted: &[Index], there: &[Index]) -> Vec<DriftKind> {
        differences("things", wanted, there).iter().map(|drift| drift.kind).collect()
    }

    #[test]
    fn compare_reports_each_kind_of_difference() {
        let (a, b) = (Index::on(["a"]), Index::on(["b"]));
        assert_eq!(kinds(&[a.clone(), b.clone()], &[b.clone(), a.clone()]), []);
        assert_eq!(kinds(std::slice::from_ref(&a), &[]), [DriftKind::Missing]);
        assert_eq!(kinds(&[], std::slice::from_ref(&a)), [DriftKind::Extra]);
        assert_eq!(kinds(std::slice::from_ref(&a), &[a.clone().unique()]), [DriftKind::Different]);
        assert_eq!(kinds(std::slice::from_ref(&a), &[b.clone().named("a_1")]), [DriftKind::Different]);
        assert_eq!(kinds(std::slice::from_ref(&a), &[a.clone().named("other")]), [DriftKind::OtherName]);
        // An index that matches a declaration exactly is not the changed form of another one.
        let both = [a.clone().unique().named("u"), a.clone()];
        assert_eq!(kinds(&both, std::slice::from_ref(&a)), [DriftKind::Missing]);
    }

    #[test]
    fn difference_is_displayed_as_a_sentence() {
        let a = Index::on(["a"]);
        let drift = &differences("things", std::slice::from_ref(&a), &[a.clone().unique()])[0];
        assert_eq!(drift.to_string(), "things: a_1 (a) is declared, but a_1 (a) unique exists");
    }
}
