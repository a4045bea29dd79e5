//! Which session an operator means.

use std::io::BufRead;

use session_kit::accounts::{Handle, SessionInfo};
use session_kit::engine::Listed;
use session_kit::id::{StorageId, Token};

use crate::args::Which;
use crate::engine::Engine;
use crate::failure::{Code, Failure, Result};

/// How a session is named.
pub enum Name {
    Handle(Handle),
    /// The first digits of the short hash.
    Digits(String),
    /// From a token, which only its client and the operator's standard input have.
    Id(StorageId),
}

/// How many digits a short hash has.
const DIGITS: usize = 8;
/// Fewer would often name several sessions.
const FEWEST: usize = 4;

impl Name {
    pub fn of(text: &str, plain: bool) -> Result<Self> {
        if text == "-" {
            return Self::from_token(std::io::stdin().lock(), plain);
        }
        let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if (FEWEST..=DIGITS).contains(&text.len()) && text.bytes().all(is_digit) {
            return Ok(Self::Digits(text.to_owned()));
        }
        // What was given may be a token: it is not repeated.
        text.parse().map(Self::Handle).map_err(|_| {
            Failure::new(
                Code::Usage,
                "an ID is a handle (22 characters), 4 to 8 digits of a short hash, or `-` for a token from the \
                 standard input: a token on the command line can be seen by other users",
            )
        })
    }

    fn from_token(mut input: impl BufRead, plain: bool) -> Result<Self> {
        let mut line = String::new();
        let read = input.read_line(&mut line);
        let token = read.ok().and_then(|_| Token::new(line.trim()));
        let token = token.ok_or_else(|| {
            Failure::new(Code::Usage, "the standard input holds no token: write one on its first line")
        })?;
        if plain {
            return Ok(Self::Id(StorageId::plain(token.expose())?));
        }
        Ok(Self::Id(StorageId::of(&token)))
    }

    fn means(&self, listed: &Listed) -> bool {
        match self {
            Self::Handle(handle) => SessionInfo::of(listed).handle == *handle,
            Self::Digits(digits) => short(&listed.id).starts_with(digits),
            Self::Id(id) => listed.id == *id,
        }
    }
}

/// A session's short hash: enough to tell it from others, too little to use it.
pub fn short(id: &StorageId) -> String {
    format!("{id:?}")
}

/// The session, by a walk over those of the owner or over all: it moves no deadline, as a read might.
pub async fn find(engine: &Engine, which: &Which) -> Result<Listed> {
    let name = Name::of(&which.id, which.plain)?;
    named(engine, &name, which.owner.as_deref()).await
}

pub async fn named(engine: &Engine, name: &Name, owner: Option<&str>) -> Result<Listed> {
    let mut walk = engine.sessions_of(owner)?;
    let mut found: Vec<Listed> = Vec::new();
    while let Some(page) = walk.next_page().await? {
        found.extend(page.into_iter().filter(|listed| name.means(listed)));
        if !found.is_empty() && !matches!(name, Name::Digits(_)) {
            break;
        }
    }
    match found.len() {
        1 => found.pop().ok_or_else(nothing),
        0 => Err(nothing()),
        several => Err(Failure::new(
            Code::NotFound,
            format!("{several} sessions begin with these digits: give more of them, or the handle"),
        )),
    }
}

pub fn nothing() -> Failure {
    Failure::new(Code::NotFound, "there is no such session")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_from_the_standard_input_only() {
        let refused = Name::of("R4nd0mR4nd0mR4nd0mR4nd0mR4nd0mR4nd0mR4nd0m43", false).map(drop).unwrap_err();
        assert_eq!(refused.code, Code::Usage);
        assert!(!refused.to_string().contains("R4nd0m"), "{refused}");

        let Ok(Name::Id(id)) = Name::from_token(&b"abc\n"[..], false) else { panic!("it is a token") };
        assert_eq!(short(&id), "ba7816bf");
        let Ok(Name::Id(id)) = Name::from_token(&b"abc"[..], true) else { panic!("it is a token") };
        assert_eq!(id.as_plain(), Some("abc"));
        assert!(Name::from_token(&b"\n"[..], false).is_err());
    }

    #[test]
    fn digits_and_handles_are_told_apart_by_their_length() {
        assert!(matches!(Name::of("ba78", false), Ok(Name::Digits(_))));
        assert!(matches!(Name::of("AAAAAAAAAAAAAAAAAAAAAA", false), Ok(Name::Handle(_))));
        for bad in ["", "ba7", "ba7816bf8", "BA78", "xyzw"] {
            assert!(Name::of(bad, false).is_err(), "{bad}");
        }
    }
}
