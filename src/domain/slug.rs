/// A slug has at most so many characters; only titles of other scripts can be longer once they are spelled out.
const MAX_SLUG_LENGTH: usize = 200;

/// The name of a title in addresses: lower case, white space becomes `-`, of all else only `a-z0-9-` stays. Letters
/// of other scripts are spelled out in ASCII. Empty if the title has no letter and no digit.
pub fn slugify(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        if c.is_whitespace() {
            hyphen(&mut slug);
        } else if c.is_ascii() {
            push(&mut slug, c);
        } else if c.is_alphanumeric() {
            // Spelled out, a syllable ends with a space: 北京 is `Bei Jing `.
            for c in deunicode::deunicode_char(c).unwrap_or_default().chars() {
                if c == ' ' { hyphen(&mut slug) } else { push(&mut slug, c) }
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

/// The nth name that an item of this slug may have: `a`, `a-2`, `a-3`, …
pub fn nth_slug(slug: &str, n: u64) -> String {
    if n <= 1 { slug.to_owned() } else { format!("{slug}-{n}") }
}

/// Which of the names of an item this is: the n of [`nth_slug`], if it is one.
pub fn slug_suffix(name: &str, slug: &str) -> Option<u64> {
    let rest = name.strip_prefix(slug).filter(|_| !slug.is_empty())?;
    if rest.is_empty() {
        return Some(1);
    }
    rest.strip_prefix('-')?.parse().ok().filter(|n| nth_slug(slug, *n) == name)
}

fn push(slug: &mut String, c: char) {
    match c.to_ascii_lowercase() {
        '-' => hyphen(slug),
        c if c.is_ascii_alphanumeric() => slug.push(c),
        _ => {}
    }
}

/// Never at the start, never twice.
fn hyphen(slug: &mut String) {
    if !slug.is_empty() && !slug.ends_with('-') {
        slug.push('-');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_ascii_follow_the_rule_of_the_original() {
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
    fn other_letters_are_spelled_out_and_other_signs_dropped() {
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
    fn suffixes_begin_with_two() {
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
