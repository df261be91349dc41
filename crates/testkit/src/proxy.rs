//! A TCP proxy whose faults are switched while connections are open.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc as ack};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};

/// Maximum number of bytes forwarded at once.
const CHUNK: usize = 64 * 1024;
const BACKLOG: u32 = 1024;

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

/// The behavior of a [`Proxy`]. A change applies to open connections, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards everything.
    Pass,
    /// Resets all connections and refuses new ones, as after the end of the server's process.
    Refuse,
    /// Accepts connections and forwards nothing, as after the loss of the network. What was held is forwarded once the mode
    /// changes.
    BlackHole,
    /// Forwards one direction and holds the other, as [`Mode::BlackHole`] holds both.
    Hold(Direction),
    /// Holds a connection from the moment at which a request contains one of these texts, and forwards the others: a
    /// connection is lost without a trace. What was held is forwarded once the mode changes.
    HoldRequests(&'static [&'static str]),
    /// Forwards requests and resets the connection in place of the next reply: the request was executed, its outcome is
    /// unknown to the client. Idle connections stay open.
    CutReplies,
    /// Forwards this number of bytes in one direction of each connection, counted from its start, and resets it then.
    CutAfter(Direction, u64),
    /// Forwards each chunk of up to 64 KiB after this time, in both directions.
    Delay(Duration),
    /// Forwards replies after this time, requests at once.
    DelayReplies(Duration),
    /// Resets a connection in place of a chunk with this chance, which a generator with this seed decides.
    Lossy {
        /// Seed of the generator.
        seed: u64,
        /// Chance for each chunk, in percent.
        percent: u8,
    },
}

impl Mode {
    fn holds(self, direction: Direction) -> bool {
        self == Self::BlackHole || self == Self::Hold(direction)
    }
}

/// Names and those that replace them.
type Names = Vec<(Vec<u8>, Vec<u8>)>;

/// The result of a connection's task if the connection must be reset.
struct Reset;

/// The state that the connections of a proxy share.
struct Shared {
    upstream: SocketAddr,
    mode: watch::Receiver<Mode>,
    accepted: AtomicUsize,
    resets: AtomicUsize,
    /// Position in the random sequence of [`Mode::Lossy`].
    drawn: AtomicU64,
    /// Replaced in replies; each pair has one length.
    names: Arc<OnceLock<Names>>,
}

type Command = (Mode, ack::Sender<()>);

/// A proxy in front of one address of this machine. It stops when dropped.
pub struct Proxy {
    port: u16,
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts a proxy that passes everything to this address (`host:port`), on a thread of its own.
    ///
    /// A client of a replica set leaves the proxy as soon as it has read the names of the members: give it a connection
    /// string with `directConnection=true`, or use [`Proxy::for_members`].
    pub fn to(address: impl AsRef<str>) -> io::Result<Self> {
        Self::start(address.as_ref(), Arc::default())
    }

    /// Starts a proxy for each member of a replica set. Their replies name the proxies in place of the members, so that a
    /// client reaches all members through them.
    ///
    /// # Errors
    /// Two ports differ in their number of digits, or a socket cannot be opened.
    pub fn for_members(addresses: &[String]) -> io::Result<Vec<Self>> {
        let names = Arc::default();
        let proxies: Vec<_> = addresses
            .iter()
            .map(|address| Self::start(address, Arc::clone(&names)))
            .collect::<Result<_, _>>()?;
        let pairs: Vec<_> = addresses
            .iter()
            .zip(&proxies)
            .map(|(from, proxy)| (from.clone().into_bytes(), proxy.host().into_bytes()))
            .collect();
        if pairs.iter().any(|(from, to)| from.len() != to.len()) {
            return Err(io::Error::other("a name of another length would break the protocol"));
        }
        let _ = names.set(pairs);
        Ok(proxies)
    }

