//! `server.body_limit` holds for every body, whatever code reads the body.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::middleware::map_response;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::post;
use bytesize::ByteSize;
use futures_util::{StreamExt, TryStreamExt};
use longpole::BodyLimit;
use tokio::time::sleep;

use super::owner::{Owner, line, logs, owner_with};
use crate::common::{PATIENCE, Response, client, read_log, send, setup};

const LIMIT: usize = 64 * 1024;

/// Reads the whole body, and does not look at what was wrong.
async fn collect(body: Body) -> Result<String, StatusCode> {
    let bytes = to_bytes(body, usize::MAX).await.map_err(|_| StatusCode::IM_A_TEAPOT)?;
    Ok(bytes.len().to_string())
}

/// Reads the pieces of a body, and takes an error for its end.
async fn stream(request: Request) -> String {
    let mut pieces = request.into_body().into_data_stream();
    let mut length = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        length += piece.len();
    }
    length.to_string()
}

async fn readers() -> Owner {
    let routes = Router::new()
        .route("/collect", post(collect))
        .route("/stream", post(stream))
        .route("/bytes", post(async |bytes: Bytes| bytes.len().to_string()))
        .route("/string", post(async |text: String| text.len().to_string()))
        .route("/ours", post(async |longpole::Body(bytes): longpole::Body| bytes.len().to_string()))
        .route("/unread", post(async || "unread"))
        .route("/raised", post(collect).layer(BodyLimit(ByteSize::kib(200))))
        .route(
            "/raised-bytes",
            post(async |b: Bytes| b.len().to_string()).layer(BodyLimit(ByteSize::kib(200))),
        )
        .route("/lowered", post(collect).layer(BodyLimit(ByteSize::kib(1))))
        .route("/axums", post(async |b: Bytes| b.len().to_string()).layer(DefaultBodyLimit::max(1024)));
    owner_with(routes, |config| config.server.body_limit = ByteSize::b(LIMIT as u64)).await
}

/// The bytes of a request with a body of this length.
fn sized(path: &str, length: usize, chunked: bool) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n");
    let body = vec![b'x'; length];
    if !chunked {
        return [format!("{head}content-length: {length}\r\n\r\n").as_bytes(), &body].concat();
    }
    let mut request = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(10_000) {
        request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend([chunk, b"\r\n"].concat());
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// Reads one answer, and does not wait until the connection ends.
fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.ends_with(b"}") {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            length => answer.extend(&piece[..length]),
        }
    }
    String::from_utf8(answer).unwrap()
}

