#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| docstore::sqlite::fuzz::query_plans(data));
