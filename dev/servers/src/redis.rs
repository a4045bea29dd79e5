//! Private Redis servers: one (or one of Valkey), a cluster of three masters and three replicas,
//! and a master with a replica, watched by three sentinels. The password is `session` everywhere,
//! except for the sentinels, which have none.

use crate::packages::{Package, require};
use crate::process::{Launch, Process};
use crate::proxy::Proxy;
use crate::wheels;
use std::io;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The packages of the servers and the client.
pub const PACKAGES: &[Package] = &[
    Package { name: "redis-server", binary: "redis-server" },
    Package { name: "redis-tools", binary: "redis-cli" },
    Package { name: "valkey-server", binary: "valkey-server" },
];

/// The time after which a silent node or master is replaced.
const SILENCE: &str = "1000";

/// A Redis server of one test.
#[derive(Debug)]
pub struct Redis {
    process: Process,
}

impl Redis {
    /// Starts an empty server without persistence.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with additional options, as in `&["--maxmemory", "4mb"]`.
    pub fn start_with(options: &[&str]) -> io::Result<Self> {
        Self::launch("redis", require(PACKAGES[0])?, true, options)
    }

    /// The same with Redis 6.2.
    pub fn start_6_2(options: &[&str]) -> io::Result<Self> {
        Self::launch("redis-6.2", wheels::require(wheels::REDIS_6_2)?, false, options)
    }

    /// The same with Redis 8.6.
    pub fn start_8_6(options: &[&str]) -> io::Result<Self> {
        Self::launch("redis-8.6", wheels::require(wheels::REDIS_8_6)?, true, options)
    }

    /// The same with Valkey, which has the same protocol and options.
    pub fn start_valkey(options: &[&str]) -> io::Result<Self> {
        Self::launch("valkey", require(PACKAGES[2])?, true, options)
    }

    fn launch(name: &'static str, server: PathBuf, since_7: bool, options: &[&str]) -> io::Result<Self> {
        let client = require(PACKAGES[1])?;
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let launch = Launch::new(name, server)
            .ports(2)
            .arguments(move |place| {
                let (port, bus) = (place.port().to_string(), place.port_at(1).to_string());
                let mut arguments = vec!["--port", &port, "--bind", "127.0.0.1"];
                arguments.extend(["--requirepass", "session", "--masterauth", "session"]);
                arguments.extend(["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]);
                arguments.extend(["--unixsocket", "redis.sock"]);
                if since_7 {
                    arguments.extend(["--cluster-port", &bus, "--enable-debug-command", "local"]);
                }
                arguments.extend(options.iter().map(String::as_str));
                arguments.into_iter().map(str::to_owned).collect()
            })
            .ready(move |place| {
                let port = place.port().to_string();
                let ping = ["-p", &port, "-a", "session", "--no-auth-warning", "PING"];
                let answer = place.run(&client, &ping, "")?;
                // Loading counts as ready, so that tests can use a loading server.
                if answer.contains("PONG") || answer.contains("LOADING") {
                    Ok(())
                } else {
                    Err(io::Error::other(answer))
                }
            });
        Ok(Self { process: launch.start()? })
    }

    /// The URL: `redis://:session@127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://:session@{}", self.process.address())
    }

    /// The process, to stop, kill, hang and restart it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The output of `redis-cli` for a command.
    pub fn cli(&self, command: &[&str]) -> io::Result<String> {
        cli(&self.process, command)
    }

    /// The number of calls of a command, from `INFO commandstats`.
    pub fn calls(&self, command: &str) -> io::Result<u64> {
        let stats = self.cli(&["INFO", "commandstats"])?;
        let start = format!("cmdstat_{command}:calls=");
        let calls = stats.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next());
        Ok(calls.and_then(|calls| calls.parse().ok()).unwrap_or(0))
    }

    /// Waits until every replica has the current data of this server. There must be at least one.
    pub fn wait_until_replicated(&self) -> io::Result<()> {
        let number = |text: &str| text.trim().parse::<u64>().unwrap_or(0);
        let info = self.cli(&["INFO", "replication"])?;
        let now = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")).map_or(0, number);
        wait_until("the replicas are in sync", || {
            let info = self.cli(&["INFO", "replication"])?;
            let replicas = info.lines().filter(|line| line.starts_with("slave"));
            let mut offsets =
                replicas.filter_map(|line| line.split("offset=").nth(1)?.split(',').next().map(number));
            Ok(offsets.next().is_some_and(|first| first >= now && offsets.all(|other| other >= now)))
        })
    }

