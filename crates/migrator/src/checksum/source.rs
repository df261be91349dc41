use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{AttrStyle, Attribute, Item, ItemImpl, Type, UseName, UsePath, UseRename, UseTree};

/// The source code of a migration as items, without comments, formatting and tests.
#[derive(Default)]
pub(crate) struct Code {
    /// The tokens of items by name. Several items may share a name.
    items: BTreeMap<String, Vec<Vec<String>>>,
    /// The methods of the `Migration` trait that are implemented.
    methods: BTreeSet<String>,
}

impl Code {
    /// Parses a file; `None` if it is not Rust.
    pub(crate) fn read(source: &str) -> Option<Self> {
        let mut code = Self::default();
        // Of a literal over several lines the compiler takes the ends of lines so, too.
        let source = source.replace("\r\n", "\n");
        for item in syn::parse_file(&source).ok()?.items {
            code.take(item, false);
        }
        Some(code)
    }

    /// Adds an item without its attributes, unless it is for tests only. An `impl` of the `Migration` trait, or of no trait,
    /// is added item by item.
    fn take(&mut self, mut item: Item, is_method: bool) {
        let Some((attributes, name)) = parts(&mut item) else { return };
        if attributes.iter().any(is_for_tests) {
            return;
        }
        attributes.retain(|attribute| matches!(attribute.style, AttrStyle::Inner(_)));
        match item {
            Item::Use(import) => {
                let root = if import.leading_colon.is_some() { "::" } else { "" };
                self.import(root, &import.tree);
            }
            Item::Impl(block) if trait_name(&block).is_none_or(|name| name == "Migration") => {
                let is_method = block.trait_.is_some();
                // What an `impl` may contain is also valid outside of it.
                for item in block.items.into_iter().flat_map(|item| syn::parse2(item.into_token_stream())) {
                    self.take(item, is_method);
                }
            }
            item => {
                if is_method {
                    self.methods.insert(name.clone());
                }
                self.add(name, words(item.into_token_stream()));
            }
        }
    }

    /// Adds what a `use` imports: the name in the file, with the whole path.
    fn import(&mut self, path: &str, tree: &UseTree) {
        let (name, last) = match tree {
            UseTree::Path(UsePath { ident, tree, .. }) => {
                return self.import(&format!("{path}{ident}::"), tree);
            }
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.import(path, tree)),
            UseTree::Glob(_) => ("*".to_owned(), String::new()),
            // `use a::b::{self}` imports b.
            UseTree::Name(UseName { ident }) if ident == "self" => (
                path.trim_end_matches(':').rsplit(':').next().unwrap_or_default().to_owned(),
                ident.to_string(),
            ),
            UseTree::Name(UseName { ident }) => (ident.to_string(), ident.to_string()),
            UseTree::Rename(UseRename { ident, rename, .. }) => (rename.to_string(), ident.to_string()),
        };
        self.add(name, vec![format!("{path}{last}")]);
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

/// Returns the attributes and the name of an item; an `impl` is named after its type.
fn parts(item: &mut Item) -> Option<(&mut Vec<Attribute>, String)> {
    let (attributes, name) = match item {
        Item::Const(item) => (&mut item.attrs, &item.ident),
        Item::Enum(item) => (&mut item.attrs, &item.ident),
        Item::Fn(item) => (&mut item.attrs, &item.sig.ident),
        Item::Impl(item) => return Some((&mut item.attrs, type_name(&item.self_ty))),
        Item::Macro(item) => (&mut item.attrs, item.ident.as_ref()?),
        Item::Mod(item) => (&mut item.attrs, &item.ident),
        Item::Static(item) => (&mut item.attrs, &item.ident),
        Item::Struct(item) => (&mut item.attrs, &item.ident),
        Item::Trait(item) => (&mut item.attrs, &item.ident),
        Item::Type(item) => (&mut item.attrs, &item.ident),
        Item::Union(item) => (&mut item.attrs, &item.ident),
        Item::Use(item) => return Some((&mut item.attrs, String::new())),
        _ => return None,
    };
    Some((attributes, name.to_string()))
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.meta.to_token_stream().to_string().replace(' ', "") == "cfg(test)"
}

fn trait_name(block: &ItemImpl) -> Option<String> {
    let (_, path, _) = block.trait_.as_ref()?;
    path.segments.last().map(|segment| segment.ident.to_string())
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::Path(ty) => {
            ty.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
        }
        Type::Reference(ty) => type_name(&ty.elem),
        _ => String::new(),
    }
}

/// Returns the tokens as text, normalized for what formatting adds and removes: trailing commas, and braces around the
/// expression of a match arm. Doc comments and lint levels are left out.
fn words(tokens: TokenStream) -> Vec<String> {
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
    fn items_of_every_kind_are_found() {
        let source = "
            #![attribute]
            use a::b::{self, c::{D, E as F}, *};
            pub(crate) struct Unit;
            struct Pair(i32, i32);
            struct Open<T> where T: Copy { a: T }
            const A: [Open; 1] = [Open { a: 1 }];
            pub const fn f() -> [u8; 2] { [0; 2] }
            static S: &str = \"s\";
            impl<T: Fn() -> bool> a::Trait<T> for Vec<Unit> where T: Copy { fn x() {} }
            impl Unit { const B: u8 = 1; async fn g(&self) {} }
            impl Migration for Unit { type C = u8; fn up() {} #[cfg(test)] fn h() {} }
            macro_rules! m { () => {}; }
            #[cfg(test)] mod tests { fn h() {} }
            enum E { A { b: u8 }, C }
        ";
        let code = Code::read(source).unwrap();
        let names: Vec<_> = code.items.keys().map(String::as_str).collect();
        let expected =
            ["*", "A", "B", "C", "D", "E", "F", "Open", "Pair", "S", "Unit", "Vec", "b", "f", "g", "m", "up"];
        assert_eq!(names, expected);
        assert_eq!(code.methods.iter().map(String::as_str).collect::<Vec<_>>(), ["C", "up"]);
        let paths = ["b", "D", "F", "*"].map(|name| code.items[name][0].concat());
        assert_eq!(paths, ["a::b::self", "a::b::c::D", "a::b::c::E", "a::b::"]);
        assert_eq!(code.items["Vec"][0][..3], ["impl", "<", "T"]);
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
        let moved =
            FILE.replace(helper, "").replace("pub(crate) struct", &format!("{helper} pub(crate) struct"));
        assert!(moved.find("fn helper") < moved.find("impl Migration"));
        assert_eq!(up(&moved), up(FILE));
    }

    #[test]
    fn line_ends_are_not_covered() {
        let source = "impl Migration for M {\n  /// Doc.\n  fn up() { run(\"a\nb\", r\"c\nd\", HELP) }\n}\nconst HELP: &str = \"x \\\n y\";\n";
        let windows = source.replace('\n', "\r\n");
        let reach = |source: &str| Code::read(source).unwrap().reach("up");
        assert_eq!(reach(source).len(), 2);
        assert_eq!(reach(&windows), reach(source));
    }

    #[test]
    fn invalid_source_has_no_code() {
        assert!(Code::read("fn up( {").is_none());
        let code = Code::read("struct AddColor;").unwrap();
        assert!(!code.has("up") && code.reach("up").is_empty());
    }
}
