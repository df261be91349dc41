//! Time and memory of the HTML sanitizer: a text of the editor, and the worst inputs, at 1 kB, 10 kB and 100 kB.
//!
//! Run by `make bench-micro`, never by the test suite. The peak of allocated memory is printed before the times; the
//! allocator that measures it is why this is a program of its own.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use field_notes::html;
use peak_alloc::PeakAlloc;

mod worst;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const LIMIT: usize = 100_000;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn editor(criterion: &mut Criterion) {
    let paragraph =
        "<p>The river was <strong>still</strong>, and a <a href=\"https://example.com\">heron</a> stood.</p>";
    let clean = paragraph.repeat(5000 / paragraph.len());
    let dirty = format!("{clean}<script>alert(1)</script><p onclick=\"x()\">and more</p>");
    let mut group = criterion.benchmark_group("html");
    for (name, text) in [("clean-5kB", &clean), ("dirty-5kB", &dirty)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| html::sanitize(black_box(text), LIMIT)));
    }
    group.finish();
}

fn worst_inputs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("html-worst");
    for (name, generate) in worst::INPUTS {
        for size in SIZES {
            let text = generate(size);
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            let sanitized = html::sanitize(&text, LIMIT);
            let peak = ALLOCATOR.peak_usage() - before;
            let stored = sanitized.map_or("refused".to_owned(), |sanitized| sanitized.html.len().to_string());
            println!("{name}: {} bytes, peak memory {} kB, stored bytes {stored}", text.len(), peak / 1000);
            group.throughput(Throughput::Bytes(text.len() as u64));
            let id = BenchmarkId::new(*name, size);
            group.bench_with_input(id, &text, |bencher, text| bencher.iter(|| html::sanitize(text, LIMIT)));
        }
    }
    group.finish();
}

criterion_group!(benches, editor, worst_inputs);
criterion_main!(benches);
