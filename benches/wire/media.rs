//! Rows about files of pictures and videos.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::bench::{Bench, StoreKind};
use crate::cached::compare;
use crate::ceiling::Ceiling;
use crate::figure::{Measured, Round};
use crate::program::{Location, Program};
use crate::seed::Size;

/// The size of a picture.
const PICTURE: usize = 200_000;
/// The number of connections that ask for it.
const CONNECTIONS: u64 = 32;
/// The size of a video.
const VIDEO: u64 = 100 << 20;
/// The number of clients that receive it slowly.
const CLIENTS: usize = 64;
/// The time for which they do.
const SLOW: Duration = Duration::from_secs(8);

/// Returns the folder of the files of a store.
fn uploads(location: &Location) -> Result<PathBuf, String> {
    let Location::Embedded(folder) = location else { return Err("the store is not embedded".to_owned()) };
    let uploads = folder.join("media/uploads");
    fs::create_dir_all(&uploads)
        .map_err(|error| format!("failed to create {}: {error}", uploads.display()))?;
    Ok(uploads)
}

/// Compares a picture from the disk with tower-http's `ServeFile` of the same file.
pub(crate) fn picture(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, Size::Few)?;
    let file = uploads(&location)?.join("picture.webp");
    let bytes: Vec<u8> = (0..PICTURE).map(|n| n.to_le_bytes()[n % 3]).collect();
    fs::write(&file, bytes).map_err(|error| format!("failed to write the picture: {error}"))?;
    let program = Program::start(bench, &location, &[])?;
    let ceiling = Ceiling::file(bench, file)?;
    let path = "/uploads/picture.webp";
    program.client()?.get(path, "")?.expect(200, path)?;
    compare(bench, &program.url(path), &ceiling.url(path), &[], CONNECTIONS)
}

/// Measures the memory that slow clients of a long video take, above that of the idle program.
pub(crate) fn slow_clients(bench: &Bench) -> Result<Measured, String> {
    let failed = |error: std::io::Error| format!("failed to receive the video: {error}");
    let location = bench.store(StoreKind::Embedded, Size::Few)?;
    let file = File::create(uploads(&location)?.join("video.mp4")).map_err(failed)?;
    file.set_len(VIDEO).map_err(failed)?;
    let program = Program::start(bench, &location, &[])?;
    std::thread::sleep(Duration::from_secs(2));
    let idle = program.resident_mib()?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(program.address()).map_err(failed)?;
        stream.write_all(b"GET /uploads/video.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n").map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        clients.push(stream);
    }
    let (began, mut most, mut received) = (Instant::now(), 0.0_f64, 0_usize);
    let mut piece = vec![0; 16 * 1024];
    while began.elapsed() < SLOW {
        for client in &mut clients {
            match client.read(&mut piece) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(length) => received += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed(error)),
            }
        }
        most = most.max(program.resident_mib()? - idle);
        std::thread::sleep(Duration::from_millis(20));
    }
    if received < CLIENTS * piece.len() {
        return Err(format!("{received} bytes arrived"));
    }
    let note = format!("{CLIENTS} clients, {} MiB received in {} s", received >> 20, SLOW.as_secs());
    Ok(Measured { rounds: vec![Round { subject: most, other: None }], note })
}