    fn start(address: &str, names: Arc<OnceLock<Names>>) -> io::Result<Self> {
        let upstream = address.parse().map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        // Stays bound without listening, so that the port is refused rather than given to another process.
        let reserved = bind(0)?;
        let port = reserved.local_addr()?.port();
        let listener = Some(bind(port)?.listen(BACKLOG)?);
        let (commands, received) = mpsc::unbounded_channel();
        let (sender, mode) = watch::channel(Mode::Pass);
        let shared = Arc::new(Shared {
            upstream,
            mode,
            accepted: AtomicUsize::new(0),
            resets: AtomicUsize::new(0),
            drawn: AtomicU64::new(0),
            names,
        });
        let run = run(reserved, listener, received, sender, Arc::clone(&shared));
        drop(inside);
        std::thread::Builder::new().name("proxy".into()).spawn(move || runtime.block_on(run))?;
        Ok(Self { port, commands, shared })
    }

    /// Returns the port on 127.0.0.1 at which the proxy listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `host:port` of the proxy.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes the mode and returns once it applies.
    pub fn set(&self, mode: Mode) {
        let (done, applied) = ack::channel();
        self.commands.send((mode, done)).expect("the thread of the proxy has ended");
        applied.recv().expect("the thread of the proxy has ended");
    }

    /// Returns the number of connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that the proxy has reset so far.
    pub fn resets(&self) -> usize {
        self.shared.resets.load(Ordering::SeqCst)
    }
}

/// Binds a port of this machine without listening; 0 for any.
fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Several sockets may be bound to one port while at most one of them listens.
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket)
}

