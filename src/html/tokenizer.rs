//! Tokenizes HTML as the HTML standard does, in linear time and without copying. The parser of html5ever, with which the
//! tests compare, searches all attributes of a tag for each further one, so its time is quadratic in their number.

/// A token. Texts are as in the source: character references are not decoded, and names are in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'h> {
    /// Text. Each `<` in it is text, too.
    Text(&'h str),
    /// A start tag.
    Start(Tag<'h>),
    /// An end tag, by its name.
    End(&'h str),
    /// A comment, or markup that parsers treat as one.
    Comment,
    /// Markup without any effect: a document type, or `</>`.
    Nothing,
}

/// A start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag<'h> {
    /// The name.
    pub(super) name: &'h str,
    /// The text between the name and the end of the tag.
    attributes: &'h str,
    /// The end of the tag as it is written: empty, `/` or ` /`.
    pub(super) slash: &'h str,
}

impl<'h> Tag<'h> {
    /// Returns the attributes in their order, also those with a name that occurs again.
    pub(super) fn attributes(&self) -> impl Iterator<Item = Attribute<'h>> + use<'h> {
        let (html, mut at) = (self.attributes, 0);
        std::iter::from_fn(move || match next_attribute(html, &mut at) {
            Step::Attribute(attribute) => Some(attribute),
            Step::TagEnd { .. } | Step::End => None,
        })
    }
}

/// An attribute of a start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'h> {
    /// The name.
    pub(super) name: &'h str,
    /// The value without quotation marks.
    pub(super) value: &'h str,
}

/// The tokens of a text without carriage returns.
pub(super) struct Tokenizer<'h> {
    html: &'h str,
    at: usize,
}

impl<'h> Tokenizer<'h> {
    pub(super) fn new(html: &'h str) -> Self {
        Self { html, at: 0 }
    }

    /// Skips raw text up to the end tag of its element, or to the end.
    pub(super) fn skip_raw_text(&mut self, element: &str) {
        while let Some(found) = self.html[self.at..].find("</") {
            let start = self.at + found;
            let name = &self.html.as_bytes()[start + 2..];
            let ends = name.get(element.len()).is_some_and(|b| is_space(*b) || matches!(b, b'/' | b'>'));
            if ends && name[..element.len()].eq_ignore_ascii_case(element.as_bytes()) {
                self.at = start;
                return;
            }
            self.at = start + 2;
        }
        self.skip_all();
    }

    /// Skips everything that is left.
    pub(super) fn skip_all(&mut self) {
        self.at = self.html.len();
    }

    /// Returns the length of the text before the next markup.
    fn text_length(&self) -> usize {
        let bytes = self.html.as_bytes();
        let mut from = self.at;
        while let Some(found) = self.html[from..].find('<') {
            let start = from + found;
            let markup = match bytes.get(start + 1) {
                Some(b'/') => start + 2 < bytes.len(),
                Some(b'!' | b'?') => true,
                Some(byte) => byte.is_ascii_alphabetic(),
                None => false,
            };
            if markup {
                return start - self.at;
            }
            from = start + 1;
        }
        bytes.len() - self.at
    }