fn ask(addr: SocketAddr, path: &str, length: usize, chunked: bool) -> Response {
    send(addr, &sized(path, length, chunked))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_gets_more_than_the_limit() {
    let owner = readers().await;

    for path in ["/collect", "/stream", "/bytes", "/string", "/ours"] {
        for chunked in [false, true] {
            let fits = ask(owner.addr, path, LIMIT, chunked);
            assert_eq!((fits.status, fits.text()), (200, LIMIT.to_string()), "{path} {chunked}");
            let refused = ask(owner.addr, path, LIMIT + 1, chunked);
            assert_eq!(refused.problem(413)["detail"], "The body is larger than this service accepts.");
            assert_eq!(refused.header("connection"), Some("close"), "{path} {chunked}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_has_a_limit_of_its_own() {
    let owner = readers().await;

    for chunked in [false, true] {
        for path in ["/raised", "/raised-bytes"] {
            assert_eq!(ask(owner.addr, path, 200 * 1024, chunked).status, 200, "{path} {chunked}");
            ask(owner.addr, path, 200 * 1024 + 1, chunked).problem(413);
        }
        for path in ["/lowered", "/axums"] {
            assert_eq!(ask(owner.addr, path, 1024, chunked).status, 200, "{path} {chunked}");
            ask(owner.addr, path, 1025, chunked).problem(413);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_keeps_the_headers_of_layers_and_nothing_of_the_answer() {
    async fn allow(response: axum::response::Response) -> impl IntoResponse {
        let cors = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "https://a"), (header::VARY, "origin")];
        (AppendHeaders(cors), AppendHeaders([(header::VARY, "accept")]), response)
    }
    let routes = Router::new()
        .route("/", post(async |body: Body| ([(header::CONTENT_ENCODING, "gzip")], collect(body).await)))
        .layer(map_response(allow));
    let owner = owner_with(routes, |config| config.server.body_limit = ByteSize::b(LIMIT as u64)).await;

    let refused = ask(owner.addr, "/", LIMIT + 1, true);

    refused.problem(413);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://a"));
    assert_eq!(refused.header("content-encoding"), None);
    assert_eq!(refused.headers.iter().filter(|(name, _)| name == "vary").count(), 2, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_the_deadline_is_no_timeout() {
    let patient = async |body: Body| {
        let _ = collect(body).await;
        sleep(Duration::from_secs(60)).await;
    };
    let owner = owner_with(Router::new().route("/", post(patient)), |config| {
        config.server.body_limit = ByteSize::b(LIMIT as u64);
        config.server.request_timeout = Duration::from_millis(300);
    })
    .await;

    let refused = ask(owner.addr, "/", LIMIT + 1, true);

    refused.problem(413);
    assert_eq!(owner.line_of(&refused)["outcome"], "client_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_head_it_is_still_the_clients_mistake() {
    let wrapped = async |request: Request| {
        Body::from_stream(request.into_body().into_data_stream().map_err(std::io::Error::other))
    };
    let routes = Router::new()
        .route("/echo", post(async |request: Request| request.into_body()))
        .route("/wrapped", post(wrapped));
    let owner = owner_with(routes, |config| config.server.body_limit = ByteSize::b(LIMIT as u64)).await;

    for id in ["echo", "wrapped"] {
        let head = format!("POST /{id} HTTP/1.1\r\nhost: h\r\nx-request-id: {id}\r\n");
        let mut stream = client::open(
            owner.addr,
            format!("{head}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n").as_bytes(),
        );
        stream.read_exact(&mut [0; 12]).unwrap(); // the answer has begun
        let rest = vec![b'x'; LIMIT];
        stream.write_all(&[format!("{LIMIT:x}\r\n").as_bytes(), &rest, b"\r\n0\r\n\r\n"].concat()).unwrap();

        let told = line("request line", |line| line["message"] == "request" && line["request_id"] == id);
        assert_eq!((&told["status"], &told["outcome"]), (&200.into(), &"client_error".into()), "{told}");
        let error = read_log(logs().path())
            .into_iter()
            .find(|line| line["request_id"] == id && line["level"] == "ERROR");
        assert!(error.is_none(), "{error:?}");
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_is_refused_before_it_is_sent() {
    let owner = readers().await;
    let head = "POST /collect HTTP/1.1\r\nhost: h\r\ncontent-length: 100000000\r\n";

    for rest in ["\r\n", "expect: 100-continue\r\n\r\n"] {
        let begun = Instant::now();
        let mut stream = client::open(owner.addr, format!("{head}{rest}").as_bytes());
        let answer = answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        stream.read_to_end(&mut Vec::new()).unwrap(); // it is closed, though the client sends nothing
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_is_not_taken_in() {
    let owner = readers().await;

    let mut stream = client::open(
        owner.addr,
        b"POST /unread HTTP/1.1\r\nhost: h\r\ncontent-length: 100000000\r\n\r\nthe beginning",
    );

    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap(); // to the connection's end
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("unread"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a test's own")]
async fn http2_tells_the_client_to_stop_and_goes_on() {
    let owner = readers().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http2_prior_knowledge().tls_certs_only([]).build().unwrap();
    let post = async |path: &str, length: usize| {
        let url = format!("http://{}{path}", owner.addr);
        let response = client.post(url).body(vec![b'x'; length]).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };

    for path in ["/collect", "/stream", "/bytes"] {
        let (status, text) = post(path, 10_000_000).await;
        assert_eq!(status, 413, "{path}");
        assert!(text.contains("larger than this service accepts"), "{text}");
        assert_eq!(post(path, LIMIT).await, (200, LIMIT.to_string()));
    }
    assert_eq!(post("/raised", 3 * LIMIT).await.0, 200);
}

#[test]
fn a_client_that_sends_everything_first_gets_its_answer_and_no_memory() {
    const LARGE: usize = 100 * 1024 * 1024;
    let service = setup().start();
    assert_eq!(service.call("POST", "/drill/collect", &[], b"warm").text(), "4");
    let memory = || service.metric("process_resident_memory_bytes", &[]);
    let before = memory();

    for chunked in [false, true] {
        ask(service.public, "/drill/collect", LARGE, chunked).problem(413);
    }

    assert!(memory() - before < 30e6, "{before} {}", memory());
    for chunked in [false, true] {
        let mut stream = TcpStream::connect(service.public).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent = stream.write_all(&sized("/drill/collect", LARGE / 5, chunked));
        assert!(sent.is_ok(), "many clients look for no answer once sending has failed: {sent:?}");
        client::read(&mut stream).unwrap().problem(413);
    }
    service.await_metric("http_connections", &[], |open| open == 0.0);
    service.await_metric("http_request_duration_seconds_count", &[("status", "413")], |count| count == 4.0);
}
