//! Steps that are wrong in themselves.

use async_trait::async_trait;
use docstore::{Filter, Update};
use migrator::{Check, Finding, Graph, Meta, Migration, Result, Step, Undo, Up};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bad {
    Path,
    Id,
    Increase,
    SameName,
}

pub(crate) const BAD: [Bad; 4] = [Bad::Path, Bad::Id, Bad::Increase, Bad::SameName];

pub(crate) fn why(bad: Bad) -> &'static str {
    match bad {
        Bad::Path | Bad::Id => "only top-level fields other than _id can be changed",
        Bad::Increase => "other than by set or unset",
        Bad::SameName => "is used twice",
    }
}

pub(crate) fn graph(bad: Bad) -> Graph {
    Graph::new(vec![Box::new(RefusedMigration(bad))]).unwrap()
}

struct RefusedMigration(Bad);

#[async_trait]
impl Migration for RefusedMigration {
    fn meta(&self) -> &'static Meta {
        const { &Meta::new("0001_bad", "is wrong") }
    }

    async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
        let all = Filter::All;
        match self.0 {
            Bad::Path => {
                cx.set("a", "things", &all, "a.b", 1).await?;
            }
            Bad::Id => {
                cx.step(Step::unset_field("a", "things", "_id")).await?;
            }
            Bad::Increase => {
                let more = |_: &docstore::bson::Document| Some(Update::new().inc("n", 1));
                cx.step(Step::backfill("a", "things", ["n"], more)).await?;
            }
            Bad::SameName => {
                cx.count("things", &all).await?;
                cx.set("a", "others", &all, "n", 1).await?;
                cx.set("a", "others", &all, "n", 2).await?;
            }
        }
        Ok(())
    }

    fn undo(&self) -> Undo {
        Undo::Journal
    }

    async fn check(&self, _: &Check<'_>) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}
