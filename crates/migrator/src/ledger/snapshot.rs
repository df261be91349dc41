use std::collections::BTreeMap;

use docstore::{Database, Field, Filter, Find, Sort};

use super::LEDGER;
use super::pymongo_ledger::{self as foreign, PymongoRecord};
use crate::entry::{Entries, LedgerEntry};
use crate::graph::Dag;
use crate::plan::is_unknown;
use crate::{Error, Result, Settings, Source, State};

/// The ledger as it counts: ours, and what an earlier tool's says of names that are not in ours.
pub(crate) struct LedgerSnapshot {
    pub(crate) entries: Entries,
    /// What is to be taken over.
    pub(crate) imports: Vec<(String, PymongoRecord)>,
    /// Names that an earlier tool has applied and that nobody said to take over.
    foreign_unknown: Vec<String>,
    import_from: String,
}

impl LedgerSnapshot {
    /// Reads the ledgers: two reads at the most.
    pub(crate) async fn read(db: &Database, settings: &Settings, dag: &Dag) -> Result<Self> {
        let all = || Find::new(Filter::All).sort(Sort::ascending(Field::ID));
        let documents = db.collection(LEDGER).find(all()).await?.documents().await?;
        let mut entries = Entries::new();
        for document in &documents {
            let entry = LedgerEntry::from_document(LEDGER, document)?;
            entries.insert(entry.id.clone(), entry);
        }
        let mut view =
            Self { entries, imports: Vec::new(), foreign_unknown: Vec::new(), import_from: String::new() };
        if let Some(name) = &settings.import_from {
            let documents = db.collection(name).find(all()).await?.documents().await?;
            view.import_from.clone_from(name);
            view.merge(foreign::read(name, &documents)?, dag, settings.allow_unknown);
        }
        Ok(view)
    }

    fn merge(&mut self, found: BTreeMap<String, PymongoRecord>, dag: &Dag, allow_unknown: bool) {
        for (name, foreign) in found {
            // Once there is an entry of ours, it alone counts.
            if self.entries.contains_key(&name) {
                continue;
            }
            let known = dag.contains(&name);
            if let Some(applied) = foreign.applied {
                let mut entry = LedgerEntry::new(&name, State::Applied, Source::Imported);
                entry.applied_at = Some(applied);
                self.entries.insert(name.clone(), entry);
                if !known && !allow_unknown {
                    self.foreign_unknown.push(name);
                    continue;
                }
            } else if !known {
                continue;
            }
            self.imports.push((name, foreign));
        }
    }

    /// Refuses to go on while an earlier tool has applied what we do not know.
    pub(crate) fn refuse_unknown(&self) -> Result<()> {
        if self.foreign_unknown.is_empty() {
            return Ok(());
        }
        Err(Error::ImportUnknown {
            collection: self.import_from.clone(),
            names: self.foreign_unknown.clone(),
        })
    }

    /// Whether there is anything to take over that is applied.
    pub(crate) fn has_imports(&self) -> bool {
        self.imports.iter().any(|(_, foreign)| foreign.applied.is_some())
    }

    /// How many of the graph's migrations are applied.
    pub(crate) fn applied(&self, dag: &Dag) -> usize {
        dag.ids().filter(|id| self.entries.get(*id).is_some_and(|e| e.state == State::Applied)).count()
    }

    /// Ids that are in the ledger and not in the graph.
    pub(crate) fn unknown(&self, dag: &Dag) -> Vec<String> {
        self.entries.values().filter(|e| is_unknown(dag, e)).map(|e| e.id.clone()).collect()
    }
}
