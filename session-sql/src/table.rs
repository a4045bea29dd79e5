//! The name of a table: the only configuration that becomes part of a statement.

use std::fmt;
use std::str::FromStr;

use session_core::{Error, Result};

/// A checked name, `table` or `schema.table`: letters, digits and underscores, not beginning with a
/// digit, at most 63 of them each. Upper and lower case are preserved.
#[derive(Clone, PartialEq, Eq)]
pub struct TableName {
    schema: Option<String>,
    table: String,
}

const LONGEST: usize = 63;

impl TableName {
    /// The schema (MySQL: the database), if given.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The table without its schema.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The name as used in a statement, each part quoted with `quote`.
    pub fn quoted(&self, quote: char) -> String {
        let table = format!("{quote}{}{quote}", self.table);
        match &self.schema {
            Some(schema) => format!("{quote}{schema}{quote}.{table}"),
            None => table,
        }
    }
}

/// `session`, as in Beego.
impl Default for TableName {
    fn default() -> Self {
        Self { schema: None, table: "session".to_owned() }
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, name),
        };
        if !schema.is_none_or(is_identifier) || !is_identifier(table) {
            return Err(Error::config(
                "`table` must be a name or schema.name of A-Z a-z 0-9 _, not beginning with a digit, \
                 at most 63 characters each",
            ));
        }
        Ok(Self { schema: schema.map(str::to_owned), table: table.to_owned() })
    }
}

fn is_identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(word)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.table)
    }
}

impl fmt::Debug for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_is_an_identifier_and_never_a_statement() {
        let name: TableName = "web.Sessions_2".parse().unwrap();
        assert_eq!(
            (name.quoted('"'), name.to_string()),
            ("\"web\".\"Sessions_2\"".into(), "web.Sessions_2".into())
        );
        assert_eq!(TableName::default().quoted('`'), "`session`");
        let long = "x".repeat(64);
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "1a",
            "a b",
            "a;drop table a",
            "a\"",
            "a`",
            "a'--",
            "ä",
            "a-b",
            &long,
        ] {
            assert!(bad.parse::<TableName>().is_err(), "{bad:?}");
        }
    }
}
