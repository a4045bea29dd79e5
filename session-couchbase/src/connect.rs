//! Connecting: the SDK retries forever without an error, so each step has a timeout here, and a
//! failure gives its reason.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use couchbase::authenticator::PasswordAuthenticator;
use couchbase::cluster::Cluster;
use couchbase::collection::Collection;
use couchbase::error::ErrorKind as Sdk;
use couchbase::options::cluster_options::{ClusterOptions, KvOptions, OrphanReporterOptions, TlsOptions};
use couchbase::options::diagnostic_options::WaitUntilReadyOptions;
use couchbase::retry::{RetryAction, RetryReason, RetryRequest, RetryStrategy};
use couchbase::service_type::ServiceType;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use session_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::link::Boxed;
use crate::{CouchbaseConfig, ENGINE, errors};

/// Probe keys on several nodes, of which one may be down. No session has such a key, since ids are
/// longer.
const NOBODY: [&str; 8] =
    ["nobody-0", "nobody-1", "nobody-2", "nobody-3", "nobody-4", "nobody-5", "nobody-6", "nobody-7"];

/// How long to wait for the other nodes after the first response.
const MOMENT: Duration = Duration::from_secs(1);

/// The longest connect timeout: the SDK adds it to the current time, which must not overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A connected cluster and its collection, which works only while the cluster is kept.
pub(crate) struct Connected {
    pub(crate) collection: Collection,
    _cluster: Cluster,
}

/// Connects, or returns the reason of the failure.
///
/// First on a separate, temporary runtime: if the bucket does not exist, the SDK leaves a task
/// behind that retries forever and ends only with its runtime.
pub(crate) async fn connect(config: &CouchbaseConfig) -> Result<Connected> {
    let tls = rehearse(CouchbaseConfig { connections: 1, ..config.clone() }).await?;
    open(config, tls).await
}

/// Reads the files needed for TLS.
async fn rehearse(config: CouchbaseConfig) -> Result<Option<TlsOptions>> {
    let (answer, heard) = tokio::sync::oneshot::channel();
    let failed = |error: std::io::Error| unavailable("no thread to connect on").with_source(error);
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(failed).and_then(|runtime| {
            let tls = authorities(&config)?;
            let result = runtime.block_on(open(&config, tls.clone())).map(|_| tls);
            runtime.shutdown_background();
            result
        });
        let _ = answer.send(result);
    };
    std::thread::Builder::new().name("session-couchbase".to_owned()).spawn(work).map_err(failed)?;
    heard.await.unwrap_or_else(|_| Err(unavailable("connecting was aborted")))
}

/// The authorities trusted in addition to the system's.
fn authorities(config: &CouchbaseConfig) -> Result<Option<TlsOptions>> {
    let Some(file) = &config.tls_ca else { return Ok(None) };
    let unusable = |why: String| {
        Error::config(format!(
            "the file of `tls_ca` {why}: give the certificate of the cluster's authority, as PEM"
        ))
        .in_engine(ENGINE)
        .during("connect")
    };
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable("has no certificate".to_owned())),
        Ok(certificates) => Ok(Some(TlsOptions::new().add_ca_certificates(certificates))),
        Err(error) => Err(unusable(format!("cannot be read ({error})"))),
    }
}

