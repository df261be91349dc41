use std::cell::{Cell, RefCell};

use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::{Attribute, LocalName, ParseOpts, QualName, ns, parse_fragment};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use url::Url;

use super::{references, tokenizer};

/// A part of a document in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Start(String, Vec<(String, String)>),
    End(String),
    Text(String),
    Comment,
}

/// Elements that run scripts, load other documents, submit forms, or whose contents are parsed by other rules.
const ACTIVE: &[&str] = &[
    "applet",
    "base",
    "button",
    "embed",
    "fencedframe",
    "form",
    "frame",
    "frameset",
    "link",
    "math",
    "meta",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "param",
    "plaintext",
    "portal",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "xmp",
];

/// Attributes with the address of a link.
const LINKS: &[&str] = &["href", "xlink:href", "action", "formaction"];

/// Attributes with the address of a file that a browser loads or shows.
const FILES: &[&str] =
    &["src", "poster", "cite", "data-original-src", "background", "data", "longdesc", "lowsrc", "dynsrc"];

/// Hosts of players.
const PLAYERS: &[&str] = &[
    "www.youtube.com",
    "youtube.com",
    "www.youtube-nocookie.com",
    "youtube-nocookie.com",
    "player.vimeo.com",
    "player.twitch.tv",
    "clips.twitch.tv",
];

/// Returns the elements that must not reach a browser, as its parser builds them.
pub(super) fn dangers(html: &str) -> Vec<String> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    for event in tree(html) {
        match event {
            Event::Start(name, attributes) => {
                let is_sandboxed = attributes.iter().any(|(name, _)| name == "sandbox");
                // The editor embeds players in an element of its own, without further attributes.
                let is_embedded = open.last().is_some_and(|embeds| *embeds);
                if is_danger(&name, &attributes) || (name == "iframe" && !is_sandboxed && !is_embedded) {
                    found.push(format!("{name} {attributes:?}"));
                }
                let embeds = |name: &str| matches!(name, "data-youtube-video" | "data-twitch-video");
                open.push(attributes.iter().any(|(name, _)| embeds(name)));
            }
            Event::End(_) => drop(open.pop()),
            Event::Text(_) | Event::Comment => {}
        }
    }
    found
}

fn is_danger(element: &str, attributes: &[(String, String)]) -> bool {
    let value = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
    let has_word =
        |text: &str, word: &str| text.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(word));
    let heading = matches!(element, "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
    let bad_attribute = |(name, value): &(String, String)| {
        let name = name.as_str();
        name.starts_with("on")
            || name.starts_with("x-")
            || name.starts_with("hx-")
            || name.starts_with("data-hx-")
            || name.contains(['@', ':', '<'])
            || matches!(name, "srcdoc" | "ping" | "formaction" | "action")
            || (name == "name" && element != "details")
            || (name == "id" && !heading)
            || (LINKS.contains(&name)
                && !leads_to(
                    value,
                    &["http", "https", "ftp", "ftps", "mailto", "tel", "callto", "sms", "cid", "xmpp"],
                ))
            || (FILES.contains(&name) && !leads_to(value, &["http", "https"]))
            || (name == "srcset"
                && !candidates(value).iter().all(|address| leads_to(address, &["http", "https"])))
            || (name == "sandbox" && has_word(value, "allow-top-navigation"))
            || (name == "style" && !is_harmless_style(value))
            // Of links; it means nothing elsewhere.
            || (name == "rel" && element != "iframe" && has_word(value, "opener"))
    };
    let is_player = |src: &str| {
        Url::parse(src).is_ok_and(|url| {
            url.scheme() == "https"
                && url.host_str().is_some_and(|host| PLAYERS.contains(&host))
                && url.username().is_empty()
        })
    };
    ACTIVE.contains(&element)
        || attributes.iter().any(bad_attribute)
        || (element == "iframe" && !value("src").is_some_and(is_player))
        || (value("target").is_some_and(|target| target.eq_ignore_ascii_case("_blank"))
            && !value("rel").is_some_and(|rel| has_word(rel, "noopener")))
        || (element == "input"
            && !value("type").is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case("checkbox")))
}

/// Resolves an address as browsers do, and reports whether it leads nowhere or has one of these schemes.
fn leads_to(address: &str, schemes: &[&str]) -> bool {
    let site = Url::parse("https://site.example/page").expect("the address of the site is valid");
    site.join(address).map_or(true, |url| schemes.contains(&url.scheme()))
}

/// Returns the parts of `srcset` that may be taken for an address.
fn candidates(list: &str) -> Vec<&str> {
    let words = list.split_ascii_whitespace().map(|word| word.trim_matches(','));
    words.filter(|word| !word.is_empty()).collect()
}

/// Reports whether no declaration loads a file, moves content, or uses an escape.
fn is_harmless_style(style: &str) -> bool {
    let style = style.to_ascii_lowercase();
    let mut properties =
        style.split(';').filter_map(|declaration| Some(declaration.split_once(':')?.0.trim()));
    !["url(", "image(", "image-set(", "expression(", "attr(", "\\", "@import", "/*"]
        .iter()
        .any(|bad| style.contains(bad))
        && !properties.any(|property| {
            ["position", "behavior", "-moz-binding", "content", "z-index", "inset"].contains(&property)
        })
}

