use std::cell::{Cell, RefCell};

use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::{Attribute, LocalName, ParseOpts, QualName, ns, parse_fragment};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::{references, tokenizer};

/// A part of a document in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Start(String, Vec<(String, String)>),
    End(String),
    Text(String),
    Comment,
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
    let dom = parse_fragment(RcDom::default(), ParseOpts::default(), context, vec![], false).one(html);
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

/// Returns the tokens of html5ever.
pub(super) fn markup(html: &str) -> Vec<Event> {
    let sink = Sink { events: RefCell::default(), done: Cell::default() };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
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
