use std::io::Cursor;

use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{PngDecoder, PngEncoder};
use image::{
    AnimationDecoder as _, Delay, DynamicImage, ExtendedColorType, Frame, GrayImage, ImageDecoder as _,
    ImageEncoder as _, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage,
};

use super::*;

/// Returns a picture whose left half is red and whose right half is blue.
fn halves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([250, 5, 5]) } else { Rgb([5, 5, 250]) })
}

fn jpeg(picture: &RgbImage, metadata: impl FnOnce(&mut JpegEncoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 90);
    metadata(&mut encoder);
    encoder.write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8).unwrap();
    file
}

fn png(picture: &RgbaImage) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    encoder.write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgba8).unwrap();
    file
}

/// Returns a GIF file of frames of one color each, in which a small square moves.
fn gif(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut file, 30);
    encoder.set_repeat(Repeat::Finite(3)).unwrap();
    for n in 0..frames {
        let mut picture = RgbaImage::from_pixel(width, height, Rgba([200, 200, 0, 255]));
        picture.put_pixel(n % width, 0, Rgba([0, 0, 200, 255]));
        let frame = Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(50, 1));
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    file
}

async fn converted(file: Vec<u8>) -> Result<Picture, ImageError> {
    filtered(file, ImageFilter::None).await
}

async fn filtered(file: Vec<u8>, filter: ImageFilter) -> Result<Picture, ImageError> {
    let format = crate::media::sniff(&file).expect("a known format");
    ImagePool::new(2).convert(format, filter, || std::future::ready(Ok(file.clone()))).await
}

fn decoded(file: &[u8]) -> DynamicImage {
    image::load_from_memory_with_format(file, ImageFormat::WebP).unwrap()
}

fn is_near(one: [u8; 3], other: [u8; 3]) -> bool {
    one.iter().zip(other).all(|(one, other)| one.abs_diff(other) < 30)
}

#[tokio::test]
async fn variants_are_never_wider_than_the_picture() {
    for (width, height, expected) in [
        (300, 200, vec![(0, 300, 200)]),
        (400, 10, vec![(0, 400, 10)]),
        (800, 600, vec![(0, 800, 600), (2, 768, 576), (3, 400, 300)]),
        (2100, 70, vec![(0, 2048, 68), (1, 1536, 51), (2, 768, 25), (3, 400, 13)]),
        (1, 1, vec![(0, 1, 1)]),
    ] {
        let picture = converted(jpeg(&halves(width, height), |_| {})).await.unwrap();
        let shapes: Vec<_> = picture
            .variants
            .iter()
            .map(|variant| {
                let file = decoded(&variant.bytes);
                assert_eq!((file.width(), file.height()), (variant.width, variant.height));
                (variant.index, variant.width, variant.height)
            })
            .collect();
        assert_eq!(shapes, expected);
        assert!((5..=30).contains(&picture.thumbhash.len()) && picture.duration_ms.is_none());
    }
    // The longest side of a WebP file.
    assert_eq!(sizes(1000, 40_000)[0], (0, (409, 16_360)));
}

#[tokio::test]
async fn orientation_is_applied_and_metadata_is_dropped() {
    // TIFF, little endian: one entry, orientation 6 (a quarter turn to the right), and a place.
    let mut exif = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    exif.extend(b"GPS 52.5200N 13.4050E");
    let file = jpeg(&halves(120, 60), |encoder| encoder.set_exif_metadata(exif).unwrap());
    assert!(file.windows(4).any(|bytes| bytes == b"GPS "));
    assert_eq!(dimensions(&file, FileFormat::Jpeg), Ok((60, 120)));
    let until_pixels = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    assert_eq!(dimensions(&file[..until_pixels + 20], FileFormat::Jpeg), Ok((60, 120)));
    let shown = preview(&file, FileFormat::Jpeg).unwrap();
    let picture = converted(file).await.unwrap();
    assert_eq!(shown, picture.thumbhash);
    let variant = &picture.variants[0];
    assert_eq!((variant.width, variant.height), (60, 120));
    for secret in [&b"GPS "[..], b"EXIF", b"ICCP", b"XMP "] {
        assert!(!variant.bytes.windows(4).any(|bytes| bytes == secret));
    }
    let upright = decoded(&variant.bytes).into_rgb8();
    assert!(is_near(upright.get_pixel(30, 10).0, [250, 5, 5]), "the left half is now above");
    assert!(is_near(upright.get_pixel(30, 110).0, [5, 5, 250]));
}

