use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::items::{Item, split};

/// The source code of a migration as items, without comments, formatting and tests.
pub(crate) struct Code {
    /// The tokens of items by name. Several items may share a name.
    items: BTreeMap<String, Vec<Vec<String>>>,
    /// The methods of the `Migration` trait that are implemented.
    methods: BTreeSet<String>,
}

impl Code {
    /// Parses a file; `None` if it is not Rust.
    pub(crate) fn read(source: &str) -> Option<Self> {
        let mut code = Self { items: BTreeMap::new(), methods: BTreeSet::new() };
        for item in split(TokenStream::from_str(source).ok()?) {
            code.take(item);
        }
        Some(code)
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Use(leaves) => leaves.into_iter().for_each(|(name, path)| self.add(name, vec![path])),
            Item::Impl { of_trait: Some(name), body, .. } if name == "Migration" => {
                for method in split(body) {
                    if let Item::Named { name, tokens } = method {
                        self.methods.insert(name.clone());
                        self.add(name, words(tokens));
                    }
                }
            }
            Item::Impl { of_trait: None, body, .. } => {
                for item in split(body) {
                    self.take(item);
                }
            }
            Item::Impl { type_name, tokens, .. } => self.add(type_name, words(tokens)),
            Item::Named { name, tokens } => self.add(name, words(tokens)),
        }
    }

    fn add(&mut self, name: String, words: Vec<String>) {
        self.items.entry(name).or_default().push(words);
    }

    /// Returns true if the migration implements this method of the trait.
    pub(crate) fn has(&self, method: &str) -> bool {
        self.methods.contains(method)
    }

    /// Returns a method and all items of the file that it reaches by name, each as a line of tokens.
    pub(crate) fn reach(&self, method: &str) -> Vec<String> {
        let mut open = vec![method];
        let mut seen = BTreeSet::new();
        let mut lines = Vec::new();
        while let Some(name) = open.pop() {
            let Some((name, items)) = self.items.get_key_value(name) else { continue };
            if !seen.insert(name.as_str()) {
                continue;
            }
            for words in items {
                lines.push(format!("{name}: {}", words.join(" ")));
                open.extend(words.iter().map(String::as_str));
            }
        }
        lines.sort_unstable();
        lines
    }
}

/// Returns the tokens as text, normalized for what formatting adds and removes: trailing commas, and braces around the
/// expression of a match arm. Doc comments and lint levels are left out.
pub(super) fn words(tokens: TokenStream) -> Vec<String> {
    let mut words = Vec::new();
    write(tokens, &mut words);
    words
}

/// Attributes without an effect on behavior.
const SILENT: &[&str] = &["doc", "allow", "expect", "warn", "deny", "forbid", "must_use", "rustfmt"];

fn write(tokens: TokenStream, words: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(p) if p.as_char() == '#' => match tokens.peek() {
                Some(TokenTree::Group(group)) if is_silent(group.stream()) => {
                    tokens.next();
                }
                _ => words.push("#".into()),
            },
            TokenTree::Punct(p) if p.as_char() == ',' => comma(words),
            TokenTree::Punct(p) => words.push(p.as_char().to_string()),
            TokenTree::Group(group) => {
                let is_arm =
                    group.delimiter() == Delimiter::Brace && words.ends_with(&["=".into(), ">".into()]);
                if is_arm {
                    write(group.stream(), words);
                    comma(words);
                    continue;
                }
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                words.push(open.into());
                write(group.stream(), words);
                if words.last().is_some_and(|last| last == ",") {
                    words.pop();
                }
                words.push(close.into());
            }
            TokenTree::Ident(ident) => words.push(ident.to_string()),
            TokenTree::Literal(literal) => words.push(literal.to_string()),
        }
    }
}

fn comma(words: &mut Vec<String>) {
    if words.last().is_none_or(|last| last != ",") {
        words.push(",".into());
    }
}

fn is_silent(attribute: TokenStream) -> bool {
    attribute.into_iter().next().is_some_and(|first| SILENT.contains(&first.to_string().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        //! Documentation.
        use a::{Filter, Find as Look};
        use b::Up;

        pub(crate) struct AddColor;
        const META: Meta = Meta::new("0001_a", "a summary");
        const NAME: &str = "name";
        const OTHER: &str = "other";

        #[async_trait]
        impl Migration for AddColor {
            fn meta(&self) -> &'static Meta { &META }
            /// Does it.
            async fn up(&self, cx: &mut Up<'_>) -> Result<()> {
                match 1 { 1 => helper(NAME), _ => {} }
                Ok(())
            }
            fn undo(&self) -> Undo { Undo::Journal }
            async fn check(&self, cx: &Check<'_>) -> Result<Vec<Finding>> { look(OTHER) }
        }

        fn helper(name: &str) -> Filter { Filter::eq(name, [1, 2]) }
        fn look(name: &str) {}

        #[cfg(test)]
        mod tests { fn helper() {} }
    "#;

    fn up(source: &str) -> Vec<String> {
        Code::read(source).unwrap().reach("up")
    }

    #[test]
    fn only_reachable_items_are_covered() {
        let names: Vec<_> =
            up(FILE).iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(names, ["Filter", "NAME", "Up", "helper", "up"]);
        for (from, to) in [
            ("a summary", "another"),
            ("look(OTHER)", "look(NAME)"),
            ("\"other\"", "\"else\""),
            ("fn helper() {}", "fn helper() { 1 }"),
            ("//! Documentation.", ""),
            ("/// Does it.", "/* It does. */ #[expect(clippy::all, reason = \"\")]"),
        ] {
            assert!(FILE.contains(from));
            assert_eq!(up(&FILE.replace(from, to)), up(FILE), "{from}");
        }
    }

    #[test]
    fn change_of_meaning_changes_the_tokens() {
        for (from, to) in [
            ("\"name\"", "\"nom\""),
            ("[1, 2]", "[1, 3]"),
            ("Filter::eq", "Filter::ne"),
            ("helper(NAME)", "helper(OTHER)"),
            ("use a::{Filter", "use c::{Filter"),
        ] {
            assert!(FILE.contains(from));
            assert_ne!(up(&FILE.replace(from, to)), up(FILE), "{from}");
        }
    }

    #[test]
    fn formatting_and_order_are_not_covered() {
        for (from, to) in [
            ("1 => helper(NAME),", "1 => {\n helper(NAME)\n }"),
            ("[1, 2]", "[\n1,\n2,\n]"),
            ("helper(NAME)", "helper(\n NAME,\n)"),
            ("use a::{Filter, Find as Look};\n        use b::Up;", "use b::Up;\nuse a::Filter;"),
            ("fn look(name: &str) {}", ""),
        ] {
            assert!(FILE.contains(from), "{from}");
            assert_eq!(up(&FILE.replace(from, to)), up(FILE), "{from}");
        }
        let helper = "fn helper(name: &str) -> Filter { Filter::eq(name, [1, 2]) }";
        let moved = format!("{helper}{}", FILE.replace(helper, ""));
        assert_eq!(up(&moved), up(FILE));
    }

    #[test]
    fn invalid_source_has_no_code() {
        assert!(Code::read("fn up( {").is_none());
        let code = Code::read("struct AddColor;").unwrap();
        assert!(!code.has("up") && code.reach("up").is_empty());
    }
}
