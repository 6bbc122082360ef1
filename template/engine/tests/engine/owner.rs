//! What the owner of an axum router expects of their fallbacks, of axum's own extractors and of the client's address.
//! The routes are the test's own, with the engine's edge and server around them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Extension, MatchedPath, Path, Query, RawQuery};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{AppendHeaders, IntoResponse, IntoResponseParts};
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body::{Frame, SizeHint};
use longpole::internals::{Edge, Life, Logs, Refusals, Server, bind, open_links, start_log};
use longpole::{ClientAddr, Config};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

#[cfg(feature = "_database")]
use crate::common::Database;
use crate::common::{Response, client, eventually, read_log, request, send, setup};

/// A service with routes of the test, in the process of the test.
pub struct Owner {
    pub addr: SocketAddr,
    _server: Server,
    #[cfg(feature = "_database")]
    _database: Database,
}

pub async fn owner(routes: Router) -> Owner {
    owner_with(routes, |_| {}).await
}

pub async fn owner_with(routes: Router, change: impl FnOnce(&mut Config)) -> Owner {
    serve(routes, change, Refusals::Reworded).await
}

async fn serve(routes: Router, change: impl FnOnce(&mut Config), refusals: Refusals) -> Owner {
    logs(); // sets the log up before the first line
    #[cfg(feature = "_database")]
    let database = Database::new();
    let mut config = Config::default();
    #[cfg(feature = "_database")]
    {
        config.database.url = database.url().into();
    }
    config.server.addr = SocketAddr::from(([127, 0, 0, 1], 0));
    config.log.client_addr = true;
    change(&mut config);
    let links = open_links(
        &config,
        #[cfg(feature = "_database")]
        longpole::Migrations::default(),
    );
    let links = links.await.unwrap();
    let life = Life::default();
    let edge = Edge::new(&config, &links, &life, refusals);
    let listener = bind(&config.server).await.unwrap();
    let server = Server::start(listener, &config.server, edge.wrap(routes), &life).unwrap();
    Owner {
        addr: server.addr(),
        _server: server,
        #[cfg(feature = "_database")]
        _database: database,
    }
}

/// The folder of the log. As in a service, the process has one log.
pub fn logs() -> &'static TempDir {
    static LOGS: OnceLock<(TempDir, Logs)> = OnceLock::new();
    let (dir, _) = LOGS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default().log;
        config.dir = dir.path().join("logs");
        (dir, start_log(&config).unwrap())
    });
    dir
}

/// Waits for a line that is wanted, and returns the first one.
pub fn line(what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || read_log(logs().path()).into_iter().find(&wanted))
}

