//! Text of others, shown to people. What tenants write as names and values must not steer the terminal of whoever looks.

use std::borrow::Cow;

/// The text with what a terminal would obey written as escapes, such as `\u{1b}`: control characters, line separators, and
/// marks that turn the direction of writing.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_obeyed(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_becomes_text() {
        assert_eq!(visible("\u{1b}[2J\r\n\u{9b}1m\u{202e}x"), "\\u{1b}[2J\\r\\n\\u{9b}1m\\u{202e}x");
        assert_eq!(visible("\u{7f}\t\u{2066}\u{2028}"), "\\u{7f}\\t\\u{2066}\\u{2028}");
    }

    #[test]
    fn what_people_read_stays() {
        for text in ["", "plain", "ä€😀 中文 עברית", "a\\b\"c"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }
}
