//! Tests each example over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use session_examples::{
    actix_login, api_tokens, cart, chat, cors, login, oauth, own_engine, proxy, remember_me, tenants,
    two_managers,
};
use std::net::SocketAddr;
use tower::ServiceExt;

/// A client that keeps cookies by name, as a browser does.
#[derive(Clone, Default)]
struct Client {
    cookies: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
}

impl Client {
    async fn send(&mut self, app: &Router, method: &str, path: &str, form: &str) -> Response<Body> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request =
            Request::builder().method(method).uri(path).header(header::COOKIE, cookies.join("; "));
        if !form.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(kept, _)| kept != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }

    async fn text(&mut self, app: &Router, method: &str, path: &str, form: &str) -> String {
        let response = self.send(app, method, path, form).await;
        assert!(response.status().is_success(), "{method} {path}: {}", response.status());
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }
}

#[tokio::test]
async fn login_with_a_password() {
    let app = login::app().unwrap();
    let mut client = Client::default();
    let form = "user=ada&password=correct";
    assert_eq!(client.send(&app, "POST", "/register", form).await.status(), StatusCode::CREATED);
    for wrong in ["user=ada&password=wrong", "user=eve&password=correct"] {
        assert_eq!(client.send(&app, "POST", "/login", wrong).await.status(), StatusCode::UNAUTHORIZED);
    }
    client.text(&app, "POST", "/login", form).await;
    assert_eq!(client.text(&app, "GET", "/", "").await, "hello, ada");
    let stolen = client.clone();
    client.text(&app, "POST", "/logout", "").await;
    for mut client in [client, stolen] {
        assert_eq!(client.text(&app, "GET", "/", "").await, "hello, visitor");
    }
}

#[tokio::test]
async fn an_oauth_state_is_valid_once_and_for_its_browser() {
    let app = oauth::app().unwrap();
    let mut client = Client::default();
    let redirect = client.send(&app, "GET", "/login", "").await;
    let location = redirect.headers()[header::LOCATION].to_str().unwrap().to_owned();
    let callback = format!("/callback?code=7&state={}", location.split_once("state=").unwrap().1);
    let other = Client::default().send(&app, "GET", &callback, "").await;
    assert_eq!(other.status(), StatusCode::BAD_REQUEST, "another browser");
    assert!(client.send(&app, "GET", &callback, "").await.status().is_redirection());
    assert_eq!(client.text(&app, "GET", "/", "").await, "user of 7");
    assert_eq!(client.send(&app, "GET", &callback, "").await.status(), StatusCode::BAD_REQUEST, "used");
}

#[tokio::test]
async fn a_cart_survives_the_sign_in() {
    let app = cart::app().unwrap();
    let mut client = Client::default();
    client.text(&app, "POST", "/cart/tea", "").await;
    let mut tabs = [client.clone(), client.clone()];
    for tab in &mut tabs {
        tab.text(&app, "POST", "/cart/tea", "").await;
    }
    let before = client.cookies.clone();
    client.text(&app, "POST", "/login/ada", "").await;
    assert_ne!(client.cookies, before, "a new id");
    assert_eq!(client.text(&app, "GET", "/cart", "").await, "3 x tea");
}

#[tokio::test]
async fn a_remembered_sign_in_outlives_the_browser() {
    let app = remember_me::app().unwrap();
    for (form, class, stays) in [("user=ada", "default", false), ("user=ada&remember=true", "remember", true)]
    {
        let mut client = Client::default();
        let response = client.send(&app, "POST", "/login", form).await;
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.contains("Max-Age"), stays, "{form}");
        assert_eq!(client.text(&app, "GET", "/class", "").await, class);
    }
}

#[tokio::test]
async fn users_and_administrators_have_separate_sessions() {
    let app = two_managers::app().unwrap();
    let mut client = Client::default();
    client.text(&app, "POST", "/login", "").await;
    assert_eq!(client.text(&app, "GET", "/", "").await, "user: true, admin: false");
    client.text(&app, "POST", "/admin/login", "").await;
    assert_eq!(client.text(&app, "GET", "/", "").await, "user: true, admin: true");
    assert_eq!(client.cookies.len(), 2);
}

#[tokio::test]
async fn an_application_of_another_origin_sends_its_cookie() {
    let app = cors::app().unwrap();
    let mut client = Client { headers: vec![("origin", cors::ORIGIN.to_owned())], ..Client::default() };
    let first = client.send(&app, "POST", "/visits", "").await;
    assert_eq!(first.headers()["access-control-allow-origin"], cors::ORIGIN);
    assert_eq!(first.headers()["access-control-allow-credentials"], "true");
    let cookie = first.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("SameSite=None") && cookie.contains("Partitioned"), "{cookie}");
    assert_eq!(client.text(&app, "POST", "/visits", "").await, "2");
    let mut preflight = client.clone();
    preflight.headers.push(("access-control-request-method", "POST".to_owned()));
    let answer = preflight.send(&app, "OPTIONS", "/visits", "").await;
    assert!(answer.status().is_success() && answer.headers().get(header::SET_COOKIE).is_none());
}

