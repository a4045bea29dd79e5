//! Connection strings as providers print them: the accepted ones, and the errors for the others.

use std::time::Duration;

use session_core::ErrorKind;
use session_sql::Place;
use sqlx::mysql::MySqlSslMode::{self, Disabled, Preferred, Required, VerifyCa, VerifyIdentity};

use super::MySqlConfig;

/// `user password@host:port/database`, as parsed by the driver.
fn meaning(config: &MySqlConfig) -> String {
    let options = &config.options;
    let shown = format!("{options:?}");
    let password = shown.split("password: ").nth(1).and_then(|rest| rest.split(", database").next());
    let password = password.and_then(|text| text.strip_prefix("Some(\"")?.strip_suffix("\")")).unwrap_or("-");
    let place = match options.get_socket() {
        Some(path) => path.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let database = options.get_database().unwrap_or("-");
    format!("{} {password}@{place}/{database}", options.get_username())
}

const UNDERSTOOD: [(&str, &str, &str, MySqlSslMode); 25] = [
    (
        "PlanetScale",
        "mysql://abc:pscale_pw_x@aws.connect.psdb.cloud/web?sslaccept=strict",
        "abc pscale_pw_x@aws.connect.psdb.cloud:3306/web",
        VerifyIdentity,
    ),
    (
        "PlanetScale, Go",
        "abc:pscale_pw_x@tcp(aws.connect.psdb.cloud)/web?tls=true&interpolateParams=true",
        "abc pscale_pw_x@aws.connect.psdb.cloud:3306/web",
        VerifyIdentity,
    ),
    (
        "PlanetScale, Node",
        "mysql://abc:pscale_pw_x@aws.connect.psdb.cloud/web?ssl={%22rejectUnauthorized%22:true}",
        "abc pscale_pw_x@aws.connect.psdb.cloud:3306/web",
        VerifyIdentity,
    ),
    (
        "TiDB",
        "mysql://4Ab.root:pw@gateway01.eu-central-1.prod.aws.tidbcloud.com:4000/test?sslaccept=strict",
        "4Ab.root pw@gateway01.eu-central-1.prod.aws.tidbcloud.com:4000/test",
        VerifyIdentity,
    ),
    (
        "TiDB, JDBC",
        "jdbc:mysql://4Ab.root:pw@gateway01.tidbcloud.com:4000/test?sslMode=VERIFY_IDENTITY&enabledTLSProtocols=TLSv1.2",
        "4Ab.root pw@gateway01.tidbcloud.com:4000/test",
        VerifyIdentity,
    ),
    (
        "DigitalOcean",
        "mysql://doadmin:AVNS_x@db-1.db.ondigitalocean.com:25060/defaultdb?ssl-mode=REQUIRED",
        "doadmin AVNS_x@db-1.db.ondigitalocean.com:25060/defaultdb",
        Required,
    ),
    (
        "Aiven",
        "mysql://avnadmin:pw@mysql-1.aivencloud.com:12345/defaultdb?ssl-mode=REQUIRED",
        "avnadmin pw@mysql-1.aivencloud.com:12345/defaultdb",
        Required,
    ),
    (
        "RDS, Go",
        "admin:pw@tcp(web.c1.eu-west-1.rds.amazonaws.com:3306)/web?tls=skip-verify&allowCleartextPasswords=true",
        "admin pw@web.c1.eu-west-1.rds.amazonaws.com:3306/web",
        Required,
    ),
    (
        "Aurora",
        "mysql://admin:pw@web.cluster-x.rds.amazonaws.com:3306/web?ssl-mode=VERIFY_CA",
        "admin pw@web.cluster-x.rds.amazonaws.com:3306/web",
        VerifyCa,
    ),
    (
        "Azure, Go",
        "web@srv:pw@tcp(srv.mysql.database.azure.com:3306)/web?allowNativePasswords=true&tls=true",
        "web@srv pw@srv.mysql.database.azure.com:3306/web",
        VerifyIdentity,
    ),
    (
        "Azure, JDBC",
        "jdbc:mysql://web:pw@srv.mysql.database.azure.com:3306/web?useSSL=true&requireSSL=false&serverTimezone=UTC",
        "web pw@srv.mysql.database.azure.com:3306/web",
        Required,
    ),
    (
        "JDBC, with the certificate",
        "jdbc:mysql://web:pw@db/web?useSSL=true&verifyServerCertificate=true",
        "web pw@db:3306/web",
        VerifyIdentity,
    ),
    (
        "Heroku (ClearDB)",
        "mysql://b1:ab12@eu-cdbr-west-1.cleardb.com/heroku_ab?reconnect=true",
        "b1 ab12@eu-cdbr-west-1.cleardb.com:3306/heroku_ab",
        Preferred,
    ),
    (
        "Railway",
        "mysql://root:pw@containers-us-west-1.railway.app:6000/railway",
        "root pw@containers-us-west-1.railway.app:6000/railway",
        Preferred,
    ),
    ("Laravel", "mysql://web:pw@127.0.0.1:3306/web?charset=utf8mb4", "web pw@127.0.0.1:3306/web", Preferred),
    ("Rails", "mysql2://web:pw@db/web?encoding=utf8mb4&pool_size=5", "web pw@db:3306/web", Preferred),
    ("SQLAlchemy", "mysql+pymysql://web:pw@db/web?charset=utf8mb4&ssl=false", "web pw@db:3306/web", Disabled),
    ("MariaDB", "mariadb://web:pw@[2001:db8::1]:3307/web", "web pw@2001:db8::1:3307/web", Preferred),
    ("IPv6, Go", "web:pw@tcp([2001:db8::1]:3307)/web", "web pw@2001:db8::1:3307/web", Preferred),
    ("a socket, Go", "web@unix(/run/mysqld/mysqld.sock)/web", "web -@/run/mysqld/mysqld.sock/web", Preferred),
    (
        "a socket",
        "mysql://web:pw@localhost/web?socket=/run/mysqld/mysqld.sock",
        "web pw@/run/mysqld/mysqld.sock/web",
        Preferred,
    ),
    ("no password", "mysql://web@db/web", "web -@db:3306/web", Preferred),
    ("no user, Go", "tcp(db:3306)/web?tls=preferred", "root -@db:3306/web", Preferred),
    (
        "a password of special characters",
        "mysql://web:%40%3A%2F%23%3F%25%2C%20@db/web",
        "web @:/#?%, @db:3306/web",
        Preferred,
    ),
    ("the same, Go", "web:@:/#?%, @tcp(db:3306)/web", "web @:/#?%, @db:3306/web", Preferred),
];

#[test]
fn strings_as_providers_print_them_are_understood() {
    for (provider, text, expected, ssl) in UNDERSTOOD {
        let config: MySqlConfig = text.parse().unwrap_or_else(|error| panic!("{provider}: {error}"));
        assert_eq!(meaning(&config), expected, "{provider}");
        assert_eq!(format!("{:?}", config.options.get_ssl_mode()), format!("{ssl:?}"), "{provider}");
    }
}

#[test]
fn several_hosts_pools_and_system_variables_are_parsed() {
    let parse = |text: &str| text.parse::<MySqlConfig>().unwrap();
    let host = |name: &str, port| Place::Host(name.into(), port);
    let several = parse("mysql://u@one:3307,two/web");
    assert_eq!(several.places, [host("one", Some(3307)), host("two", None)]);
    let go = parse(
        "u:p@tcp(db)/web?innodb_lock_wait_timeout=5&max_statement_time=7&wait_timeout=60&autocommit=1\
         &sql_mode=%27ANSI_QUOTES%27&time_zone=%27%2B01%3A00%27&transaction_isolation=%27READ-COMMITTED%27",
    );
    assert_eq!(go.settings.lock_timeout, Duration::from_secs(5));
    assert_eq!(go.settings.statement_timeout, Duration::from_secs(7));
    assert_eq!(go.variables, [("wait_timeout", 60)]);
    assert_eq!(parse("mysql2://u@db/web?pool_size=7").settings.max_connections, 7);
}

#[test]
fn unsupported_options_are_named_with_what_to_do() {
    for (text, said) in [
        ("u:hunter2@tcp(db)/web?autocommit=0", "`autocommit` must be on"),
        ("u:hunter2@tcp(db)/web?tls=tidb", "use tls=true"),
        ("u:hunter2@tcp(db)/web?serverPubKey=name", "`serverPubKey` is not supported: use TLS"),
        ("u:hunter2@tcp(db)/web?wait_timeout=hunter2", "`wait_timeout` must be a whole number"),
        ("u:hunter2@tcp(db)/web?timeout=-1s", "`timeout` must be a length of time"),
        (
            "u:hunter2@tcp(db)/web?innodb_lock_wait_timeout=0",
            "`innodb_lock_wait_timeout` must be a length of time",
        ),
        ("mysql://u:hunter2@db/web?sslaccept=maybe", "`sslaccept` must be strict"),
        ("mysql://u:hunter2@db/web?sslidentity=web.p12&sslpassword=hunter2", "set ssl-cert and ssl-key"),
        ("mysql://u:hunter2@db/web?connection_limit=0", "`max_connections` must be at least 1"),
        ("mysql://u:hunter2@db/web?max_idle_conns=-1", "`max_idle_conns` is not supported, remove it"),
        ("mysql://u:hunter2@db/web?ssl=maybe", "`ssl` must be true, false"),
    ] {
        let error = text.parse::<MySqlConfig>().unwrap_err();
        let message = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(message.contains(said), "{text}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
