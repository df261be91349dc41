//! Runs fuzz targets on a stable toolchain, in the ordinary build of the tests: replays the committed inputs, then mutates
//! them for some seconds. `make fuzz` runs the same targets guided by coverage.

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, process, thread};

/// The seconds for which inputs are mutated, unless `FUZZ_SECONDS` is set.
const SECONDS: u64 = 1;
/// The maximum length of a mutated input. Long inputs are slow and reach nothing more.
const MAX_LENGTH: usize = 4096;
/// The maximum size of the committed inputs of a target, in bytes.
const MAX_CORPUS: usize = 22_000;
/// The time after which an input counts as one that never ends.
const HANG: Duration = Duration::from_mins(1);

/// Bytes and texts that parsers often treat specially.
const SPECIAL: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"&",
    b"%",
    b"$",
    b"=",
    b"-1",
    b"0",
    b"1e400",
    b"127",
    b"128",
    b"255",
    b"256",
    b"9007199254740993",
    b"9223372036854775807",
    b"9223372036854775808",
    b"\x7f",
    b"\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\xc3\xa9",
    b"\xc2\xa0",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
];

/// Runs a target on its committed inputs, then for `FUZZ_SECONDS` on mutations of them. The sequence of mutations depends
/// on `FUZZ_SEED` alone.
///
/// The inputs are in `fuzz/corpus/<name>`, those of former findings in `fuzz/regressions/<name>`; the tokens that mutations
/// insert are in `fuzz/dictionaries/<name>.dict`.
///
/// # Panics
/// Panics if the target does, after the input was written to `target/fuzz/findings`.
pub fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let watched = Watched::start(name);
    let corpus = inputs(&folder.join("corpus").join(name));
    let size: usize = corpus.iter().map(Vec::len).sum();
    assert!(
        (1..=MAX_CORPUS).contains(&size),
        "the inputs in fuzz/corpus/{name} have {size} bytes, {MAX_CORPUS} at most"
    );
    let regressions = inputs(&folder.join("regressions").join(name));
    for input in corpus.iter().chain(&regressions) {
        watched.run(input, target);
    }
    let seeds = [corpus, regressions].concat();
    let tokens = tokens(&folder.join("dictionaries").join(format!("{name}.dict")));
    let mut mutator = Mutator { random: number("FUZZ_SEED").unwrap_or(1), seeds: &seeds, tokens: &tokens };
    let (started, mut executions) = (Instant::now(), 0_u64);
    let budget = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(SECONDS));
    while started.elapsed() < budget {
        watched.run(&mutator.next_input(), target);
        executions += 1;
    }
    println!("{name}: {} committed inputs, {executions} mutations", seeds.len());
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text}")))
}

/// Returns the content of the files in a folder, in order of their names.
fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("the input can be read")).collect()
}

/// Returns the tokens of a dictionary in the format of libFuzzer: one in double quotes for each line.
fn tokens(path: &Path) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let token = |line: &str| {
        let quoted = line.strip_prefix('"').and_then(|line| line.strip_suffix('"'));
        unescape(quoted.unwrap_or_else(|| panic!("not a token in double quotes: {line}")))
    };
    lines.map(token).collect()
}

/// Resolves `\\`, `\"` and `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte;
        (byte, rest) = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
                (digits.unwrap_or_else(|| panic!("not a hexadecimal byte in {text}")), after)
            }
            (b'\\', [escaped, after @ ..]) => (*escaped, after),
            (byte, after) => (byte, after),
        };
        bytes.push(byte);
    }
    bytes
}

/// The current input, and when it began.
struct Watched {
    name: String,
    current: Arc<Mutex<(Instant, Vec<u8>)>>,
}

impl Watched {
    /// Starts a thread that ends the process if an input takes too long.
    fn start(name: &str) -> Self {
        let current = Arc::new(Mutex::new((Instant::now(), Vec::new())));
        let (watched, of) = (Arc::downgrade(&current), name.to_owned());
        thread::spawn(move || {
            while let Some(current) = watched.upgrade() {
                {
                    let (started, input) = &*locked(&current);
                    if started.elapsed() > HANG {
                        eprintln!("{of} did not return within {HANG:?}; {}", save(&of, input));
                        process::abort();
                    }
                }
                drop(current);
                thread::sleep(Duration::from_secs(1));
            }
        });
        Self { name: name.to_owned(), current }
    }

