//! `migrate`: creates, updates or compares the table of an SQL engine.

use serde_json::json;
use session_kit::mysql::{Migrate, MySqlConfig, MySqlProvider};
use session_kit::postgres::{PostgresConfig, PostgresProvider};
use session_kit::sqlite::{SqliteConfig, SqliteProvider};
use session_kit::{ErrorKind, Secret};

use crate::engine::Spec;
use crate::failure::{Code, Failure, Result};
use crate::report::Report;

pub async fn run(spec: &Secret, check: bool) -> Result<Report> {
    let Spec { name, config } = Spec::parse(spec)?;
    let config = config.expose();
    let done = match name.as_str() {
        "sqlite" => sqlite(config, check).await,
        "mysql" => mysql(config.parse()?, check).await,
        "postgres" | "postgresql" => postgres(config.parse()?, check).await,
        _ => return Err(Failure::unsupported(&name, "has no table: there is nothing to migrate")),
    };
    match done {
        Ok(()) => {}
        // The string was parsed, so the table is the cause.
        Err(error) if error.kind() == ErrorKind::Config && error.operation() == Some("check") => {
            return Err(Failure::new(Code::Failed, error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    let text = if check { "the table is as expected" } else { "the table is up to date" };
    Ok(Report::new(json!({ "engine": name, "checked": check, "up_to_date": true }), text))
}

async fn sqlite(config: &str, check: bool) -> session_kit::Result<()> {
    if check {
        let spec = Spec { name: "sqlite".to_owned(), config: Secret::new(config) }.of_what_exists();
        let config: SqliteConfig = spec.config.expose().parse()?;
        return SqliteProvider::connect(config.migrate(false)).await?.check().await;
    }
    let config: SqliteConfig = config.parse()?;
    SqliteProvider::connect(config.migrate(true)).await.map(drop)
}

async fn mysql(config: MySqlConfig, check: bool) -> session_kit::Result<()> {
    let provider = MySqlProvider::connect(config.migrate(Migrate::No)).await?;
    if check { provider.check().await } else { provider.migrate().await }
}

async fn postgres(config: PostgresConfig, check: bool) -> session_kit::Result<()> {
    let provider = PostgresProvider::connect(config.migrate(Migrate::No)).await?;
    if check { provider.check().await } else { provider.migrate().await }
}
