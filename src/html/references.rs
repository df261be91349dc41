//! Character references in attribute values.

use std::borrow::Cow;

use web_atoms::{C1_REPLACEMENTS, NAMED_ENTITIES};

/// References that are kept as they are written. All others are replaced by their characters.
const PLAIN: &[&str] = &["amp;", "quot;", "lt;", "gt;", "nbsp;", "apos;", "#39;", "#x27;"];

/// Decodes the character references of an attribute value, and replaces null characters.
pub(super) fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '\0']) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(['&', '\0']) {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if rest.as_bytes()[at] == 0 {
            out.push(char::REPLACEMENT_CHARACTER);
            rest = after;
        } else {
            let length = reference(after, &mut out);
            if length == 0 {
                out.push('&');
            }
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Encodes an attribute value for quotation marks. `<` and `>` are encoded as recent browsers do it.
pub(super) fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        match c {
            '&' if begins_reference(&value[at + 1..]) => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A parser replaces one that is written as it is by a line feed.
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out
}

/// Reports whether a value can stay as it is written between quotation marks.
pub(super) fn is_plain(value: &str) -> bool {
    let plain = |after: &str| !begins_reference(after) || PLAIN.iter().any(|known| after.starts_with(known));
    !value.contains(['"', '\0']) && value.match_indices('&').all(|(at, _)| plain(&value[at + 1..]))
}

/// Reports whether the text behind a `&` can make it a reference.
pub(super) fn begins_reference(after: &str) -> bool {
    after.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'#')
}

/// Decodes the reference behind a `&` and returns its length; 0 if there is none.
fn reference(after: &str, out: &mut String) -> usize {
    match after.strip_prefix('#') {
        Some(number) => numeric(number, out).map_or(0, |length| length + 1),
        None => named(after, out),
    }
}

fn numeric(number: &str, out: &mut String) -> Option<usize> {
    let (digits, radix, prefix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16, 1),
        None => (number, 10, 0),
    };
    let length = digits.bytes().take_while(|byte| char::from(*byte).is_digit(radix)).count();
    if length == 0 {
        return None;
    }
    let code = digits[..length].chars().fold(0_u32, |code, digit| {
        code.saturating_mul(radix).saturating_add(digit.to_digit(radix).unwrap_or_default())
    });
    let replaced =
        code.checked_sub(0x80).and_then(|index| C1_REPLACEMENTS.get(index as usize)).copied().flatten();
    let c = if code == 0 { None } else { replaced.or_else(|| char::from_u32(code)) };
    out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
    let end = usize::from(digits.as_bytes().get(length) == Some(&b';'));
    Some(prefix + length + end)
}

fn named(after: &str, out: &mut String) -> usize {
    let mut found = None;
    let limit = after.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let limit = limit + usize::from(after.as_bytes().get(limit) == Some(&b';'));
    for length in 1..=limit {
        // The table also has each beginning of a name.
        match NAMED_ENTITIES.get(&after[..length]) {
            None => break,
            Some(&(0, _)) => {}
            Some(&characters) => found = Some((length, characters)),
        }
    }
    let Some((length, (first, second))) = found else { return 0 };
    // In attributes, a name without semicolon is text if more letters, digits or `=` follow.
    let continues =
        after.as_bytes().get(length).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'=');
    if !after[..length].ends_with(';') && continues {
        return 0;
    }
    out.extend(char::from_u32(first));
    out.extend(char::from_u32(second).filter(|c| *c != '\0'));
    length
}