impl Owner {
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        send(self.addr, &request(method, path, headers, b""))
    }

    pub fn get(&self, path: &str) -> Response {
        self.call("GET", path, &[])
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> Response {
        send(self.addr, &request("POST", path, &[("content-type", kind)], body))
    }

    /// The line of the request that got this answer.
    pub fn line_of(&self, answer: &Response) -> Value {
        let id = answer.header("x-request-id").unwrap();
        line("request line", |line| line["message"] == "request" && line["request_id"] == id)
    }

    /// Asserts that a 500 does not name the cause, and that an error in the log names it.
    fn mistake_of_ours(&self, answer: &Response, named: &str) {
        let told = answer.problem(500).to_string();
        assert!(!told.contains(named), "{told}");
        let id = answer.header("x-request-id").unwrap();
        let error = line("error", |line| line["level"] == "ERROR" && line["request_id"] == id);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_fallbacks_the_engine_answers() {
    let owner = owner(Router::new().route("/a", get(async || "a"))).await;

    let missing = owner.get("/b");
    assert_eq!(missing.problem(404)["detail"], "There is nothing at this address.");
    assert_eq!(owner.line_of(&missing)["route"], "_unmatched");
    let refused = owner.call("DELETE", "/a", &[]);
    refused.problem(405);
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    assert_eq!(owner.line_of(&refused)["route"], "/a");
    let mut head = String::new();
    client::open(owner.addr, &request("HEAD", "/b", &[], b"")).read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 404") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_fallbacks_win() {
    let inner =
        Router::new().route("/x", get(async || "x")).fallback(async || (StatusCode::NOT_FOUND, "inner"));
    let routes = Router::new()
        .route("/a", get(async || "a"))
        .nest("/inner", inner)
        .fallback(async || (StatusCode::GONE, "outer"))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "not this way"));
    let owner = owner(routes).await;

    for (path, status, text) in
        [("/a", 200, "a"), ("/b", 410, "outer"), ("/inner/x", 200, "x"), ("/inner/y", 404, "inner")]
    {
        let answer = owner.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{path}");
    }
    assert_eq!(owner.line_of(&owner.get("/inner/y"))["route"], "_unmatched");
    let refused = owner.call("DELETE", "/a", &[]);
    assert_eq!((refused.status, refused.text().as_str()), (405, "not this way"));
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_clients_know_axums_answers_can_keep_them() {
    let routes = || {
        Router::new()
            .route("/a", get(async || "a").post(async |Json(_): Json<Value>| "b"))
            .route("/broken", get(async || (StatusCode::INTERNAL_SERVER_ERROR, "the disk is on fire")))
            .route("/panic", get(async || -> &str { panic!("the owner's panic") }))
    };
    let owner = serve(routes(), |_| {}, Refusals::Kept).await;

    let missing = owner.get("/b");
    assert_eq!((missing.status, missing.text().as_str(), missing.header("content-type")), (404, "", None));
    let refused = owner.call("DELETE", "/a", &[]);
    assert_eq!(
        (refused.status, refused.text().as_str(), refused.header("allow")),
        (405, "", Some("GET,HEAD,POST"))
    );
    let broken = owner.get("/broken");
    assert_eq!((broken.status, broken.text().as_str()), (500, "the disk is on fire"));
    let no_json = owner.post("/a", "application/json", b"{");
    assert_eq!(no_json.status, 400);
    assert!(no_json.text().starts_with("Failed to parse the request body as JSON: "), "{no_json:?}");
    owner.get("/panic").problem(500); // this answer is the engine's
    for answer in [missing, refused, broken, no_json] {
        assert_eq!(owner.line_of(&answer)["status"], answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_as_fallback_wins_and_its_silence_gets_words() {
    let files = Router::new().route("/file", get(async || "content"));
    let owner = owner(Router::new().route("/a", get(async || "a")).fallback_service(files)).await;

    assert_eq!(owner.get("/file").text(), "content");
    let missing = owner.get("/other");
    missing.problem(404);
    assert_eq!(owner.line_of(&missing)["route"], "_unmatched");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_answers_stays() {
    let routes = Router::new()
        .route("/missing", get(async || StatusCode::NOT_FOUND))
        .route("/text", get(async || (StatusCode::BAD_REQUEST, "no")))
        .route("/busy", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route(
            "/page",
            get(async || (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/html")], "<p>no")),
        )
        .route(
            "/plain",
            get(async || (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/plain")], "no")),
        )
        .route("/never", get(async || (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "PUT")])))
        .route("/url", get(async || (StatusCode::BAD_REQUEST, "Invalid URL: it has no host")));
    let owner = owner(routes).await;

    for (path, status, text) in [
        ("/missing", 404, ""),
        ("/text", 400, "no"),
        ("/busy", 503, ""),
        ("/page", 502, "<p>no"),
        ("/plain", 502, "no"),
        ("/never", 405, ""),
        ("/url", 400, "Invalid URL: it has no host"),
    ] {
        let answer = owner.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{path}");
    }
    assert_eq!(owner.get("/never").header("allow"), Some("PUT"));
}

/// The body of another service's answer: its length is known before its pieces have come. A `None` is a piece that
/// comes later.
struct Pieces(VecDeque<Option<&'static str>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().flatten().map(|piece| piece.len() as u64).sum())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_body_is_still_to_come_stays() {
    let passed_on = async |Path((status, pieces)): Path<(u16, usize)>| {
        let pieces = [
            &[None, Some("no such thing")][..],
            &[Some("no "), None, Some("such thing")],
            &[Some("no "), Some("such "), Some("thing")],
            &[None, Some("no "), None, Some("such thing")],
        ][pieces];
        let body = Body::new(Pieces(pieces.iter().copied().collect()));
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        (StatusCode::from_u16(status).unwrap(), kind, body)
    };
    let owner = owner(Router::new().route("/{status}/{pieces}", get(passed_on))).await;

    for status in [404, 502] {
        for pieces in 0..4 {
            let answer = owner.get(&format!("/{status}/{pieces}"));
            assert_eq!((answer.status, answer.text().as_str()), (status, "no such thing"), "{pieces}");
            assert_eq!(answer.header("content-length"), Some("13"), "{pieces}");
            assert_eq!(owner.line_of(&answer)["status"], status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_layers_have_put_into_the_headers_arrives_whole() {
    fn cookies() -> impl IntoResponseParts + Clone {
        AppendHeaders([(header::SET_COOKIE, "a=1"), (header::SET_COOKIE, "b=2")])
    }
    let kind = AppendHeaders([(header::WWW_AUTHENTICATE, "Basic"), (header::CONTENT_LANGUAGE, "en")]);
    let routes = Router::new()
        .route("/text", get((StatusCode::BAD_GATEWAY, kind, cookies(), "inside")))
        .route("/json", post(async |_: Json<Draft>| ()))
        .layer(map_response(async |response: axum::response::Response| (cookies(), response)));
    let owner = owner(routes).await;

    let text = owner.get("/text");
    text.problem(502);
    assert_eq!((text.header("www-authenticate"), text.header("content-language")), (Some("Basic"), None));
    let json = owner.post("/json", "application/json", b"{");
    json.problem(400);
    for (answer, cookies) in [(text, 4), (json, 2)] {
        let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        assert_eq!(set.count(), cookies, "{answer:?}");
    }
}

#[derive(Clone)]
struct Absent;

#[derive(Deserialize)]
struct Draft {
    _name: String,
}

/// A value that cannot be written as JSON.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("secret of the inside"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_axum_refuses_shows_nothing_of_the_inside() {
    let routes = Router::new()
        .route("/extension", get(async |_: Extension<Absent>| ()))
        .route("/info", get(async |_: ConnectInfo<Absent>| ()))
        .route("/wrong/{a}/{b}", get(async |_: Path<i64>| ()))
        .route("/number/{n}", get(async |_: Path<i64>| ()))
        .route("/query", get(async |_: Query<Draft>| ()))
        .route("/json", post(async |_: Json<Draft>| ()))
        .route("/unwritable", get(async || Json(Unwritable)))
        .route("/careless", get(async || (StatusCode::BAD_GATEWAY, "secret of the inside".to_owned())))
        .fallback(async |_: MatchedPath| ());
    let owner = owner(routes).await;

    owner.mistake_of_ours(&owner.get("/extension"), "Absent");
    owner.mistake_of_ours(&owner.get("/info"), "Absent");
    owner.mistake_of_ours(&owner.get("/wrong/1/2"), "Wrong number");
    owner.mistake_of_ours(&owner.get("/nowhere"), "matched path");
    owner.mistake_of_ours(&owner.get("/unwritable"), "secret of the inside");
    let careless = owner.get("/careless");
    assert!(!careless.problem(502).to_string().contains("secret"));

    let detail = |answer: Response, status| {
        let problem = answer.problem(status);
        let detail = problem["detail"].as_str().unwrap().to_owned();
        for inside in ["Draft", "struct", "i64"] {
            assert!(!detail.contains(inside), "{detail}");
        }
        detail
    };
    assert!(detail(owner.get("/number/seven"), 400).contains("not of the expected kind"));
    assert!(detail(owner.get("/number/%ff"), 400).contains("UTF-8"));
    assert!(detail(owner.get("/query"), 400).contains("missing field `_name`"));
    assert!(detail(owner.post("/json", "application/json", b"[]"), 422).contains("expected an object"));
    assert!(detail(owner.post("/json", "application/json", b"{}"), 422).contains("missing field `_name`"));
    assert!(detail(owner.post("/json", "application/json", b"{"), 400).contains("not valid JSON"));
    assert!(detail(owner.post("/json", "text/plain", b"{}"), 415).contains("application/json"));
}

#[derive(Deserialize)]
struct Named {
    _number: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_does_not_fit_is_the_clients_or_the_programmers() {
    let routes = Router::new()
        .route("/one/{x}", get(async |_: longpole::Path<i64>| ()))
        .route("/two/{x}/{y}", get(async |_: longpole::Path<i64>| ()))
        .route("/three/{x}/{y}", get(async |_: longpole::Path<(i64, i64, i64)>| ()))
        .route("/named/{x}", get(async |_: longpole::Path<Named>| ()))
        .route("/query", get(async |_: longpole::Query<i64>| ()))
        .route("/json", post(async |_: longpole::Json<Draft>| ()));
    let owner = owner(routes).await;

    assert_eq!(owner.get("/one/1").status, 200);
    owner.get("/one/seven").problem(404);
    owner.get("/one/99999999999999999999").problem(404);
    owner.get("/one/%ff").problem(400);
    owner.mistake_of_ours(&owner.get("/two/1/2"), "Wrong number");
    owner.mistake_of_ours(&owner.get("/three/1/2"), "Wrong number");
    owner.mistake_of_ours(&owner.get("/named/1"), "_number");
    owner.mistake_of_ours(&owner.get("/query?a=1"), "invalid type");
    let shape = owner.post("/json", "application/json", b"\"struct Draft\"").problem(422);
    let told = shape["errors"][0]["detail"].as_str().unwrap();
    assert_eq!(told, "invalid type: string \"struct Draft\", expected an object");
}

async fn who(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    ClientAddr(client): ClientAddr,
) -> impl IntoResponse {
    format!("{} {client}", peer.ip())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_the_peer_unless_a_proxy_is_trusted() {
    let routes = || Router::new().route("/who", get(who));
    let bare = owner(routes()).await;
    let behind = owner_with(routes(), |config| {
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let forwarded = [("x-forwarded-for", "6.6.6.6, 203.0.113.5"), ("forwarded", "for=7.7.7.7")];

    assert_eq!(bare.call("GET", "/who", &forwarded).text(), "127.0.0.1 127.0.0.1");
    let answer = behind.call("GET", "/who", &forwarded);
    assert_eq!(answer.text(), "127.0.0.1 203.0.113.5");
    assert_eq!(behind.line_of(&answer)["client_addr"], "203.0.113.5");

    let silent = owner_with(routes(), |config| config.log.client_addr = false).await;
    assert!(silent.line_of(&silent.get("/who")).get("client_addr").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_targets_get_an_answer_that_fits() {
    let echo = async |headers: HeaderMap, RawQuery(query): RawQuery| {
        format!("{:?} {query:?}", headers.get(header::HOST))
    };
    let owner = owner(Router::new().route("/a", get(echo))).await;
    let ask =
        |head: &str| send(owner.addr, format!("{head}\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes());

    let everything = ask("OPTIONS * HTTP/1.1");
    assert_eq!((everything.status, everything.body.len()), (204, 0));
    assert_eq!(owner.line_of(&everything)["route"], "_unmatched");
    ask("GET * HTTP/1.1").problem(400);
    assert_eq!(ask("GET http://h/a?q HTTP/1.1").text(), r#"Some("h") Some("q")"#);
    ask("GET http://h/b HTTP/1.1").problem(404);
    ask("GET http://h HTTP/1.1").problem(404);
    let tunnel = ask("CONNECT example.org:443 HTTP/1.1");
    tunnel.problem(405);
    assert_eq!(tunnel.header("allow"), Some(""));
    ask("GET /%ff HTTP/1.1").problem(404);
    ask("GET /%zz HTTP/1.1").problem(404);
    ask("GET // HTTP/1.1").problem(404);

    let owner = self::owner(Router::new().fallback(async || "mine")).await;
    let ask =
        |head: &str| send(owner.addr, format!("{head}\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes());
    assert_eq!(ask("OPTIONS * HTTP/1.1").text(), "mine");
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let setup = setup().set("server.trusted_proxies", "10.0.0.7, 10.0.0.0/33");
    let setup = setup.set("server.forwarded_header", "x-real-ip");
    let output = setup.run(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    let wrong = "must be an address or a network, like \"10.0.0.7\" or \"10.0.0.0/8\"";
    assert!(
        told.contains(&format!("APP__SERVER__TRUSTED_PROXIES: server.trusted_proxies.1: {wrong}")),
        "{told}"
    );
    assert!(told.contains("server.forwarded_header: must be one of x-forwarded-for, forwarded"), "{told}");

    let setup =
        setup.set("server.trusted_proxies", "10.0.0.7, fd00::/8").set("server.forwarded_header", "forwarded");
    let told = String::from_utf8(setup.run(&["check"]).stdout).unwrap();
    assert!(told.contains("server.trusted_proxies = [\"10.0.0.7\", \"fd00::/8\"]"), "{told}");
}
