use std::fs;
use std::path::Path;

use serde_json::json;

use crate::bench::Bench;
use crate::figure::Figure;
use crate::machine;
use crate::plot;

const BEGIN: &str = "<!-- make bench: begin -->";
const END: &str = "<!-- make bench: end -->";

/// The rows that the README summarizes.
const SUMMARY: [&str; 5] = ["identity", "br", "rendering", "create", "start"];

/// Names and values of everything that a figure depends on.
pub(crate) type Setup = Vec<(&'static str, String)>;

/// Describes this run.
pub(crate) fn setup(bench: &Bench) -> Setup {
    let settings = &bench.settings;
    let mut setup = machine::properties();
    setup.extend([
        ("load of the machine before", machine::load()),
        ("split", bench.cores.description().to_owned()),
        ("program", format!("field-notes {}, release profile, `RATE_LIMITS=off`", env!("CARGO_PKG_VERSION"))),
        (
            "loads",
            format!(
                "{} rounds of {} s each for subject and ceiling in turns, wrk with one thread and {} connections",
                settings.rounds, settings.seconds, settings.connections
            ),
        ),
        (
            "sequential",
            format!("at most {} requests or {} s a round", settings.samples, 2 * settings.seconds),
        ),
        (
            "stores",
            format!(
                "embedded on disk; mongod, a replica set of one, with its data in memory if /dev/shm exists; {} stories in the large ones",
                thousands(settings.stories)
            ),
        ),
    ]);
    setup
}

/// `1,000,000`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const HEAD: &str = "| What | Bound | Median | Min – max | Met | |\n|---|---|---|---|---|---|\n";

fn table(figures: &[Figure]) -> String {
    let rows: Vec<_> = figures.iter().map(Figure::row).collect();
    format!("{HEAD}{}\n", rows.join("\n"))
}

/// Returns a bullet point for each summarized row.
fn summary(figures: &[Figure]) -> String {
    let rows = SUMMARY.iter().filter_map(|name| figures.iter().find(|figure| figure.name == *name));
    rows.map(|figure| figure.summary() + "\n").collect()
}

fn value<'s>(setup: &'s Setup, name: &str) -> &'s str {
    setup.iter().find(|(n, _)| *n == name).map_or("unknown", |(_, value)| value.as_str())
}

/// Returns one line with the machine and the date.
fn caption(setup: &Setup) -> String {
    let [date, cpu, cores] = ["date", "processor", "processors"].map(|name| value(setup, name));
    format!("{cores} processors, {cpu}, {date}")
}

/// Writes the table, plot and raw figures to `docs/performance`, and a summary of five lines to the README.
pub(crate) fn publish(root: &Path, setup: &Setup, figures: &[Figure]) -> Result<(), String> {
    let folder = root.join("docs/performance");
    let setup_rows: Vec<_> = setup.iter().map(|(name, value)| format!("| {name} | {value} |")).collect();
    let setup_rows = setup_rows.join("\n");
    let block = format!(
        "| Set-up | |\n|---|---|\n{setup_rows}\n\n{}\n![How far each figure is from its target](figures.svg)\n",
        table(figures)
    );
    between_markers(&folder.join("README.md"), &block)?;
    between_markers(&root.join("README.md"), &summary(figures))?;
    write(&folder.join("figures.svg"), &plot::svg(figures, &caption(setup)))?;
    write(&folder.join("figures.json"), &raw(setup, figures)?)
}

/// Writes the same to the build folder, for every run.
pub(crate) fn save(folder: &Path, setup: &Setup, figures: &[Figure]) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    write(&folder.join("table.md"), &table(figures))?;
    write(&folder.join("figures.svg"), &plot::svg(figures, &caption(setup)))?;
    write(&folder.join("figures.json"), &raw(setup, figures)?)
}

fn raw(setup: &Setup, figures: &[Figure]) -> Result<String, String> {
    let setup: serde_json::Map<_, _> =
        setup.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let figures: Vec<_> = figures.iter().map(Figure::json).collect();
    let text = serde_json::to_string_pretty(&json!({ "setup": setup, "figures": figures }));
    text.map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Replaces the text between the markers of a file.
fn between_markers(path: &Path, block: &str) -> Result<(), String> {
    let with_path = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(with_path)?;
    let (before, rest) =
        text.split_once(BEGIN).ok_or_else(|| format!("{} has no {BEGIN}", path.display()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{} has no {END}", path.display()))?;
    write(path, &format!("{before}{BEGIN}\n{block}{END}{after}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
