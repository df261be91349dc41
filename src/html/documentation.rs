use std::fmt::Write as _;
use std::path::Path;

use super::allow_list::{ANYWHERE, ELEMENTS, Element, WITH_CONTENT};
use super::attribute_values::{
    ALIGNMENTS, CLASS_PREFIXES, CLASSES, DIRECTIONS, FEATURES, LINK_SCHEMES, MAX_ID_LENGTH, PLAYERS,
    RELATIONS, Rule, SANDBOX, TARGETS, VERTICAL_ALIGNMENTS, WEB_SCHEMES,
};
use super::{MAX_DEPTH, css};

const BEGIN: &str = "<!-- generated from the allow-list: make content -->\n";
const END: &str = "<!-- end -->\n";

fn names(names: impl IntoIterator<Item = &'static str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

/// Writes the attributes with any value, then one line for each other rule.
fn attributes(list: &[(&'static str, Rule)], out: &mut String) {
    let any = names(list.iter().filter(|(_, rule)| *rule == Rule::Any).map(|(name, _)| *name));
    let others: Vec<_> = list
        .iter()
        .filter(|(_, rule)| *rule != Rule::Any)
        .map(|(name, rule)| format!("`{name}` ({})", title(*rule)))
        .collect();
    out.push_str(&any);
    out.push_str(if any.is_empty() || others.is_empty() { "" } else { " " });
    out.push_str(&others.join(" "));
}

fn title(rule: Rule) -> &'static str {
    match rule {
        Rule::Any => "any",
        Rule::Link => "link",
        Rule::Web => "web address",
        Rule::Candidates => "candidates",
        Rule::Player => "player",
        Rule::Features => "features",
        Rule::Sandbox => "sandbox",
        Rule::Relations => "relations",
        Rule::Target => "window",
        Rule::Checkbox => "check box",
        Rule::Direction => "direction",
        Rule::Align => "alignment",
        Rule::VerticalAlign => "vertical alignment",
        Rule::Color => "color",
        Rule::Style => "style",
        Rule::Classes => "classes",
        Rule::Id => "id",
    }
}

fn describe(rule: Rule) -> String {
    let list = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match rule {
        Rule::Any => "any value".to_owned(),
        Rule::Link => format!("a relative address, or one with the scheme {}", list(LINK_SCHEMES)),
        Rule::Web => format!("a relative address, or one with the scheme {}", list(WEB_SCHEMES)),
        Rule::Candidates => {
            "candidates as in the HTML standard, each with an address as for `src`".to_owned()
        }
        Rule::Player => {
            let players: Vec<_> = PLAYERS.iter().map(|(host, path)| format!("`{host}{path}`")).collect();
            format!("an `https` address that begins with {}", players.join(", "))
        }
        Rule::Features => format!("policies for {}", list(FEATURES)),
        Rule::Sandbox => list(SANDBOX),
        Rule::Relations => list(RELATIONS),
        Rule::Target => list(TARGETS),
        Rule::Checkbox => "`checkbox`; an `input` of another type is removed".to_owned(),
        Rule::Direction => list(DIRECTIONS),
        Rule::Align => list(ALIGNMENTS),
        Rule::VerticalAlign => list(VERTICAL_ALIGNMENTS),
        Rule::Color => "a color".to_owned(),
        Rule::Style => "declarations of the properties below".to_owned(),
        Rule::Classes => {
            let prefixes: Vec<_> = CLASS_PREFIXES.iter().map(|prefix| format!("`{prefix}…`")).collect();
            format!("{}, {}", list(CLASSES), prefixes.join(", "))
        }
        Rule::Id => {
            format!("letters, digits and `-_.:`, up to {MAX_ID_LENGTH} characters; not `_` at the beginning")
        }
    }
}

fn generated() -> String {
    let mut out = String::from("## Elements\n\n| Element | Its own attributes |\n|---|---|\n");
    let mut rest = ELEMENTS.iter().collect::<Vec<_>>();
    while let Some(Element { attributes: own, .. }) = rest.first() {
        let (equal, others): (Vec<&Element>, Vec<&Element>) =
            rest.iter().partition(|element| element.attributes == *own);
        _ = write!(out, "| {} | ", names(equal.iter().map(|element| element.name)));
        attributes(own, &mut out);
        out.push_str(" |\n");
        rest = others;
    }
    out.push_str("\nAttributes of every element: ");
    attributes(ANYWHERE, &mut out);
    out.push_str(".\n\n## Values\n\nWords compare without regard to case. Attributes without a rule have any value.\n\n");
    out.push_str("| Rule | Kept |\n|---|---|\n");
    let mut rules = Vec::new();
    for (_, rule) in ELEMENTS.iter().flat_map(|element| element.attributes).chain(ANYWHERE) {
        if *rule != Rule::Any && !rules.contains(rule) {
            rules.push(*rule);
        }
    }
    for rule in rules {
        _ = writeln!(out, "| {} | {} |", title(rule), describe(rule));
    }
    let properties = |list: &'static [(&'static str, css::Values)]| {
        let list = list.iter().map(|(name, values)| match values {
            css::Values::Any => format!("`{name}`"),
            css::Values::Words(words) => format!("`{name}` ({})", words.join(", ")),
        });
        list.collect::<Vec<_>>().join(", ")
    };
    _ = write!(
        out,
        "\n## Styles\n\n| Elements | Properties |\n|---|---|\n| all | {} |\n| {} | {} |\n\nValues are words, numbers, \
         lengths, colors, texts, and the functions {}. `url()`, escapes and comments are not kept.\n",
        properties(css::TEXT),
        names(css::SIZED.iter().copied()),
        properties(css::SIZE),
        names(css::FUNCTIONS.iter().copied()),
    );
    _ = write!(
        out,
        "\n## Removed\n\n| What | How |\n|---|---|\n| {} | with the content |\n| every other element | the tags; the content \
         stays |\n| every other attribute and value, comments | completely; of lists of words, declarations and \
         candidates only the parts that are not kept |\n| `iframe` without a player, `input` that is no check box | \
         completely |\n| elements deeper than {MAX_DEPTH} levels, links in links, parts of tables outside of tables | the tags; \
         the content stays |\n| a bold, italic or underlined element whose style takes that back | the tag; its `style` stays \
         on a `span` |\n",
        names(WITH_CONTENT.iter().map(|(name, _)| *name)),
    );
    out
}

#[test]
fn documentation_lists_what_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/content.md");
    let text = std::fs::read_to_string(&path).expect("docs/content.md");
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the generated part");
    let (current, after) = rest.split_once(END).expect("the end of the generated part");
    let wanted = generated();
    if std::env::var_os("WRITE_CONTENT").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}"))
            .expect("docs/content.md is written");
    } else {
        assert_eq!(current, wanted, "docs/content.md is not current: run `make content`");
    }
}
