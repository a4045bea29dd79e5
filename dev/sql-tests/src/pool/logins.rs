//! Users and passwords that change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_core::{ErrorKind, Provider, Secret};
use session_sql::Credential;

use crate::records::id;
use crate::{Engine, Server, Table, sql};

pub async fn every_new_connection_asks_for_user_and_password<E: Engine>() {
    let (server, _) = Table::<E>::private(&[]).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let passwords = {
        let asked = Arc::clone(&asked);
        move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            async move {
                let password = if number == 0 { "session" } else { "rotated" };
                Ok(Credential { user: Some("session".into()), password: Secret::new(password) })
            }
        }
    };
    let config = server.url().replace("session:session@", "nobody:old@");
    let sessions = E::connect_asking(&config, passwords).await.unwrap();
    sql::<E>(&server.admin_url(), E::DIALECT.rotate_password).await;
    assert!(!sessions.exists(&id("a")).await.unwrap(), "an open connection stays");
    let admin = server.admin_url().replace("session:session@", "session:rotated@");
    sql::<E>(&admin, E::DIALECT.kill).await;
    drop(sessions.exists(&id("a")).await);
    assert!(!sessions.exists(&id("a")).await.unwrap());
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    let failing = || async { Err::<Credential, _>("the vault is sealed".into()) };
    let error = E::connect_asking(&server.url(), failing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
}
