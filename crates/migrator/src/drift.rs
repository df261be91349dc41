//! What the database has, against what the program declares.

use std::collections::BTreeMap;
use std::fmt;

use bson::Document;
use docstore::{Database, Index, Validator};
use serde::Serialize;

use crate::Result;

/// One index that is not as it is declared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IndexDrift {
    /// The collection.
    pub collection: String,
    /// What the matter is.
    pub kind: DriftKind,
    /// The index that is declared.
    #[serde(serialize_with = "told", skip_serializing_if = "Option::is_none")]
    pub declared: Option<Index>,
    /// The index that is there.
    #[serde(serialize_with = "told", skip_serializing_if = "Option::is_none")]
    pub found: Option<Index>,
}

/// What the matter is with an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DriftKind {
    /// It is declared and not there.
    Missing,
    /// It is there and not declared, in a collection that has declared ones.
    Extra,
    /// One with the same fields or the same name is there, with other options.
    Different,
    /// It is there under another name. Nothing is wrong with that.
    OtherName,
}

impl DriftKind {
    /// Whether nothing has to be done about it.
    pub fn is_harmless(self) -> bool {
        self == Self::OtherName
    }
}

impl fmt::Display for IndexDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collection, kind, declared, found } = self;
        let name = |index: &Option<Index>| index.as_ref().map(ToString::to_string).unwrap_or_default();
        match kind {
            DriftKind::Missing => write!(f, "{collection}: {} is declared and not there", name(declared)),
            DriftKind::Extra => write!(f, "{collection}: {} is there and not declared", name(found)),
            DriftKind::Different => {
                write!(f, "{collection}: {} is declared, and {} is there", name(declared), name(found))
            }
            DriftKind::OtherName => {
                write!(f, "{collection}: {} is there under another name: {}", name(declared), name(found))
            }
        }
    }
}

#[expect(clippy::ref_option, reason = "it is called so by what serde derives")]
fn told<S: serde::Serializer>(index: &Option<Index>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    index.as_ref().map(|index| -> Document { index.to_mql() }).serialize(serializer)
}

/// A collection whose rule for documents is not the one that the applied migrations left it with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ValidatorDrift {
    /// The collection.
    pub collection: String,
    /// What was set last, by this migration.
    pub migration: String,
    /// What that was, in words; nothing if it was taken away.
    pub declared: Option<String>,
    /// What is there, in words.
    pub found: Option<String>,
}

impl fmt::Display for ValidatorDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collection, migration, declared, found } = self;
        let told = |rule: &Option<String>| rule.clone().unwrap_or_else(|| "no validator".into());
        write!(f, "{collection}: {migration} set {}, and there is {}", told(declared), told(found))
    }
}

/// Compares the rules for documents with those that migrations set last: for each collection, by which migration, and
/// which. Writes nothing.
pub(crate) async fn validators(
    db: &Database,
    set: &BTreeMap<String, (String, Option<Validator>)>,
) -> Result<Vec<ValidatorDrift>> {
    let told = |rule: &Validator| format!("a validator: {rule}");
    let mut drifts = Vec::new();
    for (collection, (migration, declared)) in set {
        let found = db.validator(collection).await?;
        if found != *declared {
            drifts.push(ValidatorDrift {
                collection: collection.clone(),
                migration: migration.clone(),
                declared: declared.as_ref().map(told),
                found: found.as_ref().map(told),
            });
        }
    }
    Ok(drifts)
}

/// Compares the indexes of the declared collections with those in the database. Writes nothing.
///
/// Only collections that are declared are looked at; a declared one may have no indexes at all.
pub async fn compare(db: &Database, declared: &[(String, Vec<Index>)]) -> Result<Vec<IndexDrift>> {
    let mut drifts = Vec::new();
    for (collection, wanted) in declared {
        let there = db.list_indexes(collection).await?;
        drifts.extend(differences(collection, wanted, &there));
    }
    Ok(drifts)
}

fn differences(collection: &str, wanted: &[Index], there: &[Index]) -> Vec<IndexDrift> {
    let mut drifts = Vec::new();
    let mut matched = vec![false; there.len()];
    let mut open = Vec::new();
    for declared in wanted {
        let Some(at) = there.iter().position(|found| found.same_definition(declared)) else {
            open.push(declared);
            continue;
        };
        matched[at] = true;
        if there[at].name() != declared.name() {
            drifts.push((DriftKind::OtherName, Some(declared), Some(&there[at])));
        }
    }
    for declared in open {
        let near = |(at, found): &(usize, &Index)| {
            !matched[*at] && (found.same_keys(declared) || found.name() == declared.name())
        };
        let near = there.iter().enumerate().find(near).map(|(at, _)| at);
        match near {
            Some(at) => {
                matched[at] = true;
                drifts.push((DriftKind::Different, Some(declared), Some(&there[at])));
            }
            None => drifts.push((DriftKind::Missing, Some(declared), None)),
        }
    }
    for (found, _) in there.iter().zip(&matched).filter(|(_, matched)| !**matched) {
        drifts.push((DriftKind::Extra, None, Some(found)));
    }
    drifts
        .into_iter()
        .map(|(kind, declared, found)| IndexDrift {
            collection: collection.to_owned(),
            kind,
            declared: declared.cloned(),
            found: found.cloned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(wanted: &[Index], there: &[Index]) -> Vec<DriftKind> {
        differences("things", wanted, there).iter().map(|drift| drift.kind).collect()
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        let (a, b) = (Index::on(["a"]), Index::on(["b"]));
        assert_eq!(kinds(&[a.clone(), b.clone()], &[b.clone(), a.clone()]), []);
        assert_eq!(kinds(std::slice::from_ref(&a), &[]), [DriftKind::Missing]);
        assert_eq!(kinds(&[], std::slice::from_ref(&a)), [DriftKind::Extra]);
        assert_eq!(kinds(std::slice::from_ref(&a), &[a.clone().unique()]), [DriftKind::Different]);
        assert_eq!(kinds(std::slice::from_ref(&a), &[b.clone().named("a_1")]), [DriftKind::Different]);
        assert_eq!(kinds(std::slice::from_ref(&a), &[a.clone().named("other")]), [DriftKind::OtherName]);
        // An index that is declared exactly is not taken for the changed one of another.
        let both = [a.clone().unique().named("u"), a.clone()];
        assert_eq!(kinds(&both, std::slice::from_ref(&a)), [DriftKind::Missing]);
    }

    #[test]
    fn a_difference_is_told_in_a_sentence() {
        let a = Index::on(["a"]);
        let drift = &differences("things", std::slice::from_ref(&a), &[a.clone().unique()])[0];
        assert_eq!(drift.to_string(), "things: a_1 (a) is declared, and a_1 (a) unique is there");
    }
}
