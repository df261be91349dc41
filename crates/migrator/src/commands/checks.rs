use super::preview::data_preview;
use super::status::pending;
use crate::lint::Linter;
use crate::{Error, Finding, Lint, Migrator, Result};

pub(crate) async fn lint(m: &Migrator) -> Result<Vec<Lint>> {
    let pending = pending(m, &m.snapshot().await?);
    let apply: Vec<usize> = pending.iter().filter_map(|id| m.dag().position(id)).collect();
    let mut with_data = data_preview(m, &apply, false).await?.migrations;
    let mut lints = Vec::new();
    for migration in m.graph.migrations() {
        match with_data.iter_mut().find(|preview| preview.id == migration.meta().id) {
            Some(preview) => lints.append(&mut preview.lints),
            None => lints.extend(Linter::check(&m.graph, migration, &migration.steps(), []).found),
        }
    }
    Ok(lints)
}

pub(crate) async fn conditions(m: &Migrator) -> Result<Vec<(String, Finding)>> {
    let snapshot = m.snapshot().await?;
    let mut findings = Vec::new();
    for (at, id) in m.graph.ids().enumerate().filter(|(_, id)| snapshot.is_applied(id)) {
        let found = match m.check(at).await {
            Err(Error::MissingEnv(missing)) => missing
                .iter()
                .map(|missing| Finding::new(format!("cannot be checked: {} is not set", missing.variable)))
                .collect(),
            found => found?,
        };
        findings.extend(found.into_iter().map(|finding| (id.to_owned(), finding)));
    }
    Ok(findings)
}
