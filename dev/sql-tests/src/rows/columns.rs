//! The contents of the columns.

use session_core::accounts::Owner;
use session_core::engine::DestroyOutcome;
use session_core::record::Record;
use session_core::{ErrorKind, Provider};

use crate::records::{MINUTE, create, hashed, id, is_stored, record, replace, value};
use crate::{Engine, Table};

pub async fn a_touch_writes_the_deadline_only_and_the_owner_has_a_column<E: Engine>() {
    let (table, sessions) = Table::<E>::start("touch").await;
    let mut first = record("a");
    first.header.owner = Some(Owner::of("ada"));
    create(&sessions, &hashed(1), &first).await;
    let name = table.name();
    let (data, owner) = (E::hex("session_data"), E::hex("owner"));
    let rest =
        format!("SELECT CONCAT_WS(' ', session_key, {data}, session_absolute, version, {owner}) FROM {name}");
    let before = table.ask(&rest).await;
    assert!(sessions.touch(&hashed(1), &first, 2 * MINUTE).await.unwrap());
    assert_eq!(table.ask(&rest).await, before);
    let (count, ada) = (E::text("COUNT(*)"), E::sha256("'ada'"));
    let by_ada = format!("SELECT {count} FROM {name} WHERE owner = {ada}");
    assert_eq!(table.ask(&by_ada).await, ["1"]);

    let mut second = first.header.next();
    second.owner = None;
    let second = Record::new(second, first.body.clone());
    assert!(is_stored(&replace(&sessions, &hashed(1), &first, &second).await));
    assert_eq!(table.ask(&by_ada).await, ["0"]);
    let keys = format!("SELECT {} FROM {name}", E::text("session_key"));
    assert_eq!(table.ask(&keys).await, [hashed(1).to_text()]);
}

pub async fn plain_ids_are_the_key_and_longer_ones_are_hashed<E: Engine>() {
    let (table, sessions) = Table::<E>::start("long_ids").await;
    let longest = id(&"x".repeat(64));
    let longer = id(&"x".repeat(65));
    create(&sessions, &longest, &record("fits")).await;
    create(&sessions, &longer, &record("does not")).await;
    assert_eq!(value(&sessions.read(&longest, MINUTE).await.unwrap().unwrap()), "fits");
    assert_eq!(value(&sessions.read(&longer, MINUTE).await.unwrap().unwrap()), "does not");
    let keys = table.ask(&format!("SELECT {} FROM {}", E::text("session_key"), table.name())).await;
    assert!(keys.contains(&"x".repeat(64)) && keys.iter().all(|key| key.len() == 64), "{keys:?}");
}

pub async fn an_unreadable_row_is_corrupt_and_can_be_destroyed<E: Engine>() {
    let (table, sessions) = Table::<E>::start("corrupt").await;
    for (name, data) in [("gob", &*E::bytes("0dff81040102")), ("empty", "''"), ("null", "NULL")] {
        let (into, future) = (table.name(), E::DIALECT.future);
        let row = format!("(session_key, session_data, session_expiry) VALUES ('{name}', {data}, {future})");
        table.sql(&format!("INSERT INTO {into} {row}")).await;
        let error = sessions.read(&id(name), MINUTE).await.unwrap_err();
        assert_eq!((error.kind(), error.engine()), (ErrorKind::Corrupt, Some(E::NAME)), "{name}");
        assert!(
            matches!(sessions.destroy(&id(name), None).await.unwrap(), DestroyOutcome::Destroyed),
            "{name}"
        );
    }
}