#[tokio::test]
async fn a_program_sends_its_token_in_a_header() {
    let app = api_tokens::app().unwrap();
    let mut client = Client::default();
    let first = client.send(&app, "POST", "/calls", "").await;
    let token = first.headers()[api_tokens::HEADER].to_str().unwrap().to_owned();
    assert!(first.headers().get(header::SET_COOKIE).is_none());
    client.headers.push((api_tokens::HEADER, token));
    assert_eq!(client.text(&app, "POST", "/calls", "").await, "2");
}

#[tokio::test]
async fn each_tenant_has_cookies_for_its_own_domain() {
    let app = tenants::app().unwrap();
    for (host, domain) in [
        ("shop.tea.example", Some("Domain=tea.example")),
        ("coffee.example", Some("Domain=coffee.example")),
        ("elsewhere.example", None),
    ] {
        let mut client = Client { headers: vec![("host", host.to_owned())], ..Client::default() };
        let response = client.send(&app, "POST", "/visits", "").await;
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        match domain {
            Some(domain) => assert!(cookie.contains(domain), "{cookie}"),
            None => assert!(!cookie.contains("Domain"), "{cookie}"),
        }
    }
}

#[tokio::test]
async fn processes_behind_a_proxy_share_sessions_and_believe_the_proxy() {
    let engine = std::sync::Arc::new(session_kit::memory::MemoryProvider::new());
    let process = |from: [u8; 4]| {
        let process = proxy::process(engine.clone()).unwrap();
        process.layer(axum::Extension(ConnectInfo(SocketAddr::from((from, 4_000)))))
    };
    let processes = [process([10, 0, 0, 7]), process([10, 0, 0, 7])];
    let mut client = Client { headers: vec![("x-forwarded-proto", "https".to_owned())], ..Client::default() };
    let first = client.send(&processes[0], "POST", "/visits", "").await;
    assert!(first.headers()[header::SET_COOKIE].to_str().unwrap().contains("Secure"));
    assert_eq!(client.text(&processes[1], "POST", "/visits", "").await, "2");
    // Other clients' headers are not trusted.
    client.cookies.clear();
    let stranger = client.send(&process([192, 0, 2, 1]), "POST", "/visits", "").await;
    assert!(!stranger.headers()[header::SET_COOKIE].to_str().unwrap().contains("Secure"));
}

#[tokio::test]
async fn a_custom_engine_works() {
    let app = own_engine::app().unwrap();
    let mut client = Client::default();
    for visit in ["1", "2", "3"] {
        assert_eq!(client.text(&app, "POST", "/visits", "").await, visit);
    }
}

#[actix_web::test]
async fn a_sign_in_on_actix() {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    let app = actix_web::App::new().configure(actix_login::routes).wrap(actix_login::middleware().unwrap());
    let app = init_service(app).await;
    let response = call_service(&app, TestRequest::post().uri("/login/ada").to_request()).await;
    let cookie = response.headers().get("set-cookie").unwrap().to_str().unwrap().split(';').next().unwrap();
    let home = async || {
        let request = TestRequest::get().uri("/").insert_header(("cookie", cookie)).to_request();
        read_body(call_service(&app, request).await).await
    };
    assert_eq!(home().await, "hello, ada");
    let logout = TestRequest::post().uri("/logout").insert_header(("cookie", cookie)).to_request();
    assert!(call_service(&app, logout).await.status().is_success());
    assert_eq!(home().await, "hello, visitor");
}

#[tokio::test]
async fn a_socket_saves_while_it_is_open_and_ends_with_a_logout() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::tungstenite::{Error, Message};

    let app = chat::app().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, app.clone()).into_future());
    let connect = async |cookie: &str| {
        let mut request = format!("ws://{address}/chat").into_client_request().unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await
    };
    let stranger = connect("theme=dark").await.map(drop);
    assert!(matches!(stranger, Err(Error::Http(answer)) if answer.status() == StatusCode::UNAUTHORIZED));

    let mut client = Client::default();
    client.text(&app, "POST", "/login", "").await;
    let (name, value) = &client.cookies[0];
    let (mut socket, _) = connect(&format!("{name}={value}")).await.unwrap();
    for expected in ["1: hello", "2: hello"] {
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(expected));
    }
    client.text(&app, "POST", "/logout", "").await;
    let end = tokio::time::timeout(std::time::Duration::from_mins(1), socket.next()).await.unwrap();
    assert!(matches!(end, None | Some(Ok(Message::Close(_)) | Err(_))), "{end:?}");
    server.abort();
}
