//! A master whose every word is up to the test: it hands out requests and sends what it is told to.

use std::sync::Arc;
use std::time::Duration;

use podium_core::model::mesos::{Call, Event, MasterInfo};
use podium_mesos::codec::{MediaType, decode, encode};
use podium_mesos::proto::scheduler;
use podium_mesos::recordio;
use podium_mesos::translate::{Format, Translate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

pub(crate) const FRAMEWORK: &str = "0ffcbcb1-0934-4896-96a2-970bc02e5e21-0000";

/// Long enough for a busy machine; a test that waits this long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Master {
    /// `host:port`.
    pub(crate) address: String,
    requests: mpsc::UnboundedReceiver<Exchange>,
}

impl Master {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((socket, _)) = listener.accept().await else { return };
                tokio::spawn(serve(socket, connection, sender.clone()));
            }
        });
        Self { address, requests }
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Exchange {
        let request = tokio::time::timeout(DEADLINE, self.requests.recv()).await;
        request.expect("no request came in time").expect("the listener runs as long as this")
    }

    /// Whether no request comes. Waits a moment: that something does not happen can only be waited for.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(30), self.requests.recv()).await.is_err()
    }

    /// Answers the next request, a `SUBSCRIBE`, with a stream that begins with SUBSCRIBED.
    pub(crate) async fn subscribed(&mut self) -> (scheduler::Call, EventStream) {
        let exchange = self.request().await;
        let call = exchange.call();
        assert_eq!(call.r#type(), scheduler::call::Type::Subscribe);
        let mut stream = exchange.open_stream().await;
        stream.event(&subscribed_event(Duration::from_secs(15))).await;
        (call, stream)
    }
}

pub(crate) fn subscribed_event(heartbeat_interval: Duration) -> Event {
    Event::Subscribed {
        framework_id: FRAMEWORK.into(),
        heartbeat_interval: Some(heartbeat_interval),
        master: Some(MasterInfo::default()),
    }
}

/// A request that waits for its answer.
pub(crate) struct Exchange {
    /// Which connection it came over.
    pub(crate) connection: usize,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    writer: Arc<Mutex<OwnedWriteHalf>>,
}

impl Exchange {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    fn media(&self) -> MediaType {
        MediaType::from_header(self.header("Content-Type").unwrap()).unwrap()
    }

    /// The body, which must be a call as strictly as Mesos takes it.
    pub(crate) fn call(&self) -> scheduler::Call {
        decode(&self.body, self.media()).unwrap()
    }

    pub(crate) fn core_call(&self) -> Call {
        Call::from_proto(self.call()).unwrap()
    }

    /// Answers with a status line's rest, more headers, and a body.
    pub(crate) async fn reply(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        self.raw(head.as_bytes()).await;
    }

    /// Answers 202.
    pub(crate) async fn accept(&self) {
        self.reply("202 Accepted", "", "").await;
    }

    /// Writes bytes to the socket. The client may be gone.
    pub(crate) async fn raw(&self, bytes: &[u8]) {
        let _ = self.writer.lock().await.write_all(bytes).await;
    }

    /// Closes the connection.
    pub(crate) async fn close(&self) {
        let _ = self.writer.lock().await.shutdown().await;
    }

    /// Answers with the head of an event stream.
    pub(crate) async fn open_stream(self) -> EventStream {
        let media = self.media();
        let head = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: stream-of-{}\r\n\
             Content-Type: {}\r\n\r\n",
            self.connection,
            media.as_str()
        );
        self.raw(head.as_bytes()).await;
        EventStream { connection: self.connection, media, exchange: self }
    }
}

/// The answer to a `SUBSCRIBE`.
pub(crate) struct EventStream {
    pub(crate) connection: usize,
    media: MediaType,
    exchange: Exchange,
}

impl EventStream {
    pub(crate) fn id(&self) -> String {
        format!("stream-of-{}", self.connection)
    }

    pub(crate) async fn event(&mut self, event: &Event) {
        self.proto(&event.to_proto(Format::CURRENT)).await;
    }

    pub(crate) async fn proto(&mut self, event: &scheduler::Event) {
        self.chunk(&recordio::encode(&encode(event, self.media))).await;
    }

    /// One HTTP chunk.
    pub(crate) async fn chunk(&mut self, bytes: &[u8]) {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.exchange.raw(&chunk).await;
    }

    /// Ends the stream as a master does that is not in trouble.
    pub(crate) async fn end(self) {
        self.exchange.raw(b"0\r\n\r\n").await;
    }

    /// Ends the stream as a master does that dies.
    pub(crate) async fn abort(self) {
        self.exchange.close().await;
    }

    /// Waits until the client has closed its side.
    pub(crate) async fn closed_by_client(self) {
        let closed = async {
            while self.exchange.writer.lock().await.write_all(b"1\r\n0\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, closed).await.expect("the client closes the stream");
    }
}

async fn serve(socket: TcpStream, connection: usize, requests: mpsc::UnboundedSender<Exchange>) {
    socket.set_nodelay(true).unwrap();
    let (mut reader, writer) = socket.into_split();
    let writer = Arc::new(Mutex::new(writer));
    let mut buffer = Vec::new();
    while let Some((path, headers, body)) = read_request(&mut reader, &mut buffer).await {
        let exchange = Exchange { connection, path, headers, body, writer: Arc::clone(&writer) };
        if requests.send(exchange).is_err() {
            return;
        }
    }
}

type Parsed = (String, Vec<(String, String)>, Vec<u8>);

/// The next request of a connection; none if it is closed.
async fn read_request(reader: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> Option<Parsed> {
    let head_end = loop {
        match buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None if reader.read_buf(buffer).await.ok()? == 0 => return None,
            None => {}
        }
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let request_line = lines.next().unwrap();
    assert!(request_line.starts_with("POST "), "{request_line}");
    let path = request_line.split(' ').nth(1).unwrap().to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let end = head_end + length.map_or(0, |(_, length)| length.parse().unwrap());
    while buffer.len() < end {
        if reader.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer[head_end..end].to_vec();
    buffer.drain(..end);
    Some((path, headers, body))
}
