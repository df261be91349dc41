use std::collections::BTreeSet;

use docstore::bson::doc;
use docstore::{Filter, Index};
use migrator::{Lint, Meta, Mode, Rule, Severity, Step, Undo, Value, lint};

use crate::declared::{Declared, declared, graph};

fn lint(list: &[Declared]) -> Vec<Lint> {
    lint::check_graph(&graph(list))
}

fn rules(list: &[Declared]) -> BTreeSet<Rule> {
    lint(list).iter().map(|lint| lint.rule).collect()
}

fn add() -> Step {
    Step::add_field("add", "things", "color", "red")
}

fn unset() -> Step {
    Step::unset_field("unset", "things", "color")
}

fn seed() -> Step {
    Step::seed("seed", "things", ["slug"], vec![doc! { "slug": "a" }])
}

fn index() -> Step {
    Step::create_index("index", "things", Index::on(["color"]))
}

fn good() -> Declared {
    declared("0001_add_color_to_things", vec![add()])
}

const CODE: &str = "impl Migration for It { async fn up(&self, cx: &mut Up<'_>) -> Result<()> { BODY } } fn other() { ELSE }";

/// A migration in code with this body, and with this in a function that it does not call.
fn code(body: &str, elsewhere: &str) -> Declared {
    let source = CODE.replace("BODY", body).replace("ELSE", elsewhere);
    declared("0001_add_color_to_things", vec![]).source(Box::leak(source.into_boxed_str()))
}

/// Each rule that needs no data, with what trips it and with what nearly does.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn table() -> Vec<(Rule, Vec<Declared>, Vec<Declared>)> {
    let one = |one: Declared| vec![one];
    let begin = |id| declared(id, vec![Step::rename_begin("copy", "things", "old", "new")]);
    let end = |id, after| {
        declared(id, vec![Step::rename_end("end", "things", "old", "new")]).after(after).contract()
    };
    vec![
        (
            Rule::VagueName,
            one(declared("0001_fix_stuff", vec![add()])),
            one(declared("0001_fix_color_of_things", vec![add()])),
        ),
        (
            Rule::TwoInName,
            one(declared("0001_add_a_and_b", vec![add()])),
            one(declared("0001_add_brand", vec![add()])),
        ),
        (
            Rule::NoSummary,
            one(good().meta(|meta| Meta::new(meta.id, " ").touches(meta.touches))),
            one(good()),
        ),
        (
            Rule::SeveralConcerns,
            one(declared("0001_add_color", vec![add(), index()])),
            one(declared("0001_add_color", vec![add(), Step::add_field("more", "others", "color", "red")])
                .meta(|meta| meta.touches(&["things", "others"]))),
        ),
        (
            Rule::SeveralConcerns,
            one(declared("0001_add_color", vec![add(), Step::add_field("more", "others", "size", 1)])
                .meta(|meta| meta.touches(&["things", "others"]))),
            one(declared("0001_add_color", vec![add(), seed()])),
        ),
        (
            Rule::NoReason,
            one(good().undo(Undo::Irreversible(" "))),
            one(good().undo(Undo::Irreversible("they are gone"))),
        ),
        (
            Rule::NoJournal,
            one(good().meta(Meta::without_journal)),
            one(good().meta(Meta::without_journal).undo(Undo::Irreversible("too large"))),
        ),
        (
            Rule::NoDown,
            one(code("", "").undo(Undo::Code)),
            one(good().source("impl Migration for It { async fn down(&self) {} }").undo(Undo::Code)),
        ),
        (
            Rule::UndeclaredVariable,
            one(declared(
                "0001_add_color",
                vec![Step::add_field("add", "things", "color", Value::Env("COLOR"))],
            )),
            one(declared(
                "0001_add_color",
                vec![Step::add_field("add", "things", "color", Value::Env("COLOR"))],
            )
            .meta(|meta| meta.requires_env(&["COLOR"]))),
        ),
        (Rule::TouchesUnsaid, one(good().meta(|meta| meta.touches(&[]))), one(good())),
        (
            Rule::TouchesMore,
            one(declared("0001_keep_things", vec![Step::copy_collection("copy", "things", "others")])),
            one(declared("0001_keep_things", vec![Step::copy_collection("copy", "others", "things")])),
        ),
        (Rule::RepeatedStep, one(declared("0001_add_color", vec![add(), add()])), one(good())),
        (
            Rule::ChangesId,
            one(declared("0001_new_ids_of_things", vec![Step::set_field("set", "things", "_id", 1)])),
            one(good()),
        ),
        (
            Rule::EngineCollection,
            one(declared("0001_clean_ledger", vec![Step::add_field("add", "_migrations", "a", 1)])),
            one(declared("0001_clean_list", vec![Step::add_field("add", "migrations", "a", 1)])),
        ),
        (
            Rule::ExpandTakesAway,
            one(declared("0001_drop_color", vec![unset()])),
            one(declared("0001_drop_color", vec![unset()]).contract()),
        ),
        (
            Rule::ExpandTakesAway,
            one(declared("0001_drop_color", vec![Step::delete("delete", "things", Filter::All)])),
            one(good()),
        ),
        (
            Rule::ExpandTakesAway,
            one(declared("0001_drop_index", vec![Step::drop_index("drop", "things", "a_1")])),
            one(declared("0001_drop_index", vec![Step::drop_index("drop", "things", "a_1")]).contract()),
        ),
        (
            Rule::ExpandTakesAway,
            one(code("cx.step(Step::unset_field(a)).await", "")),
            one(code("cx.set(a).await", "cx.step(Step::unset_field(a))")),
        ),
        (
            Rule::ExpandTightens,
            one(declared(
                "0001_unique_color",
                vec![Step::create_index("index", "things", Index::on(["color"]).unique())],
            )),
            one(declared("0001_index_color", vec![index()])),
        ),
        (
            Rule::ContractOnlyAdds,
            one(good().contract()),
            one(declared("0001_drop_color", vec![add(), unset()]).contract()),
        ),
        (
            Rule::ExpandTightens,
            one(declared(
                "0001_color_of_things",
                vec![Step::create_index("rule", "things", Index::on(["a"]).unique())],
            )),
            one(declared(
                "0001_color_of_things",
                vec![Step::create_index("rule", "things", Index::on(["a"]))],
            )),
        ),
        (
            Rule::RenameAtOnce,
            one(declared(
                "0001_rename_old",
                vec![
                    Step::rename_begin("copy", "things", "old", "new"),
                    Step::rename_end("end", "things", "old", "new"),
                ],
            )
            .contract()),
            vec![begin("0001_begin"), end("0002_end", &["0001_begin"])],
        ),
        (
            Rule::RenameWithoutCopy,
            vec![declared("0001_add_color", vec![add()]), end("0002_end", &["0001_add_color"])],
            vec![begin("0001_begin"), end("0002_end", &["0001_begin"])],
        ),
        (
            Rule::DefinesInTransaction,
            one(declared("0001_index_color", vec![index()]).mode(Mode::Transaction)),
            one(declared("0001_index_color", vec![index()])),
        ),
        (
            Rule::WholeInTransaction,
            one(good().mode(Mode::Transaction)),
            one(declared("0001_add_color", vec![add().only(Filter::eq("a", 1))]).mode(Mode::Transaction)),
        ),
        (
            Rule::NotDeterministic,
            one(code("let id = ObjectId::new();", "")),
            one(code("MyObjectId::new()", "ObjectId::new()")),
        ),
        (
            Rule::ProcessEnvironment,
            one(code("std::env::var(\"A\")", "")),
            one(code("cx.env(\"A\")", "std::env::var(\"A\")")),
        ),
    ]
}

