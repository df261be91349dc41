//! The elements and attributes that are kept. `docs/content.md` lists them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::attribute_values::Rule;

/// The role of an element for the nesting of others, as the parser of HTML defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A part of a text.
    Inline,
    /// A link: there is none inside another.
    Link,
    /// Text over other text: it ends at the next one.
    RubyText,
    /// An element without content.
    Void,
    /// A horizontal line: it ends a paragraph and has no content.
    Rule,
    /// A frame: it has no content that is kept.
    Frame,
    /// A block: it ends a paragraph.
    Block,
    /// A block whose first line break is not shown.
    Preformatted,
    /// A heading: it ends a paragraph and a heading.
    Heading,
    /// A paragraph.
    Paragraph,
    /// An item of a list: it ends the one before.
    Item,
    /// A term or description: it ends the one before.
    Description,
    /// A table.
    Table,
    /// The caption of a table.
    Caption,
    /// A group of columns.
    ColumnGroup,
    /// A column.
    Column,
    /// A group of rows.
    RowGroup,
    /// A row.
    Row,
    /// A cell.
    Cell,
}

/// An element that is kept.
#[derive(Debug)]
pub(super) struct Element {
    /// Its name.
    pub(super) name: &'static str,
    /// Its role.
    pub(super) kind: Kind,
    /// Its own attributes, beside [`ANYWHERE`].
    pub(super) attributes: &'static [(&'static str, Rule)],
}

