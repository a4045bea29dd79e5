//! A statement with its arguments, prepared or as text.
//!
//! Prepared statements have names, which the driver numbers per connection. Behind a pooler that
//! uses another connection for each transaction, the same name may be another client's statement.
//! There every statement is sent as text with its arguments, which is correct whatever the pooler
//! does.

use std::fmt::Write;
use std::sync::Arc;

use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgArguments, PgStatement, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Execute, SqlSafeStr, SqlStr};

/// A statement whose arguments are `$1`, `$2`, ….
#[derive(Debug)]
pub(crate) struct Statement(pub(crate) Arc<str>);

/// An argument.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg<'a> {
    Text(&'a str),
    Texts(&'a [String]),
    Bytes(&'a [u8]),
    NoBytes,
    Number(i64),
    Flag(bool),
    Time(PgInterval),
}

/// A statement ready to be sent.
pub(crate) enum Request {
    Prepared(Query<'static, Postgres, PgArguments>),
    Text(String),
}

impl Statement {
    /// Combines the statement with these arguments. Only a validated table name was inserted into
    /// its text.
    pub(crate) fn with(&self, arguments: &[Arg<'_>], as_text: bool) -> Request {
        if as_text {
            return Request::Text(self.text(arguments));
        }
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&self.0)));
        for argument in arguments {
            query = match *argument {
                Arg::Text(text) => query.bind(text),
                Arg::Texts(texts) => query.bind(texts),
                Arg::Bytes(bytes) => query.bind(bytes),
                Arg::NoBytes => query.bind(None::<&[u8]>),
                Arg::Number(number) => query.bind(number),
                Arg::Flag(flag) => query.bind(flag),
                Arg::Time(time) => query.bind(time),
            };
        }
        Request::Prepared(query)
    }

    /// Inserts the arguments into the statement.
    pub(crate) fn text(&self, arguments: &[Arg<'_>]) -> String {
        let mut text = String::with_capacity(self.0.len() + 64 * arguments.len());
        let mut parts = self.0.split('$');
        text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
            let (number, rest) = part.split_at(digits);
            let argument =
                number.parse().ok().and_then(|number: usize| arguments.get(number.checked_sub(1)?));
            if let Some(argument) = argument {
                argument.write(&mut text);
            }
            text.push_str(rest);
        }
        text
    }
}

impl Arg<'_> {
    /// Writes a literal that the server reads in the same way whatever its settings are.
    fn write(&self, text: &mut String) {
        // Writing to a string does not fail.
        let _ = match *self {
            Arg::Text(value) => return quote(value, text),
            Arg::Texts(values) => {
                text.push_str("ARRAY[");
                for (index, value) in values.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { "," });
                    quote(value, text);
                }
                text.push_str("]::text[]");
                Ok(())
            }
            Arg::Bytes(bytes) => {
                text.reserve(2 * bytes.len() + 16);
                text.push_str("decode('");
                for byte in bytes {
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
                    }
                }
                text.push_str("','hex')");
                Ok(())
            }
            Arg::NoBytes => write!(text, "NULL::bytea"),
            Arg::Number(number) => write!(text, "({number})::bigint"),
            Arg::Flag(flag) => write!(text, "{flag}"),
            Arg::Time(time) => write!(text, "interval '{} microseconds'", time.microseconds),
        };
    }
}

/// Quotes in the form in which backslashes are always escapes.
fn quote(value: &str, text: &mut String) {
    text.push_str("E'");
    for letter in value.chars().filter(|letter| *letter != '\0') {
        if matches!(letter, '\'' | '\\') {
            text.push(letter);
        }
        text.push(letter);
    }
    text.push('\'');
}

impl Execute<'static, Postgres> for Request {
    fn sql(self) -> SqlStr {
        match self {
            Self::Prepared(query) => query.sql(),
            Self::Text(text) => AssertSqlSafe(text).into_sql_str(),
        }
    }

    fn statement(&self) -> Option<&PgStatement> {
        match self {
            Self::Prepared(query) => query.statement(),
            Self::Text(_) => None,
        }
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        match self {
            Self::Prepared(query) => query.take_arguments(),
            Self::Text(_) => Ok(None),
        }
    }

    fn persistent(&self) -> bool {
        matches!(self, Self::Prepared(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_literals_that_cannot_end_early() {
        let statement = Statement("a = $1::bpchar AND b = $10 OR c = $2, $3, $4, $5, $6, $7, $8, $9".into());
        let time = PgInterval { months: 0, days: 0, microseconds: 1_500_000 };
        let nasty = [r"x'; DROP TABLE session; --\".to_owned(), "$1".to_owned()];
        let arguments = [
            Arg::Text(r"it's \' $2"),
            Arg::Number(i64::MIN),
            Arg::Bytes(b"\x00\xffa"),
            Arg::NoBytes,
            Arg::Flag(true),
            Arg::Time(time),
            Arg::Texts(&nasty),
            Arg::Texts(&[]),
            Arg::Bytes(b""),
            Arg::Text("tenth"),
        ];
        assert_eq!(
            statement.text(&arguments),
            r"a = E'it''s \\'' $2'::bpchar AND b = E'tenth' OR c = (-9223372036854775808)::bigint, decode('00ff61','hex'), NULL::bytea, true, interval '1500000 microseconds', ARRAY[E'x''; DROP TABLE session; --\\',E'$1']::text[], ARRAY[]::text[], decode('','hex')"
        );
    }
}