#[test]
fn each_rule_is_tripped_and_is_not_by_what_is_near_it() {
    for (rule, trips, passes) in table() {
        assert!(rules(&trips).contains(&rule), "{rule} was not tripped by {:?}", lint(&trips));
        assert!(!rules(&passes).contains(&rule), "{rule} was tripped: {:?}", lint(&passes));
    }
}

#[test]
fn every_rule_has_a_test() {
    let here: BTreeSet<Rule> = table().into_iter().map(|(rule, ..)| rule).collect();
    let with_data: BTreeSet<Rule> = crate::lint_data::RULES.iter().copied().collect();
    let all: BTreeSet<Rule> = Rule::ALL.iter().copied().collect();
    assert_eq!(here.union(&with_data).copied().collect::<BTreeSet<_>>(), all);
    let ids: BTreeSet<&str> = all.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), all.len());
}

#[test]
fn a_migration_with_nothing_to_say_about_it_is_left_alone() {
    assert_eq!(lint(&[good()]), []);
}

#[test]
fn findings_are_reported_as_text_and_json() {
    let found = lint(&[declared("0001_drop_color", vec![unset()])]);
    let [one] = &found[..] else { panic!("one finding: {found:?}") };
    assert_eq!(one.severity, Severity::Error);
    let text = one.to_string();
    assert!(text.starts_with("error expand-takes-away in 0001_drop_color, step \"unset\": "), "{text}");
    let written = serde_json::to_value(one).unwrap();
    assert_eq!((&written["rule"], &written["severity"]), (&"expand-takes-away".into(), &"error".into()));
}

#[test]
fn a_migration_whose_code_is_not_known_is_not_accused() {
    // What the first does is not known, so it may have begun the rename.
    let unknown = declared("0001_begin", vec![]);
    let end = declared("0002_end", vec![Step::rename_end("end", "things", "old", "new")])
        .after(&["0001_begin"])
        .contract();
    assert!(!rules(&[unknown, end]).contains(&Rule::RenameWithoutCopy));
}

#[test]
fn example_of_the_guide_draws_no_finding() {
    let guide = include_str!("../../../../docs/migrations.md");
    for part in
        ["Step::add_field(\"set the flag\", \"stories\", \"is_featured\", false)", ".touches(&[\"stories\"])"]
    {
        assert!(guide.contains(part), "{part}");
    }
    let step = Step::add_field("set the flag", "stories", "is_featured", false);
    let example = declared("0005_mark_stories_as_featured", vec![step]).meta(|_| {
        Meta::new("0005_mark_stories_as_featured", "mark stories as featured").touches(&["stories"])
    });
    assert_eq!(lint(&[example]), []);
}
