//! An engine by its name and config string, with a deadline for each call.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use session_kit::accounts::Owner;
use session_kit::engine::{Cursor, Listed, Scan};
use session_kit::{Capabilities, ConnectOptions, Error, ErrorKind, Provider, Secret, connect, engines};

use crate::failure::{Code, Failure, Result};

/// How long work over everything that is stored may take in one call of the engine.
const WORK: Duration = Duration::from_mins(10);

/// How many records are asked for at once.
const PAGE: usize = 500;

/// An engine's name and config string.
pub struct Spec {
    pub name: String,
    pub config: Secret,
}

impl Spec {
    /// Reads `NAME=CONFIG`, `NAME`, a URL, or `@FILE` with one of them. An error repeats nothing of it but a name
    /// of a file: it may hold a password.
    pub fn parse(text: &Secret) -> Result<Self> {
        let Some(path) = text.expose().strip_prefix('@') else { return Self::of(text.expose()) };
        let content = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Code::Usage, format!("cannot read {path}: {error}")))?;
        Self::of(content.lines().next().unwrap_or_default().trim())
    }

    fn of(text: &str) -> Result<Self> {
        let known = engines();
        let (name, config) = text.split_once('=').unwrap_or((text, ""));
        if known.iter().any(|known| known == name) {
            return Ok(Self { name: name.to_owned(), config: Secret::new(config) });
        }
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        match engine_of(scheme) {
            Some(name) => Ok(Self { name: name.to_owned(), config: Secret::new(text) }),
            None => Err(Failure::new(
                Code::Usage,
                format!(
                    "an engine is NAME=CONFIG, NAME, a URL, or @FILE with one of them; the names are {}",
                    known.join(", ")
                ),
            )),
        }
    }

    /// The same, but SQLite does not create the file: a mistyped path would look like an empty store.
    pub fn of_what_exists(self) -> Self {
        let config = self.config.expose();
        let is_url = config.starts_with("sqlite:");
        // What the engine does not take as a path it has to refuse itself.
        let is_wrong = !is_url && (config.is_empty() || config.contains("://") || config.contains('?'));
        if self.name != "sqlite" || config.contains(":memory:") || is_wrong {
            return self;
        }
        let mut config = if is_url {
            config.to_owned()
        } else {
            format!("sqlite:{}", config.replace('%', "%25").replace('#', "%23"))
        };
        for option in ["mode=rw", "migrate=false"] {
            if !config.contains(option.split_inclusive('=').next().unwrap_or_default()) {
                config.push(if config.contains('?') { '&' } else { '?' });
                config.push_str(option);
            }
        }
        Self { name: self.name, config: Secret::new(config) }
    }
}

/// The engine that takes URLs of a scheme.
fn engine_of(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "memory" => "memory",
        "file" => "file",
        "sqlite" => "sqlite",
        "mysql" | "mariadb" => "mysql",
        "postgres" | "postgresql" => "postgres",
        "redis" | "rediss" | "valkey" | "valkeys" => "redis",
        "redis+cluster" | "rediss+cluster" => "redis_cluster",
        "redis+sentinel" | "rediss+sentinel" => "redis_sentinel",
        "memcache" | "memcached" => "memcache",
        "couchbase" | "couchbases" => "couchbase",
        _ => return None,
    })
}

/// A connected engine.
#[derive(Clone)]
pub struct Engine {
    pub provider: Arc<dyn Provider>,
    timeout: Duration,
}

impl Engine {
    /// Connects an engine whose store is there already.
    pub async fn existing(spec: &Secret, timeout: Duration) -> Result<Self> {
        Self::connect(Spec::parse(spec)?.of_what_exists(), timeout).await
    }

    /// Connects an engine, which may create its store.
    pub async fn connect(spec: Spec, timeout: Duration) -> Result<Self> {
        let connecting = connect(&spec.name, ConnectOptions::new(spec.config.expose()));
        match tokio::time::timeout(timeout, connecting).await {
            Ok(connected) => Ok(Self { provider: connected?, timeout }),
            Err(_) => Err(late("connect", timeout)),
        }
    }

    #[cfg(test)]
    pub fn of(provider: impl Provider) -> Self {
        Self { provider: Arc::new(provider), timeout: WORK }
    }