const fn element(name: &'static str, kind: Kind, attributes: &'static [(&'static str, Rule)]) -> Element {
    Element { name, kind, attributes }
}

const HEADING: &[(&str, Rule)] = &[("id", Rule::Id)];
const QUOTE: &[(&str, Rule)] = &[("cite", Rule::Web)];
const CHANGE: &[(&str, Rule)] = &[("cite", Rule::Web), ("datetime", Rule::Any)];
const ROWS: &[(&str, Rule)] =
    &[("align", Rule::Align), ("bgcolor", Rule::Color), ("valign", Rule::VerticalAlign)];
const CELL: &[(&str, Rule)] = &[
    ("abbr", Rule::Any),
    ("align", Rule::Align),
    ("bgcolor", Rule::Color),
    ("colspan", Rule::Any),
    ("colwidth", Rule::Any),
    ("headers", Rule::Any),
    ("height", Rule::Any),
    ("nowrap", Rule::Any),
    ("rowspan", Rule::Any),
    ("scope", Rule::Any),
    ("valign", Rule::VerticalAlign),
    ("width", Rule::Any),
];

/// The elements that are kept. `svg` and `math` are not among them, because their contents are parsed by other rules; nor
/// is any element with raw text, except `iframe`, which is always emptied.
pub(super) const ELEMENTS: &[Element] = &[
    element(
        "a",
        Kind::Link,
        &[("href", Rule::Link), ("hreflang", Rule::Any), ("rel", Rule::Relations), ("target", Rule::Target)],
    ),
    element("abbr", Kind::Inline, &[]),
    element(
        "audio",
        Kind::Inline,
        &[
            ("autoplay", Rule::Any),
            ("controls", Rule::Any),
            ("controlslist", Rule::Any),
            ("crossorigin", Rule::Any),
            ("disableremoteplayback", Rule::Any),
            ("loop", Rule::Any),
            ("muted", Rule::Any),
            ("preload", Rule::Any),
            ("src", Rule::Web),
        ],
    ),
    element("b", Kind::Inline, &[]),
    element("bdi", Kind::Inline, &[]),
    element("bdo", Kind::Inline, &[]),
    element("blockquote", Kind::Block, QUOTE),
    element("br", Kind::Void, &[]),
    element("caption", Kind::Caption, &[("align", Rule::Align)]),
    element("cite", Kind::Inline, &[]),
    element("code", Kind::Inline, &[]),
    element("col", Kind::Column, &[("span", Rule::Any), ("width", Rule::Any)]),
    element("colgroup", Kind::ColumnGroup, &[("span", Rule::Any), ("width", Rule::Any)]),
    element("dd", Kind::Description, &[]),
    element("del", Kind::Inline, CHANGE),
    element("details", Kind::Block, &[("name", Rule::Any), ("open", Rule::Any)]),
    element("dfn", Kind::Inline, &[]),
    element("div", Kind::Block, &[("align", Rule::Align)]),
    element("dl", Kind::Block, &[]),
    element("dt", Kind::Description, &[]),
    element("em", Kind::Inline, &[]),
    element("figcaption", Kind::Block, &[]),
    element("figure", Kind::Block, &[]),
    element("h1", Kind::Heading, HEADING),
    element("h2", Kind::Heading, HEADING),
    element("h3", Kind::Heading, HEADING),
    element("h4", Kind::Heading, HEADING),
    element("h5", Kind::Heading, HEADING),
    element("h6", Kind::Heading, HEADING),
    element("hr", Kind::Rule, &[]),
    element("i", Kind::Inline, &[]),
    element(
        "iframe",
        Kind::Frame,
        &[
            ("allow", Rule::Features),
            ("allowfullscreen", Rule::Any),
            ("autoplay", Rule::Any),
            ("cclanguage", Rule::Any),
            ("ccloadpolicy", Rule::Any),
            ("disablekbcontrols", Rule::Any),
            ("enableiframeapi", Rule::Any),
            ("endtime", Rule::Any),
            ("frameborder", Rule::Any),
            ("height", Rule::Any),
            ("interfacelanguage", Rule::Any),
            ("ivloadpolicy", Rule::Any),
            ("loading", Rule::Any),
            ("loop", Rule::Any),
            ("modestbranding", Rule::Any),
            ("muted", Rule::Any),
            ("origin", Rule::Any),
            ("playlist", Rule::Any),
            ("progressbarcolor", Rule::Any),
            ("referrerpolicy", Rule::Any),
            ("rel", Rule::Any),
            ("sandbox", Rule::Sandbox),
            ("scrolling", Rule::Any),
            ("src", Rule::Player),
            ("start", Rule::Any),
            ("time", Rule::Any),
            ("width", Rule::Any),
        ],
    ),
    element(
        "img",
        Kind::Void,
        &[
            ("align", Rule::Align),
            ("alt", Rule::Any),
            ("crossorigin", Rule::Any),
            ("decoding", Rule::Any),
            ("draggable", Rule::Any),
            ("fetchpriority", Rule::Any),
            ("height", Rule::Any),
            ("loading", Rule::Any),
            ("referrerpolicy", Rule::Any),
            ("sizes", Rule::Any),
            ("src", Rule::Web),
            ("srcset", Rule::Candidates),
            ("width", Rule::Any),
        ],
    ),
    element(
        "input",
        Kind::Void,
        &[("checked", Rule::Any), ("disabled", Rule::Any), ("type", Rule::Checkbox)],
    ),
    element("ins", Kind::Inline, CHANGE),
    element("kbd", Kind::Inline, &[]),
    element("label", Kind::Inline, &[]),
    element("li", Kind::Item, &[("value", Rule::Any)]),
    element("mark", Kind::Inline, &[]),
    element("ol", Kind::Block, &[("reversed", Rule::Any), ("start", Rule::Any), ("type", Rule::Any)]),
    element("p", Kind::Paragraph, &[("align", Rule::Align)]),
    element("picture", Kind::Inline, &[]),
    element("pre", Kind::Preformatted, &[]),
    element("q", Kind::Inline, QUOTE),
    element("rp", Kind::RubyText, &[]),
    element("rt", Kind::RubyText, &[]),
    element("ruby", Kind::Inline, &[]),
    element("s", Kind::Inline, &[]),
    element("samp", Kind::Inline, &[]),
    element("section", Kind::Block, &[]),
    element("small", Kind::Inline, &[]),
    element(
        "source",
        Kind::Void,
        &[
            ("height", Rule::Any),
            ("media", Rule::Any),
            ("sizes", Rule::Any),
            ("src", Rule::Web),
            ("srcset", Rule::Candidates),
            ("type", Rule::Any),
            ("width", Rule::Any),
        ],
    ),
    element("span", Kind::Inline, &[]),
    element("strike", Kind::Inline, &[]),
    element("strong", Kind::Inline, &[]),
    element("sub", Kind::Inline, &[]),
    element("summary", Kind::Block, &[]),
    element("sup", Kind::Inline, &[]),
    element("table", Kind::Table, &[("align", Rule::Align), ("bgcolor", Rule::Color), ("width", Rule::Any)]),
    element("tbody", Kind::RowGroup, ROWS),
    element("td", Kind::Cell, CELL),
    element("tfoot", Kind::RowGroup, ROWS),
    element("th", Kind::Cell, CELL),
    element("thead", Kind::RowGroup, ROWS),
    element("time", Kind::Inline, &[("datetime", Rule::Any)]),
    element("tr", Kind::Row, ROWS),
    element("u", Kind::Inline, &[]),
    element("ul", Kind::Block, &[("type", Rule::Any)]),
    element("var", Kind::Inline, &[]),
    element(
        "video",
        Kind::Inline,
        &[
            ("autoplay", Rule::Any),
            ("controls", Rule::Any),
            ("controlslist", Rule::Any),
            ("crossorigin", Rule::Any),
            ("height", Rule::Any),
            ("loop", Rule::Any),
            ("muted", Rule::Any),
            ("playsinline", Rule::Any),
            ("poster", Rule::Web),
            ("preload", Rule::Any),
            ("src", Rule::Web),
            ("width", Rule::Any),
        ],
    ),
    element("wbr", Kind::Void, &[]),
];

/// The attributes of every element. The editor's `data-` attributes are listed one by one, since page libraries act on
/// others. `id` is only allowed for headings, because it could shadow a global variable of the page's script.
pub(super) const ANYWHERE: &[(&str, Rule)] = &[
    ("class", Rule::Classes),
    ("data-align", Rule::Any),
    ("data-background-color", Rule::Any),
    ("data-caption", Rule::Any),
    ("data-checked", Rule::Any),
    ("data-color", Rule::Any),
    ("data-colwidth", Rule::Any),
    ("data-id", Rule::Any),
    ("data-label", Rule::Any),
    ("data-language", Rule::Any),
    ("data-latex", Rule::Any),
    ("data-mention-suggestion-char", Rule::Any),
    ("data-name", Rule::Any),
    ("data-original-src", Rule::Web),
    ("data-placeholder", Rule::Any),
    ("data-text-align", Rule::Any),
    ("data-toc-id", Rule::Any),
    ("data-twitch-video", Rule::Any),
    ("data-type", Rule::Any),
    ("data-uid", Rule::Any),
    ("data-unique-id", Rule::Any),
    ("data-width", Rule::Any),
    ("data-youtube-video", Rule::Any),
    ("dir", Rule::Direction),
    ("lang", Rule::Any),
    ("style", Rule::Style),
    ("title", Rule::Any),
];

/// Elements that are removed with their content. The content of other elements that are not kept stays.
pub(super) const WITH_CONTENT: &[(&str, Content)] = &[
    ("applet", Content::Elements),
    ("embed", Content::Empty),
    ("math", Content::Foreign),
    ("noembed", Content::RawText),
    ("noframes", Content::RawText),
    ("noscript", Content::RawText),
    ("object", Content::Elements),
    ("plaintext", Content::Everything),
    ("script", Content::RawText),
    ("style", Content::RawText),
    ("svg", Content::Foreign),
    ("template", Content::Elements),
    ("textarea", Content::RawText),
    ("title", Content::RawText),
    ("xmp", Content::RawText),
];

/// The content of an element that is removed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// None.
    Empty,
    /// Text up to the end tag.
    RawText,
    /// All text that follows.
    Everything,
    /// Elements.
    Elements,
    /// Elements of another language.
    Foreign,
}

/// Elements that are not kept and end a paragraph.
const BLOCKS: &[&str] = &[
    "address", "article", "aside", "center", "dialog", "dir", "fieldset", "footer", "form", "header",
    "hgroup", "listing", "main", "menu", "nav", "search",
];

/// HTML elements that end `svg` and `math`.
const BREAKOUTS: &[&str] = &[
    "b",
    "blockquote",
    "br",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "ruby",
    "s",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "u",
    "ul",
    "var",
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Element>> =
    LazyLock::new(|| ELEMENTS.iter().map(|element| (element.name, element)).collect());

static EVERYWHERE: LazyLock<HashMap<&'static str, Rule>> =
    LazyLock::new(|| ANYWHERE.iter().copied().collect());

/// Returns the element of this name in lower case, if it is kept.
pub(super) fn kept(name: &str) -> Option<&'static Element> {
    BY_NAME.get(name).copied()
}

/// Returns what is removed with an element that is not kept.
pub(super) fn removed_content(name: &str) -> Option<Content> {
    WITH_CONTENT.iter().find(|(listed, _)| *listed == name).map(|(_, content)| *content)
}

/// Reports whether an element that is not kept ends a paragraph.
pub(super) fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name)
}

/// Reports whether an HTML element ends `svg` and `math`.
pub(super) fn ends_foreign(name: &str) -> bool {
    BREAKOUTS.contains(&name)
}

impl Element {
    /// Returns the name and the rule of an attribute by its name in lower case; `None` removes it.
    pub(super) fn attribute(&self, name: &str) -> Option<(&'static str, Rule)> {
        let own = self.attributes.iter().find(|(listed, _)| *listed == name).copied();
        own.or_else(|| EVERYWHERE.get_key_value(name).map(|(name, rule)| (*name, *rule)))
    }
}