#[tokio::test]
async fn colors_are_converted_to_srgb() {
    let color = Rgb([200, 100, 50]);
    let picture = RgbImage::from_pixel(40, 40, color);
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let file = jpeg(&picture, |encoder| encoder.set_icc_profile(profile).unwrap());
    let converted_color = {
        let picture = converted(file).await.unwrap();
        decoded(&picture.variants[0].bytes).into_rgb8().get_pixel(20, 20).0
    };
    // The red of Display P3 is more intense: the same color has larger numbers in sRGB.
    assert!(converted_color[0] > 205 && converted_color[2] < 50, "{converted_color:?}");
    // Bytes that are no profile are ignored.
    let file = jpeg(&picture, |encoder| encoder.set_icc_profile(b"no profile".to_vec()).unwrap());
    let picture = converted(file).await.unwrap();
    assert!(is_near(decoded(&picture.variants[0].bytes).into_rgb8().get_pixel(20, 20).0, color.0));
}

#[tokio::test]
async fn transparency_and_gray_are_kept() {
    let mut picture = RgbaImage::from_pixel(50, 40, Rgba([10, 200, 30, 255]));
    picture.put_pixel(0, 0, Rgba([0, 0, 0, 0]));
    picture.put_pixel(1, 1, Rgba([0, 0, 0, 0]));
    let picture = converted(png(&picture)).await.unwrap();
    let shown = decoded(&picture.variants[0].bytes).into_rgba8();
    assert_eq!(shown.get_pixel(0, 0).0[3], 0);
    assert_eq!(shown.get_pixel(30, 30).0[3], 255);
    let mut file = Vec::new();
    let gray = vec![0x7f; 2 * 20 * 10];
    PngEncoder::new(&mut file).write_image(&gray, 20, 10, ExtendedColorType::L16).unwrap();
    let picture = converted(file).await.unwrap();
    assert!(is_near(decoded(&picture.variants[0].bytes).into_rgb8().get_pixel(5, 5).0, [0x7f; 3]));
}

#[tokio::test]
async fn animations_stay_animated() {
    let from_gif = converted(gif(500, 40, 4)).await.unwrap();
    assert_eq!(from_gif.duration_ms, Some(200));
    // An animated WebP file is converted again.
    let from_webp = converted(from_gif.variants[0].bytes.clone()).await.unwrap();
    for picture in [&from_gif, &from_webp] {
        let shapes: Vec<_> = picture.variants.iter().map(|one| (one.index, one.width, one.height)).collect();
        assert_eq!(shapes, [(0, 500, 40), (3, 400, 32)]);
        for variant in &picture.variants {
            let decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(&variant.bytes)).unwrap();
            assert!(decoder.has_animation());
            let frames = decoder.into_frames().collect_frames().unwrap();
            assert_eq!(frames.len(), 4);
            assert!(frames.iter().all(|frame| frame.delay().numer_denom_ms() == (50, 1)));
            assert!(frames.iter().all(|frame| frame.buffer().width() == variant.width));
            let color = frames[3].buffer().get_pixel(variant.width - 5, 20).0;
            assert!(is_near([color[0], color[1], color[2]], [200, 200, 0]), "{color:?}");
        }
    }
    // One frame is a picture.
    let single = converted(gif(20, 20, 1)).await.unwrap();
    assert_eq!(single.duration_ms, None);
}

#[tokio::test]
async fn frames_that_show_the_same_are_shown_for_longer() {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    for color in [[255, 0, 0, 255], [255, 0, 0, 255], [0, 0, 255, 255]] {
        let picture = RgbaImage::from_pixel(8, 8, Rgba(color));
        let delay = Delay::from_numer_denom_ms(70, 1);
        encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).unwrap();
    }
    drop(encoder);
    let picture = converted(file).await.unwrap();
    let decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(&picture.variants[0].bytes)).unwrap();
    let frames = decoder.into_frames().collect_frames().unwrap();
    let delays: Vec<_> = frames.iter().map(|frame| frame.delay().numer_denom_ms().0).collect();
    assert_eq!(delays, [140, 70]);
}

#[tokio::test]
async fn filters_apply_to_pictures_and_frames() {
    for file in [jpeg(&halves(40, 40), |_| {}), gif(40, 40, 3)] {
        let picture = filtered(file, ImageFilter::Bw).await.unwrap();
        let [red, green, blue] = decoded(&picture.variants[0].bytes).into_rgb8().get_pixel(5, 20).0;
        assert!(red.abs_diff(green) < 6 && green.abs_diff(blue) < 6, "{red} {green} {blue}");
    }
}

