//! `show`: one session, its values masked unless they are asked for.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};
use session_kit::accounts::SessionInfo;
use session_kit::clock::{Clock as _, SystemClock};
use session_kit::engine::Listed;
use session_kit::record::State;

use crate::args::Which;
use crate::commands::list;
use crate::engine::Engine;
use crate::failure::Result;
use crate::find::{find, short};
use crate::report::{Paint, Report};
use crate::shown::{self, ago, ahead, bytes, plain};

pub async fn run(engine: &Engine, which: &Which, values: bool, paint: Paint) -> Result<Report> {
    let listed = find(engine, which).await?;
    let mut json = list::of(&listed);
    json["engine"] = engine.name().into();
    json["bytes"] = listed.record.body.bytes().into();
    json["moved_to"] = match &listed.record.header.state {
        State::Moved(id) => short(id).into(),
        _ => Json::Null,
    };
    json["values"] = entries(&listed, values).into();
    let text = text(&listed, &json, paint);
    Ok(Report::new(json, text))
}

fn entries(listed: &Listed, values: bool) -> Map<String, Json> {
    let entry = |(key, value): (&str, &session_kit::record::Value)| {
        let decoded = shown::value(value);
        let mut entry = json!({ "type": shown::kind(&decoded), "bytes": value.as_encoded().len() });
        if values {
            entry["value"] = decoded;
        }
        (key.to_owned(), entry)
    };
    listed.record.body.iter().map(entry).collect()
}

fn text(listed: &Listed, json: &Json, paint: Paint) -> String {
    let (info, now) = (SessionInfo::of(listed), SystemClock.now());
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{} {value}", paint.dim(format!("{name:18}")));
    };
    line("session", short(&listed.id));
    line("handle", info.handle.to_string());
    if let State::Moved(id) = &listed.record.header.state {
        line("moved to", short(id));
    }
    line("owner", list::owner(listed).unwrap_or_else(|| "-".to_owned()));
    line("created", ago(info.created, now));
    if let Some(seen) = info.last_seen {
        line("last seen", ago(seen, now));
    }
    if let Some(authenticated) = info.authenticated_at {
        line("authenticated", ago(authenticated, now));
    }
    line("idle deadline", ahead(info.idle_deadline, now));
    line("absolute deadline", ahead(info.absolute_deadline, now));
    if let Some(device) = &info.device {
        let texts = [device.get_label(), device.get_ip(), device.get_place(), device.get_user_agent()];
        line("device", texts.into_iter().flatten().map(plain).collect::<Vec<_>>().join(", "));
    }
    let size = bytes(listed.record.body.bytes() as u64);
    line("values", format!("{} keys, {size}", listed.record.body.len()));
    let masked = "*** (--values shows it)".to_owned();
    for (key, entry) in json["values"].as_object().into_iter().flatten() {
        let value = entry.get("value").map_or_else(|| masked.clone(), |value| plain(&value.to_string()));
        let kind = entry["type"].as_str().unwrap_or_default();
        let _ = writeln!(text, "  {}  {}  {value}", paint.bold(plain(key)), paint.dim(kind));
    }
    text
}
