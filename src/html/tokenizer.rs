use std::cell::RefCell;
use std::collections::HashMap;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{
    BufferQueue, StartTag, Tag, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::allow_list;

/// Elements whose end tag is optional, because the next such element ends them.
const OPTIONAL_END: &str = "dd dt li p tbody td tfoot th thead tr";
/// Elements without an end tag.
const VOID: &str = "br col embed hr img input source wbr";

/// A token of HTML.
pub(super) enum Piece {
    Start(Tag),
    End(Tag),
    Text(StrTendril),
    Comment,
}

/// Returns an upper bound of the depth of elements in serialized HTML.
pub(super) fn depth(html: &str) -> usize {
    let mut open = HashMap::<_, usize>::new();
    let (mut now, mut deepest) = (0_usize, 0_usize);
    each(html, |piece| match piece {
        Piece::Start(tag) if !listed(VOID, &tag.name) && !listed(OPTIONAL_END, &tag.name) => {
            *open.entry(tag.name).or_default() += 1;
            now += 1;
            deepest = deepest.max(now);
        }
        Piece::End(tag) => {
            if let Some(count) = open.get_mut(&tag.name).filter(|count| **count > 0) {
                *count -= 1;
                now -= 1;
            }
        }
        Piece::Start(_) | Piece::Text(_) | Piece::Comment => {}
    });
    deepest
}

/// Returns the text of HTML as HTML, without elements that are removed with their content, in linear time.
pub(super) fn text(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut inside = None;
    each(html, |piece| match piece {
        Piece::Start(tag) if inside.is_none() && allow_list::removes_content(&tag.name) => {
            inside = (!listed(VOID, &tag.name)).then_some(tag.name);
        }
        Piece::End(tag) if inside.as_ref() == Some(&tag.name) => inside = None,
        Piece::Text(text) if inside.is_none() => {
            out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        }
        Piece::Start(_) | Piece::End(_) | Piece::Text(_) | Piece::Comment => {}
    });
    out
}

/// Calls `take` with each token.
pub(super) fn each(html: &str, take: impl FnMut(Piece)) {
    let tokenizer = Tokenizer::new(Sink(RefCell::new(take)), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // The sink never asks to stop, so the tokenizer runs to the end.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
}

fn listed(names: &str, name: &str) -> bool {
    names.split(' ').any(|listed| listed == name)
}

struct Sink<F>(RefCell<F>);

impl<F: FnMut(Piece)> TokenSink for Sink<F> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut then = TokenSinkResult::Continue;
        let piece = match token {
            Token::TagToken(tag) if tag.kind == StartTag => {
                then = match &*tag.name {
                    "script" => TokenSinkResult::RawData(ScriptData),
                    "iframe" | "noembed" | "noframes" | "noscript" | "style" | "xmp" => {
                        TokenSinkResult::RawData(Rawtext)
                    }
                    "textarea" | "title" => TokenSinkResult::RawData(Rcdata),
                    "plaintext" => TokenSinkResult::Plaintext,
                    _ => TokenSinkResult::Continue,
                };
                Piece::Start(tag)
            }
            Token::TagToken(tag) => Piece::End(tag),
            Token::CommentToken(_) => Piece::Comment,
            Token::CharacterTokens(text) => Piece::Text(text),
            Token::DoctypeToken(_) | Token::NullCharacterToken | Token::EOFToken | Token::ParseError(_) => {
                return then;
            }
        };
        (self.0.borrow_mut())(piece);
        then
    }
}
