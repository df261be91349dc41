use std::fs;
use std::path::Path;

use serde_json::json;

use crate::bench::Bench;
use crate::figure::Figure;
use crate::machine;
use crate::plot;

const BEGIN: &str = "<!-- make bench: begin -->";
const END: &str = "<!-- make bench: end -->";

/// Name and value of all that a figure depends on.
pub(crate) type Setup = Vec<(&'static str, String)>;

/// What this run is made of.
pub(crate) fn setup(bench: &Bench) -> Setup {
    let settings = &bench.settings;
    let mut setup = machine::description();
    setup.extend([
        ("load of the machine before", machine::load()),
        ("split", bench.cores.told().to_owned()),
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
                "embedded on disk; mongod, a replica set of one, with its data in memory where there is /dev/shm; {} stories in the large ones",
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

const HEAD: &str = "| What | Wanted | Median | Least – greatest | Met | |\n|---|---|---|---|---|---|\n";

fn table(figures: &[Figure]) -> String {
    let rows: Vec<_> = figures.iter().map(Figure::row).collect();
    format!("{HEAD}{}\n", rows.join("\n"))
}

fn value<'s>(setup: &'s Setup, name: &str) -> &'s str {
    setup.iter().find(|(n, _)| *n == name).map_or("unknown", |(_, value)| value.as_str())
}

/// One line: where and when.
fn caption(setup: &Setup) -> String {
    let [date, cpu, cores] = ["date", "processor", "processors"].map(|name| value(setup, name));
    format!("{cores} processors, {cpu}, {date}")
}

/// Writes table, plot and raw figures into `docs/performance`, and the table into the README.
pub(crate) fn publish(root: &Path, setup: &Setup, figures: &[Figure]) -> Result<(), String> {
    let folder = root.join("docs/performance");
    let told: Vec<_> = setup.iter().map(|(name, value)| format!("| {name} | {value} |")).collect();
    let told = told.join("\n");
    let block = format!(
        "| Set-up | |\n|---|---|\n{told}\n\n{}\n![How far each figure is from its target](figures.svg)\n",
        table(figures)
    );
    between_markers(&folder.join("README.md"), &block)?;
    let short = format!("`make bench`, {}:\n\n{}", caption(setup), table(figures));
    between_markers(&root.join("README.md"), &short)?;
    write(&folder.join("figures.svg"), &plot::svg(figures, &caption(setup)))?;
    write(&folder.join("figures.json"), &raw(setup, figures)?)
}

/// Writes the same into a folder of the build, for a run that is not the published one.
pub(crate) fn keep(folder: &Path, setup: &Setup, figures: &[Figure]) -> Result<(), String> {
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

/// Puts a text between the markers of a file; what is around them stays.
fn between_markers(path: &Path, block: &str) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(told)?;
    let (before, rest) =
        text.split_once(BEGIN).ok_or_else(|| format!("{} has no {BEGIN}", path.display()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{} has no {END}", path.display()))?;
    write(path, &format!("{before}{BEGIN}\n{block}{END}{after}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
