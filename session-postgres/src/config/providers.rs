//! Connection strings as providers print them: the supported ones, and the errors for the rest.

use session_core::ErrorKind;
use session_sql::Place;
use sqlx::postgres::PgSslMode::{self, Disable, Prefer, Require, VerifyCa, VerifyFull};

use super::PostgresConfig;

/// Formats the driver's options as `user password@host:port/database`.
fn meaning(config: &PostgresConfig) -> String {
    let options = &config.options;
    let shown = format!("{options:?}");
    let password = shown.split("password: ").nth(1).and_then(|rest| rest.split(", database").next());
    let password = password.and_then(|text| text.strip_prefix("Some(\"")?.strip_suffix("\")")).unwrap_or("-");
    let place = match options.get_socket() {
        Some(path) => path.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let database = options.get_database().unwrap_or("-");
    format!("{} {password}@{place}:{}/{database}", options.get_username(), options.get_port())
}

fn mode(config: &PostgresConfig) -> String {
    format!("{:?}", config.options.get_ssl_mode())
}

const UNDERSTOOD: [(&str, &str, &str, PgSslMode); 30] = [
    (
        "Neon",
        "postgresql://web_owner:npg_Xy1@ep-cool-1.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
        "web_owner npg_Xy1@ep-cool-1.eu-central-1.aws.neon.tech:5432/neondb",
        VerifyFull,
    ),
    (
        "Neon, for clients without SNI",
        "postgresql://u:p@ep-cool-1.aws.neon.tech/neondb?sslmode=require&options=endpoint%3Dep-cool-1",
        "u p@ep-cool-1.aws.neon.tech:5432/neondb",
        Require,
    ),
    (
        "Supabase, direct",
        "postgresql://postgres:s%40fe@db.abcdef.supabase.co:5432/postgres",
        "postgres s@fe@db.abcdef.supabase.co:5432/postgres",
        Prefer,
    ),
    (
        "Supabase, pooler of transactions, for Prisma",
        "postgresql://postgres.abcdef:pw@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
        "postgres.abcdef pw@aws-0-eu-west-1.pooler.supabase.com:6543/postgres",
        Prefer,
    ),
    (
        "Supabase, by Vercel",
        "postgres://postgres.abcdef:pw@aws-0-us-east-1.pooler.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x",
        "postgres.abcdef pw@aws-0-us-east-1.pooler.supabase.com:6543/postgres",
        Require,
    ),
    (
        "RDS",
        "postgresql://master:pw@web.c1x.eu-west-1.rds.amazonaws.com:5432/web?sslmode=verify-full&sslrootcert=system",
        "master pw@web.c1x.eu-west-1.rds.amazonaws.com:5432/web",
        VerifyFull,
    ),
    (
        "Aurora, writer and reader",
        "postgresql://u:p@web.cluster-x.rds.amazonaws.com:5432,web.cluster-ro-x.rds.amazonaws.com:5432/web?target_session_attrs=read-write",
        "u p@web.cluster-x.rds.amazonaws.com:5432/web",
        Prefer,
    ),
    (
        "Azure",
        "postgres://web%40srv:pw@srv.postgres.database.azure.com:5432/web?sslmode=require",
        "web@srv pw@srv.postgres.database.azure.com:5432/web",
        Require,
    ),
    (
        "Azure, as a list",
        "host=srv.postgres.database.azure.com port=5432 dbname=web user=web password='p w' sslmode=require",
        "web p w@srv.postgres.database.azure.com:5432/web",
        Require,
    ),
    (
        "Heroku",
        "postgres://uabc:p123@ec2-1-2-3-4.compute-1.amazonaws.com:5432/dabc",
        "uabc p123@ec2-1-2-3-4.compute-1.amazonaws.com:5432/dabc",
        Prefer,
    ),
    (
        "Heroku, for node-postgres",
        "postgres://u:p@ec2-1.compute-1.amazonaws.com:5432/d?sslmode=no-verify",
        "u p@ec2-1.compute-1.amazonaws.com:5432/d",
        Require,
    ),
    (
        "DigitalOcean",
        "postgresql://doadmin:AVNS_x@db-1-do-user-1.db.ondigitalocean.com:25060/defaultdb?sslmode=require",
        "doadmin AVNS_x@db-1-do-user-1.db.ondigitalocean.com:25060/defaultdb",
        Require,
    ),
    (
        "Railway",
        "postgresql://postgres:pw@containers-us-west-1.railway.app:7000/railway",
        "postgres pw@containers-us-west-1.railway.app:7000/railway",
        Prefer,
    ),
    (
        "Fly",
        "postgres://web:pw@web-db.flycast:5432/web?sslmode=disable",
        "web pw@web-db.flycast:5432/web",
        Disable,
    ),
    ("Fly, by address", "postgres://web:pw@[fdaa:0:1::3]:5433/web", "web pw@fdaa:0:1::3:5433/web", Prefer),
    (
        "Aiven",
        "postgres://avnadmin:pw@pg-1.aivencloud.com:12345/defaultdb?sslmode=require",
        "avnadmin pw@pg-1.aivencloud.com:12345/defaultdb",
        Require,
    ),
    (
        "Render",
        "postgresql://u:p@dpg-x-a.frankfurt-postgres.render.com/web",
        "u p@dpg-x-a.frankfurt-postgres.render.com:5432/web",
        Prefer,
    ),
    (
        "JDBC",
        "jdbc:postgresql://db.example:5432/web?user=u&password=p&ssl=true&ApplicationName=web&prepareThreshold=0",
        "u p@db.example:5432/web",
        VerifyFull,
    ),
    ("SQLAlchemy", "postgresql+asyncpg://u:p@db.example/web", "u p@db.example:5432/web", Prefer),
    (
        "Prisma",
        "postgresql://u:p@db.example:5432/web?schema=public&connection_limit=5&sslmode=allow",
        "u p@db.example:5432/web",
        PgSslMode::Allow,
    ),
    (
        "pgx",
        "postgres://u:p@db.example:5432/web?pool_max_conns=10&default_query_exec_mode=simple_protocol",
        "u p@db.example:5432/web",
        Prefer,
    ),
    (
        "libpq, several hosts",
        "host=one,two port=5433,5434 user=u dbname=web target_session_attrs=primary load_balance_hosts=disable",
        "u -@one:5433/web",
        Prefer,
    ),
    (
        "libpq, with what it does not need here",
        "host=db user=u dbname=web keepalives_idle=30 gssencmode=disable sslsni=1 client_encoding=UTF8 sslmode=verify-ca",
        "u -@db:5432/web",
        VerifyCa,
    ),
    ("a socket", "postgres:///web?host=/run/postgresql&user=u", "u -@/run/postgresql:5432/web", Prefer),
    ("a socket, encoded", "postgres://u@%2Frun%2Fpostgresql/web", "u -@/run/postgresql:5432/web", Prefer),
    ("no password", "postgres://u@db/web", "u -@db:5432/web", Prefer),
    ("an empty password", "postgres://u:@db/web", "u @db:5432/web", Prefer),
    (
        "a password of all that has a meaning",
        "postgres://u:%40%3A%2F%23%3F%25%2C%20@db/web",
        "u @:/#?%, @db:5432/web",
        Prefer,
    ),
    ("a password that was not encoded", "postgres://u:a:b@c,d e@db/web", "u a:b@c,d e@db:5432/web", Prefer),
    (
        "a quoted password in a list",
        r"host=db user=u password='it\'s \\ 1' dbname=web",
        r"u it's \\ 1@db:5432/web",
        Prefer,
    ),
];

#[test]
fn connection_strings_of_providers_are_understood() {
    for (provider, text, expected, ssl) in UNDERSTOOD {
        let config: PostgresConfig = text.parse().unwrap_or_else(|error| panic!("{provider}: {error}"));
        assert_eq!(meaning(&config), expected, "{provider}");
        assert_eq!(mode(&config), format!("{ssl:?}"), "{provider}");
    }
}

#[test]
fn several_hosts_pools_and_poolers_are_understood() {
    let parse = |text: &str| text.parse::<PostgresConfig>().unwrap();
    let host = |name: &str, port| Place::Host(name.into(), port);
    let list = parse("host=one,two,/run/postgresql port=5433,5434,5435 user=u dbname=web");
    let socket = Place::Socket("/run/postgresql".into());
    assert_eq!(list.addresses, [host("one", Some(5433)), host("two", Some(5434)), socket]);
    let url = parse("postgres://u@one:5433,[::1],two/web");
    assert_eq!(url.addresses, [host("one", Some(5433)), host("::1", None), host("two", None)]);
    let neon = parse("postgres://u:p@h/d?options=endpoint%3Dep-cool-1%20-c%20search_path%3Dweb");
    assert_eq!(neon.options.get_options(), Some("-c endpoint=ep-cool-1"));
    assert_eq!(neon.server_options, [("search_path".to_owned(), "web".to_owned())]);
    for unprepared in [
        "pgbouncer=true",
        "prepared_statements=false",
        "prepareThreshold=0",
        "statement_cache_size=0",
        "default_query_exec_mode=exec",
    ] {
        assert!(parse(&format!("postgres://u@h/d?{unprepared}")).unprepared, "{unprepared}");
    }
    assert!(!parse("postgres://u@h/d?pgbouncer=false&prepareThreshold=5").unprepared);
    for (limit, expected) in [("connection_limit=7", 7), ("pool_max_conns=8", 8), ("max_connections=9", 9)] {
        assert_eq!(parse(&format!("postgres://u@h/d?{limit}")).settings.max_connections, expected);
    }
    let strict = parse("postgres://u@h/d?sslmode=disable&sslrootcert=system");
    assert_eq!(mode(&strict), "VerifyFull", "as in libpq, which accepts no weaker mode with it");
}

#[test]
fn the_error_for_an_unsupported_parameter_says_what_to_do() {
    for (text, said) in [
        ("postgres://u:hunter2@h/d?max_connections=0", "`max_connections` must be at least 1"),
        ("postgres://u:hunter2@h/d?connection_limit=0", "at least 1"),
        ("postgres://u:hunter2@h/d?max_idle_conns=-1", "`max_idle_conns` is not supported, remove it"),
        ("postgres://u:hunter2@h/d?pool_timeout=0", "`pool_timeout` is not supported, remove it"),
        (
            "postgres://u:hunter2@h/d?target_session_attrs=prefer-standby",
            "`target_session_attrs` is supported only as",
        ),
        (
            "postgres://u:hunter2@h/d?load_balance_hosts=random",
            "`load_balance_hosts` is supported only as disable",
        ),
        ("postgres://u:hunter2@h/d?gssencmode=require", "`gssencmode` is supported only as"),
        ("postgres://u:hunter2@h/d?sslnegotiation=direct", "`sslnegotiation` is supported only as postgres"),
        (
            "postgres://u:hunter2@h/d?channel_binding=always",
            "`channel_binding` must be require, prefer, disable",
        ),
        ("postgres://u:hunter2@h/d?service=web", "`service` is not supported: write host, port"),
        ("postgres://u:hunter2@h/d?sslpassword=hunter2", "store the key without a password"),
        ("postgres://u:hunter2@h/d?require_auth=md5", "`require_auth` is not supported"),
        ("postgres://u:hunter2@h/d?connect_timeout=0", "`connect_timeout` must be a length of time"),
        ("postgres://u:hunter2@h/d?connect_timeout=-1", "`connect_timeout` must be a length of time"),
        ("postgres://postgres:[YOUR-PASSWORD]@db.abc.supabase.co:5432/postgres", "placeholder"),
        ("Server=srv;Database=web;Port=5432;User Id=u;Password=hunter2;Ssl Mode=Require;", "form of ADO.NET"),
        ("host=one,two,three port=1,2 user=u password=hunter2", "as many as there are hosts"),
        ("cockroachdb://u:hunter2@h/d", "the scheme must be postgres://"),
    ] {
        let error = text.parse::<PostgresConfig>().unwrap_err();
        let message = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(message.contains(said), "{text}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
