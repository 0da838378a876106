//! Faulty servers: every fault is an error with a reason, in bounded time, and never wrong bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use noxide::cache::{
    AccessMode, ActionsCacheV1, BackendError, CacheBackend, HttpClient, RetryBudget, S3Backend, S3Credentials,
    S3Location,
};

use crate::support::{HttpRequest, HttpResponse, HttpServer};

const BYTES: &[u8] = b"0123456789";

/// A version 1 service whose downloads are given by the test; the number is that of the download.
fn v1(
    download: impl Fn(&HttpRequest, usize) -> HttpResponse + Send + Sync + 'static,
) -> (HttpServer, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = HttpServer::new(move |request| {
        if request.path.starts_with("/archive") {
            return download(request, counted.fetch_add(1, Ordering::SeqCst));
        }
        let key = request.path.split("keys=").nth(1).unwrap().split('&').next().unwrap().to_uppercase();
        let location = format!("http://{}/archive", request.headers["host"]);
        HttpResponse::new(200, format!(r#"{{"result":"hit","archiveLocation":"{location}","cacheKey":"{key}"}}"#))
    });
    (server, count)
}

fn backend(server: &HttpServer, seconds: u64) -> ActionsCacheV1 {
    let client = HttpClient::new(RetryBudget::new(Duration::from_secs(seconds)));
    ActionsCacheV1::new(client, &format!("{}/", server.base), "token", AccessMode::ReadWrite)
}

fn error_of(result: Result<Option<Vec<u8>>, BackendError>) -> String {
    result.expect_err("no bytes").to_string()
}

#[test]
fn transient_errors_are_retried() {
    let (server, count) = v1(|request, number| match number {
        0 => HttpResponse::new(500, "busy"),
        1 => {
            let mut wait = HttpResponse::new(429, "slow down");
            wait.headers.push(("retry-after", "1".to_owned()));
            wait
        }
        _ => HttpResponse::ranged(request, BYTES),
    });
    let started_at = Instant::now();
    assert_eq!(backend(&server, 30).get_range("a", 2..5).unwrap().as_deref(), Some(b"234".as_slice()));
    assert!(
        count.load(Ordering::SeqCst) == 3 && started_at.elapsed() >= Duration::from_secs(1),
        "it waits for as long as `retry-after` says"
    );
}

#[test]
fn a_server_without_support_is_not_used() {
    let (server, count) = v1(|_, _| HttpResponse::new(503, "down for good"));
    let backend = backend(&server, 30);
    assert!(error_of(backend.get_range("a", 0..5)).contains("answered 503: down for good"));
    for _ in 0..4 {
        let _ = backend.get_range("a", 0..5);
    }
    let before = count.load(Ordering::SeqCst);
    let error = error_of(backend.get_range("a", 0..5));
    assert!(error.contains("gave up after 8 failures in a row"), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), before, "nobody asks any more");
}

#[test]
fn a_retry_delay_beyond_the_budget_is_an_error() {
    let (server, count) = v1(|_, _| {
        let mut wait = HttpResponse::new(429, "");
        wait.headers.push(("retry-after", "3600".to_owned()));
        wait
    });
    let error = error_of(backend(&server, 30).get_range("a", 0..5));
    assert!(error.contains("429") && error.contains("exceed the 30 s"), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn truncated_or_mismatched_bodies_are_errors() {
    let (truncated, _) = v1(|request, _| HttpResponse { cut: Some(2), ..HttpResponse::ranged(request, BYTES) });
    assert!(error_of(backend(&truncated, 30).get_range("a", 0..8)).contains("ended early"));
    let (other, _) = v1(|request, _| {
        let mut part = HttpResponse::ranged(request, BYTES);
        part.headers = vec![("content-range", "bytes 4-9/10".to_owned())];
        part
    });
    assert!(error_of(backend(&other, 30).get_range("a", 0..6)).contains("for a range of 6"));
    let (short, _) = v1(|_, _| {
        let mut part = HttpResponse::new(206, "012");
        part.headers = vec![("content-range", "bytes 0-7/10".to_owned())];
        part
    });
    assert!(error_of(backend(&short, 30).get_range("a", 0..8)).contains("3 bytes for a range of 8"));
    // A server without range support sends everything; only the requested range is used.
    let (whole, _) = v1(|_, _| HttpResponse::new(200, BYTES));
    assert_eq!(backend(&whole, 30).get_range("a", 3..5).unwrap().as_deref(), Some(b"34".as_slice()));
}

#[test]
fn a_slow_or_silent_server_costs_at_most_the_retry_budget() {
    for silent in [false, true] {
        let (server, _) = v1(move |request, _| {
            if silent {
                std::thread::sleep(Duration::from_secs(5));
            }
            HttpResponse { slow: Some(Duration::from_millis(600)), ..HttpResponse::ranged(request, BYTES) }
        });
        let backend = backend(&server, 3);
        let started_at = Instant::now();
        let error = error_of(backend.get_range("a", 0..9)) + &error_of(backend.get_range("a", 0..9));
        assert!(error.contains("gave up after waiting 3 s in total"), "{error}");
        assert!(started_at.elapsed() < Duration::from_secs(60), "{:?}", started_at.elapsed());
    }
}

#[test]
fn a_missing_program_is_an_error() {
    let server = HttpServer::new(|_| HttpResponse::new(200, ""));
    let address = server.base.clone();
    drop(server);
    let client = HttpClient::new(RetryBudget::new(Duration::from_secs(30)));
    let backend = ActionsCacheV1::new(client, &address, "token", AccessMode::ReadWrite);
    assert!(error_of(backend.get_range("a", 0..5)).starts_with("127.0.0.1:"));
    let closing = HttpServer::new(|_| HttpResponse::new(0, ""));
    assert!(error_of(self::backend(&closing, 30).get_range("a", 0..5)).starts_with("127.0.0.1:"));
}

#[test]
fn an_expired_url_is_renewed_but_a_token_is_not() {
    let (server, count) =
        v1(
            |request, number| {
                if number == 1 { HttpResponse::new(403, "expired") } else { HttpResponse::ranged(request, BYTES) }
            },
        );
    let backend = backend(&server, 30);
    assert!(backend.get_range("a", 0..5).unwrap().is_some());
    assert_eq!(backend.get_range("a", 5..10).unwrap().as_deref(), Some(b"56789".as_slice()));
    assert_eq!(count.load(Ordering::SeqCst), 3);

    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let server = HttpServer::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        HttpResponse::new(401, r#"{"message":"token expired"}"#)
    });
    let backend = self::backend(&server, 30);
    assert!(error_of(backend.get_range("a", 0..5)).contains("token expired"));
    assert!(
        backend
            .put_object("a", noxide::cache::RequestBody::Bytes(b"x"))
            .unwrap_err()
            .to_string()
            .contains("token expired")
    );
    assert_eq!(refused.load(Ordering::SeqCst), 1, "once is enough");
}

#[test]
fn a_key_prefix_is_a_miss_and_an_invalid_answer_is_an_error() {
    let server =
        HttpServer::new(|_| HttpResponse::new(200, r#"{"archiveLocation":"http://127.0.0.1:9/x","cacheKey":"abc"}"#));
    assert_eq!(backend(&server, 30).get_range("ab", 0..5).unwrap(), None);
    assert_eq!(backend(&server, 30).list_objects("b").unwrap(), []);
    let server = HttpServer::new(|_| HttpResponse::new(200, "<html>"));
    assert!(error_of(backend(&server, 30).get_range("a", 0..5)).contains("unexpected response"));
    assert!(backend(&server, 30).put_object("a", noxide::cache::RequestBody::Bytes(b"x")).is_err());
    let server = HttpServer::new(|_| HttpResponse::new(418, "teapot"));
    assert!(error_of(backend(&server, 30).get_range("a", 0..5)).contains("status 418: teapot"));
    let server = HttpServer::new(|request| {
        if request.path.ends_with("caches") { HttpResponse::new(409, "") } else { HttpResponse::new(500, "") }
    });
    backend(&server, 30)
        .put_object("a", noxide::cache::RequestBody::Bytes(b"x"))
        .expect("an entry that exists counts as stored");
}

#[test]
fn a_clock_difference_is_corrected_once() {
    let server = HttpServer::new(|request| {
        if request.headers["x-amz-date"].starts_with("2031") {
            return HttpResponse::ranged(request, BYTES);
        }
        let mut skewed = HttpResponse::new(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>");
        skewed.headers.push(("date", "Tue, 25 Nov 2031 10:00:00 GMT".to_owned()));
        skewed
    });
    let s3 = s3_backend(&server);
    assert_eq!(s3.get_range("a", 1..4).unwrap().as_deref(), Some(b"123".as_slice()));
    assert_eq!(s3.get_range("a", 0..4).unwrap().as_deref(), Some(b"0123".as_slice()));
}

#[test]
fn a_clock_difference_that_remains_is_named() {
    // With a date that changes nothing, and without a date to correct the clock by.
    for date in [Some("Tue, 25 Nov 2031 10:00:00 GMT"), None] {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let server = HttpServer::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut skewed = HttpResponse::new(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>");
            skewed.headers.extend(date.map(|date| ("date", date.to_owned())));
            skewed
        });
        let error = error_of(s3_backend(&server).get_range("a", 1..4));
        assert!(error.contains("the clock of this machine differs from the clock of the server; set it"), "{error}");
        assert_eq!(count.load(Ordering::SeqCst), 1 + usize::from(date.is_some()));
    }
}

fn s3_backend(server: &HttpServer) -> S3Backend {
    let location = S3Location { endpoint: server.base.clone(), bucket: "b".to_owned(), prefix: String::new() };
    let credentials = S3Credentials {
        access_key_id: "k".into(),
        secret_access_key: "s".into(),
        session_token: Some("t".into()),
        region: "r".into(),
    };
    S3Backend::new(HttpClient::new(RetryBudget::new(Duration::from_secs(30))), location, credentials)
}
