//! Allowed declarations of styles: nothing that moves content out of its place, and nothing that loads a file.

use super::contains;

/// The values of a property.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values {
    /// Words, numbers, lengths, texts, and functions of [`FUNCTIONS`].
    Any,
    /// One of these words.
    Words(&'static [&'static str]),
}

/// Elements with a size.
pub(super) const SIZED: &[&str] =
    &["audio", "col", "colgroup", "div", "figure", "iframe", "img", "table", "td", "th", "tr", "video"];

/// The properties of text.
pub(super) const TEXT: &[(&str, Values)] = &[
    ("background", Values::Any),
    ("background-color", Values::Any),
    ("color", Values::Any),
    ("direction", Values::Words(&["ltr", "rtl"])),
    ("font-family", Values::Any),
    ("font-size", Values::Any),
    ("font-style", Values::Words(&["normal", "italic", "oblique"])),
    ("font-variant", Values::Words(&["normal", "small-caps"])),
    ("font-weight", Values::Any),
    ("line-height", Values::Any),
    ("list-style-type", Values::Any),
    ("text-align", Values::Words(&["left", "right", "center", "justify", "start", "end"])),
    ("text-decoration", Values::Any),
    ("text-decoration-line", Values::Any),
    ("text-transform", Values::Words(&["none", "capitalize", "uppercase", "lowercase"])),
    (
        "vertical-align",
        Values::Words(&["baseline", "bottom", "middle", "sub", "super", "text-bottom", "text-top", "top"]),
    ),
    ("white-space", Values::Words(&["normal", "nowrap", "pre", "pre-line", "pre-wrap", "break-spaces"])),
];

/// The properties of elements with a size.
pub(super) const SIZE: &[(&str, Values)] = &[
    ("height", Values::Any),
    ("max-height", Values::Any),
    ("max-width", Values::Any),
    ("min-height", Values::Any),
    ("min-width", Values::Any),
    ("width", Values::Any),
];

/// The functions of values.
pub(super) const FUNCTIONS: &[&str] = &[
    "calc",
    "clamp",
    "color",
    "color-mix",
    "hsl",
    "hsla",
    "hwb",
    "lab",
    "lch",
    "light-dark",
    "max",
    "min",
    "oklab",
    "oklch",
    "rgb",
    "rgba",
    "var",
];

const MAX_VALUE_LENGTH: usize = 500;

/// Reports whether an element may have a declaration.
pub(super) fn is_allowed(element: &str, declaration: &str) -> bool {
    let Some((property, value)) = split(declaration) else { return false };
    let find = |list: &'static [(&str, Values)]| {
        list.iter().find(|(name, _)| name.eq_ignore_ascii_case(property)).map(|(_, values)| *values)
    };
    let values = find(TEXT).or_else(|| SIZED.contains(&element).then(|| find(SIZE))?);
    match values {
        None => false,
        Some(Values::Any) => is_value(value),
        Some(Values::Words(words)) => contains(words, value),
    }
}

/// Reports whether a style cancels the effect of the element that has it. Google Docs writes
/// `<b style="font-weight:normal">` around what is copied.
pub(super) fn cancels_effect(element: &str, style: &str) -> bool {
    let (names, values): (&[&str], &[&str]) = match element {
        "b" | "strong" => (&["font-weight"], &["normal", "lighter", "400", "300", "200", "100"]),
        "em" | "i" => (&["font-style"], &["normal"]),
        "ins" | "u" | "del" | "s" | "strike" => (&["text-decoration", "text-decoration-line"], &["none"]),
        _ => return false,
    };
    let mut declared = style.split(';').filter_map(split).filter(|(property, _)| contains(names, property));
    declared.next_back().is_some_and(|(_, value)| contains(values, value))
}

fn split(declaration: &str) -> Option<(&str, &str)> {
    let (property, value) = declaration.split_once(':')?;
    Some((property.trim_ascii(), value.trim_ascii()))
}

/// Reports whether a value consists of words, numbers, lengths, texts in quotation marks, and functions of
/// [`FUNCTIONS`].
pub(super) fn is_value(value: &str) -> bool {
    let mut quote = None;
    let mut open = 0_usize;
    let mut before = ' ';
    for (at, c) in value.char_indices() {
        match (quote, c) {
            (Some(begun), c) if c == begun => quote = None,
            (_, '\\' | ';' | '{' | '}' | '<' | '>' | '@' | '!' | ':') => return false,
            (_, c) if c.is_control() => return false,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => {
                // Parentheses inside `calc` have no name.
                let is_group = open > 0 && matches!(before, ' ' | '(' | ',');
                if !is_group && !contains(FUNCTIONS, last_word(&value[..at])) {
                    return false;
                }
                open += 1;
            }
            (None, ')') if open == 0 => return false,
            (None, ')') => open -= 1,
            (None, '/' | '*') if matches!(before, '/' | '*') => return false,
            (None, c) if c.is_alphanumeric() || " -_.,%#+*/".contains(c) => {}
            (None, _) => return false,
        }
        before = c;
    }
    !value.is_empty() && value.len() <= MAX_VALUE_LENGTH && quote.is_none() && open == 0
}

/// Returns the word at the end of a text.
fn last_word(text: &str) -> &str {
    let start = text.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(0, |at| at + 1);
    // The character before the word can have several bytes.
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_load_nothing_and_hide_nothing() {
        for value in [
            "red",
            "#958DF1",
            "rgb(149, 141, 241)",
            "rgb(149 141 241 / 50%)",
            "hsl(120deg 75% 25% / 60%)",
            "var(--tt-color-highlight-blue)",
            "var(--x, var(--y, red))",
            "color-mix(in oklab, red 20%, blue)",
            "\"Comic Sans MS\", 'Comic Neue', cursive",
            "游ゴシック",
            "1.5",
            "calc(1rem + (2 * 3px))",
            "clamp(1rem, 2.5vw, 2rem)",
        ] {
            assert!(is_value(value), "{value}");
        }
        for value in [
            "",
            "url(javascript:alert(1))",
            "url(//evil.example)",
            "URL (x)",
            "expression(alert(1))",
            "image-set('x')",
            "red/**/",
            "red !important",
            "\\75rl(x)",
            "\"open",
            "rgb(1",
            "1)",
            "(1)",
            "\u{feff}x",
        ] {
            assert!(!is_value(value), "{value}");
        }
        assert!(!is_allowed("p", "position: fixed"));
        assert!(!is_allowed("p", "width: 100%"));
        assert!(is_allowed("TD".to_ascii_lowercase().as_str(), "Width: 100%"));
    }

    #[test]
    fn the_last_declaration_takes_an_effect_back() {
        assert!(cancels_effect("b", "font-weight:normal;"));
        assert!(cancels_effect("i", "color: red; Font-Style: Normal"));
        assert!(!cancels_effect("b", "font-weight: normal; font-weight: bold"));
        assert!(!cancels_effect("b", "font-style: normal"));
        assert!(!cancels_effect("span", "font-weight: normal"));
    }
}