    fn run(&self, input: &[u8], target: fn(&[u8])) {
        {
            let (started, current) = &mut *locked(&self.current);
            *started = Instant::now();
            current.clear();
            current.extend_from_slice(input);
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("{} failed; {}", self.name, save(&self.name, input));
            resume_unwind(panic);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Saves an input. Returns a text that says where, and what it contains.
fn save(name: &str, input: &[u8]) -> String {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz/findings");
    let path: PathBuf = folder.join(format!("{name}-{:016x}", hash.finish()));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
    let mut text = match written {
        Ok(()) => format!("the input is in {}: ", path.display()),
        Err(error) => format!("the input cannot be written: {error}: "),
    };
    let _ = write!(text, "b\"{}\"", input.escape_ascii());
    text
}

/// Makes inputs from others.
struct Mutator<'a> {
    random: u64,
    seeds: &'a [Vec<u8>],
    tokens: &'a [Vec<u8>],
}

impl Mutator<'_> {
    /// Returns the next number of a `SplitMix64` generator.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end as u64).max(1)).expect("it is below a size")
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = (length - start).min(1 << self.below(8));
        start..start + self.below(longest + 1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn seed(&mut self) -> Vec<u8> {
        self.seeds[self.below(self.seeds.len())].clone()
    }

    fn token(&mut self) -> Vec<u8> {
        if self.tokens.is_empty() || self.below(4) == 0 {
            return SPECIAL[self.below(SPECIAL.len())].to_vec();
        }
        self.tokens[self.below(self.tokens.len())].clone()
    }

    fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed();
        // Mostly a few mutations: many rarely leave anything that is valid.
        let mutations = 1 + self.next().trailing_zeros().min(12);
        for _ in 0..mutations {
            self.mutate(&mut input);
        }
        input.truncate(MAX_LENGTH);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let (at, length) = (self.below(input.len() + 1), input.len());
        match self.below(11) {
            0 if at < length => input[at] = self.byte(),
            1 if at < length => input[at] ^= 1 << self.below(8),
            2 if at < length => input[at] = input[at].wrapping_add_signed([-1, 1][self.below(2)]),
            3 => input.insert(at, self.byte()),
            4 => drop(input.drain(self.range(length))),
            5 => {
                let part = input[self.range(length)].to_vec();
                input.splice(at..at, part);
            }
            6 => {
                let other = self.seed();
                let part = other[self.range(other.len())].to_vec();
                input.splice(at..at, part);
            }
            7 => {
                let other = self.seed();
                input.truncate(at);
                input.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
            8 => {
                let token = self.token();
                let end = (at + token.len()).min(length);
                input.splice(at..end, token);
            }
            _ => {
                let token = self.token();
                input.splice(at..at, token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionary_escapes_are_resolved() {
        assert_eq!(unescape(r#"a\"\\\x00\xffb"#), b"a\"\\\0\xffb");
    }

    #[test]
    fn mutations_repeat_with_the_seed_and_differ() {
        let seeds = [b"{\"title\": \"a\"}".to_vec(), b"[]".to_vec()];
        let tokens = [b"token".to_vec()];
        let inputs = |random| {
            let mut mutator = Mutator { random, seeds: &seeds, tokens: &tokens };
            (0..1000).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        let distinct: std::collections::HashSet<_> = inputs(1).into_iter().chain(inputs(2)).collect();
        assert!(distinct.len() > 1200, "{}", distinct.len());
        assert!(distinct.iter().any(|input| input.windows(5).any(|window| window == b"token")));
    }

    #[test]
    fn failing_input_is_saved() {
        let text = save("testkit", b"a\0");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz/findings");
        assert!(text.contains(&path.display().to_string()) && text.ends_with(r#"b"a\x00""#), "{text}");
    }
}
