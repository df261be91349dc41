//! Rows about uploads: the time of one, and the memory of many.

use std::thread;
use std::time::Instant;

use field_notes::domain::ImageFilter;
use field_notes::media::FileFormat;
use field_notes::media::image::ImagePool;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

use crate::bench::{Bench, StoreKind};
use crate::client::Client;
use crate::figure::{Measured, Round, percentile};
use crate::program::Program;
use crate::seed::Size;
use crate::sequential::milliseconds;

/// Uploads in each round: one takes about half a second.
const UPLOADS: usize = 15;
const PARALLEL: usize = 20;
/// The limit of a picture.
const MAX_BYTES: usize = 5 * 1024 * 1024;
const BOUNDARY: &str = "----bench";

/// Returns a picture of 12 megapixels with shapes and noise, as a JPEG file of a little less than 5 MiB.
fn picture() -> Result<Vec<u8>, String> {
    let mut random = 1_u32;
    let pixels = RgbImage::from_fn(4000, 3000, |x, y| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = random >> 28;
        let wave = |step: u32| u8::try_from(((x / step) ^ (y / step)) % 200 + noise).unwrap_or(u8::MAX);
        Rgb([wave(40), wave(90), wave(7)])
    });
    for quality in (40..=95).rev().step_by(5) {
        let mut file = Vec::new();
        let encoded = pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality));
        encoded.map_err(|error| error.to_string())?;
        if file.len() < MAX_BYTES - 64 {
            return Ok(file);
        }
    }
    Err("no quality makes the picture small enough".to_owned())
}

/// Returns the file with other bytes behind its end, so that it is not known already.
fn distinct(file: &[u8], number: usize) -> Vec<u8> {
    [file, &number.to_le_bytes()].concat()
}

fn form(file: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), file, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

fn upload(client: &mut Client, body: &[u8], address: &str) -> Result<f64, String> {
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let answer = client.post("/uploads", &content_type, &format!("X-Forwarded-For: {address}\r\n"), body)?;
    Ok(milliseconds(answer.expect(200, "/uploads")?.took))
}

/// Compares an upload with its codec work alone, on as many threads.
pub(crate) fn one(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, Size::Few)?;
    let program = Program::start_unpinned(bench, &location)?;
    let (file, mut client) = (picture()?, program.client()?);
    bench.cores.unpin();
    // As many threads as the program has: the pinned process would count one processor.
    let pool = ImagePool::default();
    let mut rounds = Vec::new();
    for round in 0..bench.settings.rounds {
        let (mut subject, mut bare) = (Vec::new(), Vec::new());
        for number in 0..UPLOADS {
            let file = distinct(&file, usize::try_from(round).unwrap_or_default() * UPLOADS + number);
            subject.push(upload(&mut client, &form(&file), "192.0.2.1")?);
            bench.cores.unpin();
            let began = Instant::now();
            let converted = bench.runtime.block_on(
                pool.convert(FileFormat::Jpeg, ImageFilter::None, || std::future::ready(Ok(file.clone()))),
            );
            bare.push(milliseconds(began.elapsed()));
            bench.cores.pin_client();
            converted.map_err(|error| error.to_string())?;
        }
        rounds.push(Round { subject: percentile(subject, 50)?, other: Some(percentile(bare, 50)?) });
    }
    let note = format!("{:.1} MiB, decoded, resized and encoded on both cores", mebibytes(file.len()));
    Ok(Measured { rounds, note })
}

/// Measures the peak of the program's memory during parallel uploads.
pub(crate) fn memory(bench: &Bench) -> Result<Measured, String> {
    let location = bench.store(StoreKind::Embedded, Size::Few)?;
    let file = picture()?;
    let mut rounds = Vec::new();
    for round in 0..bench.settings.rounds {
        let program = Program::start(bench, &location, &[("TRUSTED_PROXIES", "127.0.0.1")])?;
        let uploads: Vec<_> = (0..PARALLEL)
            .map(|number| {
                let id = 1_000_000 + usize::try_from(round).unwrap_or_default() * PARALLEL + number;
                Ok((program.client()?, form(&distinct(&file, id)), format!("192.0.2.{}", number + 1)))
            })
            .collect::<Result<_, String>>()?;
        let threads: Vec<_> = uploads
            .into_iter()
            .map(|(mut client, body, address)| thread::spawn(move || upload(&mut client, &body, &address)))
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a client panicked".to_owned())??;
        }
        rounds.push(Round { subject: program.peak_mib()?, other: None });
    }
    let note = format!("{PARALLEL} pictures of {:.1} MiB and 12 megapixels", mebibytes(file.len()));
    Ok(Measured { rounds, note })
}

#[expect(clippy::cast_precision_loss, reason = "a few million")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
