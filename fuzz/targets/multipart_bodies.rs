#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| field_notes::fuzz::multipart_bodies(data));
