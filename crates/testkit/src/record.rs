use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a test ran on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded store.
    Embedded,
    /// A real `mongod`.
    Mongo,
}

impl Engine {
    /// Its name in names of tests and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Mongo => "mongo",
        }
    }
}

/// The build folder of this workspace.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from)
}

fn folder() -> PathBuf {
    target_folder().join("test-engines")
}

/// Notes that a test ran to its end on this engine. Lines are short, so appends of several processes do not mix.
pub fn ran(engine: Engine) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let written = fs::create_dir_all(folder()).and_then(|()| {
        let mut file = OpenOptions::new().create(true).append(true).open(folder().join(engine.name()))?;
        file.write_all(format!("{name}\n").as_bytes())
    });
    if let Err(error) = written {
        eprintln!("testkit: recording a test failed: {error}");
    }
}

/// How many tests ran on this engine since [`clear`].
pub fn count(engine: Engine) -> usize {
    fs::read_to_string(folder().join(engine.name())).map_or(0, |text| text.lines().count())
}

/// Forgets what ran before.
pub fn clear() -> io::Result<()> {
    match fs::remove_dir_all(folder()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
