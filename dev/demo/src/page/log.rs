//! What the last clicks cost: a small list that the browser keeps in a cookie of its own, so that the page after a redirect
//! can show it and nothing has to be stored here.

use std::time::Duration;

use super::ACTIONS;
use crate::asked::Asked;
use crate::meter::Call;

const NAME: &str = "demo-log";
const LENGTH: usize = 6;
const CALLS: [&str; 6] = ["read", "create", "write", "touch", "rename", "destroy"];

/// One click.
#[derive(Clone)]
pub struct Click {
    /// One of the [`ACTIONS`].
    pub action: &'static str,
    pub calls: Vec<Call>,
}

impl Click {
    fn to_text(&self) -> String {
        let calls = self.calls.iter().map(|call| format!(".{}-{}", call.name, call.took.as_micros()));
        std::iter::once(self.action.to_owned()).chain(calls).collect()
    }

    /// Takes nothing from the client but known words and numbers.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let action = parts.next()?;
        let (action, _) = ACTIONS.into_iter().find(|(known, _)| *known == action)?;
        let call = |part: &str| {
            let (name, micros) = part.split_once('-')?;
            let name = CALLS.into_iter().find(|known| *known == name)?;
            Some(Call { name, took: Duration::from_micros(micros.parse::<u32>().ok()?.into()) })
        };
        Some(Self { action, calls: parts.take(2 * CALLS.len()).map(call).collect::<Option<_>>()? })
    }
}

/// The list that a request brings, newest first.
pub fn log_of(asked: &Asked) -> Vec<Click> {
    let cookies = asked.cookies.iter().flat_map(|cookies| cookies.split("; "));
    let mut values = cookies.filter_map(|pair| pair.strip_prefix(NAME)?.strip_prefix('='));
    values
        .next()
        .map(|list| list.split('~').filter_map(Click::parse).take(LENGTH).collect())
        .unwrap_or_default()
}

/// The cookie with an action that was done in front of the list.
pub fn remembered(action: &'static str, calls: &[Call], mut log: Vec<Click>) -> String {
    log.insert(0, Click { action, calls: calls.to_vec() });
    log.truncate(LENGTH);
    let list: Vec<_> = log.iter().map(Click::to_text).collect();
    format!("{NAME}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600", list.join("~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_survives_the_browser_and_what_is_no_list_is_dropped() {
        let call = |name| Call { name, took: Duration::from_micros(12) };
        let cookie = remembered("visit", &[call("read"), call("write")], Vec::new());
        let (cookie, _) = cookie.split_once(';').unwrap();
        assert_eq!(cookie, "demo-log=visit.read-12.write-12");

        let log = |cookie: &str| {
            let header = |name: &str| if name == "cookie" { vec![cookie.to_owned()] } else { Vec::new() };
            log_of(&Asked::new("GET", "/", None, header)).iter().map(Click::to_text).collect::<Vec<_>>()
        };
        assert_eq!(log(&format!("a=b; {cookie}~logout")), ["visit.read-12.write-12", "logout"]);
        assert_eq!(log("demo-log=<b>.read-1~visit.<i>-2~visit.read-x~login.read-1"), ["login.read-1"]);
        assert_eq!(log("demo-log="), Vec::<String>::new());
    }
}
