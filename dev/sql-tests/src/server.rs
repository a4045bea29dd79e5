//! Private servers, and a proxy in front of any server.

use std::net::ToSocketAddrs;

use session_servers::mariadb::MariaDb;
use session_servers::postgres::Postgres;
use session_servers::process::Process;
use session_servers::proxy::Proxy;

/// A private server with the database `session`.
pub trait Server: Sized {
    /// Starts one with additional settings, in the server's own words.
    fn start_with(settings: &[&str]) -> Self;
    /// The URL of the database.
    fn url(&self) -> String;
    /// The same for an administrator, who may end connections and whose own are never counted.
    fn admin_url(&self) -> String;
    /// The process, to stop, kill, hang and restart it.
    fn process(&self) -> &Process;
}

impl Server for Postgres {
    fn start_with(settings: &[&str]) -> Self {
        Self::start_with(settings).unwrap()
    }

    fn url(&self) -> String {
        self.url()
    }

    fn admin_url(&self) -> String {
        format!("{}?application_name=admin", self.url())
    }

    fn process(&self) -> &Process {
        self.process()
    }
}

impl Server for MariaDb {
    fn start_with(settings: &[&str]) -> Self {
        Self::start_with(settings).unwrap()
    }

    fn url(&self) -> String {
        self.url()
    }

    fn admin_url(&self) -> String {
        self.admin_url()
    }

    fn process(&self) -> &Process {
        self.process()
    }
}

/// A proxy in front of the server of this URL, and the URL through it.
pub fn behind_proxy(url: &str) -> (Proxy, String) {
    let host = url.split_once('@').unwrap().1;
    let host = &host[..host.find('/').unwrap()];
    let address = host.to_socket_addrs().unwrap().next().unwrap();
    let proxy = Proxy::start(address).unwrap();
    let url = url.replace(host, &proxy.address().to_string());
    (proxy, url)
}