    /// Reads markup at `<`; `None` if the text ends in a tag, which has no effect then.
    fn markup(&mut self) -> Option<Token<'h>> {
        let rest = &self.html[self.at + 1..];
        let bytes = rest.as_bytes();
        match (bytes[0], bytes.get(1)) {
            (b'/', Some(b'>')) => {
                self.at += 3;
                Some(Token::Nothing)
            }
            (b'/', Some(byte)) if byte.is_ascii_alphabetic() => self.tag(2).map(|tag| Token::End(tag.name)),
            (b'/' | b'?', _) => Some(self.until(rest.find('>'), 1, Token::Comment)),
            (b'!', _) if rest.starts_with("!--") => {
                let (end, length) = comment_end(&rest[3..]);
                Some(self.until(end.map(|end| end + 3), length, Token::Comment))
            }
            (b'!', _) => {
                let is_type = rest.get(1..8).is_some_and(|word| word.eq_ignore_ascii_case("doctype"));
                let token = if is_type { Token::Nothing } else { Token::Comment };
                Some(self.until(rest.find('>'), 1, token))
            }
            _ => self.tag(1).map(Token::Start),
        }
    }

    /// Moves behind the end of the markup, which is `length` bytes long and `end` bytes behind the `<`.
    fn until(&mut self, end: Option<usize>, length: usize, token: Token<'h>) -> Token<'h> {
        self.at = end.map_or(self.html.len(), |end| self.at + 1 + end + length);
        token
    }

    /// Reads a tag whose name begins `skipped` bytes behind the current position.
    fn tag(&mut self, skipped: usize) -> Option<Tag<'h>> {
        let start = self.at + skipped;
        let name = &self.html[start..];
        let name = name.split(['\t', '\n', '\x0c', ' ', '/', '>']).next()?;
        let from = start + name.len();
        self.at = from;
        loop {
            match next_attribute(self.html, &mut self.at) {
                Step::Attribute(_) => {}
                Step::TagEnd { slash } => {
                    // The byte before `/>`.
                    let before = self.html.as_bytes()[from..self.at].iter().rev().nth(2);
                    let slash = match (slash, before) {
                        (false, _) => "",
                        (true, Some(b' ')) => " /",
                        (true, _) => "/",
                    };
                    return Some(Tag { name, attributes: &self.html[from..self.at - 1], slash });
                }
                Step::End => return None,
            }
        }
    }
}

impl<'h> Iterator for Tokenizer<'h> {
    type Item = Token<'h>;

    fn next(&mut self) -> Option<Token<'h>> {
        if self.at == self.html.len() {
            return None;
        }
        let length = self.text_length();
        if length == 0 {
            let token = self.markup();
            if token.is_none() {
                self.skip_all();
            }
            return token;
        }
        let text = &self.html[self.at..self.at + length];
        self.at += length;
        Some(Token::Text(text))
    }
}

/// Finds the end of a comment behind `<!--`, and the length of the end.
fn comment_end(comment: &str) -> (Option<usize>, usize) {
    if comment.starts_with('>') {
        return (Some(0), 1);
    }
    if comment.starts_with("->") {
        return (Some(0), 2);
    }
    let mut from = 0;
    while let Some(found) = comment[from..].find("--") {
        let at = from + found;
        match &comment.as_bytes()[at + 2..] {
            [b'>', ..] => return (Some(at), 3),
            [b'!', b'>', ..] => return (Some(at), 4),
            _ => from = at + 1,
        }
    }
    (None, 0)
}

enum Step<'h> {
    Attribute(Attribute<'h>),
    TagEnd { slash: bool },
    End,
}

/// Reads the next attribute of a tag.
fn next_attribute<'h>(html: &'h str, at: &mut usize) -> Step<'h> {
    let bytes = html.as_bytes();
    let skip_spaces = |at: &mut usize| {
        while bytes.get(*at).is_some_and(|byte| is_space(*byte)) {
            *at += 1;
        }
    };
    let find = |from: usize, end: &dyn Fn(u8) -> bool| {
        bytes[from..].iter().position(|byte| end(*byte)).map_or(bytes.len(), |found| from + found)
    };
    loop {
        skip_spaces(at);
        match (bytes.get(*at), bytes.get(*at + 1)) {
            (None, _) => return Step::End,
            (Some(b'>'), _) => {
                *at += 1;
                return Step::TagEnd { slash: false };
            }
            (Some(b'/'), Some(b'>')) => {
                *at += 2;
                return Step::TagEnd { slash: true };
            }
            (Some(b'/'), _) => *at += 1,
            _ => break,
        }
    }
    let start = *at;
    // A `=` at the beginning belongs to the name.
    *at = find(start + 1, &|byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'='));
    let name = &html[start..*at];
    skip_spaces(at);
    if bytes.get(*at) != Some(&b'=') {
        return Step::Attribute(Attribute { name, value: "" });
    }
    *at += 1;
    skip_spaces(at);
    let value = if let Some(&quote @ (b'"' | b'\'')) = bytes.get(*at) {
        let start = *at + 1;
        let end = find(start, &|byte| byte == quote);
        *at = (end + 1).min(bytes.len());
        if end == bytes.len() {
            return Step::End;
        }
        &html[start..end]
    } else {
        let start = *at;
        *at = find(start, &|byte| is_space(byte) || byte == b'>');
        &html[start..*at]
    };
    Step::Attribute(Attribute { name, value })
}

/// Reports whether HTML treats a byte as white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}
