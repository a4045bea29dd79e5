//! The format of Go's MySQL driver: `user:password@tcp(host:3306)/database?name=value`,
//! `user@unix(/path)/database`.
//!
//! As there, the database follows the last `/`, the address the last `@` before it, the password
//! the first `:`, and user and password are not encoded. See
//! <https://github.com/go-sql-driver/mysql#dsn-data-source-name>.

use session_core::{Error, Result, Secret};
use session_sql::{Place, Target, is_host, percent_decode};

pub(crate) fn parse(text: &str) -> Result<Target> {
    let missing = || Error::config("the `/` before the name of the database is missing");
    let (left, right) = text.rsplit_once('/').ok_or_else(missing)?;
    let (database, query) = right.split_once('?').unwrap_or((right, ""));
    if left.is_empty() && query.is_empty() && database.is_empty() {
        return Err(Error::config("it is empty"));
    }
    let (user, address) = left.rsplit_once('@').map_or((None, left), |(user, address)| (Some(user), address));
    let mut target = Target { places: place(address)?.into_iter().collect(), ..Target::parameters(query)? };
    if let Some(user) = user {
        let (user, password) = user.split_once(':').map_or((user, None), |(user, word)| (user, Some(word)));
        target.user = Some(user.to_owned()).filter(|user| !user.is_empty());
        target.password = password.map(Secret::new);
    }
    target.database = Some(percent_decode(database)?).filter(|name| !name.is_empty());
    Ok(target)
}

/// `tcp(host:port)` or `unix(/path)`; empty for the driver's default.
fn place(text: &str) -> Result<Option<Place>> {
    let bad = || {
        Error::config(
            "the address must be tcp(host:port) or unix(/path); a `/` in a parameter is written %2F",
        )
    };
    if text.is_empty() || text == "tcp" {
        return Ok(None);
    }
    let (protocol, address) = text.split_once('(').ok_or_else(bad)?;
    let address = address.strip_suffix(')').ok_or_else(bad)?;
    match protocol {
        "unix" if address.starts_with('/') => Ok(Some(Place::Socket(address.to_owned()))),
        "tcp" => {
            let (host, port) = match address.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
                _ => (address, None),
            };
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad));
            if !is_host(host) {
                return Err(bad());
            }
            Ok(Some(Place::Host(host.to_owned(), port.transpose()?)))
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_of_gos_driver_are_understood() {
        let target =
            parse("user:p:a@s/s#%@tcp(db.example:3307)/web%20db?charset=utf8mb4&parseTime=true").unwrap();
        assert_eq!(target.user.as_deref(), Some("user"));
        assert_eq!(target.password, Some(Secret::new("p:a@s/s#%")));
        assert_eq!(target.places, [Place::Host("db.example".into(), Some(3307))]);
        assert_eq!(target.database.as_deref(), Some("web db"));
        assert_eq!(target.parameters.len(), 2);
        let place = |text| parse(text).unwrap().places.pop();
        assert_eq!(
            place("ada@unix(/run/mysqld/mysqld.sock)/web"),
            Some(Place::Socket("/run/mysqld/mysqld.sock".into()))
        );
        assert_eq!(place("ada@tcp([::1]:3306)/web"), Some(Place::Host("::1".into(), Some(3306))));
        assert_eq!(place("ada@tcp([::1])/web"), Some(Place::Host("::1".into(), None)));
        assert_eq!(place("ada@tcp(db)/web"), Some(Place::Host("db".into(), None)));
        assert_eq!(place("ada@/web"), None);
        assert_eq!(place("/web"), None);
    }
}