async fn open(config: &CouchbaseConfig, tls: Option<TlsOptions>) -> Result<Connected> {
    let connect_timeout = config.connect_timeout.min(LONGEST);
    let end = Instant::now() + connect_timeout;
    let login = PasswordAuthenticator::new(config.user.as_str(), config.password.expose());
    let options = ClusterOptions::new(login.into())
        .kv_options(
            KvOptions::new()
                .num_connections(config.connections)
                .connect_timeout(connect_timeout)
                // The pause after a failure: short, so that a recovered server is soon used again.
                .connect_throttle_timeout(Duration::from_millis(500)),
        )
        .orphan_reporter_options(OrphanReporterOptions::new().enabled(false))
        .default_retry_strategy(Arc::new(Patience));
    let options = match tls {
        Some(tls) => options.tls_options(tls),
        None => options,
    };

    let cluster = within(end, Box::pin(Cluster::connect(config.connection_string(), options))).await;
    let cluster = match cluster {
        Some(cluster) => cluster.map_err(|error| errors::explain_connecting(error.kind()))?,
        None => return Err(refused(config, "check the user and the password").await),
    };
    let bucket = cluster.bucket(config.bucket.as_str());
    let key_value = WaitUntilReadyOptions::new().service_types(vec![ServiceType::KV]);
    let collection = bucket.scope(config.scope.as_str()).collection(config.collection.as_str());
    let ask = |key| -> Boxed<'_, Result<(), Sdk>> {
        let answer = collection.get(key, None);
        Box::pin(async { answer.await.map(drop).map_err(|error| error.kind().clone()) })
    };
    // The SDK considers a bucket ready when all of its nodes respond. If one is down, the others
    // can be used, so one response is enough; the other nodes get a moment.
    let mut ready: Boxed<'_, _> = Box::pin(bucket.wait_until_ready(key_value));
    let mut readiness = None;
    let mut answers: Boxed<'_, _> = Box::pin(first_answer(NOBODY.map(ask)));
    let answer = poll_fn(|context| {
        if readiness.is_none()
            && let Poll::Ready(result) = ready.as_mut().poll(context)
        {
            readiness = Some(result);
        }
        answers.as_mut().poll(context)
    });
    match (within(end, Box::pin(answer)).await, &readiness) {
        (Some(Ok(()) | Err(Sdk::DocumentNotFound)), _) => {}
        (Some(Err(kind)), _) => return Err(errors::explain_connecting(&kind)),
        (None, None) => {
            return Err(refused(config, "check that the bucket exists and that the user may use it").await);
        }
        (None, Some(Err(error))) => return Err(errors::explain_connecting(error.kind())),
        (None, Some(Ok(()))) => {
            return Err(refused(config, "check that the scope and the collection exist").await);
        }
    }
    if readiness.is_none() && timeout_at(end.min(Instant::now() + MOMENT), ready).await.is_err() {
        tracing::warn!(engine = ENGINE, "connected, but some nodes do not respond");
    }
    drop(answers);
    Ok(Connected { collection, _cluster: cluster })
}

/// The first response of a server. Failures count only if all servers fail.
async fn first_answer<const N: usize>(questions: [Boxed<'_, Result<(), Sdk>>; N]) -> Result<(), Sdk> {
    let mut open: Vec<_> = questions.into();
    poll_fn(|context| {
        let mut failure = None;
        for number in (0..open.len()).rev() {
            match open[number].as_mut().poll(context) {
                Poll::Pending => {}
                Poll::Ready(Err(kind)) if errors::explain(&kind, false).kind() == ErrorKind::Unavailable => {
                    drop(open.swap_remove(number));
                    failure = Some(kind);
                }
                Poll::Ready(answer) => return Poll::Ready(answer),
            }
        }
        match failure {
            Some(kind) if open.is_empty() => Poll::Ready(Err(kind)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// The SDK's result, or `None` while it is still retrying.
async fn within<T>(end: Instant, step: Boxed<'_, T>) -> Option<T> {
    timeout_at(end, step).await.ok()
}

/// Why a step did not finish: if a server responds but refuses this client, the configuration is
/// wrong.
async fn refused(config: &CouchbaseConfig, reason: &str) -> Error {
    for host in &config.hosts {
        if config.tls {
            break;
        }
        if matches!(timeout(Duration::from_secs(1), greet(host)).await, Ok(Ok(()))) {
            let message = format!(
                "the server responds, but does not grant access within {:?}: {reason}",
                config.connect_timeout
            );
            return Error::config(message).in_engine(ENGINE);
        }
    }
    unavailable(if config.tls {
        "no node granted access in time: the servers are down, their certificate is not trusted (`tls_ca`) \
        or is for other names \
         than the cluster's own, or the user, password or bucket is wrong"
    } else {
        "no server responds at the key-value port of the configured hosts"
    })
}

/// Sends a no-operation of the key-value protocol, which needs no login, and reads the response.
async fn greet(host: &str) -> std::io::Result<()> {
    const NO_OPERATION: [u8; 24] = {
        let mut packet = [0; 24];
        (packet[0], packet[1]) = (0x80, 0x0a);
        packet
    };
    const ANSWER: u8 = 0x81;
    let has_port = host.rfind(':').is_some_and(|colon| !host[colon..].contains(']'));
    let mut stream =
        TcpStream::connect(if has_port { host.to_owned() } else { format!("{host}:11210") }).await?;
    stream.write_all(&NO_OPERATION).await?;
    let mut answer = [0; 24];
    stream.read_exact(&mut answer).await?;
    if answer[0] == ANSWER { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

fn unavailable(why: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, why).in_engine(ENGINE).during("connect")
}

/// How long the SDK may retry when the server is not ready: about a second, then it returns the
/// reason. Commands in flight on a broken connection are retried only if they are reads.
#[derive(Debug)]
struct Patience;

impl RetryStrategy for Patience {
    fn retry_after(&self, request: &RetryRequest, reason: &RetryReason) -> Option<RetryAction> {
        let safe = request.is_idempotent() || reason.allows_non_idempotent_retry();
        let wait = Duration::from_millis(1 << (2 * request.retry_attempts().min(5)));
        (safe && request.retry_attempts() < 6).then(|| RetryAction::new(wait))
    }
}