    fn address(&self) -> String {
        self.process.address().to_string()
    }
}

fn cli(process: &Process, command: &[&str]) -> io::Result<String> {
    let port = process.port().to_string();
    let to = ["-p", &port, "-a", "session", "--no-auth-warning"];
    process.place().run(&require(PACKAGES[1])?, &[&to, command].concat(), "")
}

/// Retries until it is true; the error says what was waited for.
fn wait_until(what: &str, mut is_so: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so()? {
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("not within 60 s: {what}")));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A cluster for one test: three masters with a replica each.
#[derive(Debug)]
pub struct Cluster {
    // Before the nodes: their proxies are dropped first.
    proxies: Vec<Proxy>,
    nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts a cluster and waits until every node knows all others. A master that is silent for a
    /// second is replaced by its replica; the other masters continue to serve.
    pub fn start() -> io::Result<Self> {
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            SILENCE,
            "--cluster-require-full-coverage",
            "no",
            "--repl-ping-replica-period",
            "1",
        ];
        let nodes = (0..6).map(|_| Redis::start_with(&options)).collect::<io::Result<Vec<_>>>()?;
        let addresses: Vec<String> = nodes.iter().map(Redis::address).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        nodes[0].cli(&create)?;
        let cluster = Self { proxies: Vec::new(), nodes };
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// The same with a proxy in front of each node, which clients are sent to
    /// ([`proxies`](Self::proxies)).
    pub fn start_behind_proxies() -> io::Result<Self> {
        let mut cluster = Self::start()?;
        for node in &cluster.nodes {
            let proxy = Proxy::start(node.process.address())?;
            let bus = node.process.place().port_at(1).to_string();
            node.cli(&["CONFIG", "SET", "cluster-announce-bus-port", &bus])?;
            node.cli(&["CONFIG", "SET", "cluster-announce-port", &proxy.address().port().to_string()])?;
            cluster.proxies.push(proxy);
        }
        let announced = |node: &Redis| {
            let slots = node.cli(&["CLUSTER", "SLOTS"])?;
            Ok(cluster.proxies[..3].iter().all(|proxy| slots.contains(&proxy.address().port().to_string())))
        };
        for node in &cluster.nodes {
            wait_until("the proxies are announced", || announced(node))?;
        }
        Ok(cluster)
    }

    /// The URL with the first three nodes.
    pub fn url(&self) -> String {
        let address = |index: usize| match self.proxies.get(index) {
            Some(proxy) => proxy.address().to_string(),
            None => self.nodes[index].address(),
        };
        format!("redis+cluster://:session@{},{},{}", address(0), address(1), address(2))
    }

    /// The six nodes; at first, the first three are the masters.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The nodes' proxies, in the same order.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// The node that owns a key, according to a running node.
    pub fn owner(&self, key: &str) -> io::Result<&Redis> {
        let up = || self.nodes.iter().filter(|node| node.process.is_running());
        for node in up() {
            // All nodes except the owner redirect, or report that the owner is unknown.
            if matches!(node.cli(&["EXISTS", key])?.trim(), "0" | "1") {
                return Ok(node);
            }
        }
        Err(io::Error::other("no node has the key"))
    }

    /// Waits until every running node reports that the cluster is complete and its own data in
    /// sync.
    pub fn wait_until_whole(&self) -> io::Result<()> {
        wait_until("the cluster is complete", || {
            for node in self.nodes.iter().filter(|node| node.process.is_running()) {
                let (info, replication) =
                    (node.cli(&["CLUSTER", "INFO"])?, node.cli(&["INFO", "replication"])?);
                let in_sync =
                    replication.contains("role:master") || replication.contains("master_link_status:up");
                if !info.contains("cluster_state:ok") || !info.contains("cluster_known_nodes:6") || !in_sync {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Moves a slot and its keys to another master while the cluster serves, as
    /// `redis-cli --cluster reshard` does.
    pub fn move_slot(&self, slot: u16, from: &Redis, to: &Redis) -> io::Result<()> {
        let slot = slot.to_string();
        let id = |node: &Redis| Ok::<_, io::Error>(node.cli(&["CLUSTER", "MYID"])?.trim().to_owned());
        let (source, target) = (id(from)?, id(to)?);
        to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source])?;
        from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target])?;
        let port = to.process.port().to_string();
        loop {
            let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"])?;
            let keys: Vec<&str> = keys.split_whitespace().collect();
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "AUTH", "session", "KEYS"];
            migrate.extend(keys);
            from.cli(&migrate)?;
        }
        for node in [to, from] {
            node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &target])?;
        }
        Ok(())
    }
}

