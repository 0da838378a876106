//! HTTP servers: a small one whose responses a test defines, and real ones that end with a test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::venv;

/// A received request.
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The response to a request.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Send only so much of the body, then close.
    pub(crate) cut: Option<usize>,
    /// Wait so long before each byte.
    pub(crate) slow: Option<Duration>,
}

impl HttpResponse {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, slow: None }
    }

    /// The requested range of `bytes`.
    pub(crate) fn ranged(request: &HttpRequest, bytes: &[u8]) -> Self {
        let range = request.headers.get("range").or_else(|| request.headers.get("x-ms-range"));
        let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
            return Self::new(200, bytes);
        };
        let from: usize = from.parse().unwrap();
        let to = to.parse::<usize>().map_or(bytes.len(), |to| (to + 1).min(bytes.len()));
        if from >= bytes.len() {
            let mut none = Self::new(416, "");
            none.headers.push(("content-range", format!("bytes */{}", bytes.len())));
            return none;
        }
        let mut part = Self::new(206, &bytes[from..to]);
        part.headers.push(("content-range", format!("bytes {from}-{}/{}", to - 1, bytes.len())));
        part
    }
}

/// A server on a free port of this machine, ended when dropped.
pub(crate) struct HttpServer {
    pub(crate) base: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    pub(crate) fn new(respond: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let (respond, stopped) = (Arc::new(respond), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (respond, stopped) = (Arc::clone(&respond), Arc::clone(&stopped));
                std::thread::spawn(move || {
                    // Some tests are about clients that disconnect.
                    let _ = serve(&stream.unwrap(), respond.as_ref(), &stopped);
                });
            }
        });
        Self { base, stop, thread: Some(thread) }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.base.trim_start_matches("http://"));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(stream: &TcpStream, respond: &dyn Fn(&HttpRequest) -> HttpResponse, stop: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let response = respond(&HttpRequest { method, path, headers, body });
        if response.status == 0 {
            return Ok(());
        }
        write!(out, "HTTP/1.1 {} status\r\ncontent-length: {}\r\n", response.status, response.body.len())?;
        for (name, value) in &response.headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        write!(out, "\r\n")?;
        let sent = &response.body[..response.cut.unwrap_or(response.body.len()).min(response.body.len())];
        match response.slow {
            None => out.write_all(sent)?,
            Some(pause) => {
                for byte in sent {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    out.write_all(&[*byte])?;
                    std::thread::sleep(pause);
                }
            }
        }
        if response.cut.is_some() {
            return Ok(());
        }
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that is a program of the test environment, ended with all it started when dropped.
pub(crate) struct ServerProgram(Child);

impl ServerProgram {
    /// Starts it and waits until its port answers.
    pub(crate) fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)], port: u16) -> Self {
        let mut command = Command::new(venv().join("bin").join(name));
        command.args(arguments).envs(variables.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut program = Self(child);
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(program.0.try_wait().unwrap().is_none() && Instant::now() < until, "{name} does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        program
    }
}

impl Drop for ServerProgram {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
