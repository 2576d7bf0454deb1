//! Regular expressions in RE2's language, so that every store matches the same values.
//!
//! The engine underneath knows more than RE2 and means other things by some of it. A pattern is therefore parsed first:
//! what RE2 lacks, or reads in another way, is refused, and what it reads more narrowly (`\d`, `\s`, `\w`, `\b` are ASCII
//! there) is written out before it is compiled. A few rare forms that RE2 has and the engine lacks are refused as well:
//! `\Q...\E`, octal escapes, names of scripts, a brace that stands for itself.

use std::fmt::Write as _;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassBracketed, ClassPerl, ClassPerlKind, ClassSetBinaryOp, ClassSetItem, ClassUnicode,
    ClassUnicodeKind, Flag, Flags, FlagsItemKind, GroupKind, HexLiteralKind, Literal, LiteralKind, Repetition,
    RepetitionKind, RepetitionRange, Span, Visitor,
};

/// Most bytes of a pattern.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// Most bytes of a compiled pattern, and of what it remembers while it matches.
const COMPILED_BYTES: usize = 1 << 20;

/// RE2's limit on counted repetitions, alone and nested.
const MAX_REPEAT: u32 = 1000;

/// General categories that RE2 knows; surrogates (`Cs`) cannot occur in text.
const CATEGORIES: &str =
    "C Cc Cf Co L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs";

/// A regular expression in RE2's language: anchored at both ends, `.` does not match a newline, classes are ASCII.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    compiled: regex::Regex,
}

/// The text is no regular expression, or uses what RE2 lacks, or is too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression: {0}")]
pub struct InvalidPattern(pub String);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`InvalidPattern`] says what is wrong and where.
    pub fn compile(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(InvalidPattern(format!("it has {} bytes, the limit is {MAX_PATTERN_BYTES}", text.len())));
        }
        // Parsed by itself, so that no parenthesis of it can reach out of the anchors below.
        let parsed = Parser::new().parse(text);
        let tree = parsed.map_err(|error| at(error.span(), &error.kind().to_string()))?;
        let narrowed = ast::visit(&tree, Narrowing::of(text))?;
        let compiled = regex::RegexBuilder::new(&format!(r"\A(?:{narrowed})\z"))
            .size_limit(COMPILED_BYTES)
            .dfa_size_limit(COMPILED_BYTES)
            .build();
        let compiled = compiled.map_err(|error| InvalidPattern(compile_fault(&error)))?;
        Ok(Self { text: text.to_owned(), compiled })
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.compiled.is_match(value)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

fn at(span: &Span, fault: &str) -> InvalidPattern {
    InvalidPattern(format!("{fault} (character {})", span.start.column))
}

fn compile_fault(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it needs more than {limit} bytes compiled"),
        // The message draws the pattern on several lines; the fault is on the last.
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    }
}

/// Copies a pattern, with ASCII classes written out; fails at what RE2 lacks.
struct Narrowing<'t> {
    text: &'t str,
    /// The narrowed pattern, up to `copied` of the text.
    narrowed: String,
    copied: usize,
    /// How often what is visited now is repeated, by all counted repetitions around it.
    repeated: Vec<u32>,
}

