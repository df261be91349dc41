use std::io::{self, Write as _};

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;

/// What is shorter is not worth it: it fits into one packet as it is.
const LEAST: usize = 1024;
/// Of Brotli, 5 is the last level that takes no more time than it saves: 9 takes four times as long for a few percent.
const BROTLI: (u32, u32) = (5, 22);
const ZSTD: i32 = 3;
const GZIP: u32 = 6;

/// How a body is coded. In the order of preference among those that a client likes equally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentEncoding {
    Brotli,
    Zstd,
    Gzip,
    Identity,
}

impl ContentEncoding {
    pub(crate) const ALL: [Self; 4] = [Self::Brotli, Self::Zstd, Self::Gzip, Self::Identity];

    /// Its place among all.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// As in headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    /// The header of a body that is coded so; none if it is as it is.
    pub(crate) fn header(self) -> Option<HeaderValue> {
        (self != Self::Identity).then(|| HeaderValue::from_static(self.name()))
    }

    /// Codes a body. Blocks: some milliseconds for each megabyte.
    pub(crate) fn apply(self, body: &[u8]) -> io::Result<Bytes> {
        Ok(match self {
            Self::Brotli => {
                let mut coded = brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI.0, BROTLI.1);
                coded.write_all(body)?;
                exact(coded.into_inner())
            }
            Self::Zstd => exact(zstd::bulk::compress(body, ZSTD)?),
            Self::Gzip => {
                let mut coded = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP));
                coded.write_all(body)?;
                exact(coded.finish()?)
            }
            Self::Identity => Bytes::copy_from_slice(body),
        })
    }
}

/// Without the room that it has to grow.
fn exact(bytes: Vec<u8>) -> Bytes {
    Bytes::from(bytes.into_boxed_slice())
}

/// Which codings a client takes, and how much it likes them: thousandths, 0 for not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AcceptedEncodings([u16; 4]);

impl AcceptedEncodings {
    /// Who says nothing gets a body as it is.
    const PLAIN: Self = Self([0, 0, 0, 1000]);

    /// What the headers of a request say.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(header::ACCEPT_ENCODING) {
            return Self::PLAIN;
        }
        let mut named = [None; 4];
        let mut rest = None;
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        for item in values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let (name, liking) = (name.trim(), liking(parameters));
            let is = |coding: &ContentEncoding| name.eq_ignore_ascii_case(coding.name());
            if name == "*" {
                rest = Some(liking);
            } else if let Some(coding) = ContentEncoding::ALL.iter().find(|coding| is(coding)) {
                named[coding.index()] = Some(liking);
            } else if name.eq_ignore_ascii_case("x-gzip") {
                named[ContentEncoding::Gzip.index()] = Some(liking);
            }
        }
        let mut accepted = named.map(|named| named.or(rest).unwrap_or(0));
        // As it is is always acceptable, unless something says otherwise; what is named goes before it.
        let plain = ContentEncoding::Identity.index();
        accepted[plain] = named[plain].or(rest).unwrap_or(1);
        Self(accepted)
    }

    /// Whether a client takes a coding.
    pub(crate) fn takes(self, coding: ContentEncoding) -> bool {
        self.0[coding.index()] > 0
    }

    /// The coding that a client likes best among those that can be had; `None` if it takes none of them.
    pub(crate) fn best(self, can_be_had: impl Fn(ContentEncoding) -> bool) -> Option<ContentEncoding> {
        let mut best = None;
        for coding in ContentEncoding::ALL {
            let liking = self.0[coding.index()];
            if liking > 0 && can_be_had(coding) && best.is_none_or(|(_, most)| liking > most) {
                best = Some((coding, liking));
            }
        }
        best.map(|(coding, _)| coding)
    }

    /// The coding that a body of this length should have.
    pub(crate) fn best_for(self, length: usize) -> Option<ContentEncoding> {
        if length < LEAST && self.takes(ContentEncoding::Identity) {
            return Some(ContentEncoding::Identity);
        }
        self.best(|_| true)
    }
}

/// The weight among parameters: `q=0.5` is 500. What cannot be read counts as not said.
fn liking(parameters: &str) -> u16 {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(weight) = weight else { return 1000 };
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let is_digits = fraction.len() <= 3 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    match (whole, is_digits) {
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(1000),
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn accepted(text: &str) -> AcceptedEncodings {
        let value = HeaderValue::from_str(text).unwrap();
        AcceptedEncodings::of(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
    }

    #[test]
    fn the_best_of_what_is_taken_is_chosen() {
        use ContentEncoding::{Brotli, Gzip, Identity, Zstd};
        for (text, best) in [
            ("", Some(Identity)),
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("gzip, deflate, zstd", Some(Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            // No less than what it does not name.
            ("GZIP ; Q=0.001", Some(Gzip)),
            ("br;q=0", Some(Identity)),
            ("*", Some(Brotli)),
            ("*;q=0.5, identity", Some(Identity)),
            ("br;q=0, *", Some(Zstd)),
            ("identity;q=0, gzip;q=0.2", Some(Gzip)),
            ("*;q=0, zstd", Some(Zstd)),
            ("identity;q=0, deflate", None),
            ("*;q=0", None),
            ("deflate", Some(Identity)),
            ("br;q=many", Some(Brotli)),
        ] {
            assert_eq!(accepted(text).best_for(LEAST), best, "{text:?}");
        }
        assert_eq!(AcceptedEncodings::of(&HeaderMap::new()).best_for(LEAST), Some(Identity));
    }

    #[test]
    fn short_bodies_are_left_as_they_are_if_that_is_taken() {
        assert_eq!(accepted("br").best_for(LEAST - 1), Some(ContentEncoding::Identity));
        assert_eq!(accepted("br, identity;q=0").best_for(1), Some(ContentEncoding::Brotli));
    }

    #[test]
    fn what_is_coded_can_be_decoded() {
        let body = b"<p>The river was still.</p>".repeat(100);
        let (mut br, mut gzip) = (Vec::new(), Vec::new());
        brotli::Decompressor::new(&*ContentEncoding::Brotli.apply(&body).unwrap(), 4096)
            .read_to_end(&mut br)
            .unwrap();
        flate2::read::GzDecoder::new(&*ContentEncoding::Gzip.apply(&body).unwrap())
            .read_to_end(&mut gzip)
            .unwrap();
        let zstd = zstd::bulk::decompress(&ContentEncoding::Zstd.apply(&body).unwrap(), body.len()).unwrap();
        assert!(br == body && gzip == body && zstd == body);
        assert_eq!(ContentEncoding::Identity.apply(&body).unwrap(), body);
    }
}
