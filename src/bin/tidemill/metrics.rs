//! Metrics over HTTP/1.1: `GET /metrics`, and nothing else. A server for one page that no query waits for.
//!
//! What a client can cost is bounded: so many at a time, so long, so many bytes; one more is told to come back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tidemill::{Error, Result};

/// Clients at a time.
const CLIENTS: usize = 8;
/// From a client's connection to the end of its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes and fields that the head of a request may have.
const HEAD: usize = 8 << 10;
const FIELDS: usize = 64;
/// From one look for clients to the next.
const LOOK: Duration = Duration::from_millis(20);

/// The type of the text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A server that ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What makes the page.
type Page = dyn Fn() -> String + Send + Sync;

impl Server {
    /// Serves `page` at `HOST:PORT`, or at a port of the loopback address; port 0 is any that is free.
    ///
    /// # Errors
    /// There is no such address, or it is taken.
    pub fn begin(at: &str, page: impl Fn() -> String + Send + Sync + 'static) -> Result<Server> {
        let refused = |e: std::io::Error| Error::Resource {
            message: format!("cannot serve metrics on {at}: {e}"),
            help: Some("name another port, or leave it out for any that is free".into()),
        };
        let address = address(at)?;
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stop = Arc::new(AtomicBool::new(false));
        let accepting = {
            let stop = Arc::clone(&stop);
            move || accept(&listener, &stop, Arc::new(page))
        };
        let thread = Builder::new().name("tidemill-metrics".into()).spawn(accepting).map_err(refused)?;
        Ok(Server { address, stop, thread: Some(thread) })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It looks often; whoever is being answered has a thread of their own.
        self.thread.take().map(JoinHandle::join);
    }
}

/// The address of `HOST:PORT`, or of a port on loopback.
fn address(text: &str) -> Result<SocketAddr> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| Error::Usage {
        message: format!("'{text}' is no address to serve metrics on"),
        help: Some("write --metrics=9184 for a port on loopback, or --metrics=HOST:PORT".into()),
    })
}

fn accept(listener: &TcpListener, stop: &AtomicBool, page: Arc<Page>) {
    let clients = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::Relaxed) {
        // Also what is not the absence of clients, too many open files say, is over some time.
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(LOOK);
            continue;
        };
        let Some(place) = Place::take(&clients) else {
            // What does not fit into the buffer of the socket is not waited for.
            _ = stream.set_nonblocking(true).and_then(|()| stream.write_all(&Answer::BUSY.bytes()));
            continue;
        };
        let page = Arc::clone(&page);
        // Without a thread to answer, the connection is closed: no answer is an answer too.
        _ = Builder::new().name("tidemill-metrics-client".into()).spawn(move || {
            let client = Client { stream, until: Instant::now() + PATIENCE };
            // A client that went away, or took too long, wants nothing any more.
            _ = client.serve(page.as_ref());
            drop(place);
        });
    }
}

