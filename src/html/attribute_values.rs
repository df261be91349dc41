use std::borrow::Cow;

use url::Url;

/// Hosts whose players may be embedded, and where their players are.
const PLAYERS: &[(&str, &str)] = &[
    ("www.youtube.com", "/embed/"),
    ("youtube.com", "/embed/"),
    ("www.youtube-nocookie.com", "/embed/"),
    ("youtube-nocookie.com", "/embed/"),
    ("player.vimeo.com", "/video/"),
];

/// What an embedded player may be allowed. Never a camera, a microphone or a place.
const FEATURES: &[&str] = &[
    "accelerometer",
    "autoplay",
    "clipboard-write",
    "encrypted-media",
    "fullscreen",
    "gyroscope",
    "picture-in-picture",
    "web-share",
];

/// What a link may say of itself.
const RELATIONS: &[&str] = &[
    "author",
    "bookmark",
    "external",
    "help",
    "license",
    "me",
    "nofollow",
    "noopener",
    "noreferrer",
    "sponsored",
    "tag",
    "ugc",
];

/// The value that an attribute of the allow-list may keep; none if the attribute has to go. A value of which all is
/// allowed comes back as it was, byte for byte.
pub(super) fn allowed<'v>(element: &str, attribute: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let if_so = |right: bool| right.then_some(Cow::Borrowed(value));
    match (element, attribute) {
        ("iframe", "src") => if_so(is_player(value)),
        ("iframe", "allow") => keep(value, ';', "; ", |policy| FEATURES.contains(&word(policy))),
        ("a", "rel") => Some(relations(value)),
        ("a", "target") => if_so(matches!(value, "_blank" | "_self")),
        ("input", "type") => if_so(value == "checkbox"),
        ("code" | "pre", "class") => keep(value, ' ', " ", is_language),
        (_, "src" | "poster" | "cite") => if_so(is_web(value)),
        (_, "srcset") => if_so(value.split(',').all(is_candidate)),
        (_, "style") => keep(value, ';', "; ", |declaration| is_style(element, declaration)),
        (_, "dir") => if_so(matches!(value, "ltr" | "rtl" | "auto")),
        _ => if_so(true),
    }
}

/// The parts of a list that are allowed; the list as it is if that is all of them.
fn keep<'v>(
    list: &'v str,
    separator: char,
    joined: &str,
    allowed: impl Fn(&str) -> bool,
) -> Option<Cow<'v, str>> {
    let parts = || list.split(separator).map(str::trim).filter(|part| !part.is_empty());
    let kept: Vec<_> = parts().filter(|part| allowed(part)).collect();
    match kept.len() {
        0 => None,
        all if all == parts().count() => Some(Cow::Borrowed(list)),
        _ => Some(Cow::Owned(kept.join(joined))),
    }
}

/// The relations that may be said, `noopener` among them in any case.
fn relations(value: &str) -> Cow<'_, str> {
    let known = |relation: &&str| RELATIONS.contains(relation);
    let said = || value.split_ascii_whitespace();
    if said().all(|relation| known(&relation)) && said().any(|relation| relation == "noopener") {
        return Cow::Borrowed(value);
    }
    let mut kept: Vec<_> = said().filter(known).collect();
    if !kept.contains(&"noopener") {
        kept.push("noopener");
    }
    Cow::Owned(kept.join(" "))
}

fn is_player(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let known = |(host, path): &(&str, &str)| url.host_str() == Some(*host) && url.path().starts_with(path);
    url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && PLAYERS.iter().any(known)
}

/// An address on this site or elsewhere on the web.
fn is_web(address: &str) -> bool {
    match Url::parse(address) {
        Ok(url) => matches!(url.scheme(), "http" | "https"),
        Err(error) => error == url::ParseError::RelativeUrlWithoutBase,
    }
}

/// `<address> 750w`, `<address> 2x`, or an address alone.
fn is_candidate(candidate: &str) -> bool {
    let mut words = candidate.split_ascii_whitespace();
    let address = words.next().is_some_and(is_web);
    let width = words.next().is_none_or(|width| width.strip_suffix(['w', 'x']).is_some_and(is_number));
    address && width && words.next().is_none()
}

/// `language-rust`, which highlighting goes by. Other classes would dress content up as a part of the page.
fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|language| {
        !language.is_empty() && language.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#-_.".contains(&b))
    })
}

fn is_style(element: &str, declaration: &str) -> bool {
    let Some((property, value)) = declaration.split_once(':') else { return false };
    let value = value.trim();
    match (element, property.trim()) {
        ("table" | "col" | "td" | "th", "width" | "min-width") => is_length(value),
        ("mark", "background-color") | ("span" | "mark", "color") => is_colour(value),
        ("col" | "span" | "mark", _) => false,
        (_, "text-align") => matches!(value, "left" | "right" | "center" | "justify" | "start" | "end"),
        _ => false,
    }
}

fn is_length(value: &str) -> bool {
    value.strip_suffix("px").or_else(|| value.strip_suffix('%')).is_some_and(is_number)
}

fn is_colour(value: &str) -> bool {
    let hexadecimal =
        |digits: &str| matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let numbers = || {
        let inner = value.strip_prefix("rgb(").or_else(|| value.strip_prefix("rgba("))?.strip_suffix(')')?;
        Some(inner.split(',').map(str::trim).all(is_number))
    };
    value == "inherit" || value.strip_prefix('#').is_some_and(hexadecimal) || numbers().unwrap_or(false)
}

fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction]
        .iter()
        .all(|digits| (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The first word.
fn word(text: &str) -> &str {
    text.split_ascii_whitespace().next().unwrap_or_default()
}
