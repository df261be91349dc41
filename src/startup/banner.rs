use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use docstore::Database;
use migrator::UpReport;

use crate::config::Config;

/// Prints the addresses and the state of migrations for a developer. Prints no secrets.
pub(super) fn print(
    config: &Config,
    address: SocketAddr,
    database: &Database,
    report: Option<&UpReport>,
    took: Duration,
) {
    let text = text(config, address, &format!("{}, {}", database.kind(), database.location()), report, took);
    // A closed pipe is no reason to fail.
    let _ = io::stdout().write_all(text.as_bytes());
}

fn text(
    config: &Config,
    address: SocketAddr,
    store: &str,
    report: Option<&UpReport>,
    took: Duration,
) -> String {
    let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
        "localhost".to_owned()
    } else {
        SocketAddr::new(address.ip(), 0).to_string().trim_end_matches(":0").to_owned()
    };
    let url = format!("http://{host}:{}", address.port());
    let mut out = format!(
        "\n  field-notes {} is serving, started in {} ms\n\n",
        env!("CARGO_PKG_VERSION"),
        took.as_millis()
    );
    let mut line = |name: &str, value: &str| _ = writeln!(out, "  {name:<12} {value}");
    line("content", &format!("{url}/sections"));
    line("API", &format!("{url}/docs"));
    line("health", &format!("{url}/readyz"));
    line("store", store);
    if let Some(UpReport { applied, imported, already_applied, .. }) = report {
        let applied: Vec<_> = applied.iter().map(|applied| applied.id.as_str()).collect();
        if !applied.is_empty() {
            line("migrations", &format!("applied: {}", applied.join(", ")));
        }
        let imported: Vec<_> = imported.iter().map(|imported| imported.id.as_str()).collect();
        if !imported.is_empty() {
            line("migrations", &format!("imported from the original: {}", imported.join(", ")));
        }
        if *already_applied > 0 {
            line("migrations", &format!("already applied: {already_applied}"));
        }
    } else {
        line("migrations", "skipped (MIGRATE_ON_START=off)");
    }
    if config.allow_dev_auth {
        line("token", "dev-mock-admin");
    }
    let _ = writeln!(out, "\n  curl {url}/sections");
    if config.allow_dev_auth {
        let _ = writeln!(
            out,
            "  curl -H 'Authorization: Bearer dev-mock-admin' '{url}/sections?include_unpublished=true'"
        );
    }
    out.push('\n');
    out
}
