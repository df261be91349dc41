/// The maximum length of a slug, in characters. Only titles in other scripts exceed it, since transliteration is longer.
const MAX_SLUG_LENGTH: usize = 200;

/// Converts a title to a slug: lower case, `-` for white space, and `a-z0-9-` of the rest. Letters of other scripts are
/// transliterated to ASCII. The slug is empty if the title has neither letter nor digit.
pub fn slugify(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        if c.is_whitespace() {
            push_hyphen(&mut slug);
        } else if c.is_ascii() {
            push(&mut slug, c);
        } else if c.is_alphanumeric() {
            // A transliterated syllable ends with a space: 北京 is `Bei Jing `.
            for c in deunicode::deunicode_char(c).unwrap_or_default().chars() {
                if c == ' ' { push_hyphen(&mut slug) } else { push(&mut slug, c) }
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
        ] {
            assert_eq!(slugify(title), slug, "{title:?}");
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
