//! The HTML of the page. The macro escapes all inserted values.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};
use session_kit::accounts::SessionInfo;
use session_kit::clock::{Clock, SystemClock, Timestamp};
use session_kit::id::StorageId;
use session_kit::{Manager, Session};

use super::ACTIONS;
use super::facts::facts;
use super::log::Click;
use crate::meter::{self, Call};
use crate::{devices, setup};

/// The data that the page shows.
pub struct View<'a> {
    pub manager: &'a Manager,
    pub session: &'a Session,
    pub values: Map<String, Value>,
    pub user: Option<String>,
    /// The sessions of the user, if the engine lists them.
    pub devices: Vec<SessionInfo>,
    pub visits: i64,
    pub nonce: &'a str,
    pub log: Vec<Click>,
}

fn layout(title: &str, style: Option<(&str, String)>, main: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="/icon.svg";
                link rel="stylesheet" href="/style.css";
                @if let Some((nonce, rules)) = style { style nonce=(nonce) { (PreEscaped(rules)) } }
            }
            body { (main) }
        }
    }
}

pub fn trouble(status: u16, what: &str) -> Markup {
    layout(
        "Something went wrong · session-demo",
        None,
        html! {
            main.trouble {
                p.code { (status) }
                h1 { (capitalised(what)) }
                @match status {
                    503 => p { "The session store did not answer. You are still signed in, but your last change may not have been saved. \
                         Please try again in a moment." },
                    409 => p { "Your session ended, or another request changed it at the same time. Nothing was saved." },
                    413 => p { "Nothing was saved; your session is as it was before." },
                    _ => {}
                }
                a.button href="/" { "Back to the demo" }
            }
        },
    )
}

pub fn page(view: &View<'_>) -> Markup {
    let now = SystemClock.now();
    let deadlines = Deadlines::of(view.session, now);
    let rules = deadlines.as_ref().map(Deadlines::rules).unwrap_or_default();
    let title = view
        .user
        .as_deref()
        .map_or_else(|| "session-demo".to_owned(), |user| format!("{user} · session-demo"));
    layout(
        &title,
        Some((view.nonce, rules)),
        html! {
            header {
                img src="/icon.svg" alt="" width="36" height="36";
                p { strong { "session-demo" } " See what your session holds, and what it costs." }
                span.engine { (view.manager.provider().engine()) }
            }
            main {
                (hello(view))
                (the_session(view, deadlines.as_ref()))
                @if !view.devices.is_empty() { (signed_in(view, now)) }
                (contents(view))
                (costs(view))
                (engine(view))
            }
            footer {
                p { (capitalised(&setup::about_secure(view.manager))) "." }
                p {
                    "Other sites cannot submit forms in your name: the cookie is " code { "SameSite" } ", and the server checks where \
                     each form comes from. The page uses no scripts, and its " code { "Content-Security-Policy" } " allows none."
                }
                p { "The same actions are available as JSON: " code { "GET /api/session" } ", " code { "PUT /api/session/{key}" } ", "
                    code { "POST /api/counter/{key}" } ", " code { "POST /api/login" } ", " code { "POST /api/logout" } ", "
                    code { "GET /api/sessions" } "." }
            }
        },
    )
}

fn hello(view: &View<'_>) -> Markup {
    html! {
        section.hello {
            @match &view.user {
                Some(user) => {
                    h1 { "Hello, " (shortened(user, 40)) "." }
                    p {
                        "You are signed in. "
                        @if view.manager.provider().capabilities().client_side {
                            "Your browser received a new cookie. The values in the session were kept."
                        } @else {
                            "The session got a new id, and the old id no longer works. The values in the session were kept."
                        }
                    }
                }
                None => {
                    h1 { "Hello, visitor." }
                    p { "Count a visit or sign in. Until then, nothing is stored and no cookie is set." }
                }
            }
            div.visits {
                p.number { (view.visits) }
                div {
                    p { @if view.visits == 1 { "visit" } @else { "visits" } " in this session" }
                    form method="post" action="/visit" { button.primary { "Count a visit" } }
                }
            }
            @if view.user.is_some() {
                div.row {
                    form method="post" action="/logout" { button { "Sign out" } }
                    form method="post" action="/renew" { button.quiet { "Renew the session id" } }
                }
            } @else {
                form.row method="post" action="/login" {
                    input name="user" placeholder="Any name" aria-label="Your name" required maxlength="80" autocomplete="username";
                    @if devices::are_listed(view.manager) {
                        input name="label" placeholder="Device (optional)" aria-label="Name of this device" maxlength="80" autocomplete="off";
                    }
                    button { "Sign in" }
                    @if !view.manager.provider().capabilities().client_side {
                        label { input type="checkbox" name="remember" value="yes"; " Remember me for 30 days" }
                    }
                }
            }
        }
    }
}

fn the_session(view: &View<'_>, deadlines: Option<&Deadlines>) -> Markup {
    html! {
        section {
            h2 { "Your session" }
            @match (view.session.token(), deadlines) {
                (Some(token), Some(deadlines)) => {
                    dl {
                        dt { "Id" }
                        dd { code.id { (format!("{:?}", StorageId::of(&token))) "…" }
                             small { "The first digits of its hash. The id itself is only in your cookie." } }
                        dt { "Started" }
                        dd { time { (clock(deadlines.created)) } }
                        dt { "Ends if unused in" }
                        dd { (countdown("idle", deadlines.idle)) small { "Using the session extends this time." } }
                        dt { "Ends at the latest in" }
                        dd { (countdown("absolute", deadlines.absolute)) small { "Using the session does not extend this time." } }
                    }
                }
                _ => p.empty { "You have no session yet. It starts when the first value is stored." },
            }
        }
    }
}