impl<'t> Narrowing<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, narrowed: String::with_capacity(text.len()), copied: 0, repeated: Vec::new() }
    }

    fn source(&self, span: &Span) -> &'t str {
        self.text.get(span.start.offset..span.end.offset).unwrap_or_default()
    }

    /// Puts `replacement` where `span` of the text was.
    fn replace(&mut self, span: &Span, replacement: &str) {
        self.narrowed.push_str(self.text.get(self.copied..span.start.offset).unwrap_or_default());
        self.narrowed.push_str(replacement);
        self.copied = span.end.offset;
    }

    fn narrow_class(&mut self, class: &ClassPerl, is_in_brackets: bool) {
        let members = match class.kind {
            ClassPerlKind::Digit => "0-9",
            // Without the vertical tab.
            ClassPerlKind::Space => r"\t\n\f\r ",
            ClassPerlKind::Word => "0-9A-Za-z_",
        };
        let mut written = String::new();
        // Writing to a string does not fail.
        let _ = match (class.negated, is_in_brackets) {
            (true, _) => write!(written, "[^{members}]"),
            (false, true) => write!(written, "{members}"),
            (false, false) => write!(written, "[{members}]"),
        };
        self.replace(&class.span, &written);
    }

    fn check_literal(literal: &Literal) -> Result<(), InvalidPattern> {
        let is_of_re2 = match &literal.kind {
            LiteralKind::Verbatim | LiteralKind::Meta | LiteralKind::Special(_) => true,
            // RE2 takes an underscore for a letter, and letters have no superfluous escapes.
            LiteralKind::Superfluous => literal.c != '_',
            LiteralKind::HexFixed(kind) | LiteralKind::HexBrace(kind) => *kind == HexLiteralKind::X,
            LiteralKind::Octal => false,
        };
        if is_of_re2 { Ok(()) } else { Err(at(&literal.span, "this escape is not in RE2")) }
    }

    fn check_flags(flags: &Flags) -> Result<(), InvalidPattern> {
        for item in &flags.items {
            let is_of_re2 = match item.kind {
                FlagsItemKind::Negation => true,
                FlagsItemKind::Flag(flag) => match flag {
                    Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed => true,
                    Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace => false,
                },
            };
            if !is_of_re2 {
                return Err(at(&item.span, "this flag is not in RE2; it has i, m, s, U"));
            }
        }
        Ok(())
    }

    fn check_category(class: &ClassUnicode) -> Result<(), InvalidPattern> {
        let is_known = |name: &str| CATEGORIES.split(' ').any(|known| known == name);
        let is_taken = match &class.kind {
            ClassUnicodeKind::OneLetter(letter) => is_known(letter.encode_utf8(&mut [0; 4])),
            ClassUnicodeKind::Named(name) => is_known(name),
            ClassUnicodeKind::NamedValue { .. } => false,
        };
        if is_taken { Ok(()) } else { Err(at(&class.span, "only general categories are taken, as in \\pL or \\p{Lu}")) }
    }

    fn check_brackets(&self, class: &ClassBracketed) -> Result<(), InvalidPattern> {
        let members = self.source(&class.span).trim_start_matches(['[', '^']);
        if members.starts_with("--") && !members.starts_with("--]") {
            return Err(at(&class.span, "RE2 reads a range from - here; escape the dashes"));
        }
        Ok(())
    }

    fn enter_repetition(&mut self, repetition: &Repetition) -> Result<(), InvalidPattern> {
        let span = &repetition.op.span;
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            return Err(at(span, "RE2 does not take a repetition of a repetition; use a group"));
        }
        let times = match &repetition.op.kind {
            RepetitionKind::Range(range) => {
                if self.source(span).starts_with("{,") {
                    return Err(at(span, "RE2 wants a number before the comma"));
                }
                match *range {
                    RepetitionRange::Exactly(times) | RepetitionRange::AtLeast(times) => times,
                    RepetitionRange::Bounded(_, most) => most,
                }
            }
            RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 1,
        };
        let around = self.repeated.last().copied().unwrap_or(1);
        let repeated = around.saturating_mul(times.max(1));
        if repeated > MAX_REPEAT {
            return Err(at(span, "RE2 repeats at most 1000 times, nested repetitions multiplied"));
        }
        self.repeated.push(repeated);
        Ok(())
    }

    fn check_group(kind: &GroupKind) -> Result<(), InvalidPattern> {
        match kind {
            GroupKind::CaptureIndex(_) => Ok(()),
            GroupKind::CaptureName { name, .. } => {
                let is_word = name.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                if is_word { Ok(()) } else { Err(at(&name.span, "RE2 takes letters, digits and _ in names")) }
            }
            GroupKind::NonCapturing(flags) => Self::check_flags(flags),
        }
    }
}