/// A place among the clients that are served at a time.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Place> {
        let place = Place(Arc::clone(taken));
        (taken.fetch_add(1, Ordering::Relaxed) < CLIENTS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer: its status line and more fields, the type of its text, the text.
struct Answer {
    status: &'static str,
    kind: &'static str,
    text: String,
}

impl Answer {
    const BAD: Answer = Answer::refusal("400 Bad Request");
    const LONG: Answer = Answer::refusal("431 Request Header Fields Too Large");
    const NOT_HERE: Answer = Answer::refusal("404 Not Found");
    const NOT_THIS: Answer = Answer::refusal("405 Method Not Allowed\r\nAllow: GET");
    const BUSY: Answer = Answer::refusal("503 Service Unavailable\r\nRetry-After: 1");

    const fn refusal(status: &'static str) -> Answer {
        Answer { status, kind: "text/plain; charset=utf-8", text: String::new() }
    }

    /// What a request with this method and target is answered.
    fn to(method: &str, target: &str, page: &Page) -> Answer {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        match (method, path) {
            ("GET", "/metrics") => Answer { status: "200 OK", kind: TEXT, text: page() },
            (_, "/metrics") => Answer::NOT_THIS,
            _ => Answer::NOT_HERE,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let Answer { status, kind, text } = self;
        let length = text.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close");
        format!("{head}\r\n\r\n{text}").into_bytes()
    }
}

/// A client, and until when it is served.
struct Client {
    stream: TcpStream,
    until: Instant,
}

impl Client {
    fn serve(mut self, page: &Page) -> io::Result<()> {
        self.stream.set_nonblocking(false)?;
        let answer = self.hear(page)?.bytes();
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match self.stream.write(rest)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
        self.stream.shutdown(Shutdown::Write)?;
        // A connection that is closed with something unread is reset, which could take the answer with it.
        let mut unread = [0; 1024];
        for _ in 0..64 {
            if self.read(&mut unread)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The answer to the request, once its head is there.
    fn hear(&mut self, page: &Page) -> io::Result<Answer> {
        let mut head = [0; HEAD];
        let mut length = 0;
        while length < HEAD {
            length += match self.read(&mut head[length..])? {
                0 => return Ok(Answer::BAD),
                read => read,
            };
            let mut fields = [httparse::EMPTY_HEADER; FIELDS];
            let mut request = httparse::Request::new(&mut fields);
            match request.parse(&head[..length]) {
                Ok(httparse::Status::Partial) => {}
                Ok(httparse::Status::Complete(_)) => {
                    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
                    return Ok(Answer::to(method, target, page));
                }
                Err(httparse::Error::TooManyHeaders) => return Ok(Answer::LONG),
                Err(_) => return Ok(Answer::BAD),
            }
        }
        Ok(Answer::LONG)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(into)
    }

    /// The time that is left to it; never none, which would be for ever.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server::begin("0", || "x 1\n".into()).unwrap()
    }

    /// All that comes back for `request`, whose end is not closed.
    fn ask(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn one_page_and_nothing_else() {
        let server = server();
        assert!(server.address.ip().is_loopback());
        let page = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 4\r\n\
            Connection: close\r\n\r\nx 1\n";
        assert_eq!(ask(&server, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), page);
        assert_eq!(ask(&server, "GET /metrics?a=b HTTP/1.0\r\n\r\n"), page);
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(FIELDS + 1));
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405"),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "405"),
            ("nonsense\r\n\r\n", "400"),
            (&long, "431"),
            (&many, "431"),
        ] {
            let answer = ask(&server, request);
            let first = answer.lines().next().unwrap();
            assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40}: {answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
    }

    #[test]
    fn slow_clients_hold_nobody_and_are_few() {
        let server = server();
        let began = Instant::now();
        let open = || TcpStream::connect(server.address).unwrap();
        let mut slow: Vec<TcpStream> = (0..CLIENTS - 1).map(|_| open()).collect();
        slow.iter_mut().for_each(|stream| stream.write_all(b"GET /metr").unwrap());
        // Beside those who say nothing, one who asks is answered.
        assert!(ask(&server, "GET /metrics HTTP/1.1\r\n\r\n").ends_with("x 1\n"));
        // With one more there is no place; its answer does not wait for a request.
        let mut refused = String::new();
        while began.elapsed() < PATIENCE && refused.is_empty() {
            slow.push(open());
            let last = slow.last_mut().unwrap();
            last.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            _ = last.read_to_string(&mut refused);
        }
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused:?}");
        // They are let go after a while, without an answer.
        let mut text = String::new();
        slow[0].read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        assert!(began.elapsed() >= PATIENCE);
        assert!(ask(&server, "GET /metrics HTTP/1.1\r\n\r\n").ends_with("x 1\n"));
    }

    #[test]
    fn it_ends_when_it_is_dropped_and_says_what_is_no_place() {
        let server = server();
        let address = server.address;
        let taken = Server::begin(&address.to_string(), String::new).err().unwrap().to_string();
        assert!(taken.starts_with(&format!("cannot serve metrics on {address}: ")), "{taken}");
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        for text in ["somewhere", "65536", "127.0.0.1:x", ""] {
            let error = Server::begin(text, String::new).err().unwrap().to_string();
            assert!(error.starts_with(&format!("'{text}' is no address")), "{error}");
        }
    }
}
