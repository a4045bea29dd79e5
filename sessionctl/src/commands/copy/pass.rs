//! One walk over the source, and what ended since the one before.

use std::fmt::Write as _;
use std::ops::AddAssign;

use serde_json::{Value as Json, json};
use session_kit::clock::{Clock as _, SystemClock};
use session_kit::engine::Listed;
use tokio::task::JoinSet;

use super::journal::Journal;
use super::progress::Progress;
use super::step::{Mode, Step, bring, deadline, end, is_done};
use crate::engine::Engine;
use crate::failure::Result;

/// How many records became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub copied: u64,
    pub updated: u64,
    pub touched: u64,
    pub unchanged: u64,
    pub ended: u64,
    pub changed: u64,
    pub missing: u64,
    pub too_large: u64,
}

impl Tally {
    fn count(&mut self, step: Step) {
        match step {
            Step::Copied => self.copied += 1,
            Step::Updated => self.updated += 1,
            Step::Touched => self.touched += 1,
            Step::Unchanged => self.unchanged += 1,
            Step::Ended => self.ended += 1,
            Step::Expired => {}
            Step::Changed => self.changed += 1,
            Step::Missing => self.missing += 1,
            Step::TooLarge => self.too_large += 1,
        }
    }

    /// Whether the target had what the source has, before the pass.
    pub const fn is_quiet(&self) -> bool {
        self.copied + self.updated + self.ended == 0
    }

    /// Sessions that the target does not have as the source does.
    pub const fn problems(&self) -> u64 {
        self.changed + self.missing + self.too_large
    }

    pub fn json(&self) -> Json {
        json!({
            "copied": self.copied,
            "updated": self.updated,
            "touched": self.touched,
            "unchanged": self.unchanged,
            "ended": self.ended,
            "changed_at_target": self.changed,
            "missing_at_target": self.missing,
            "too_large": self.too_large,
        })
    }

    pub fn text(&self) -> String {
        let Self { copied, updated, touched, unchanged, ended, changed, missing, too_large } = *self;
        let mut text = format!(
            "{copied} copied, {updated} updated, {touched} touched, {unchanged} unchanged, {ended} ended"
        );
        for (count, what) in [
            (changed, "changed at the target"),
            (missing, "missing at the target"),
            (too_large, "too large for the target"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.copied += other.copied;
        self.updated += other.updated;
        self.touched += other.touched;
        self.unchanged += other.unchanged;
        self.ended += other.ended;
        self.changed += other.changed;
        self.missing += other.missing;
        self.too_large += other.too_large;
    }
}

/// What is copied from where to where.
pub struct Copying {
    pub from: Engine,
    pub to: Engine,
    pub journal: Journal,
    pub jobs: usize,
    /// The number of the last pass.
    pub pass: u32,
}

impl Copying {
    /// Walks over the source once, then ends at the target what has ended at the source.
    pub async fn pass(&mut self, mode: Mode, progress: &mut Progress) -> Result<Tally> {
        self.pass += 1;
        let from = self.from.clone();
        let mut walk = from.walk()?;
        let mut tally = Tally::default();
        progress.begin(self.pass, mode.verify);
        while let Some(page) = walk.next_page().await? {
            let count = page.len();
            self.page(page, mode, &mut tally).await?;
            progress.add(count);
        }
        self.ended(&mut tally).await?;
        progress.end();
        Ok(tally)
    }

    async fn page(&mut self, page: Vec<Listed>, mode: Mode, tally: &mut Tally) -> Result<()> {
        let mut work = Vec::new();
        for listed in page {
            let known = self.journal.get(&listed.id);
            if is_done(&listed.record, known, mode) {
                self.journal.seen(&listed.id, self.pass);
                tally.count(Step::Unchanged);
                continue;
            }
            let version = listed.record.header.version();
            if known.is_none_or(|known| known.version != version) {
                self.journal.intend(&listed.id, version, deadline(&listed.record))?;
            }
            work.push((listed, known));
        }
        self.journal.flush()?;
        let mut work = work.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < self.jobs
                && let Some((listed, known)) = work.next()
            {
                let to = self.to.clone();
                running.spawn(async move {
                    let Listed { id, record, .. } = &listed;
                    let step = bring(&to, id, record, known, mode, SystemClock.now()).await;
                    (listed, known, step)
                });
            }
            let Some(done) = running.join_next().await else { break };
            let Ok((Listed { id, record, .. }, known, step)) = done else { continue };
            let step = step?;
            if matches!(step, Step::Copied | Step::Updated | Step::Touched | Step::Unchanged) {
                self.journal.stored(&id, record.header.version(), deadline(&record))?;
            } else {
                self.journal.restore(&id, known)?;
            }
            self.journal.seen(&id, self.pass);
            tally.count(step);
        }
        self.journal.flush()
    }

    async fn ended(&mut self, tally: &mut Tally) -> Result<()> {
        let mut work = self.journal.unseen(self.pass).into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < self.jobs
                && let Some((id, known)) = work.next()
            {
                let (from, to) = (self.from.clone(), self.to.clone());
                running.spawn(async move {
                    let step = end(&from, &to, &id, known).await;
                    (id, step)
                });
            }
            let Some(done) = running.join_next().await else { break };
            let Ok((id, step)) = done else { continue };
            let step = step?;
            if step != Step::Unchanged {
                self.journal.forget(&id)?;
            }
            tally.count(step);
        }
        self.journal.flush()
    }
}
