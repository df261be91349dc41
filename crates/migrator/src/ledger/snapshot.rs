use std::collections::BTreeMap;

use docstore::{Database, Field, Filter, Find, Sort};

use super::LEDGER;
use super::pymongo_ledger::{self, PymongoRecord};
use crate::entry::{Entries, LedgerEntry};
use crate::graph::Dag;
use crate::plan::is_unknown;
use crate::{Error, Result, Settings, Source, State};

/// The ledger's entries, merged with what an earlier tool recorded for names that are not in the ledger.
pub(crate) struct LedgerSnapshot {
    pub(crate) entries: Entries,
    /// The records to import.
    pub(crate) imports: Vec<(String, PymongoRecord)>,
    /// Applied names of the earlier tool that the program does not know and may not import.
    foreign_unknown: Vec<String>,
    import_from: String,
}

impl LedgerSnapshot {
    /// Reads the ledgers, with at most two reads.
    pub(crate) async fn read(db: &Database, settings: &Settings, dag: &Dag) -> Result<Self> {
        let all = || Find::new(Filter::All).sort(Sort::ascending(Field::ID));
        let documents = db.collection(LEDGER).find(all()).await?.documents().await?;
        let mut entries = Entries::new();
        for document in &documents {
            let entry = LedgerEntry::from_document(LEDGER, document)?;
            entries.insert(entry.id.clone(), entry);
        }
        let mut snapshot =
            Self { entries, imports: Vec::new(), foreign_unknown: Vec::new(), import_from: String::new() };
        if let Some(name) = &settings.import_from {
            let documents = db.collection(name).find(all()).await?.documents().await?;
            snapshot.import_from.clone_from(name);
            snapshot.merge(pymongo_ledger::read(name, &documents)?, dag, settings.allow_unknown);
        }
        Ok(snapshot)
    }

    fn merge(&mut self, found: BTreeMap<String, PymongoRecord>, dag: &Dag, allow_unknown: bool) {
        for (name, foreign) in found {
            // An entry of the engine's own ledger takes precedence.
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

    /// Fails if an earlier tool has applied migrations that this program neither knows nor may import.
    pub(crate) fn refuse_unknown(&self) -> Result<()> {
        if self.foreign_unknown.is_empty() {
            return Ok(());
        }
        let (collection, names) = (self.import_from.clone(), self.foreign_unknown.clone());
        Err(Error::ImportUnknown { collection, names })
    }

    /// Returns the state of a migration; `None` if it never ran.
    pub(crate) fn state(&self, id: &str) -> Option<State> {
        self.entries.get(id).map(|entry| entry.state)
    }

    pub(crate) fn is_applied(&self, id: &str) -> bool {
        self.state(id) == Some(State::Applied)
    }

    /// Returns whether an applied migration is to be imported.
    pub(crate) fn has_imports(&self) -> bool {
        self.imports.iter().any(|(_, foreign)| foreign.applied.is_some())
    }

    /// Returns the number of the graph's migrations that are applied.
    pub(crate) fn applied(&self, dag: &Dag) -> usize {
        dag.ids().filter(|id| self.is_applied(id)).count()
    }

    /// Returns the ids of applied migrations that the program does not know.
    pub(crate) fn unknown(&self, dag: &Dag) -> Vec<String> {
        self.entries.values().filter(|e| is_unknown(dag, e)).map(|e| e.id.clone()).collect()
    }
}
