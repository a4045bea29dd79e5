//! The cost and the use of the index of owners, on the engines that have one.

mod ends;
mod engines;
mod visits;

use std::io;

use crate::measure::{Effort, measure};
use crate::report::{Section, Table, Verdict};
use crate::thread::Thread;

use engines::Engine;
use visits::Visit;

/// The goal for the cost of an owner.
const WITH_OWNER: f64 = 1.15;
/// The goal for the cost of the index for sessions without an owner.
const WITHOUT_OWNER: f64 = 1.05;

/// Sign-ins and logouts with an owner and without, and then the sessions of an owner.
pub fn rows(effort: Effort) -> io::Result<Vec<Section>> {
    let mut table = Table::new([
        "engine",
        "work",
        "without an owner, µs",
        "with an owner, µs",
        "ratio",
        "no index, no owner, µs",
        "ratio of the first to it",
    ]);
    let mut ends = ends::table();
    let mut verdicts = Vec::new();
    for name in engines::NAMES {
        let thread = Thread::new();
        let engine = Engine::start(name, &thread)?;
        for visit in Visit::ALL {
            eprintln!("measuring owners: {name} {}", visit.name());
            let mut subjects = vec![
                visits::subject(&thread, engine.manager()?, visit, false),
                visits::subject(&thread, engine.manager()?, visit, true),
            ];
            if let Some(manager) = engine.without_index()? {
                subjects.push(visits::subject(&thread, manager, visit, false));
            }
            let figures = measure(subjects, effort);
            let at = |at: usize| figures.get(at).map(|figure| figure.minimum);
            let (without, with, bare) = (figures[0].minimum, figures[1].minimum, at(2));
            let or_nothing = |figure: Option<f64>| figure.map_or_else(String::new, |it| format!("{it:.2}"));
            table.line([
                name.to_owned(),
                visit.name().to_owned(),
                format!("{without:.2}"),
                format!("{with:.2}"),
                format!("{:.2}", with / without),
                or_nothing(bare),
                or_nothing(bare.map(|bare| without / bare)),
            ]);
            let what = |what: &str| format!("{name} {}, {what}", visit.name());
            verdicts.push(verdict(what("with an owner"), with / without, WITH_OWNER));
            let index = bare.map(|bare| verdict(what("without an owner"), without / bare, WITHOUT_OWNER));
            verdicts.extend(index);
        }
        ends::measure(&engine, &thread, effort, &mut ends)?;
    }
    let note = "A login gives a visitor's session a new id, and an owner or none; a logout loads a \
                session and ends it. Sessions without an owner are also stored in a table whose index \
                of owners was dropped, which shows what the index costs them in SQL. The other \
                engines keep no entry for such a session and send nothing for it. Each owner has \
                three sessions. No web framework.";
    let costs = Section::new("owners", "The index of owners: what it costs", table);
    Ok(vec![costs.note(note.into()).verdicts(verdicts), ends::section(ends)])
}

fn verdict(what: String, ratio: f64, allowed: f64) -> Verdict {
    let (measured, goal) = (format!("{ratio:.2} x"), format!("<= {allowed:.2} x"));
    Verdict { what, measured, goal, met: ratio <= allowed }
}