impl Visitor for Narrowing<'_> {
    type Output = String;
    type Err = InvalidPattern;

    fn finish(mut self) -> Result<String, InvalidPattern> {
        self.narrowed.push_str(self.text.get(self.copied..).unwrap_or_default());
        Ok(self.narrowed)
    }

    fn visit_pre(&mut self, tree: &Ast) -> Result<(), InvalidPattern> {
        match tree {
            Ast::Empty(_) | Ast::Dot(_) | Ast::Alternation(_) | Ast::Concat(_) => Ok(()),
            Ast::Flags(set) => Self::check_flags(&set.flags),
            Ast::Literal(literal) => Self::check_literal(literal),
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => Ok(()),
                AssertionKind::WordBoundary => {
                    self.replace(&assertion.span, r"(?-u:\b)");
                    Ok(())
                }
                AssertionKind::NotWordBoundary => {
                    self.replace(&assertion.span, r"(?-u:\B)");
                    Ok(())
                }
                _ => Err(at(&assertion.span, "this assertion is not in RE2")),
            },
            Ast::ClassUnicode(class) => Self::check_category(class),
            Ast::ClassPerl(class) => {
                self.narrow_class(class, false);
                Ok(())
            }
            Ast::ClassBracketed(class) => self.check_brackets(class),
            Ast::Repetition(repetition) => self.enter_repetition(repetition),
            Ast::Group(group) => Self::check_group(&group.kind),
        }
    }

    fn visit_post(&mut self, tree: &Ast) -> Result<(), InvalidPattern> {
        if matches!(tree, Ast::Repetition(_)) {
            self.repeated.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), InvalidPattern> {
        match item {
            ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Union(_) => Ok(()),
            ClassSetItem::Literal(literal) => Self::check_literal(literal),
            ClassSetItem::Range(range) => {
                Self::check_literal(&range.start)?;
                Self::check_literal(&range.end)
            }
            ClassSetItem::Unicode(class) => Self::check_category(class),
            ClassSetItem::Perl(class) => {
                self.narrow_class(class, true);
                Ok(())
            }
            ClassSetItem::Bracketed(class) => Err(at(&class.span, "RE2 has no classes in classes; escape the bracket")),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, operation: &ClassSetBinaryOp) -> Result<(), InvalidPattern> {
        Err(at(&operation.span, "RE2 has no &&, -- and ~~ in classes; escape the characters"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn matching<'a>(pattern: &str, values: &[&'a str]) -> Vec<&'a str> {
        let pattern = Pattern::compile(pattern).unwrap();
        values.iter().copied().filter(|value| pattern.matches(value)).collect()
    }

    #[test]
    fn the_whole_value_must_match() {
        assert_eq!(matching("b", &["b", "ab", "ba", "b\n"]), ["b"]);
        assert_eq!(matching("a|b", &["a", "b", "ab", "ax"]), ["a", "b"]);
        assert_eq!(matching("", &["", "a"]), [""]);
        assert_eq!(matching("(?m)^a$", &["a", "a\n", "\na"]), ["a"]);
        assert_eq!(matching(r"(?m)a$\n^b", &["a\nb", "ab"]), ["a\nb"]);
    }

    #[test]
    fn a_dot_is_one_character_and_no_newline() {
        assert_eq!(matching(".", &["a", "ä", "\u{1f980}", "\n", "\r", "ab"]), ["a", "ä", "\u{1f980}", "\r"]);
        assert_eq!(matching("(?s).", &["\n"]), ["\n"]);
        assert_eq!(matching("[^a]", &["\n", "b", "a"]), ["\n", "b"]);
    }

    #[test]
    fn classes_are_ascii() {
        assert_eq!(matching(r"\d", &["5", "٥", "x"]), ["5"]);
        assert_eq!(matching(r"\D", &["5", "٥", "x"]), ["٥", "x"]);
        assert_eq!(matching(r"\w", &["a", "_", "ä", "-"]), ["a", "_"]);
        assert_eq!(matching(r"\W", &["a", "ä", "-"]), ["ä", "-"]);
        assert_eq!(matching(r"\s", &[" ", "\t", "\u{b}", "\u{a0}", "\u{2003}"]), [" ", "\t"]);
        assert_eq!(matching(r"[\d\s-]", &["5", " ", "-", "٥", "a"]), ["5", " ", "-"]);
        assert_eq!(matching(r"[^\d]", &["5", "٥"]), ["٥"]);
        assert_eq!(matching(r"[\Dx5]", &["5", "6", "x", "٥"]), ["5", "x", "٥"]);
        assert_eq!(matching(r"[[:word:]-]", &["a", "ä", "-"]), ["a", "-"]);
        // A boundary of ASCII words lies between n and é.
        assert_eq!(matching(r"n\b.*", &["né", "nn", "n"]), ["né", "n"]);
        assert_eq!(matching(r"n\B.*", &["né", "nn", "n"]), ["nn"]);
    }

    #[test]
    fn case_is_ignored_as_unicode_has_it() {
        assert_eq!(matching("(?i)straße", &["STRAßE", "Straße", "strasse"]), ["STRAßE", "Straße"]);
        assert_eq!(matching("(?i:a)b", &["Ab", "AB"]), ["Ab"]);
        // The Kelvin sign folds to k, in literals and in classes.
        assert_eq!(matching("(?i)k", &["K", "\u{212a}"]), ["K", "\u{212a}"]);
        assert_eq!(matching(r"(?i)\w", &["\u{212a}", "ä"]), ["\u{212a}"]);
    }

    #[test]
    fn what_re2_has_is_taken() {
        for pattern in [
            r"\A\x41\x{1F980}\z",
            "(?P<name>a)|(?<other>b)",
            "a{2}|b{2,}|c{2,3}?|d{1000}",
            "(?:a{10}){100}",
            "(?U)a*(?-U:b*)",
            r"[[:^alpha:]]|[]a]|[^]a]|[a-]|[-a]|[a\-z]|[a&b]|[--]",
            r"\pL\p{Lu}\PN",
            r"\.\-\/\%\{",
            r"\a\f\t\n\r\v",
            "(a|)",
            "^$",
        ] {
            assert!(Pattern::compile(pattern).is_ok(), "{pattern}: {:?}", Pattern::compile(pattern));
        }
        assert_eq!(matching(r"\p{Lu}\pN", &["Ä5", "ä5"]), ["Ä5"]);
    }

    #[test]
    fn what_re2_lacks_or_reads_otherwise_is_refused() {
        for pattern in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            r"(a)\1",
            r"(?P<n>a)(?P=n)",
            "(?>a)",
            "a*+",
            "a**",
            "a{2}{3}",
            "a{1001}",
            "(?:a{100}){11}",
            "a{,5}",
            "(?x)a b",
            "(?R)a",
            "(?u)a",
            "(?-u)a",
            r"\Z",
            r"\G",
            r"\<a",
            r"a\>",
            r"\b{start}a",
            r"\b{end}a",
            r"\u0041",
            r"\u{41}",
            r"\U00000041",
            r"\0",
            r"\101",
            r"\_",
            "[a&&b]",
            "[a--b]",
            "[a~~b]",
            "[a[b]]",
            "[--a]",
            "[^--a]",
            r"\p{Greek}",
            r"\p{Letter}",
            r"\p{sc=Greek}",
            r"\X",
            r"\R",
            r"\h",
            r"\C",
            r"\K",
            "(",
            ")",
            "a)|(b",
            "[",
            "*",
            "(?P<a.b>c)",
            r"\Qa\E",
            "\\",
        ] {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn size_is_bounded() {
        assert!(Pattern::compile(&"a".repeat(MAX_PATTERN_BYTES)).is_ok());
        let long = Pattern::compile(&"a".repeat(MAX_PATTERN_BYTES + 1)).unwrap_err();
        assert_eq!(long.0, "it has 1025 bytes, the limit is 1024");
        let large = Pattern::compile(r"(?:\pL\pN){500}").unwrap_err();
        assert_eq!(large.0, "it needs more than 1048576 bytes compiled");
        assert!(Pattern::compile(&"(".repeat(1000)).is_err());
    }

    #[test]
    fn faults_say_where_in_one_line() {
        let fault = |pattern: &str| Pattern::compile(pattern).unwrap_err().to_string();
        assert_eq!(fault("ab[c"), "invalid regular expression: unclosed character class (character 3)");
        assert_eq!(fault(r"ä\Z"), "invalid regular expression: unrecognized escape sequence (character 2)");
        assert_eq!(
            fault("[a&&b]"),
            "invalid regular expression: RE2 has no &&, -- and ~~ in classes; escape the characters (character 2)"
        );
    }
}
