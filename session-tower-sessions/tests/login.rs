//! `axum-login` and `axum-messages`, unmodified, over this store: the steps of their examples.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Form;
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use axum_messages::{Messages, MessagesManagerLayer};
use serde::Deserialize;
use session_core::Manager;
use session_memory::MemoryProvider;
use session_tower_sessions::{EngineStore, Moving};
use tower::ServiceExt;
use tower_sessions::{MemoryStore, SessionManagerLayer, SessionStore};

#[derive(Debug, Clone)]
struct User {
    id: i64,
    password: String,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password.as_bytes()
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

#[derive(Debug, Clone)]
struct Users(Arc<Mutex<HashMap<i64, User>>>);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, given: Credentials) -> Result<Option<User>, Infallible> {
        let user = self.0.lock().unwrap().get(&1).cloned();
        Ok(user.filter(|user| given.username == "ferris" && given.password == user.password))
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Infallible> {
        Ok(self.0.lock().unwrap().get(id).cloned())
    }
}

impl Users {
    fn new() -> Self {
        let users = Self(Arc::default());
        users.set_password("hunter42");
        users
    }

    fn set_password(&self, password: &str) {
        self.0.lock().unwrap().insert(1, User { id: 1, password: password.into() });
    }
}

async fn login(mut auth: AuthSession<Users>, messages: Messages, Form(given): Form<Credentials>) -> Redirect {
    let Some(user) = auth.authenticate(given).await.unwrap() else {
        messages.error("invalid");
        return Redirect::to("/login");
    };
    auth.login(&user).await.unwrap();
    messages.success("welcome");
    Redirect::to("/")
}

async fn logout(mut auth: AuthSession<Users>) -> Redirect {
    auth.logout().await.unwrap();
    Redirect::to("/login")
}

async fn page(messages: Messages) -> impl IntoResponse {
    messages.into_iter().map(|message| message.to_string()).collect::<Vec<_>>().join(", ")
}

fn app<Store: SessionStore + Clone>(store: Store, users: &Users) -> Router {
    let sessions = SessionManagerLayer::new(store);
    let auth = AuthManagerLayerBuilder::new(users.clone(), sessions).build();
    Router::new()
        .route("/", get(page))
        .route_layer(login_required!(Users, login_url = "/login"))
        .route("/login", post(login).get(page))
        .route("/logout", post(logout))
        .layer(MessagesManagerLayer)
        .layer(auth)
}

fn engine() -> EngineStore {
    EngineStore::new(Manager::builder(MemoryProvider::new()).build().unwrap()).unwrap()
}

/// A browser with one cookie.
#[derive(Default, Clone)]
struct Browser {
    cookie: String,
}

impl Browser {
    async fn send(&mut self, app: &Router, method: &str, path: &str, form: &str) -> Response<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, &self.cookie)
            .body(Body::from(form.to_owned()))
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let is_removed = cookie.contains("Max-Age=0");
            self.cookie = if is_removed { String::new() } else { cookie.split(';').next().unwrap().into() };
        }
        response
    }

    async fn get(&mut self, app: &Router, path: &str) -> (StatusCode, String) {
        let response = self.send(app, "GET", path, "").await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn log_in(&mut self, app: &Router, password: &str) -> String {
        let response =
            self.send(app, "POST", "/login", &format!("username=ferris&password={password}")).await;
        response.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    async fn is_logged_in(&mut self, app: &Router) -> bool {
        let (status, _) = self.get(app, "/").await;
        assert!(status == StatusCode::OK || status == StatusCode::TEMPORARY_REDIRECT, "{status}");
        status == StatusCode::OK
    }
}

/// The steps of `axum-login`'s own integration test.
async fn example<Store: SessionStore + Clone>(store: Store) {
    let users = Users::new();
    let app = app(store, &users);
    let mut browser = Browser::default();
    let response = browser.send(&app, "GET", "/", "").await;
    assert_eq!(response.headers()[LOCATION], "/login?next=%2F");
    assert_eq!(browser.cookie, "", "no cookie for a visitor");
    assert_eq!(browser.log_in(&app, "bogus").await, "/login");
    assert!(browser.cookie.starts_with("id="), "{}", browser.cookie);
    assert_eq!(browser.get(&app, "/login").await.1, "invalid");
    assert!(!browser.is_logged_in(&app).await);

    let before = browser.clone();
    assert_eq!(browser.log_in(&app, "hunter42").await, "/");
    assert_ne!(browser.cookie, before.cookie, "a sign-in gives a new id");
    assert_eq!(browser.get(&app, "/").await, (StatusCode::OK, "welcome".into()));
    assert_eq!(browser.get(&app, "/").await, (StatusCode::OK, String::new()), "shown once");
    assert!(!before.clone().is_logged_in(&app).await);

    let copy = browser.clone();
    browser.send(&app, "POST", "/logout", "").await;
    assert_eq!(browser.cookie, "", "a logout removes the cookie");
    assert!(!browser.is_logged_in(&app).await);
    assert!(!copy.clone().is_logged_in(&app).await, "and ends the session");

    // A changed password ends earlier sessions.
    assert_eq!(browser.log_in(&app, "hunter42").await, "/");
    assert!(browser.is_logged_in(&app).await);
    users.set_password("other");
    assert!(!browser.is_logged_in(&app).await);
}

#[tokio::test]
async fn axum_login_and_axum_messages_run_over_an_engine() {
    example(engine()).await;
    example(engine().merging(false)).await;
}

#[tokio::test]
async fn axum_login_and_axum_messages_run_over_both_stores_while_sessions_move() {
    example(Moving::new(engine(), MemoryStore::default())).await;
}

/// The reference: the results of these steps over the store of `tower-sessions`.
#[tokio::test]
async fn axum_login_and_axum_messages_run_over_the_original_store() {
    example(MemoryStore::default()).await;
}

#[tokio::test]
async fn users_stay_logged_in_during_the_move() {
    let (users, old) = (Users::new(), MemoryStore::default());
    let mut browser = Browser::default();
    let before = app(old.clone(), &users);
    assert_eq!(browser.log_in(&before, "hunter42").await, "/");
    let after = app(Moving::new(engine(), old.clone()), &users);
    assert!(browser.is_logged_in(&after).await);
    assert!(!browser.clone().is_logged_in(&before).await, "the session has moved");
    browser.send(&after, "POST", "/logout", "").await;
    assert!(!browser.is_logged_in(&after).await);
}