/// Reports whether a parser builds the tree that the tags describe: it adds, moves, copies and leaves out nothing.
pub(super) fn is_read_as_written(html: &str) -> bool {
    let (written, read) = (tokens(html), tree(html));
    if written != read {
        eprintln!("written {written:?}\nread    {read:?}");
    }
    written == read
}

/// Returns the elements and texts that the tags describe. Elements without end tag end at once.
pub(super) fn tokens(html: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut after_pre = false;
    for event in markup(html) {
        match event {
            Event::Text(text) => {
                let text = if after_pre { text.strip_prefix('\n').unwrap_or(&text) } else { &text };
                push_text(&mut events, text);
                after_pre = false;
            }
            Event::Start(name, attributes) => {
                let void = ["br", "col", "hr", "img", "input", "source", "wbr"].contains(&&*name);
                after_pre = name == "pre";
                events.push(Event::Start(name.clone(), attributes));
                if void {
                    events.push(Event::End(name));
                }
            }
            event => {
                after_pre = false;
                events.push(event);
            }
        }
    }
    events
}

/// Returns the elements and texts of the tree that html5ever builds.
pub(super) fn tree(html: &str) -> Vec<Event> {
    let context = QualName::new(None, ns!(html), LocalName::from("div"));
    let dom = parse_fragment(
        RcDom::default(),
        ParseOpts { tokenizer: options(), ..ParseOpts::default() },
        context,
        vec![],
        false,
    )
    .one(html);
    let mut events = Vec::new();
    let root = dom.document.children.borrow();
    for node in root[0].children.borrow().iter() {
        walk(node, &mut events);
    }
    events
}

fn walk(node: &Handle, events: &mut Vec<Event>) {
    match &node.data {
        NodeData::Text { contents } => push_text(events, &contents.borrow()),
        NodeData::Comment { .. } => events.push(Event::Comment),
        NodeData::Element { name, attrs, .. } => {
            assert_eq!(name.ns, ns!(html));
            events.push(Event::Start(name.local.to_string(), pairs(&attrs.borrow())));
            for child in node.children.borrow().iter() {
                walk(child, events);
            }
            events.push(Event::End(name.local.to_string()));
        }
        _ => {}
    }
}

fn pairs(attributes: &[Attribute]) -> Vec<(String, String)> {
    attributes
        .iter()
        .map(|attribute| (attribute.name.local.to_string(), attribute.value.to_string()))
        .collect()
}

fn push_text(events: &mut Vec<Event>, text: &str) {
    match events.last_mut() {
        _ if text.is_empty() => {}
        Some(Event::Text(before)) => before.push_str(text),
        _ => events.push(Event::Text(text.to_owned())),
    }
}

/// A byte order mark is a character: the text is a part of a page.
fn options() -> TokenizerOpts {
    TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() }
}

/// Returns the tokens of html5ever.
pub(super) fn markup(html: &str) -> Vec<Event> {
    let sink = Sink { events: RefCell::default(), done: Cell::default() };
    let tokenizer = Tokenizer::new(sink, options());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    _ = tokenizer.feed(&input);
    tokenizer.end();
    assert!(tokenizer.sink.done.get());
    tokenizer.sink.events.take()
}

/// Returns the tokens of our own tokenizer, with the raw texts.
pub(super) fn own_markup(html: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let name = |name: &str| name.to_ascii_lowercase().replace('\0', "\u{fffd}");
    for token in tokenizer::Tokenizer::new(html) {
        match token {
            tokenizer::Token::Text(text) => {
                // A text without tags is decoded by the oracle.
                for event in markup(&text.replace('<', "&lt;")) {
                    if let Event::Text(text) = event {
                        push_text(&mut events, &text);
                    }
                }
            }
            tokenizer::Token::Start(tag) => {
                let mut attributes = Vec::<(String, String)>::new();
                for attribute in tag.attributes() {
                    let name = name(attribute.name);
                    if attributes.iter().all(|(before, _)| *before != name) {
                        attributes.push((name, references::decode(attribute.value).into_owned()));
                    }
                }
                events.push(Event::Start(name(tag.name), attributes));
            }
            tokenizer::Token::End(end) => events.push(Event::End(name(end))),
            tokenizer::Token::Comment => events.push(Event::Comment),
            tokenizer::Token::Nothing => {}
        }
    }
    events
}

struct Sink {
    events: RefCell<Vec<Event>>,
    done: Cell<bool>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut events = self.events.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                events.push(Event::Start(tag.name.to_string(), pairs(&tag.attrs)));
            }
            Token::TagToken(tag) => events.push(Event::End(tag.name.to_string())),
            Token::CommentToken(_) => events.push(Event::Comment),
            Token::CharacterTokens(text) => push_text(&mut events, &text),
            Token::EOFToken => self.done.set(true),
            Token::DoctypeToken(_) | Token::NullCharacterToken | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}
