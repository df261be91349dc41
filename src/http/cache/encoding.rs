use std::io::{self, Write as _};

use axum::http::{HeaderMap, header};

/// Shorter bodies are not compressed: they fit into one packet as they are.
const MIN_ENCODED_BYTES: usize = 1024;
/// Quality and window of Brotli. 5 is the last quality that takes no more time than it saves: 9 takes four times as long
/// for a few percent.
const BROTLI: (u32, u32) = (5, 22);
const ZSTD: i32 = 3;
const GZIP: u32 = 6;

/// A content encoding. The order is the server's preference among encodings of equal quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentEncoding {
    Brotli,
    Zstd,
    Gzip,
    Identity,
}

impl ContentEncoding {
    pub(crate) const ALL: [Self; 4] = [Self::Brotli, Self::Zstd, Self::Gzip, Self::Identity];

    /// Returns the position in [`Self::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Returns the name in `Content-Encoding` and `Accept-Encoding`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    /// Encodes a body. Blocks for some milliseconds per megabyte.
    pub(crate) fn encode(self, body: &[u8]) -> io::Result<Vec<u8>> {
        Ok(match self {
            Self::Brotli => {
                let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI.0, BROTLI.1);
                writer.write_all(body)?;
                writer.into_inner()
            }
            Self::Zstd => zstd::bulk::compress(body, ZSTD)?,
            Self::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP));
                writer.write_all(body)?;
                writer.finish()?
            }
            Self::Identity => body.to_vec(),
        })
    }
}

/// The qualities that a client gives to each encoding, in thousandths; 0 is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AcceptedEncodings([u16; 4]);

impl AcceptedEncodings {
    /// Without `Accept-Encoding`, only `identity` is used.
    const IDENTITY: Self = Self([0, 0, 0, 1000]);

    /// Parses `Accept-Encoding`.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        if !headers.contains_key(header::ACCEPT_ENCODING) {
            return Self::IDENTITY;
        }
        let mut named = [None; 4];
        let mut wildcard = None;
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        for item in values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let (name, quality) = (name.trim(), quality(parameters));
            let is_named = |encoding: &ContentEncoding| name.eq_ignore_ascii_case(encoding.as_str());
            if name == "*" {
                wildcard = Some(quality);
            } else if let Some(encoding) = ContentEncoding::ALL.iter().find(|encoding| is_named(encoding)) {
                named[encoding.index()] = Some(quality);
            } else if name.eq_ignore_ascii_case("x-gzip") {
                named[ContentEncoding::Gzip.index()] = Some(quality);
            }
        }
        let mut qualities = named.map(|named| named.or(wildcard).unwrap_or(0));
        // `identity` is acceptable unless the client excludes it; encodings that the client names take precedence.
        let identity = ContentEncoding::Identity.index();
        qualities[identity] = named[identity].or(wildcard).unwrap_or(1);
        Self(qualities)
    }

    pub(crate) fn accepts(self, encoding: ContentEncoding) -> bool {
        self.0[encoding.index()] > 0
    }

    /// Returns the accepted encoding of the highest quality among those that are available.
    pub(crate) fn best(self, is_available: impl Fn(ContentEncoding) -> bool) -> Option<ContentEncoding> {
        let mut best = None;
        for encoding in ContentEncoding::ALL {
            let quality = self.0[encoding.index()];
            if quality > 0 && is_available(encoding) && best.is_none_or(|(_, highest)| quality > highest) {
                best = Some((encoding, quality));
            }
        }
        best.map(|(encoding, _)| encoding)
    }

    /// Returns the preferred encoding of a body of this length.
    pub(crate) fn preferred(self, length: usize) -> Option<ContentEncoding> {
        if length < MIN_ENCODED_BYTES && self.accepts(ContentEncoding::Identity) {
            return Some(ContentEncoding::Identity);
        }
        self.best(|_| true)
    }
}

/// Parses the weight among the parameters: `q=0.5` is 500. An invalid weight counts as absent.
fn quality(parameters: &str) -> u16 {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(weight) = weight else { return 1000 };
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let is_fraction = fraction.len() <= 3 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    match (whole, is_fraction) {
        ("0", true) => format!("{fraction:0<3}").parse().expect("three digits fit into a u16"),
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::http::HeaderValue;

    use super::*;

    fn accepted(text: &str) -> AcceptedEncodings {
        let value = HeaderValue::from_str(text).unwrap();
        AcceptedEncodings::from_headers(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
    }

    #[test]
    fn accept_encoding_selects_the_best_encoding() {
        use ContentEncoding::{Brotli, Gzip, Identity, Zstd};
        for (text, best) in [
            ("", Some(Identity)),
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("gzip, deflate, zstd", Some(Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            // No lower than the encodings that it does not name.
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
            assert_eq!(accepted(text).preferred(MIN_ENCODED_BYTES), best, "{text:?}");
        }
        let absent = AcceptedEncodings::from_headers(&HeaderMap::new());
        assert_eq!(absent.preferred(MIN_ENCODED_BYTES), Some(Identity));
    }

    #[test]
    fn short_bodies_are_not_encoded_if_identity_is_accepted() {
        assert_eq!(accepted("br").preferred(MIN_ENCODED_BYTES - 1), Some(ContentEncoding::Identity));
        assert_eq!(accepted("br, identity;q=0").preferred(1), Some(ContentEncoding::Brotli));
    }

    #[test]
    fn encoded_bodies_can_be_decoded() {
        let body = b"<p>The river was still.</p>".repeat(100);
        let (mut br, mut gzip) = (Vec::new(), Vec::new());
        brotli::Decompressor::new(&*ContentEncoding::Brotli.encode(&body).unwrap(), 4096)
            .read_to_end(&mut br)
            .unwrap();
        flate2::read::GzDecoder::new(&*ContentEncoding::Gzip.encode(&body).unwrap())
            .read_to_end(&mut gzip)
            .unwrap();
        let zstd = zstd::bulk::decompress(&ContentEncoding::Zstd.encode(&body).unwrap(), body.len()).unwrap();
        assert!(br == body && gzip == body && zstd == body);
        assert_eq!(ContentEncoding::Identity.encode(&body).unwrap(), body);
    }
}
