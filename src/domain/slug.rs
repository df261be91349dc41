use unicode_normalization::UnicodeNormalization as _;

use super::Revised;

/// The maximum length of a slug without its suffix, in characters. Only titles in other scripts exceed it, since
/// transliteration is longer.
const MAX_SLUG_LENGTH: usize = 200;
/// The length of the longest suffix.
const MAX_SUFFIX_LENGTH: usize = "-18446744073709551615".len();

/// The result of a lookup by a name in URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlugLookup<T> {
    /// The item has this name.
    Current(Revised<T>),
    /// The item had this name; the new one is given.
    Renamed(String),
}

/// Converts a title to a slug: lower case, `-` for white space and dashes, and `a-z0-9-` of the rest. Letters of other
/// scripts are transliterated to ASCII. The slug is empty if the title has neither letter nor digit.
///
/// Titles that are canonically equivalent in Unicode have the same slug.
pub fn slugify(title: &str) -> String {
    let mut slug = String::new();
    for c in title.nfc() {
        if c.is_whitespace() || is_separator(c) {
            push_hyphen(&mut slug);
        } else if c.is_ascii() {
            push(&mut slug, c);
        } else if c.is_alphanumeric() {
            // In `1½` two numbers follow each other.
            if is_number_sign(c) && slug.ends_with(|c: char| c.is_ascii_digit()) {
                push_hyphen(&mut slug);
            }
            // A transliterated syllable ends with a space: 北京 is `Bei Jing `. A fraction is `1/2`.
            for c in deunicode::deunicode_char(c).unwrap_or_default().chars() {
                if matches!(c, ' ' | '/') { push_hyphen(&mut slug) } else { push(&mut slug, c) }
            }
        }
    }
    if slug.len() > MAX_SLUG_LENGTH {
        let cut = slug[..MAX_SLUG_LENGTH].rfind('-').unwrap_or(MAX_SLUG_LENGTH);
        slug.truncate(cut);
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// Returns the nth candidate of a slug: `a`, `a-2`, `a-3`, …
pub fn nth_slug(slug: &str, n: u64) -> String {
    if n <= 1 { slug.to_owned() } else { format!("{slug}-{n}") }
}

/// Returns n if `name` is the [`nth_slug`] of `slug`.
pub fn slug_suffix(name: &str, slug: &str) -> Option<u64> {
    let rest = name.strip_prefix(slug).filter(|_| !slug.is_empty())?;
    if rest.is_empty() {
        return Some(1);
    }
    rest.strip_prefix('-')?.parse().ok().filter(|n| nth_slug(slug, *n) == name)
}

/// Reports whether a name has the form of a slug with or without a suffix.
pub fn is_slug(name: &str) -> bool {
    (1..=MAX_SLUG_LENGTH + MAX_SUFFIX_LENGTH).contains(&name.len())
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// Reports whether a character beyond ASCII separates words or numbers: dashes, slashes, the ellipsis, and punctuation
/// of scripts that put no space after it.
fn is_separator(c: char) -> bool {
    matches!(
        c,
        '\u{58a}' | '\u{5be}' | '\u{1806}' | '\u{2010}'..='\u{2015}' | '\u{2022}' | '\u{2026}' | '\u{2044}'
            | '\u{2212}' | '\u{2215}' | '\u{3001}' | '\u{3002}' | '\u{301c}' | '\u{30fb}' | '\u{fe58}' | '\u{fe63}'
            | '\u{ff01}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0c}'..='\u{ff0f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}'
            | '\u{ff5c}' | '\u{ff5e}'
    )
}

/// Reports whether a character is a number by itself rather than a digit: superscripts, fractions, numbers in circles.
fn is_number_sign(c: char) -> bool {
    matches!(
        c,
        '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{bc}'..='\u{be}' | '\u{2070}'..='\u{2089}' | '\u{2150}'..='\u{218b}'
            | '\u{2460}'..='\u{249b}' | '\u{24ea}'..='\u{24ff}' | '\u{2776}'..='\u{2793}'
    )
}

fn push(slug: &mut String, c: char) {
    match c.to_ascii_lowercase() {
        '-' => push_hyphen(slug),
        c if c.is_ascii_alphanumeric() => slug.push(c),
        _ => {}
    }
}

/// Adds a hyphen, except at the start and after another.
fn push_hyphen(slug: &mut String) {
    if !slug.is_empty() && !slug.ends_with('-') {
        slug.push('-');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_titles_become_slugs() {
        for (title, slug) in [
            ("Hello World", "hello-world"),
            ("ALL IN CAPITALS", "all-in-capitals"),
            ("2026", "2026"),
            ("Hello, World!", "hello-world"),
            ("Top 10 tips", "top-10-tips"),
            ("a   b\tc\nd", "a-b-c-d"),
            ("already-a-slug", "already-a-slug"),
            ("a - b -- c", "a-b-c"),
            ("  trimmed  ", "trimmed"),
            ("--x--", "x"),
            ("C++ & Rust_2", "c-rust2"),
            ("what's up", "whats-up"),
            ("", ""),
            ("!!! ???", ""),
            ("-", ""),
        ] {
            assert_eq!(slugify(title), slug, "{title:?}");
        }
    }

    #[test]
    fn other_scripts_are_transliterated_and_symbols_dropped() {
        for (title, slug) in [
            ("Café München", "cafe-munchen"),
            ("Cafe\u{301}", "cafe"),
            ("Straße", "strasse"),
            ("北京", "bei-jing"),
            ("Привет, мир", "privet-mir"),
            ("a\u{a0}b\u{3000}c", "a-b-c"),
            ("🦀", ""),
            ("“quoted” — dash", "quoted-dash"),
            ("what’s up", "whats-up"),
        ] {
            assert_eq!(slugify(title), slug, "{title:?}");
        }
    }

    #[test]
    fn numbers_and_words_stay_apart() {
        for (title, slug) in [
            ("1½ cups", "1-1-2-cups"),
            ("1\u{2044}2 cup", "1-2-cup"),
            ("¾", "3-4"),
            ("10² metres", "10-2-metres"),
            ("x²", "x2"),
            ("1939–1945", "1939-1945"),
            ("before—after", "before-after"),
            ("−5", "5"),
            ("wait…what", "wait-what"),
            ("٢٠٢٦", "2026"),
            ("東京、大阪", "dong-jing-da-ban"),
        ] {
            assert_eq!(slugify(title), slug, "{title:?}");
        }
    }

    #[test]
    fn composed_and_decomposed_titles_have_one_slug() {
        for (composed, slug) in
            [("パンダ", "panda"), ("Ещё", "eshchio"), ("Їжак", "yizhak"), ("Café Ångström", "cafe-angstrom")]
        {
            let decomposed: String = composed.nfd().collect();
            assert_ne!(composed, decomposed);
            assert_eq!((slugify(composed), slugify(&decomposed)), (slug.to_owned(), slug.to_owned()));
        }
    }

    #[test]
    fn slugs_have_a_form() {
        let longest = nth_slug(&"a".repeat(MAX_SLUG_LENGTH), u64::MAX);
        for good in ["about", "contact", "a", "2026", "terms-of-use", &"a".repeat(101), &longest] {
            assert!(is_slug(good), "{good}");
        }
        let too_long = format!("{longest}1");
        for bad in ["", "-", "a-", "-a", "a--b", "About", "a b", "é", "~65a0", "a/b", "a\0", &too_long] {
            assert!(!is_slug(bad), "{bad:?}");
        }
    }

    #[test]
    fn long_slugs_are_cut_between_words() {
        assert_eq!(slugify(&"a".repeat(200)).len(), 200);
        let slug = slugify(&"北京".repeat(100));
        assert!(
            slug.len() <= MAX_SLUG_LENGTH && (slug.ends_with("-bei") || slug.ends_with("-jing")),
            "{slug}"
        );
    }

    #[test]
    fn numeric_suffixes_start_at_two() {
        assert_eq!([nth_slug("a", 1), nth_slug("a", 2), nth_slug("a", 10)], ["a", "a-2", "a-10"]);
        for n in [1, 2, 10] {
            assert_eq!(slug_suffix(&nth_slug("a", n), "a"), Some(n));
        }
        for none in ["b", "a-", "a-0", "a-1", "a-02", "a-+2", "a-b", "ab", ""] {
            assert_eq!(slug_suffix(none, "a"), None, "{none:?}");
        }
        assert_eq!(slug_suffix("-2", ""), None);
    }
}