fn countdown(name: &str, end: Timestamp) -> Markup {
    html! {
        span.countdown id=(name) {}
        " " time { "at " (clock(end)) }
        span.bar aria-hidden="true" { span id={ (name) "-bar" } {} }
    }
}

fn signed_in(view: &View<'_>, now: Timestamp) -> Markup {
    html! {
        section.wide.devices {
            h2 { "Where you are signed in" }
            table {
                @for info in &view.devices {
                    tr.current[info.is_current(view.session)] {
                        th scope="row" {
                            (shortened(devices::label(info).unwrap_or("Unknown device"), 60))
                            @if info.is_current(view.session) { " " span.tag { "this one" } }
                        }
                        td { "Last seen " (ago(now.since(info.last_seen.unwrap_or(info.created)))) }
                        td {
                            form method="post" action="/end" {
                                input type="hidden" name="handle" value=(info.handle);
                                button.quiet { "Sign out" }
                            }
                        }
                    }
                }
            }
            @if view.devices.len() > 1 {
                form.row method="post" action="/end-others" { button { "Sign out all other devices" } }
            }
            @if let Some(limit) = view.manager.max_sessions_per_owner() {
                p.limit { "You can be signed in on " (limit) " devices at a time. Signing in on another one signs out the oldest." }
            }
        }
    }
}

fn ago(time: Duration) -> String {
    match time.as_secs() {
        0..60 => "just now".to_owned(),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3_600),
    }
}

fn contents(view: &View<'_>) -> Markup {
    html! {
        section.wide {
            h2 { "Values in the session" }
            @if view.values.is_empty() {
                p.empty { "Nothing yet." }
            } @else {
                table {
                    @for (key, value) in &view.values {
                        tr {
                            th scope="row" { (shortened(key, 60)) }
                            td { code { (shortened(&value.to_string(), 200)) } }
                            td {
                                form method="post" action="/delete" {
                                    input type="hidden" name="key" value=(key);
                                    button.quiet aria-label={ "Delete " (key) } { "Delete" }
                                }
                            }
                        }
                    }
                }
            }
            form.row method="post" action="/set" {
                input name="key" placeholder="Key" aria-label="Key" required;
                input.grow name="value" placeholder="Value: text, a number or JSON" aria-label="Value";
                button { "Save" }
            }
        }
    }
}

fn costs(view: &View<'_>) -> Markup {
    let (mine, log) = (meter::so_far(), &view.log);
    html! {
        section {
            h2 { "Calls to the engine" }
            p { "What your last clicks cost. A request that does not use its session makes no call." }
            ol.costs {
                li { span { "This page" } (calls(&mine)) }
                @for click in log {
                    li { span { (label(click.action)) } (calls(&click.calls)) }
                }
            }
        }
    }
}

fn calls(calls: &[Call]) -> Markup {
    html! {
        span.calls {
            @if calls.is_empty() { span.none { "none" } }
            @for call in calls { span class=(call.name) { (call.name) " " b { (duration(call.took)) } } }
        }
    }
}

fn engine(view: &View<'_>) -> Markup {
    let capabilities = view.manager.provider().capabilities();
    html! {
        section {
            h2 { "The engine “" (view.manager.provider().engine()) "”" }
            ul.facts { @for (good, fact) in facts(&capabilities) { li.not[!good] { (fact) } } }
        }
    }
}

/// When the session ends, as of `now`.
struct Deadlines {
    created: Timestamp,
    idle: Timestamp,
    absolute: Timestamp,
    now: Timestamp,
}

impl Deadlines {
    fn of(session: &Session, now: Timestamp) -> Option<Self> {
        let (created, idle) = (session.created()?, session.idle_deadline()?);
        Some(Self { created, idle, absolute: session.absolute_deadline()?, now })
    }

    /// The style rules of the countdowns, without a script.
    fn rules(&self) -> String {
        let rule = |name: &str, end: Timestamp, from: Timestamp| {
            let left = end.since(self.now).as_secs();
            let share = end.since(self.now).as_secs_f64() / end.since(from).as_secs_f64().max(0.001);
            format!(
                "#{name}{{--t:{left};animation-duration:{left}s}}\
                 #{name}-bar{{transform:scaleX({share:.4});animation-duration:{left}s}}"
            )
        };
        rule("idle", self.idle, self.now) + &rule("absolute", self.absolute, self.created)
    }
}

fn label(action: &str) -> &'static str {
    ACTIONS.into_iter().find(|(name, _)| *name == action).map_or("", |(_, label)| label)
}

/// The time of day; the server does not know the browser's zone.
fn clock(time: Timestamp) -> String {
    let seconds = time.as_millis() / 1000 % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn duration(took: Duration) -> String {
    match took.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
    }
}

fn shortened(text: &str, characters: usize) -> String {
    let mut short: String = text.chars().take(characters).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
