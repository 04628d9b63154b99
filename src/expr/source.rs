//! A text being parsed: its tokens, its positions, and what is refused before `sqlparser` sees it.

use std::any::TypeId;
use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast::{self, Spanned};
use sqlparser::dialect::{Dialect, DuckDbDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::column::Unit;
use crate::{Error, Result};

/// A chain of operators beyond this is refused before parsing: it nests, and the parser's own tree would be too deep
/// to walk.
const LONGEST_CHAIN: usize = 400;
/// `case` inside `case` beyond this is refused before parsing: on an error the parser tries each level again in several
/// ways, three times as long for each level.
const DEEPEST_CASE: usize = 14;

/// DuckDB's dialect less what would give a plain expression another meaning: `f(a = b)` is a comparison here, not a
/// named argument.
#[derive(Debug)]
struct Sql;

impl Dialect for Sql {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, c: char) -> bool {
        c.is_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_' || c == '$'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }
}

/// The text.
pub(super) struct Text {
    pub source: Arc<str>,
    /// The character at which each line starts.
    lines: Vec<usize>,
    /// The byte at which each character starts; empty if every character is one byte.
    chars: Vec<usize>,
}

impl Text {
    pub fn new(text: &str) -> Self {
        let starts = text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(i, _)| i + 1);
        let chars = if text.is_ascii() { vec![] } else { text.char_indices().map(|(at, _)| at).collect() };
        Text { source: text.into(), lines: std::iter::once(0).chain(starts).collect(), chars }
    }

    /// Parses all of the text with `body`.
    pub fn run<T>(&self, body: impl FnOnce(&Text, &mut Parser) -> Result<T>) -> Result<T> {
        let tokens = Tokenizer::new(&Sql, &self.source)
            .tokenize_with_location()
            .map_err(|e| self.error(lower_first(&e.message), self.offset(e.location), None))?;
        if longest_chain(&tokens) > LONGEST_CHAIN {
            let help = "use `in (…)` for a long chain of `or`, or name a part with --map";
            return Err(self.error(format!("more than {LONGEST_CHAIN} operators in one chain"), 0, Some(help)));
        }
        self.check_cases(&tokens)?;
        if tokens.iter().all(|t| matches!(t.token, Token::Whitespace(_) | Token::EOF)) {
            return Err(self.error("expected an expression, found nothing", 0, None));
        }
        let mut parser = Parser::new(&Sql).with_tokens_with_locations(timestamp_units(tokens));
        let result = body(self, &mut parser)?;
        let rest = parser.peek_token();
        match rest.token {
            Token::EOF => Ok(result),
            token => Err(self.error(
                format!("expected the end of the expression, found `{token}`"),
                self.offset(rest.span.start),
                None,
            )),
        }
    }

    fn check_cases(&self, tokens: &[TokenWithSpan]) -> Result<()> {
        let mut open = vec![];
        for token in tokens {
            match &token.token {
                Token::Word(word) if word.keyword == Keyword::CASE => open.push(token.span.start),
                Token::Word(word) if word.keyword == Keyword::END => _ = open.pop(),
                _ => continue,
            }
            if let Some(at) = open.get(DEEPEST_CASE) {
                let help = "write several `when` in one `case`, or name a part with --map";
                let message = format!("more than {DEEPEST_CASE} `case` inside each other");
                return Err(self.error(message, self.offset(*at), Some(help)));
            }
        }
        match open.last() {
            Some(at) => Err(self.error("a `case` without its `end`", self.offset(*at), None)),
            None => Ok(()),
        }
    }

    pub fn error(&self, message: impl Into<String>, at: usize, help: Option<&str>) -> Error {
        Error::Query { message: message.into(), text: self.source.to_string(), at, help: help.map(str::to_owned) }
    }

    pub fn parser_error(&self, error: ParserError, parser: &Parser) -> Error {
        let here = parser.peek_token().span.start;
        let (message, at) = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
                match message.rsplit_once(" at Line: ") {
                    Some((message, place)) => {
                        let place = place.split_once(", Column: ").and_then(|(line, column)| {
                            Some(Location::new(line.trim().parse().ok()?, column.trim().parse().ok()?))
                        });
                        (message.to_owned(), self.offset(place.unwrap_or(here)))
                    }
                    None => (message, self.offset(here)),
                }
            }
            ParserError::RecursionLimitExceeded => ("the expression nests too deeply".to_owned(), self.offset(here)),
        };
        let message = message.replace("found: EOF", "found the end").replace("Expected: ", "expected ");
        self.error(lower_first(&message.replace("found: ", "found ")), at, None)
    }

    /// The byte of a line and column, both from 1, columns in characters. 0 and 0, "nowhere", is the end.
    pub fn offset(&self, location: Location) -> usize {
        let Some(&start) = (location.line as usize).checked_sub(1).and_then(|i| self.lines.get(i)) else {
            return self.source.len();
        };
        let at = start + (location.column as usize).saturating_sub(1);
        if self.chars.is_empty() {
            at.min(self.source.len())
        } else {
            self.chars.get(at).copied().unwrap_or(self.source.len())
        }
    }

    pub fn range(&self, node: &ast::Expr) -> Range<usize> {
        let span = node.span();
        if span.start.line == 0 {
            return 0..self.source.len();
        }
        self.offset(span.start)..self.offset(span.end)
    }

    /// Refuses `node`.
    pub fn refuse<T>(&self, node: &ast::Expr, message: impl Into<String>, help: &str) -> Result<T> {
        Err(self.error(message, self.range(node).start, (!help.is_empty()).then_some(help)))
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_lowercase().chain(chars).collect())
}

/// The most operators that stand between the same parentheses, commas and branches of a case.
fn longest_chain(tokens: &[TokenWithSpan]) -> usize {
    let (mut open, mut longest) = (vec![0], 0);
    for token in tokens {
        let depth = open.len();
        let chain = &mut open[depth - 1];
        match &token.token {
            Token::LParen => open.push(0),
            Token::RParen if depth > 1 => _ = open.pop(),
            Token::Comma => *chain = 0,
            Token::Word(word) => match word.keyword {
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE => *chain = 0,
                Keyword::AND | Keyword::OR | Keyword::IS | Keyword::LIKE | Keyword::ILIKE | Keyword::NOT => *chain += 1,
                Keyword::IN | Keyword::BETWEEN | Keyword::CASE => *chain += 1,
                _ => {}
            },
            Token::RParen | Token::Whitespace(_) | Token::EOF | Token::Number(..) | Token::SingleQuotedString(_) => {}
            _ => *chain += 1,
        }
        longest = longest.max(open.last().copied().unwrap_or(0));
    }
    longest
}

/// `timestamp(us)`, as this crate prints that type, becomes `timestamp(6)`, as SQL has it.
fn timestamp_units(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for i in 3..tokens.len() {
        let word = |t: &TokenWithSpan| match &t.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
            _ => None,
        };
        let shape = word(&tokens[i - 3]).is_some_and(|w| w == "timestamp" || w == "datetime")
            && tokens[i - 2].token == Token::LParen
            && tokens[i].token == Token::RParen;
        let unit = word(&tokens[i - 1]).and_then(|name| {
            [Unit::Second, Unit::Milli, Unit::Micro, Unit::Nano].into_iter().find(|u| u.name() == name)
        });
        if let (true, Some(unit)) = (shape, unit) {
            tokens[i - 1].token = Token::Number(unit.digits().to_string(), false);
        }
    }
    tokens
}
