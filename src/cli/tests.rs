use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::Arguments;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files under a folder that have one of these extensions.
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

/// Splits a line of shell into words. Returns `None` if a quote is not closed.
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

/// Returns the part of a shell line that starts with our program, if only assignments come before it.
fn command_in(line: &str) -> Option<&str> {
    let at = if line.starts_with("field-notes ") { 0 } else { line.find(" field-notes ")? + 1 };
    let before = &line[..at];
    before.split(' ').all(|word| word.is_empty() || word.contains('=')).then(|| &line[at..])
}

/// Parses a documented command. Returns the error, if it is invalid.
fn parse_error(command: &str) -> Option<String> {
    // A diagram, or a placeholder for every verb.
    if command.contains('▶') || command.ends_with("migrate …") {
        return None;
    }
    let end = command.find([';', '&', '>', '#']).unwrap_or(command.len());
    let end = command.find(" | ").map_or(end, |pipe| pipe.min(end));
    let words = words(command[..end].trim())?;
    // The first of several alternatives is enough.
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

/// Returns the commands between backticks in a source file. Continued lines are joined.
fn commands_in_source(text: &str) -> Vec<String> {
    let mut joined = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\\n") {
        joined.push_str(before);
        rest = after.trim_start();
    }
    joined.push_str(rest);
    let joined = joined.replace("\\\"", "\"");
    let commands = joined.split("`field-notes ").skip(1).filter_map(|rest| rest.split_once('`'));
    commands.map(|(command, _)| format!("field-notes {command}")).collect()
}

/// Returns the commands of a document: between backticks, and on lines of code blocks.
fn commands_in_document(text: &str) -> Vec<String> {
    let mut commands = commands_in_source(text);
    let mut within = false;
    for line in text.lines() {
        if line.starts_with("```") {
            within = !within;
        } else if within && let Some(command) = command_in(line) {
            // The shell expands it.
            commands.push(command.replace("$PWD", "/srv"));
        }
    }
    commands
}

#[test]
fn every_documented_command_parses() {
    let mut errors = Vec::new();
    let mut count = 0;
    for folder in ["src", "crates/migrator/src", "migrations", "docs"] {
        for path in files(&root().join(folder), &["rs", "md"]) {
            let text = fs::read_to_string(&path).unwrap();
            let is_document = path.extension().is_some_and(|kind| kind == "md");
            for command in if is_document { commands_in_document(&text) } else { commands_in_source(&text) } {
                count += 1;
                errors.extend(parse_error(&command).map(|what| format!("{}: {what}", path.display())));
            }
        }
    }
    for name in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"] {
        for command in commands_in_document(&fs::read_to_string(root().join(name)).unwrap()) {
            count += 1;
            errors.extend(parse_error(&command).map(|what| format!("{name}: {what}")));
        }
    }
    assert!(count > 20, "only {count} commands were found");
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn every_makefile_command_parses() {
    let text = fs::read_to_string(root().join("Makefile")).unwrap();
    let commands: Vec<_> =
        text.lines().filter_map(|line| line.trim_start().strip_prefix("$(field_notes)")).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for arguments in commands {
        // The value of a variable is one word.
        let mut command = format!("field-notes{arguments}");
        while let Some((before, rest)) = command.clone().split_once("$(call needed,") {
            command = format!("{before}VALUE{}", rest.split_once(')').unwrap().1);
        }
        assert_eq!(parse_error(&command.replace(" $(ARGS)", "")), None);
    }
}

#[test]
fn makefile_targets_of_one_command_pass_arguments_on() {
    let text = fs::read_to_string(root().join("Makefile")).unwrap();
    let recipes = text.split("\n\n").filter(|recipe| {
        recipe.matches("\t$(field_notes)").count() + recipe.matches("\t@$(field_notes)").count() == 1
    });
    let mut count = 0;
    for recipe in recipes {
        let (target, _) = recipe.split_once(':').unwrap();
        let target = target.split(' ').next().unwrap();
        let mut make = std::process::Command::new("make");
        make.current_dir(root()).args([
            "-n",
            target,
            "revision=R",
            "backup=B",
            "database=D",
            "message=M",
            "ARGS=--one --two",
        ]);
        // Those of the `make` that runs the tests.
        make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("MAKEOVERRIDES");
        let printed = String::from_utf8(make.output().unwrap().stdout).unwrap();
        let command = printed.lines().find(|line| line.contains("cargo run -q -- ")).unwrap_or_default();
        assert!(command.ends_with(" --one --two"), "{target}: {printed}");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

/// Returns every verb with its path, recursively.
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
fn every_help_has_an_example_and_every_example_parses() {
    for (path, verb) in verbs(&Arguments::command(), "field-notes") {
        let help = verb.get_long_about().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<_> = help.lines().filter_map(command_in).collect();
        assert!(!examples.is_empty(), "{path} has no example");
        assert!(examples.iter().any(|line| line.contains(&path)), "{path}: {examples:?}");
        for command in examples {
            // Two spaces start a remark.
            let command = command.split("  ").next().unwrap();
            assert_eq!(parse_error(command), None, "{path}");
        }
    }
}

#[test]
fn command_line_is_well_formed() {
    Arguments::command().debug_assert();
}

#[test]
fn former_flag_names_are_hidden_aliases() {
    for command in [
        "field-notes migrate reset --i-mean notes",
        "field-notes migrate stamp 0001 --none --reason r",
        "field-notes migrate history --of 0001",
        "field-notes migrate backup --why r",
    ] {
        assert_eq!(parse_error(command), None);
    }
    for (path, verb) in verbs(&Arguments::command(), "field-notes") {
        let help = verb.clone().render_long_help().to_string();
        for former in ["--i-mean", "--none", "--of ", "--why"] {
            assert!(!help.contains(former), "{path} shows {former}:\n{help}");
        }
    }
}
