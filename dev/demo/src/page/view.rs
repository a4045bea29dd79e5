//! What the page looks like. The macro escapes everything that is put into it.

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

/// Everything that the page shows.
pub struct View<'a> {
    pub manager: &'a Manager,
    pub session: &'a Session,
    pub values: Map<String, Value>,
    pub user: Option<String>,
    /// The sessions of the user, where the engine lists them.
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
        "session-demo: trouble",
        None,
        html! {
            main.trouble {
                p.code { (status) }
                h1 { (capitalised(what)) }
                @match status {
                    503 => p { "Nothing was changed as far as is known, and nobody was logged out. Try again in a moment." },
                    409 => p { "The session ended, or others were faster. Nothing was changed." },
                    413 => p { "What was stored before is still there." },
                    _ => {}
                }
                a.button href="/" { "Back to the page" }
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
                p { strong { "session-demo" } " one session, to look at and to play with" }
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
                p { "About that cookie: " (setup::about_secure(view.manager)) "." }
                p {
                    "Forms of other sites cannot act for you here: the cookie is " code { "SameSite" } ", and what browsers say of a form's \
                     origin is checked. This page runs no script at all; a " code { "Content-Security-Policy" } " says so."
                }
                p { "The same as JSON: " code { "GET /api/session" } ", " code { "PUT /api/session/{key}" } ", "
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
                        "You are logged in. "
                        @if view.manager.provider().capabilities().client_side {
                            "Your browser got the session anew; what it held, it kept."
                        } @else {
                            "That gave the session a new id and killed the old one; what it held, it kept."
                        }
                    }
                }
                None => {
                    h1 { "Hello, visitor." }
                    p { "Count a visit, or say who you are. Before the first click nothing is stored about you, and no cookie is set." }
                }
            }
            div.visits {
                p.number { (view.visits) }
                div {
                    p { @if view.visits == 1 { "visit" } @else { "visits" } " counted in this session" }
                    form method="post" action="/visit" { button.primary { "Count a visit" } }
                }
            }
            @if view.user.is_some() {
                div.row {
                    form method="post" action="/logout" { button { "Log out" } }
                    form method="post" action="/renew" { button.quiet { "Take a new id" } }
                }
            } @else {
                form.row method="post" action="/login" {
                    input name="user" placeholder="your name, any name" aria-label="Your name" required maxlength="80" autocomplete="username";
                    button { "Log in" }
                    @if !view.manager.provider().capabilities().client_side {
                        label { input type="checkbox" name="remember" value="yes"; " remember me for 30 days" }
                    }
                }
            }
        }
    }
}

fn the_session(view: &View<'_>, deadlines: Option<&Deadlines>) -> Markup {
    html! {
        section {
            h2 { "The session" }
            @match (view.session.token(), deadlines) {
                (Some(token), Some(deadlines)) => {
                    dl {
                        dt { "Id" }
                        dd { code.id { (format!("{:?}", StorageId::of(&token))) "…" }
                             small { "the first digits of its hash; the id itself is in your cookie and nowhere on this page" } }
                        dt { "Began" }
                        dd { time { (clock(deadlines.created)) } }
                        dt { "Ends, unused, in" }
                        dd { (countdown("idle", deadlines.idle)) small { "using the session moves this" } }
                        dt { "Ends, whatever you do, in" }
                        dd { (countdown("absolute", deadlines.absolute)) small { "activity does not move this" } }
                    }
                }
                _ => p.empty { "There is none. It begins with the first value that is stored." },
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
        section.wide {
            h2 { "Where you are signed in" }
            table {
                @for info in &view.devices {
                    tr {
                        th scope="row" {
                            (shortened(devices::label(info).unwrap_or("An unknown device"), 60))
                            @if info.is_current(view.session) { " " strong { "this one" } }
                        }
                        td { "last seen " (ago(now.since(info.last_seen.unwrap_or(info.created)))) }
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
                form.row method="post" action="/end-others" { button { "Sign out all others" } }
            }
        }
    }
}

fn ago(time: Duration) -> String {
    match time.as_secs() {
        0..60 => "a moment ago".to_owned(),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3_600),
    }
}

fn contents(view: &View<'_>) -> Markup {
    html! {
        section.wide {
            h2 { "What it holds" }
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
                input name="key" placeholder="key" aria-label="Key" required;
                input.grow name="value" placeholder="value: text, a number, JSON" aria-label="Value";
                button { "Set" }
            }
        }
    }
}

fn costs(view: &View<'_>) -> Markup {
    let (mine, log) = (meter::so_far(), &view.log);
    html! {
        section {
            h2 { "What it cost" }
            p { "Calls of the engine. A request that does not ask for its session makes none." }
            ol.costs {
                li { span { "showed this page" } (calls(&mine)) }
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
            @if calls.is_empty() { span.none { "no call" } }
            @for call in calls { span class=(call.name) { (call.name) " " b { (duration(call.took)) } } }
        }
    }
}

fn engine(view: &View<'_>) -> Markup {
    let capabilities = view.manager.provider().capabilities();
    html! {
        section {
            h2 { "The engine: " (view.manager.provider().engine()) }
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

    /// The style rules that make the clocks tick, without a script.
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
