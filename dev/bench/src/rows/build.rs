//! The cost of building an application: crates, seconds, bytes. Only on request (`--only build`),
//! since it compiles for minutes.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::goals::TOWER_SESSIONS;
use crate::measure::Effort;
use crate::report::{Section, Table};

/// An application that counts visits, in Redis.
struct Application {
    name: &'static str,
    dependencies: &'static str,
    main: &'static str,
}

const APPLICATIONS: [Application; 2] = [
    Application {
        name: "session-kit",
        dependencies: "session-kit = { path = \"ROOT/session-kit\", features = [\"redis\", \"tower\"] }",
        main: r#"
use session_kit::redis::RedisConfig;
use session_kit::tower::{Session, SessionError, SessionLayer};
use session_kit::Manager;

async fn visit(session: Session) -> Result<String, SessionError> {
    Ok(session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?.to_string())
}

#[tokio::main]
async fn main() {
    let config: RedisConfig = "redis://127.0.0.1:6379".parse().expect("a URL");
    let manager = Manager::builder(config.connect().await.expect("connected")).build().expect("a manager");
    let app = axum::Router::new().route("/", axum::routing::get(visit)).layer(SessionLayer::new(manager));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.expect("a port");
    axum::serve(listener, app).await.expect("served");
}
"#,
    },
    Application {
        name: TOWER_SESSIONS,
        dependencies: "tower-sessions = { version = \"0.14\", default-features = false, features = [\"axum-core\"] }\n\
                       tower-sessions-redis-store = \"0.16\"",
        main: r#"
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};

async fn visit(session: Session) -> String {
    let visits: u64 = session.get("visits").await.expect("read").unwrap_or(0) + 1;
    session.insert("visits", visits).await.expect("stored");
    visits.to_string()
}

#[tokio::main]
async fn main() {
    let config = Config::from_url("redis://127.0.0.1:6379").expect("a URL");
    let pool = Pool::new(config, None, None, None, 6).expect("a pool");
    pool.init().await.expect("connected");
    let layer = SessionManagerLayer::new(RedisStore::new(pool));
    let app = axum::Router::new().route("/", axum::routing::get(visit)).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.expect("a port");
    axum::serve(listener, app).await.expect("served");
}
"#,
    },
];

/// Builds both, each from scratch.
pub fn rows(_effort: Effort) -> io::Result<Vec<Section>> {
    let mut table = Table::new(["application with", "crates", "cold build, s", "stripped binary, MB"]);
    for application in APPLICATIONS {
        eprintln!("building an application with {}", application.name);
        let folder = tempfile::tempdir()?;
        let line = application.built_in(folder.path(), root()?)?;
        table.line(line);
    }
    let note = "A service that counts visits: axum, and sessions in Redis by session-kit with the \
                features `redis` and `tower`, or by tower-sessions with its store for Redis. Profile \
                `release`, stripped, in an empty target folder, after the download. The crates are \
                those that the binary links and those that run while it is built. Neither \
                has TLS, which session-kit has with the feature `redis-tls`.";
    Ok(vec![Section::new("build", "Building an application", table).note(note.into())])
}

/// The workspace.
fn root() -> io::Result<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|at| at.join("Cargo.lock").is_file());
    root.ok_or_else(|| io::Error::other("the workspace is no longer where this was built"))
}

impl Application {
    fn built_in(&self, folder: &Path, root: &Path) -> io::Result<[String; 4]> {
        let manifest = format!(
            "[package]\nname = \"application\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             axum = {{ version = \"0.8\", default-features = false, features = [\"http1\", \"tokio\"] }}\n\
             tokio = {{ version = \"1\", features = [\"macros\", \"net\", \"rt-multi-thread\"] }}\n{}\n\n\
             [profile.release]\nstrip = true\n\n[workspace]\n",
            self.dependencies.replace("ROOT", &root.display().to_string())
        );
        fs::write(folder.join("Cargo.toml"), manifest)?;
        fs::create_dir(folder.join("src"))?;
        fs::write(folder.join("src/main.rs"), self.main)?;
        // The same versions as for the other measurements.
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        cargo(folder, &["fetch"])?;
        let tree =
            cargo(folder, &["tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])?;
        let crates: BTreeSet<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        let begun = Instant::now();
        cargo(folder, &["build", "--release", "--quiet"])?;
        let took = begun.elapsed();
        let bytes = fs::metadata(folder.join("target/release/application"))?.len();
        // The application itself is excluded.
        let crates = crates.len() - 1;
        Ok([
            self.name.to_owned(),
            crates.to_string(),
            format!("{:.0}", took.as_secs_f64()),
            format!("{:.1}", bytes as f64 / 1e6),
        ])
    }
}

/// Calls cargo there, with its own target folder; returns its output.
fn cargo(folder: &Path, arguments: &[&str]) -> io::Result<String> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", folder.join("target"));
    let output = command.env("CARGO_INCREMENTAL", "0").output()?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(io::Error::other);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("cargo {}: {said}", arguments.join(" "))))
}
