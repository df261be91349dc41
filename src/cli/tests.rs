use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::Arguments;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of these kinds under a folder.
fn files(under: &Path, kinds: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, kinds));
        } else if path.extension().is_some_and(|kind| kinds.iter().any(|k| kind == *k)) {
            found.push(path);
        }
    }
    found
}

/// The words of a line of shell. `None` where it ends within quotes.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A line of shell from our program's name on; what stands before it may only be variables.
fn called(line: &str) -> Option<&str> {
    let at = if line.starts_with("field-notes ") { 0 } else { line.find(" field-notes ")? + 1 };
    let before = &line[..at];
    before.split(' ').all(|word| word.is_empty() || word.contains('=')).then(|| &line[at..])
}

/// What is wrong with a command of ours, if anything is.
fn wrong(command: &str) -> Option<String> {
    // A drawing, or every verb at once.
    if command.contains('▶') || command.ends_with("migrate …") {
        return None;
    }
    let end = command.find([';', '&', '>', '#']).unwrap_or(command.len());
    let end = command.find(" | ").map_or(end, |pipe| pipe.min(end));
    let words = words(command[..end].trim())?;
    // Of alternatives one will do.
    let words: Vec<_> = words.iter().map(|word| word.split('|').next().unwrap_or_default()).collect();
    match Arguments::try_parse_from(&words) {
        Err(error)
            if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            None
        }
        Err(error) => Some(format!("{words:?}: {}", error.to_string().lines().next().unwrap_or_default())),
        Ok(_) => None,
    }
}

/// What sources say between backticks; a line of source that goes on is one with the next.
fn told_in_source(text: &str) -> Vec<String> {
    let mut joined = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\\n") {
        joined.push_str(before);
        rest = after.trim_start();
    }
    joined.push_str(rest);
    let joined = joined.replace("\\\"", "\"");
    let told = joined.split("`field-notes ").skip(1).filter_map(|rest| rest.split_once('`'));
    told.map(|(command, _)| format!("field-notes {command}")).collect()
}

/// What documents show: between backticks, and on lines of blocks.
fn told_in_document(text: &str) -> Vec<String> {
    let mut told = told_in_source(text);
    let mut within = false;
    for line in text.lines() {
        if line.starts_with("```") {
            within = !within;
        } else if within && let Some(command) = called(line) {
            told.push(command.to_owned());
        }
    }
    told
}

#[test]
fn every_command_that_is_told_is_one() {
    let mut wrongs = Vec::new();
    let mut count = 0;
    for folder in ["src", "crates/migrator/src", "migrations", "docs"] {
        for path in files(&root().join(folder), &["rs", "md"]) {
            let text = fs::read_to_string(&path).unwrap();
            let is_document = path.extension().is_some_and(|kind| kind == "md");
            for command in if is_document { told_in_document(&text) } else { told_in_source(&text) } {
                count += 1;
                wrongs.extend(wrong(&command).map(|what| format!("{}: {what}", path.display())));
            }
        }
    }
    for name in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"] {
        for command in told_in_document(&fs::read_to_string(root().join(name)).unwrap()) {
            count += 1;
            wrongs.extend(wrong(&command).map(|what| format!("{name}: {what}")));
        }
    }
    assert!(count > 20, "only {count} commands were found");
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}

#[test]
fn every_command_of_the_makefile_is_one() {
    let text = fs::read_to_string(root().join("Makefile")).unwrap();
    let told: Vec<_> =
        text.lines().filter_map(|line| line.trim_start().strip_prefix("$(field_notes)")).collect();
    assert!(told.len() > 10, "{told:?}");
    for arguments in told {
        // The value of a variable is one word.
        let mut command = format!("field-notes{arguments}");
        while let Some((before, rest)) = command.clone().split_once("$(call needed,") {
            command = format!("{before}VALUE{}", rest.split_once(')').unwrap().1);
        }
        assert_eq!(wrong(&command), None);
    }
}

/// Every verb, with the words that lead to it.
fn verbs(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let mut all = Vec::new();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let path = format!("{path} {}", verb.get_name());
        all.extend(verbs(verb, &path));
        all.push((path, verb.clone()));
    }
    all
}

#[test]
fn the_help_of_every_verb_has_an_example_and_each_example_is_a_command() {
    for (path, verb) in verbs(&Arguments::command(), "field-notes") {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<_> = help.lines().filter_map(called).collect();
        assert!(!examples.is_empty(), "{path} has no example");
        assert!(examples.iter().any(|line| line.contains(&path)), "{path}: {examples:?}");
        for command in examples {
            // What stands apart behind it is a remark.
            let command = command.split("  ").next().unwrap();
            assert_eq!(wrong(command), None, "{path}");
        }
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Arguments::command().debug_assert();
}
