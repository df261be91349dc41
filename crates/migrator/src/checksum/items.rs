use std::collections::VecDeque;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// An item of a file or of an `impl`.
pub(super) enum Item {
    /// A function, a constant, a type or another item with a name.
    Named { name: String, tokens: TokenStream },
    /// An `impl`, with the names of its trait, if any, and its type.
    Impl { of_trait: Option<String>, type_name: String, body: TokenStream, tokens: TokenStream },
    /// The names that a `use` imports, with their paths.
    Use(Vec<(String, String)>),
}

/// Splits a stream into items, without those for tests only.
pub(super) fn split(stream: TokenStream) -> Vec<Item> {
    let mut tokens: VecDeque<TokenTree> = stream.into_iter().collect();
    let mut items = Vec::new();
    while !tokens.is_empty() {
        let is_test = attributes(&mut tokens);
        let item = take(&mut tokens);
        if !is_test {
            items.extend(read(&item));
        }
    }
    items
}

/// Removes leading attributes. Returns whether one of them is `cfg(test)`.
fn attributes(tokens: &mut VecDeque<TokenTree>) -> bool {
    let mut is_test = false;
    while tokens.front().is_some_and(|token| is_punct(token, '#')) {
        tokens.pop_front();
        if tokens.front().is_some_and(|token| is_punct(token, '!')) {
            tokens.pop_front();
        }
        if let Some(TokenTree::Group(group)) = tokens.pop_front() {
            is_test |= group.stream().to_string().replace(' ', "") == "cfg(test)";
        }
    }
    is_test
}

/// Removes the tokens of the next item, which ends with a semicolon or with braces.
fn take(tokens: &mut VecDeque<TokenTree>) -> Vec<TokenTree> {
    let mut item = Vec::new();
    while let Some(token) = tokens.pop_front() {
        let ends = match &token {
            TokenTree::Group(group) => {
                group.delimiter() == Delimiter::Brace
                    && !matches!(kind(&item), Some("const" | "static" | "type" | "use"))
            }
            token => is_punct(token, ';'),
        };
        item.push(token);
        if ends {
            break;
        }
    }
    item
}

const KINDS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "impl",
    "mod",
    "use",
    "type",
    "static",
    "const",
    "macro_rules",
];

/// Returns the keyword of an item.
fn kind(tokens: &[TokenTree]) -> Option<&'static str> {
    position(tokens).map(|(_, kind)| kind)
}

fn position(tokens: &[TokenTree]) -> Option<(usize, &'static str)> {
    let word = |token: &TokenTree| match token {
        TokenTree::Ident(ident) => KINDS.iter().find(|kind| ident == *kind).copied(),
        _ => None,
    };
    let (at, found) = tokens.iter().enumerate().find_map(|(at, token)| Some((at, word(token)?)))?;
    // `const fn`, `const unsafe fn`
    let function = (found == "const")
        .then(|| tokens[at + 1..].iter().take(3).position(|token| word(token) == Some("fn")))
        .flatten();
    Some(function.map_or((at, found), |further| (at + 1 + further, "fn")))
}

fn read(tokens: &[TokenTree]) -> Option<Item> {
    let (at, kind) = position(tokens)?;
    let rest = &tokens[at + 1..];
    let all: TokenStream = tokens.iter().cloned().collect();
    match kind {
        "use" => {
            let mut leaves = Vec::new();
            uses("", rest, &mut leaves);
            Some(Item::Use(leaves))
        }
        "impl" => {
            let Some(TokenTree::Group(body)) = rest.last() else { return None };
            let (head, body) = (&rest[..rest.len() - 1], body.stream());
            let (of_trait, type_name) = implemented(head);
            Some(Item::Impl { of_trait, type_name, body, tokens: all })
        }
        _ => {
            let name = rest.iter().find_map(|token| match token {
                TokenTree::Ident(ident) => Some(ident.to_string()),
                _ => None,
            })?;
            Some(Item::Named { name, tokens: all })
        }
    }
}

/// Returns the last path segments of the trait and the type of an `impl`.
fn implemented(head: &[TokenTree]) -> (Option<String>, String) {
    let (mut depth, mut last, mut of) = (0_i32, String::new(), None);
    let mut before = ' ';
    for token in head {
        match token {
            TokenTree::Punct(p) => {
                match p.as_char() {
                    '<' => depth += 1,
                    '>' if before != '-' => depth -= 1,
                    _ => {}
                }
                before = p.as_char();
                continue;
            }
            TokenTree::Ident(ident) if depth == 0 && ident == "for" => of = Some(std::mem::take(&mut last)),
            TokenTree::Ident(ident) if depth == 0 && ident == "where" => break,
            TokenTree::Ident(ident) if depth == 0 => last = ident.to_string(),
            _ => {}
        }
        before = ' ';
    }
    (of, last)
}

/// Collects the leaves of a `use` tree: the name in the file, and the whole path.
fn uses(prefix: &str, tokens: &[TokenTree], leaves: &mut Vec<(String, String)>) {
    for branch in tokens.split(|token| is_punct(token, ',')) {
        let (mut path, mut name, mut alias) = (prefix.to_owned(), String::new(), false);
        for token in branch {
            match token {
                TokenTree::Group(group) => {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    uses(&path, &inner, leaves);
                    name.clear();
                }
                TokenTree::Ident(ident) if ident == "as" => alias = true,
                TokenTree::Ident(ident) => {
                    // `use a::b::{self}` imports b.
                    if ident != "self" {
                        name = ident.to_string();
                    } else if name.is_empty() {
                        path.trim_end_matches(':')
                            .rsplit(':')
                            .next()
                            .unwrap_or_default()
                            .clone_into(&mut name);
                    }
                    if !alias {
                        path.push_str(&ident.to_string());
                    }
                }
                TokenTree::Punct(p) if p.as_char() == ';' => {}
                TokenTree::Punct(p) if p.as_char() == '*' => name = "*".into(),
                other => path.push_str(&other.to_string()),
            }
        }
        if !name.is_empty() {
            leaves.push((name, path));
        }
    }
}

fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == c)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn names(source: &str) -> Vec<String> {
        split(TokenStream::from_str(source).unwrap())
            .into_iter()
            .map(|item| match item {
                Item::Named { name, .. } => name,
                Item::Impl { of_trait, type_name, .. } => {
                    format!("{}>{type_name}", of_trait.unwrap_or_default())
                }
                Item::Use(leaves) => {
                    leaves.into_iter().map(|(n, p)| format!("{n}={p}")).collect::<Vec<_>>().join(" ")
                }
            })
            .collect()
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
            macro_rules! m { () => {}; }
            #[cfg(test)] mod tests { fn h() {} }
            enum E { A { b: u8 }, C }
        ";
        let expected = [
            "b=a::b::self D=a::b::c::D F=a::b::c::E *=a::b::",
            "Unit",
            "Pair",
            "Open",
            "A",
            "f",
            "S",
            "Trait>Vec",
            ">Unit",
            "m",
            "E",
        ];
        assert_eq!(names(source), expected);
    }
}
