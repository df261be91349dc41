use bson::{Bson, Document, doc};

use crate::mongo::engine::Core;
use crate::mongo::error::failed;
use crate::mongo::find::{find_options, queries};
use crate::{Error, Find, Plan, Result};

impl Core {
    pub(crate) async fn explain(&self, collection: &str, find: &Find) -> Result<Plan> {
        let mut worst: Option<Plan> = None;
        for part in queries(find) {
            let options = bson::serialize_to_document(&find_options(find, &part))
                .map_err(|error| Error::Invalid(error.to_string()))?;
            let mut command = doc! { "find": collection, "filter": part.query };
            command.extend(options);
            let command = doc! { "explain": command, "verbosity": "queryPlanner" };
            let answer = self.database.run_command(command).await;
            let plan = plan(&answer.map_err(failed("explaining a read", collection))?);
            worst = Some(match worst {
                None => plan,
                Some(worst) => Plan {
                    index: worst.index.and(plan.index),
                    sorts_in_memory: worst.sorts_in_memory || plan.sorts_in_memory,
                },
            });
        }
        Ok(worst.unwrap_or(Plan { index: None, sorts_in_memory: false }))
    }
}

/// Summarizes the winning plans of a response from one server or several shards.
fn plan(answer: &Document) -> Plan {
    let mut plan = Plan { index: None, sorts_in_memory: false };
    visit(answer, &mut |stage| {
        match stage.get_str("stage").unwrap_or_default() {
            "SORT" | "SORT_SIMPLE" | "SORT_DEFAULT" => plan.sorts_in_memory = true,
            "IDHACK" => plan.index = Some("_id_".into()),
            // Express stages of MongoDB 8 name their index like an index scan.
            _ => {}
        }
        if let (None, Ok(name)) = (&plan.index, stage.get_str("indexName")) {
            plan.index = Some(name.to_owned());
        }
    });
    plan
}

fn visit(document: &Document, look: &mut impl FnMut(&Document)) {
    look(document);
    for (key, value) in document {
        if key == "rejectedPlans" {
            continue;
        }
        match value {
            Bson::Document(inner) => visit(inner, look),
            Bson::Array(list) => {
                list.iter().filter_map(Bson::as_document).for_each(|inner| visit(inner, look));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winning_plan_is_found_at_any_depth() {
        let scan = doc! { "stage": "FETCH", "inputStage": { "stage": "IXSCAN", "indexName": "slug_1" } };
        let rejected = doc! { "stage": "SORT", "inputStage": { "stage": "IXSCAN", "indexName": "other" } };
        let one = doc! { "queryPlanner": { "rejectedPlans": [rejected], "winningPlan": { "queryPlan": scan.clone() } } };
        assert_eq!(plan(&one), Plan { index: Some("slug_1".into()), sorts_in_memory: false });
        let shards = doc! { "queryPlanner": { "winningPlan": {
            "stage": "SHARD_MERGE", "shards": [{ "winningPlan": { "stage": "SORT", "inputStage": scan } }],
        } } };
        assert_eq!(plan(&shards), Plan { index: Some("slug_1".into()), sorts_in_memory: true });
        let express =
            doc! { "queryPlanner": { "winningPlan": { "stage": "EXPRESS_IXSCAN", "indexName": "slug_1" } } };
        assert_eq!(plan(&express).index.as_deref(), Some("slug_1"));
        let whole = doc! { "queryPlanner": { "winningPlan": { "stage": "COLLSCAN" } } };
        assert_eq!(plan(&whole), Plan { index: None, sorts_in_memory: false });
    }
}
