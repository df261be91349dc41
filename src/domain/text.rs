/// Reports whether a text shows anything: it has a character that is neither white space nor invisible.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !c.is_control() && !is_invisible(c))
}

/// Reports whether a character has no shape of its own: those that Unicode lets a font ignore, and blank letters.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_and_invisible_texts_show_nothing() {
        for blank in [
            "",
            " ",
            "\t\n",
            "\u{a0}\u{3000}",
            "\u{200b}\u{feff}",
            "\u{ad}",
            "\u{3164}",
            "\u{2800}",
            "\u{1}\u{e0061}",
        ] {
            assert!(!is_visible(blank), "{blank:?}");
        }
        for visible in ["a", " . ", "\u{200b}é", "🦀", "!!!", "👩\u{200d}🔬"] {
            assert!(is_visible(visible), "{visible:?}");
        }
    }
}
