//! Writes allowed elements so that each is closed inside the one that it began in. Elements are nested by the rules of
//! the HTML standard, so that a browser reads what is written as it was meant. Where the standard repairs wrong nesting
//! with copies of elements (the "adoption agency", "active formatting elements") or moves content out of a table ("foster
//! parenting"), elements end early or table cells are added instead: the work for each tag is limited.

use std::borrow::Cow;
use std::collections::HashMap;

use super::allow_list::{self, Content, Element, Kind};
use super::attribute_values::Rule;
use super::removed::{Removals, Removed};
use super::tokenizer::{Tag, Token, Tokenizer, is_space};
use super::{MAX_DEPTH, css, references};

/// The elements that a table can add around content that has no cell.
const ADDED_BY_TABLE: usize = 3;

/// The attributes of the elements in which the editor embeds players.
const EMBEDDING: &[&str] = &["data-twitch-video", "data-youtube-video"];
/// Players run scripts in their own origin, without access to the page, and cannot lead away from it.
const DEFAULT_SANDBOX: &str = "allow-scripts allow-same-origin allow-presentation allow-popups";

/// Elements in `svg` and `math` that contain HTML.
const INTEGRATION_POINTS: &[&str] =
    &["annotation-xml", "desc", "foreignobject", "mi", "mn", "mo", "ms", "mtext", "title"];

/// The kinds of elements in which the content of a table is. Searches for an open element end there.
const TABLE_LIMITS: &[Kind] = &[Kind::Table, Kind::Caption, Kind::Cell];

/// An element that is not closed yet.
struct Open {
    element: &'static Element,
    /// The name that it is written with.
    written: &'static str,
    /// Distinguishes it from others at the same depth.
    serial: usize,
    /// Its end tag was inside a block, and it is closed when the block is.
    ended: bool,
    /// It is the editor's frame around a player.
    embeds: bool,
}

/// An attribute that is kept, ready to be written.
struct Kept<'h> {
    name: &'static str,
    value: Cow<'h, str>,
}

/// Reads the tokens of a text and writes what is allowed.
pub(super) struct Writer<'h> {
    tokens: Tokenizer<'h>,
    out: String,
    /// Beyond this many bytes nothing is written.
    max_bytes: usize,
    open: Vec<Open>,
    opened: usize,
    /// Elements that are not written although they are allowed, by name, each with the depth and the serial number of its
    /// parent. Their end tags have no effect.
    ignored: HashMap<&'static str, Vec<(usize, usize)>>,
    removed: Removals,
    /// The position of the `&` at the end of the written text that the next character could turn into a reference.
    unfinished_reference: Option<usize>,
    /// Set while the start tag of `pre` is what was written last: true if something was left out since.
    after_pre: Option<bool>,
}

impl<'h> Writer<'h> {
    pub(super) fn new(html: &'h str, max_bytes: usize) -> Self {
        Self {
            tokens: Tokenizer::new(html),
            out: String::with_capacity(html.len() + html.len() / 8),
            max_bytes,
            open: Vec::new(),
            opened: 0,
            ignored: HashMap::new(),
            removed: Removals::default(),
            unfinished_reference: None,
            after_pre: None,
        }
    }

