//! Tokens against cross-site request forgery: good for their session, until its next sign-in.

use std::collections::HashSet;

use session_core::flash::Level;

use crate::{Context, begin, open};

/// In the next request, in every process, and in no other session.
pub async fn a_token_is_good_for_its_session_only(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    let session = here.create();
    assert!(!session.verify_csrf(""), "a session without a form has no token");
    let form = session.csrf_token().expect("a token");
    assert!(session.verify_csrf(&form));
    session.release().await.expect("a release");
    let token = session.token().expect("a token");
    let next = open(&there, &token).await;
    assert!(next.verify_csrf(&form));
    assert!(next.verify_csrf(&next.csrf_token().expect("a token")));
    let other = open(&here, &begin(&here, "key", 1).await).await;
    assert!(!other.verify_csrf(&form));
    other.csrf_token().expect("a token");
    assert!(!other.verify_csrf(&form));
    let mut changed = form.clone().into_bytes();
    changed[50] = if changed[50] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    for bad in ["", "x", &form[..85], &format!("{form}A"), &changed, &form.replace(&form[43..], &form[..43])]
    {
        assert!(!next.verify_csrf(bad), "{bad}");
    }
}

/// A page that is compressed shows no secret that repeats (BREACH).
pub async fn every_token_has_a_text_of_its_own(context: Context) {
    let manager = context.manager();
    let session = manager.create();
    let tokens: HashSet<String> = (0..100).map(|_| session.csrf_token().expect("a token")).collect();
    assert_eq!(tokens.len(), 100);
    assert!(tokens.iter().all(|token| token.len() == 86 && session.verify_csrf(token)));
    let beginnings: HashSet<&str> = tokens.iter().map(|token| &token[..22]).collect();
    let ends: HashSet<&str> = tokens.iter().map(|token| &token[60..]).collect();
    assert_eq!((beginnings.len(), ends.len()), (100, 100), "neither half repeats");
}

/// A token that an attacker got before the sign-in is of no use after it.
pub async fn a_sign_in_makes_the_tokens_before_it_useless(context: Context) {
    let manager = context.manager();
    for by_sign_in in [true, false] {
        let session = manager.create();
        let before = session.csrf_token().expect("a token");
        session.release().await.expect("a release");
        let session = open(&manager, &session.token().expect("a token")).await;
        if by_sign_in {
            session.sign_in("ada").expect("a sign-in");
        } else {
            session.regenerate().expect("a new id");
        }
        assert!(!session.verify_csrf(&before));
        let after = session.csrf_token().expect("a token");
        session.release().await.expect("a release");
        let session = open(&manager, &session.token().expect("a token")).await;
        assert!(session.verify_csrf(&after) && !session.verify_csrf(&before));
        assert!(session.verify_csrf(&session.csrf_token().expect("a token")));
    }
}

/// Code that goes through an application's keys does not meet them.
pub async fn the_librarys_own_keys_are_not_listed(context: Context) {
    let session = context.manager().create();
    session.csrf_token().expect("a token");
    session.flash(Level::Info, "text").expect("a message");
    assert!(session.is_empty() && session.keys().is_empty());
    session.set("number", &7).expect("a set");
    assert_eq!(session.entries::<u64>().expect("numbers"), [("number".to_owned(), 7)]);
    session.flush().expect("a flush");
    assert!(session.body().is_empty());
}

/// Two tabs that are opened together both have a form that works.
pub async fn first_tokens_of_pages_at_the_same_time_are_all_good(context: Context) {
    let (here, there) = (context.manager(), context.manager_over(context.another().await));
    let token = begin(&here, "key", 1).await;
    let pages = [open(&here, &token).await, open(&there, &token).await];
    let forms = [0, 1].map(|page: usize| pages[page].csrf_token().expect("a token"));
    for page in &pages {
        page.release().await.expect("a release");
    }
    let session = open(&here, &token).await;
    assert!(forms.iter().all(|form| session.verify_csrf(form)));
}