    pub fn name(&self) -> &'static str {
        self.provider.engine()
    }

    pub fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    /// One call, with the deadline of a call.
    pub async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = session_kit::Result<T>>,
    ) -> session_kit::Result<T> {
        within(self.timeout, operation, call).await
    }

    /// One call that works over everything.
    pub async fn work<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = session_kit::Result<T>>,
    ) -> session_kit::Result<T> {
        within(WORK, operation, call).await
    }

    /// Every record, page by page, each once.
    pub fn walk(&self) -> Result<Walk<'_>> {
        let scan = self.provider.as_scan().ok_or_else(|| {
            Failure::unsupported(self.name(), "cannot walk over what it stores, which this command needs")
        })?;
        Ok(Walk { engine: self, from: Source::All(scan), after: None, over: false, seen: HashSet::new() })
    }

    /// The sessions of an owner: from the index where there is one, else by a walk over everything.
    pub fn sessions_of(&self, user: Option<&str>) -> Result<Walk<'_>> {
        let mut walk = match (user, self.provider.as_indexed()) {
            (Some(user), Some(_)) if self.lists_owners() => Walk {
                engine: self,
                from: Source::Owner(Owner::of(user)),
                after: None,
                over: false,
                seen: HashSet::new(),
            },
            _ => self.walk()?,
        };
        if let (Some(user), Source::All(scan)) = (user, &walk.from) {
            walk.from = Source::Filtered(*scan, Owner::of(user));
        }
        Ok(walk)
    }

    fn lists_owners(&self) -> bool {
        use session_kit::engine::OwnerIndex::{BestEffort, Exact};
        matches!(self.capabilities().owner_index, Exact | BestEffort)
    }
}

async fn within<T>(
    limit: Duration,
    operation: &'static str,
    call: impl Future<Output = session_kit::Result<T>>,
) -> session_kit::Result<T> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Unavailable, format!("no answer within {limit:?}")).during(operation))
    })
}

fn late(operation: &'static str, limit: Duration) -> Failure {
    Error::new(ErrorKind::Unavailable, format!("no answer within {limit:?}")).during(operation).into()
}

/// A list of records, page by page.
pub struct Walk<'a> {
    engine: &'a Engine,
    from: Source<'a>,
    after: Option<Cursor>,
    over: bool,
    /// An engine may show a record twice.
    seen: HashSet<session_kit::id::StorageId>,
}

enum Source<'a> {
    All(&'a dyn Scan),
    Filtered(&'a dyn Scan, Owner),
    Owner(Owner),
}

impl Walk<'_> {
    /// The next records, at least one; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Listed>>> {
        while !self.over {
            let after = self.after.as_ref();
            let mut page = match &self.from {
                Source::All(scan) => self.engine.work("scan", scan.scan(after, PAGE)).await?,
                Source::Filtered(scan, owner) => {
                    let mut page = self.engine.work("scan", scan.scan(after, PAGE)).await?;
                    page.sessions.retain(|listed| listed.record.header.owner == Some(*owner));
                    page
                }
                Source::Owner(owner) => match self.engine.provider.as_indexed() {
                    Some(indexed) => self.engine.work("list", indexed.list(owner, after, PAGE)).await?,
                    None => return Ok(None),
                },
            };
            self.over = page.next.is_none();
            self.after = page.next;
            page.sessions.retain(|listed| self.seen.insert(listed.id.clone()));
            if !page.sessions.is_empty() {
                return Ok(Some(page.sessions));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_a_name_and_a_config_string_or_a_url() {
        let of = |text| Spec::of(text).map(|spec| (spec.name, spec.config.expose().to_owned())).ok();
        let both = |name: &str, config: &str| Some((name.to_owned(), config.to_owned()));
        assert_eq!(of("memory"), both("memory", ""));
        assert_eq!(of("sqlite=./a=b.db"), both("sqlite", "./a=b.db"));
        assert_eq!(of("postgres=host=/run dbname=web"), both("postgres", "host=/run dbname=web"));
        assert_eq!(of("postgres://web@db/web?a=b"), both("postgres", "postgres://web@db/web?a=b"));
        assert_eq!(of("redis+cluster://a,b"), both("redis_cluster", "redis+cluster://a,b"));
        let refused = Spec::of("http://ada:hunter2@host").map(drop).unwrap_err();
        assert!(refused.code == Code::Usage && !refused.to_string().contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_file_of_sqlite_is_not_created_by_a_question() {
        let config = |text| Spec::of(text).unwrap().of_what_exists().config.expose().to_owned();
        assert_eq!(config("sqlite=./a#b.db"), "sqlite:./a%23b.db?mode=rw&migrate=false");
        assert_eq!(config("sqlite:a.db?table=web"), "sqlite:a.db?table=web&mode=rw&migrate=false");
        assert_eq!(config("sqlite::memory:"), "sqlite::memory:");
        assert_eq!(config("redis=127.0.0.1:6379"), "127.0.0.1:6379");
    }
}