    /// Returns what was written, and what was removed; `None` if it is too long.
    pub(super) fn write(mut self) -> Option<(String, Vec<Removed>)> {
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Text(text) => self.text(text),
                Token::Start(tag) => self.start(&tag),
                Token::End(name) => self.end(name),
                Token::Comment => {
                    self.removed.element("comment");
                    self.left_out();
                }
                Token::Nothing => self.left_out(),
            }
            if self.out.len() > self.max_bytes {
                return None;
            }
        }
        self.close_to(0);
        Some((self.out, self.removed.into_list()))
    }

    fn left_out(&mut self) {
        self.after_pre = self.after_pre.map(|_| true);
    }

    // Text.

    fn text(&mut self, text: &str) {
        // The parser drops null characters.
        for (index, part) in text.split('\0').enumerate() {
            if index > 0 {
                self.left_out();
            }
            if part.is_empty() {
                continue;
            }
            if self.in_table_structure() && !part.bytes().all(is_space) {
                self.open_cell();
            }
            self.write_text(part);
        }
    }

    /// Writes text as it is, unless what was left out beside it changes its meaning.
    fn write_text(&mut self, text: &str) {
        let first = text.as_bytes()[0];
        if let Some(at) = self.unfinished_reference
            && (first.is_ascii_alphanumeric() || matches!(first, b'#' | b';'))
        {
            self.out.insert_str(at + 1, "amp;");
            self.unfinished_reference = None;
        }
        // The parser drops a line break at the beginning of `pre`.
        if self.after_pre == Some(true) && first == b'\n' {
            self.out.push('\n');
        }
        self.after_pre = None;
        let start = self.out.len();
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            self.out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let opens = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?');
            let markup = rest.as_bytes().first().is_none_or(opens);
            self.out.push_str(if markup { "&lt;" } else { "<" });
        }
        self.out.push_str(rest);
        let written = &self.out.as_bytes()[start..];
        let tail =
            written.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'#').count();
        if tail < written.len() {
            let before = written.len() - tail - 1;
            self.unfinished_reference = (written[before] == b'&').then_some(start + before);
        }
    }

    // Start tags.

    fn start(&mut self, tag: &Tag<'h>) {
        let name = lower_case(tag.name);
        // The parser reads `image` as `img`.
        match allow_list::kept(if name == "image" { "img" } else { &name }) {
            Some(element) => self.start_kept(element, tag),
            None => self.start_removed(&name, tag),
        }
    }

    fn start_removed(&mut self, name: &str, tag: &Tag<'h>) {
        self.remove(name);
        if allow_list::is_block(name) {
            self.close_paragraph();
        }
        match allow_list::removed_content(name) {
            Some(Content::RawText) => self.tokens.skip_raw_text(name),
            Some(Content::Everything) => self.tokens.skip_all(),
            Some(Content::Elements) => self.skip_elements(name),
            Some(Content::Foreign) if tag.slash.is_empty() => self.skip_foreign(name),
            None | Some(Content::Empty | Content::Foreign) => {}
        }
    }

    /// Skips to the end tag of an element that contains elements.
    fn skip_elements(&mut self, element: &str) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.tokens.next() {
                Some(Token::Start(tag)) => {
                    let name = lower_case(tag.name);
                    if name == element {
                        depth += 1;
                    } else if allow_list::removed_content(&name) == Some(Content::RawText) || name == "iframe"
                    {
                        self.tokens.skip_raw_text(&name);
                    }
                }
                Some(Token::End(name)) if name.eq_ignore_ascii_case(element) => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Skips to the end tag of `svg` or `math`, or to an HTML element that ends it.
    fn skip_foreign(&mut self, element: &str) {
        let (mut depth, mut html) = (1_usize, 0_usize);
        while depth > 0 {
            match self.tokens.next() {
                Some(Token::Start(tag)) => {
                    let name = lower_case(tag.name);
                    if html == 0 && allow_list::ends_foreign(&name) {
                        return self.start(&tag);
                    }
                    depth += usize::from(name == element && tag.slash.is_empty());
                    html += usize::from(INTEGRATION_POINTS.contains(&&*name) && tag.slash.is_empty());
                }
                Some(Token::End(name)) => {
                    let name = lower_case(name);
                    depth -= usize::from(name == element);
                    html = html.saturating_sub(usize::from(INTEGRATION_POINTS.contains(&&*name)));
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    fn start_kept(&mut self, element: &'static Element, tag: &Tag<'h>) {
        let (mut kept, changed) = self.kept_attributes(element, tag);
        let needed = match element.name {
            "iframe" => Some("src"),
            "input" => Some("type"),
            _ => None,
        };
        if element.kind == Kind::Frame {
            self.tokens.skip_raw_text(element.name);
        }
        let complete = needed.is_none_or(|needed| kept.iter().any(|attribute| attribute.name == needed));
        if !complete {
            return self.remove(element.name);
        }
        if !self.make_place(element) {
            self.remove(element.name);
            return self.ignore(element);
        }
        // The editor parses a player that it embedded itself without further attributes.
        if element.kind == Kind::Frame
            && !self.open.last().is_some_and(|open| open.embeds)
            && kept.iter().all(|attribute| attribute.name != "sandbox")
        {
            kept.push(Kept { name: "sandbox", value: DEFAULT_SANDBOX.into() });
        }
        for name in changed {
            self.removed.attribute(name);
        }
        let style = kept.iter().find(|attribute| attribute.name == "style");
        let written = match style {
            Some(style) if css::cancels_effect(element.name, &references::decode(&style.value)) => {
                self.removed.element(element.name);
                "span"
            }
            _ => element.name,
        };
        self.write_start(element, written, &kept, tag.slash);
    }

    /// Returns the attributes that are kept, and the names of those of which at least a part of the value is not.
    fn kept_attributes(
        &mut self,
        element: &'static Element,
        tag: &Tag<'h>,
    ) -> (Vec<Kept<'h>>, Vec<&'static str>) {
        let mut kept = Vec::<Kept<'h>>::new();
        let mut changed = Vec::new();
        let mut opener = false;
        for attribute in tag.attributes() {
            let name = lower_case(attribute.name);
            // The parser drops an attribute whose name was there before.
            let listed =
                element.attribute(&name).filter(|(name, _)| kept.iter().all(|kept| kept.name != *name));
            let Some((name, rule)) = listed else {
                self.removed.attribute(&name);
                continue;
            };
            let value = references::decode(attribute.value);
            let allowed = rule.apply(element.name, &value);
            let unchanged = allowed.as_deref() == Some(&*value);
            if !unchanged {
                changed.push(name);
                opener |= rule == Rule::Relations;
            }
            if let Some(allowed) = allowed {
                let plain = unchanged && references::is_plain(attribute.value);
                let value = if plain { attribute.value.into() } else { references::encode(&allowed).into() };
                kept.push(Kept { name, value });
            }
        }
        if element.kind == Kind::Link {
            separate_window(&mut kept, opener);
        }
        (kept, changed)
    }

    /// Ends the elements that cannot contain this one, and adds those that must. Reports whether there is a place for it.
    fn make_place(&mut self, element: &'static Element) -> bool {
        match element.kind {
            Kind::Caption | Kind::ColumnGroup | Kind::Column | Kind::RowGroup | Kind::Row | Kind::Cell => {
                return self.make_place_in_table(element.kind);
            }
            Kind::Table if self.in_table_structure() => {
                // The parser ends a table at another one that is in no cell.
                if let Some(table) = self.find(&[Kind::Table], &[]) {
                    self.close_to(table);
                }
            }
            _ if self.in_table_structure() => self.open_cell(),
            _ => {}
        }
        match element.kind {
            Kind::Block | Kind::Preformatted | Kind::Rule | Kind::Paragraph | Kind::Table => {
                self.close_paragraph();
            }
            Kind::Heading => {
                self.close_paragraph();
                if self.current() == Some(Kind::Heading) {
                    self.close_to(self.open.len() - 1);
                }
            }
            Kind::Item | Kind::Description => {
                self.close_item(element.kind);
                self.close_paragraph();
            }
            Kind::RubyText if self.find_named("ruby", TABLE_LIMITS).is_some() => {
                while matches!(
                    self.current(),
                    Some(Kind::RubyText | Kind::Paragraph | Kind::Item | Kind::Description)
                ) {
                    self.close_to(self.open.len() - 1);
                }
            }
            Kind::Link => {
                if let Some(link) = self.find(&[Kind::Link], &[Kind::Cell, Kind::Caption]) {
                    if self.has_block_above(link) {
                        return false;
                    }
                    self.close_to(link);
                }
            }
            _ => {}
        }
        match element.kind {
            Kind::Void | Kind::Rule | Kind::Frame => true,
            Kind::Table => self.open.len() + ADDED_BY_TABLE < MAX_DEPTH,
            _ => self.open.len() < MAX_DEPTH,
        }
    }

    fn make_place_in_table(&mut self, kind: Kind) -> bool {
        let Some(table) = self.find(&[Kind::Table], &[]) else { return false };
        if self.last_ignored("table").is_some_and(|depth| depth > table) {
            return false;
        }
        let parents: &[Kind] = match kind {
            Kind::Cell => &[Kind::Row, Kind::RowGroup, Kind::Table],
            Kind::Row => &[Kind::RowGroup, Kind::Table],
            Kind::Column => &[Kind::ColumnGroup, Kind::Table],
            _ => &[Kind::Table],
        };
        let parent = self.find(parents, &[]).unwrap_or(table);
        self.close_to(parent + 1);
        match (kind, self.current()) {
            (Kind::Column, Some(Kind::Table)) => self.add("colgroup"),
            (Kind::Row, Some(Kind::Table)) => self.add("tbody"),
            (Kind::Cell, Some(Kind::Table)) => {
                self.add("tbody");
                self.add("tr");
            }
            (Kind::Cell, Some(Kind::RowGroup)) => self.add("tr"),
            _ => {}
        }
        true
    }

    /// Adds a cell for content that is in a table, but in no cell.
    fn open_cell(&mut self) {
        if self.make_place_in_table(Kind::Cell) {
            self.add("td");
        }
    }

    fn add(&mut self, name: &'static str) {
        if let Some(element) = allow_list::kept(name) {
            self.write_start(element, name, &[], "");
        }
    }

    fn write_start(
        &mut self,
        element: &'static Element,
        written: &'static str,
        kept: &[Kept<'_>],
        slash: &str,
    ) {
        self.out.push('<');
        self.out.push_str(written);
        for Kept { name, value } in kept {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.out.push_str(value);
            self.out.push('"');
        }
        let empty = matches!(element.kind, Kind::Void | Kind::Rule | Kind::Column);
        self.out.push_str(if empty { slash } else { "" });
        self.out.push('>');
        match element.kind {
            Kind::Frame => self.out.push_str("</iframe>"),
            _ if empty => {}
            _ => {
                let embeds = kept.iter().any(|kept| EMBEDDING.contains(&kept.name));
                self.opened += 1;
                self.open.push(Open { element, written, serial: self.opened, ended: false, embeds });
            }
        }
        self.unfinished_reference = None;
        self.after_pre = (element.kind == Kind::Preformatted).then_some(false);
    }

    fn remove(&mut self, element: &str) {
        self.removed.element(element);
        self.left_out();
    }

    // End tags.

    fn end(&mut self, name: &str) {
        let name = lower_case(name);
        let Some(element) = allow_list::kept(&name) else {
            if allow_list::is_block(&name) {
                self.close_paragraph();
            }
            return self.left_out();
        };
        if element.name == "br" {
            // The parser reads this end tag as a start tag.
            if self.make_place(element) {
                self.write_start(element, element.name, &[], "");
            }
            return;
        }
        let limits: &[Kind] = match element.kind {
            Kind::Table => &[],
            Kind::Caption | Kind::ColumnGroup | Kind::RowGroup | Kind::Row | Kind::Cell => &[Kind::Table],
            _ => TABLE_LIMITS,
        };
        let found = match element.kind {
            Kind::Heading => self.find(&[Kind::Heading], limits),
            Kind::Item => self.find_with(
                |open| open.name == "li",
                |open| limits.contains(&open.kind) || matches!(open.name, "ul" | "ol"),
            ),
            _ => self.find_named(element.name, limits),
        };
        if self.last_ignored(element.name).is_some_and(|depth| found.is_none_or(|found| depth > found)) {
            self.ignored.entry(element.name).or_default().pop();
            return self.left_out();
        }
        let Some(found) = found else { return self.left_out() };
        let inline = matches!(element.kind, Kind::Inline | Kind::Link | Kind::RubyText);
        if inline && self.has_block_above(found) {
            self.open[found].ended = true;
            self.left_out();
        } else {
            self.close_to(found);
        }
    }

    /// Closes elements until only this many are open, and then those whose end tag was inside.
    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth || self.open.last().is_some_and(|open| open.ended) {
            let Some(open) = self.open.pop() else { return };
            self.out.push_str("</");
            self.out.push_str(open.written);
            self.out.push('>');
            self.unfinished_reference = None;
            self.after_pre = None;
        }
    }

    fn close_paragraph(&mut self) {
        if let Some(paragraph) = self.find(&[Kind::Paragraph], TABLE_LIMITS) {
            self.close_to(paragraph);
        }
    }

    /// Closes the item before. One that contains the list of this one stays open.
    fn close_item(&mut self, kind: Kind) {
        let passed =
            |open: &Element| !is_special(open.kind) || open.kind == Kind::Paragraph || open.name == "div";
        if let Some(item) = self.find_with(|open| open.kind == kind, |open| !passed(open)) {
            self.close_to(item);
        }
    }

    // Open elements.

    fn current(&self) -> Option<Kind> {
        self.open.last().map(|open| open.element.kind)
    }

    /// Reports whether the current element is a part of a table that cannot contain text.
    fn in_table_structure(&self) -> bool {
        matches!(self.current(), Some(Kind::Table | Kind::ColumnGroup | Kind::RowGroup | Kind::Row))
    }

    /// Returns the depth of the innermost open element of these kinds, inside the innermost one of `limits`.
    fn find(&self, kinds: &[Kind], limits: &[Kind]) -> Option<usize> {
        self.find_with(|open| kinds.contains(&open.kind), |open| limits.contains(&open.kind))
    }

    /// Returns the depth of the innermost open element with this name, inside the innermost one of `limits`.
    fn find_named(&self, name: &str, limits: &[Kind]) -> Option<usize> {
        self.find_with(|open| open.name == name, |open| limits.contains(&open.kind))
    }

    fn find_with(
        &self,
        wanted: impl Fn(&Element) -> bool,
        limit: impl Fn(&Element) -> bool,
    ) -> Option<usize> {
        for (depth, open) in self.open.iter().enumerate().rev() {
            if wanted(open.element) {
                return Some(depth);
            }
            if limit(open.element) {
                return None;
            }
        }
        None
    }

    /// Reports whether there is a block inside the element at this depth.
    fn has_block_above(&self, depth: usize) -> bool {
        self.open[depth + 1..].iter().any(|open| is_special(open.element.kind))
    }

    /// Notes that an element is not written, so that its end tag has no effect.
    fn ignore(&mut self, element: &'static Element) {
        if matches!(element.kind, Kind::Void | Kind::Rule | Kind::Frame | Kind::Column) {
            return;
        }
        let parent = (self.open.len(), self.open.last().map_or(0, |open| open.serial));
        self.ignored.entry(element.name).or_default().push(parent);
    }

    /// Returns the depth of the innermost element of this name that is not written and not ended.
    fn last_ignored(&mut self, name: &str) -> Option<usize> {
        let ignored = self.ignored.get_mut(name)?;
        while let Some((depth, serial)) = ignored.last() {
            let parent = depth.checked_sub(1).and_then(|index| self.open.get(index));
            if *depth == 0 || parent.is_some_and(|parent| parent.serial == *serial) {
                return Some(*depth);
            }
            ignored.pop();
        }
        None
    }
}

/// Adds `noopener` to the relations of a link that opens a window, so that the new page has no access to this one.
fn separate_window(kept: &mut Vec<Kept<'_>>, opener: bool) {
    let window = kept
        .iter()
        .any(|kept| kept.name == "target" && !kept.value.trim_ascii().eq_ignore_ascii_case("_self"));
    match kept.iter_mut().find(|kept| kept.name == "rel") {
        Some(relations) if window || opener => {
            let mut words = relations.value.split_ascii_whitespace();
            if !words.any(|word| word.eq_ignore_ascii_case("noopener")) {
                relations.value =
                    format!("{} noopener", relations.value.trim_ascii_end()).trim_ascii().to_owned().into();
            }
        }
        None if window => kept.push(Kept { name: "rel", value: "noopener noreferrer".into() }),
        _ => {}
    }
}

/// Reports whether the standard counts elements of a kind among the "special" ones, at which many searches end.
fn is_special(kind: Kind) -> bool {
    !matches!(kind, Kind::Inline | Kind::Link | Kind::RubyText)
}

fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}