/// A master, its replica, and three sentinels.
#[derive(Debug)]
pub struct Sentinels {
    // Before the servers: their proxy is dropped first.
    proxy: Option<Proxy>,
    watchers: Vec<Process>,
    servers: Vec<Redis>,
}

impl Sentinels {
    /// Starts them and waits until the sentinels know each other and the replica. A master that is
    /// silent for a second is replaced.
    pub fn start() -> io::Result<Self> {
        Self::launch(Redis::start()?, None)
    }

    /// The same with options of its own for the first master.
    pub fn start_with(options: &[&str]) -> io::Result<Self> {
        Self::launch(Redis::start_with(options)?, None)
    }

    /// The same with a proxy between the master and the other servers: the replica and the
    /// sentinels use the proxy's address. Clients that connect to the master directly stay on its
    /// side after [`cut_off_master`](Self::cut_off_master).
    pub fn start_with_a_divisible_network() -> io::Result<Self> {
        let master = Redis::start()?;
        let proxy = Proxy::start(master.process.address())?;
        Self::launch(master, Some(proxy))
    }

    fn launch(master: Redis, proxy: Option<Proxy>) -> io::Result<Self> {
        let port = proxy.as_ref().map_or(master.process.port(), |proxy| proxy.address().port()).to_string();
        let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port])?;
        wait_until("the replica is in sync", || {
            Ok(replica.cli(&["INFO", "replication"])?.contains("master_link_status:up"))
        })?;
        let watchers = (0..3).map(|_| sentinel(&port)).collect::<io::Result<Vec<_>>>()?;
        let set_up = Self { proxy, watchers, servers: vec![master, replica] };
        set_up.wait_until_whole()?;
        Ok(set_up)
    }

    /// The URL: `redis+sentinel://:session@…,…,…/mymaster`.
    pub fn url(&self) -> String {
        let addresses: Vec<_> = self.watchers.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://:session@{}/mymaster", addresses.join(","))
    }

    /// The two servers; at first, the first is the master.
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// The three sentinels.
    pub fn sentinels(&self) -> &[Process] {
        &self.watchers
    }

    /// The sentinels' address of the first master, if it has a proxy.
    pub fn announced_master(&self) -> Option<std::net::SocketAddr> {
        self.proxy.as_ref().map(Proxy::address)
    }

    /// Partitions the network: neither the sentinels nor the replica can reach the first master,
    /// which keeps running as a master for clients that connect to it directly.
    pub fn cut_off_master(&self) {
        if let Some(proxy) = &self.proxy {
            proxy.refuse();
            proxy.cut();
        }
    }

    /// Waits until the running sentinels report this server as the master.
    pub fn wait_for_master(&self, server: &Redis) -> io::Result<()> {
        let port = server.process.port().to_string();
        wait_until("the sentinels name the new master", || {
            for sentinel in self.watchers.iter().filter(|sentinel| sentinel.is_running()) {
                if !cli(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"])?.contains(&port) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Waits until the sentinels know each other and a running replica.
    pub fn wait_until_whole(&self) -> io::Result<()> {
        wait_until("the sentinels know each other and the replica", || {
            for sentinel in self.watchers.iter().filter(|sentinel| sentinel.is_running()) {
                let state = cli(sentinel, &["SENTINEL", "MASTER", "mymaster"])?;
                let words: Vec<&str> = state.split_whitespace().collect();
                let is = |key: &str, value: &str| words.windows(2).any(|pair| pair == [key, value]);
                let replicas = cli(sentinel, &["SENTINEL", "REPLICAS", "mymaster"])?;
                if !is("num-other-sentinels", "2")
                    || !is("num-slaves", "1")
                    || replicas.contains("s_down")
                    || replicas.contains("disconnected")
                {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}

fn sentinel(master_port: &str) -> io::Result<Process> {
    let master_port = master_port.to_owned();
    Launch::new("sentinel", require(PACKAGES[0])?)
        .prepare(move |place| {
            let settings = format!(
                "port {}\nbind 127.0.0.1\nprotected-mode no\n\
                 sentinel monitor mymaster 127.0.0.1 {master_port} 2\n\
                 sentinel auth-pass mymaster session\n\
                 sentinel down-after-milliseconds mymaster {SILENCE}\n\
                 sentinel failover-timeout mymaster 3000\n",
                place.port(),
            );
            std::fs::write(place.dir().join("sentinel.conf"), settings)
        })
        .arguments(|place| vec![place.path("sentinel.conf"), "--sentinel".to_owned()])
        .start()
}