/// Returns a PNG file that declares a size and has no pixels.
fn declared_png(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&header);
    file.extend(crc.sum().to_be_bytes());
    file.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    file
}

#[tokio::test]
async fn declared_sizes_are_refused_before_decoding() {
    for (width, height) in [(50_000, 50_000), (u32::MAX >> 1, 1), (7072, 7072)] {
        let error = converted(declared_png(width, height)).await.unwrap_err();
        assert!(
            matches!(&error, ImageError::TooManyPixels { .. } | ImageError::Broken(_)),
            "{width} × {height}: {error}"
        );
    }
    assert_eq!(
        converted(declared_png(50_000, 50_000)).await,
        Err(ImageError::TooManyPixels { width: 50_000, height: 50_000 })
    );
    // Frames are counted before the first one is decoded.
    let mut frames = gif(4, 4, 2);
    let trailer = frames.pop();
    let start = frames.iter().rposition(|byte| *byte == 0x2c).unwrap();
    let frame = frames[start..].to_vec();
    (0..10_000).for_each(|_| frames.extend(&frame));
    frames.extend(trailer);
    assert_eq!(converted(frames).await, Err(ImageError::TooManyFrames));
    // Ten frames are few, but they are large.
    let mut large = gif(4, 4, 10);
    large[6..10].copy_from_slice(&[0xd0, 0x07, 0xd0, 0x07]);
    assert_eq!(converted(large).await, Err(ImageError::TooManyFrames));
}

#[tokio::test]
async fn broken_files_are_refused() {
    let whole = [
        jpeg(&halves(200, 150), |_| {}),
        png(&RgbaImage::from_fn(100, 80, |x, y| Rgba([x.to_le_bytes()[0], y.to_le_bytes()[0], 7, 255]))),
        gif(60, 60, 1),
        gif(60, 60, 3),
        converted(jpeg(&halves(200, 150), |_| {})).await.unwrap().variants.remove(0).bytes,
        converted(gif(60, 60, 3)).await.unwrap().variants.remove(0).bytes,
    ];
    for file in whole {
        for length in [40, file.len() / 2, file.len() * 9 / 10] {
            let outcome = converted(file[..length].to_vec()).await;
            let name = crate::media::sniff(&file);
            assert!(matches!(outcome, Err(ImageError::Broken(_))), "{name:?}, {length} bytes: {outcome:?}");
        }
        // What follows the picture is dropped: here a document that a browser might run.
        let polyglot = [&file[..], b"<script>alert(1)</script>"].concat();
        for variant in converted(polyglot).await.unwrap().variants {
            assert!(!variant.bytes.windows(8).any(|bytes| bytes == b"<script>"));
        }
    }
    // The type is that of the first bytes, and the rest does not match it.
    let mixed = [&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], &png(&RgbaImage::new(4, 4))].concat();
    assert!(matches!(converted(mixed).await, Err(ImageError::Broken(_))));
}

#[tokio::test]
async fn no_bytes_make_a_codec_panic() {
    let files = [
        jpeg(&halves(40, 30), |_| {}),
        png(&RgbaImage::new(20, 20)),
        gif(20, 20, 3),
        converted(jpeg(&halves(40, 30), |_| {})).await.unwrap().variants.remove(0).bytes,
    ];
    let mut random = 1_u64;
    let mut next = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % limit
    };
    for _ in 0..400 {
        let mut file = files[next(files.len())].clone();
        for _ in 0..=next(4) {
            let index = 12 + next(file.len() - 12);
            file[index] = u8::try_from(next(256)).unwrap();
        }
        if let Err(ImageError::Broken(reason)) = converted(file.clone()).await {
            assert_ne!(reason, "a codec panicked", "{file:?}");
        }
    }
}

#[tokio::test]
async fn long_sides_are_refused_and_large_profiles_ignored() {
    let png = |width, profile| {
        let mut file = Vec::new();
        let mut encoder = PngEncoder::new(&mut file);
        encoder.set_icc_profile(vec![0; profile]).unwrap();
        GrayImage::new(width, 1).write_with_encoder(encoder).unwrap();
        file
    };
    assert_eq!(converted(png(65_536, 1)).await, Err(ImageError::TooManyPixels { width: 65_536, height: 1 }));
    assert!(converted(png(65_535, 1)).await.is_ok());
    let large = png(10, 64 * 1024 * 1024);
    assert!(large.len() < 100_000, "{}", large.len());
    let mut decoder = PngDecoder::with_limits(Cursor::new(&large), decode::limits(10)).unwrap();
    assert_eq!(decoder.icc_profile().unwrap(), None);
    assert!(converted(large).await.is_ok());
}
