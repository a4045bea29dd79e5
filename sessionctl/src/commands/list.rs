//! `list`: the sessions of a user, or all.

use serde_json::{Value as Json, json};
use session_kit::accounts::SessionInfo;
use session_kit::clock::{Clock as _, SystemClock, Timestamp};
use session_kit::engine::Listed;

use crate::engine::Engine;
use crate::failure::Result;
use crate::find::short;
use crate::report::{Paint, Report, table};
use crate::shown::{ago, ahead, plain};

const HEAD: [&str; 7] = ["session", "handle", "owner", "created", "last seen", "ends", "device"];

pub async fn run(engine: &Engine, owner: Option<&str>, limit: u64, paint: Paint) -> Result<Report> {
    let mut walk = engine.sessions_of(owner)?;
    let now = SystemClock.now();
    let (mut rows, mut sessions, mut more) = (Vec::new(), Vec::new(), false);
    while let Some(page) = walk.next_page().await? {
        for listed in page.iter().filter(|listed| listed.record.is_live()) {
            more = rows.len() as u64 >= limit;
            if !more {
                rows.push(row(listed, now));
                sessions.push(of(listed));
            }
        }
        if more {
            break;
        }
    }
    let mut text = match rows.len() {
        0 => "no sessions".to_owned(),
        _ => table(&HEAD, &rows, paint),
    };
    if more {
        text.push_str(&paint.dim(format!("\nand more: --limit {}", limit.saturating_mul(10))));
    }
    Ok(Report::new(json!({ "engine": engine.name(), "sessions": sessions, "more": more }), text))
}

/// What is known of a session beside its values; times in Unix milliseconds.
pub fn of(listed: &Listed) -> Json {
    let info = SessionInfo::of(listed);
    let device = info.device.as_ref().map(|device| {
        json!({
            "label": device.get_label(),
            "user_agent": device.get_user_agent(),
            "ip": device.get_ip(),
            "place": device.get_place(),
        })
    });
    json!({
        "session": short(&listed.id),
        "handle": info.handle.to_string(),
        "owner": owner(listed),
        "created": info.created.as_millis(),
        "last_seen": info.last_seen.map(Timestamp::as_millis),
        "authenticated": info.authenticated_at.map(Timestamp::as_millis),
        "idle_deadline": info.idle_deadline.as_millis(),
        "absolute_deadline": info.absolute_deadline.as_millis(),
        "device": device,
    })
}

/// The first digits of the owner's hash.
pub fn owner(listed: &Listed) -> Option<String> {
    let [a, b, c, d, ..] = listed.record.header.owner?.0;
    Some(format!("{a:02x}{b:02x}{c:02x}{d:02x}"))
}

fn row(listed: &Listed, now: Timestamp) -> Vec<String> {
    let info = SessionInfo::of(listed);
    let nothing = || "-".to_owned();
    vec![
        short(&listed.id),
        info.handle.to_string(),
        owner(listed).unwrap_or_else(nothing),
        ago(info.created, now),
        info.last_seen.map_or_else(nothing, |seen| ago(seen, now)),
        ahead(info.idle_deadline, now),
        info.device.and_then(|device| device.get_label().map(plain)).unwrap_or_else(nothing),
    ]
}
