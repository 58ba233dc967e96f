//! What containers with health checks run: something that answers on a port until it is broken.
//!
//! `answer http PORT` answers every HTTP request with 200, and with 500 as soon as its working directory has a file
//! `broken`. `answer tcp PORT` accepts connections until then. Either way the process itself goes on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

fn main() {
    let mut args = std::env::args().skip(1);
    let (kind, port) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let port = port.parse().unwrap_or_else(|_| panic!("'{port}' is no port"));
    match kind.as_str() {
        "http" => answer_http(&listen(port)),
        "tcp" => accept_tcp(port),
        _ => panic!("expected http or tcp, got '{kind}'"),
    }
}

fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|error| panic!("port {port}: {error}"))
}

fn is_broken() -> bool {
    Path::new("broken").exists()
}

fn answer_http(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // One that fails concerns only its client.
        let _ = answer(stream);
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&piece[..length]),
        }
    }
    let status = if is_broken() { "500 Internal Server Error" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn accept_tcp(port: u16) {
    let listener = listen(port);
    thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            if is_broken() {
                return;
            }
        }
    });
    loop {
        thread::park();
    }
}