/// Accepts connections and applies commands until the proxy is dropped.
async fn run(
    reserved: TcpSocket,
    mut listener: Option<TcpListener>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    mode: watch::Sender<Mode>,
    shared: Arc<Shared>,
) {
    let port = reserved.local_addr().map_or(0, |address| address.port());
    loop {
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = commands.recv() => {
                let Some((next, done)) = command else { return };
                mode.send_replace(next);
                if next == Mode::Refuse {
                    listener = None;
                } else if listener.is_none() {
                    listener = bind(port).and_then(|socket| socket.listen(BACKLOG)).map_err(report).ok();
                }
                let _ = done.send(());
            }
            accepted = accept => if let Ok((client, _)) = accepted {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(client, Arc::clone(&shared)));
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of `map_err`")]
fn report(error: io::Error) {
    eprintln!("testkit: the proxy failed to listen again: {error}");
}

/// Forwards one connection until it ends.
async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut mode = shared.mode.clone();
    // A connection is established with the server once something can reach it.
    if mode.wait_for(|mode| !mode.holds(Direction::Requests)).await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(shared.upstream).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::try_join!(
            forward(from_client, to_server, Direction::Requests, &shared),
            forward(from_server, to_client, Direction::Replies, &shared),
        )
    };
    if let Err(Reset) = ended {
        shared.resets.fetch_add(1, Ordering::SeqCst);
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn forward(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
) -> Result<(), Reset> {
    let mut modes = shared.mode.clone();
    let mut chunk = vec![0; CHUNK];
    let mut forwarded = 0_u64;
    loop {
        let mode = *modes.borrow_and_update();
        if mode == Mode::Refuse {
            return Err(Reset);
        }
        if mode.holds(direction) {
            modes.changed().await.map_err(|_| Reset)?;
            continue;
        }
        let length = tokio::select! {
            changed = modes.changed() => {
                changed.map_err(|_| Reset)?;
                continue;
            }
            read = from.read(&mut chunk) => read.map_err(|_| Reset)?,
        };
        // The mode may have changed while nothing was sent.
        let is_held = |mode: &Mode| match mode {
            Mode::HoldRequests(texts) => {
                direction == Direction::Requests
                    && texts.iter().any(|text| contains(&chunk[..length], text.as_bytes()))
            }
            mode => mode.holds(direction),
        };
        let mode = *modes.wait_for(|mode| !is_held(mode)).await.map_err(|_| Reset)?;
        if length == 0 {
            return to.shutdown().await.map_err(|_| Reset);
        }
        let bytes = &mut chunk[..length];
        match mode {
            Mode::Refuse => return Err(Reset),
            Mode::CutReplies if direction == Direction::Replies => return Err(Reset),
            Mode::CutAfter(cut, limit) if cut == direction => {
                let left = usize::try_from(limit.saturating_sub(forwarded)).unwrap_or(usize::MAX);
                if left < length {
                    // The bytes arrive before the reset, which discards what was not read.
                    to.write_all(&bytes[..left]).await.map_err(|_| Reset)?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return Err(Reset);
                }
            }
            Mode::Delay(time) => delay(time, &mut modes).await?,
            Mode::DelayReplies(time) if direction == Direction::Replies => delay(time, &mut modes).await?,
            Mode::Lossy { seed, percent } if shared.is_lost(seed, percent) => return Err(Reset),
            _ => {}
        }
        if direction == Direction::Replies {
            shared.rename(bytes);
        }
        to.write_all(bytes).await.map_err(|_| Reset)?;
        forwarded += length as u64;
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

async fn delay(time: Duration, modes: &mut watch::Receiver<Mode>) -> Result<(), Reset> {
    let refused = modes.wait_for(|mode| *mode == Mode::Refuse);
    tokio::time::timeout(time, refused).await.map_or(Ok(()), |_| Err(Reset))
}

impl Shared {
    /// Draws the next number of the sequence of a seed (`SplitMix64`).
    fn is_lost(&self, seed: u64, percent: u8) -> bool {
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst) + 1;
        let mut mixed = seed.wrapping_add(drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 100 < u64::from(percent)
    }

    fn rename(&self, bytes: &mut [u8]) {
        for (from, to) in self.names.get().into_iter().flatten() {
            let mut start = 0;
            while let Some(at) = bytes[start..].windows(from.len()).position(|window| window == from) {
                start += at + from.len();
                bytes[start - from.len()..start].copy_from_slice(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    /// Starts a server that answers each chunk with the same bytes.
    fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut chunk = [0; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut chunk) {
                        if stream.write_all(&chunk[..length]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Proxy::to(address).unwrap()
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.host()).unwrap()
    }

    fn send(stream: &mut TcpStream, text: &str) -> io::Result<String> {
        stream.write_all(text.as_bytes())?;
        receive(stream, text.len())
    }

    fn receive(stream: &mut TcpStream, length: usize) -> io::Result<String> {
        let mut reply = vec![0; length];
        stream.read_exact(&mut reply)?;
        Ok(String::from_utf8(reply).unwrap())
    }

    fn is_reset<T>(outcome: io::Result<T>) -> bool {
        let kind = outcome.err().map(|error| error.kind());
        matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe))
    }

    #[test]
    fn refused_connections_are_reset_and_the_port_is_kept() {
        let proxy = echo();
        let mut open = connect(&proxy);
        assert_eq!(send(&mut open, "one").unwrap(), "one");
        for _ in 0..3 {
            proxy.set(Mode::Refuse);
            assert_eq!(TcpStream::connect(proxy.host()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert!(is_reset(receive(&mut open, 1)));
            proxy.set(Mode::Pass);
            open = connect(&proxy);
            assert_eq!(send(&mut open, "two").unwrap(), "two");
        }
        assert_eq!((proxy.accepted(), proxy.resets()), (4, 3));
    }

    #[test]
    fn black_hole_accepts_and_forwards_later() {
        let proxy = echo();
        let mut open = connect(&proxy);
        assert_eq!(send(&mut open, "one").unwrap(), "one");
        for mode in [Mode::BlackHole, Mode::Hold(Direction::Requests), Mode::Hold(Direction::Replies)] {
            proxy.set(mode);
            let mut new = connect(&proxy);
            for stream in [&mut open, &mut new] {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let held = send(stream, "held").unwrap_err().kind();
                assert!(matches!(held, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{held}");
            }
            proxy.set(Mode::Pass);
            for stream in [&mut open, &mut new] {
                stream.set_read_timeout(None).unwrap();
                assert_eq!(receive(stream, 4).unwrap(), "held");
            }
        }
        assert_eq!(proxy.resets(), 0);
    }

    #[test]
    fn one_connection_is_held_from_a_request_on() {
        let proxy = echo();
        let (mut held, mut other) = (connect(&proxy), connect(&proxy));
        proxy.set(Mode::HoldRequests(&["three", "two"]));
        held.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(send(&mut held, "one").unwrap(), "one");
        assert_eq!(send(&mut held, "two").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(send(&mut held, "six").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(send(&mut other, "one").unwrap(), "one");
        proxy.set(Mode::Pass);
        held.set_read_timeout(None).unwrap();
        assert_eq!(receive(&mut held, 6).unwrap(), "twosix");
    }

    #[test]
    fn cut_reply_resets_after_the_request_was_forwarded() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap().to_string()).unwrap();
        proxy.set(Mode::CutReplies);
        let mut client = connect(&proxy);
        client.write_all(b"one").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        assert_eq!(receive(&mut server, 3).unwrap(), "one");
        server.write_all(b"one").unwrap();
        assert!(is_reset(receive(&mut client, 3)));
    }

    #[test]
    fn connection_is_cut_after_a_number_of_bytes() {
        let proxy = echo();
        for direction in [Direction::Requests, Direction::Replies] {
            proxy.set(Mode::CutAfter(direction, 5));
            let mut open = connect(&proxy);
            assert_eq!(send(&mut open, "12345").unwrap(), "12345");
            assert!(is_reset(send(&mut open, "6")));
        }
        proxy.set(Mode::CutAfter(Direction::Replies, 2));
        let mut open = connect(&proxy);
        open.write_all(b"12345").unwrap();
        assert_eq!(receive(&mut open, 2).unwrap(), "12");
        assert!(is_reset(receive(&mut open, 1)));
    }

    #[test]
    fn delayed_chunks_arrive_later() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap().to_string()).unwrap();
        let mut client = connect(&proxy);
        let (mut server, _) = listener.accept().unwrap();
        let hour = Duration::from_hours(1);
        proxy.set(Mode::DelayReplies(hour));
        client.write_all(b"one").unwrap();
        assert_eq!(receive(&mut server, 3).unwrap(), "one");
        server.write_all(b"one").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(receive(&mut client, 3).unwrap_err().kind(), ErrorKind::WouldBlock);
        proxy.set(Mode::Delay(hour));
        client.write_all(b"two").unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(receive(&mut server, 3).unwrap_err().kind(), ErrorKind::WouldBlock);
        proxy.set(Mode::Refuse);
        client.set_read_timeout(None).unwrap();
        assert!(is_reset(receive(&mut client, 1)));
        proxy.set(Mode::Delay(PATIENCE));
        let mut client = connect(&proxy);
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"one").unwrap();
        assert_eq!(receive(&mut server, 3).unwrap(), "one");
    }

    #[test]
    fn lossy_connections_fail_as_often_as_the_seed_says() {
        let failures = || {
            let proxy = echo();
            proxy.set(Mode::Lossy { seed: 7, percent: 30 });
            (0..20).map(|_| is_reset(send(&mut connect(&proxy), "one"))).collect::<Vec<_>>()
        };
        let lost = failures();
        assert!(lost.contains(&true) && lost.contains(&false), "{lost:?}");
        assert_eq!(lost, failures());
    }

    #[test]
    fn replies_name_the_proxies_of_the_members() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let member = listener.local_addr().unwrap().to_string();
        let proxies = Proxy::for_members(std::slice::from_ref(&member)).unwrap();
        let mut client = connect(&proxies[0]);
        let (mut server, _) = listener.accept().unwrap();
        let reply = format!("me {member} hosts {member}.");
        server.write_all(reply.as_bytes()).unwrap();
        let expected = reply.replace(&member, &proxies[0].host());
        assert_eq!(receive(&mut client, reply.len()).unwrap(), expected);
    }
}
