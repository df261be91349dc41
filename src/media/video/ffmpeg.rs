//! Runs `ffmpeg` on one uploaded file: with a low priority, within limits of time, memory and size, and without access to
//! other files and addresses that the file may name.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{VideoInfo, VideoKind};

/// The name of the uploaded file in the working folder.
pub const SOURCE: &str = "source";
/// The width of thumbnails.
const THUMBNAIL_WIDTH: u32 = 640;
/// The maximum width of a poster.
const POSTER_WIDTH: u32 = 1280;
/// The maximum length of the shorter side of the smaller form.
const SHORT_SIDE: u32 = 720;
/// The maximum size of a file that `ffmpeg` writes, in MiB.
const MAX_OUTPUT_MIB: u64 = 512;
/// The memory that `ffmpeg` may reserve, in MiB.
const MAX_MEMORY_MIB: u64 = 4096;
/// The time that is given to a single picture.
const PICTURE_TIME: Duration = Duration::from_mins(2);
/// The time between two looks at a running program.
const POLL: Duration = Duration::from_millis(20);
/// The number of bytes of the error output that are read.
const MAX_ERROR_OUTPUT: u64 = 4096;
/// The maximum length of the reason for a failure.
const MAX_REASON: usize = 300;
/// The decoders that may run. The many others are rarely needed, and rarely looked at.
const DECODERS: &str = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,libdav1d,libaom-av1,av1,mpeg4,msmpeg4v2,msmpeg4,h263,mpeg1video,\
    mpeg2video,mjpeg,prores,dvvideo,rawvideo,aac,mp3,mp3float,mp2,mp2float,ac3,opus,libopus,vorbis,libvorbis,alac,flac,pcm_s16le,pcm_s16be,\
    pcm_s24le,pcm_u8,pcm_mulaw,pcm_alaw,pcm_f32le,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt";

/// A failure of `ffmpeg`.
#[derive(Debug, thiserror::Error)]
pub enum FfmpegError {
    /// It cannot process the file.
    #[error("ffmpeg failed: {0}")]
    Failed(String),
    /// It took too long.
    #[error("ffmpeg took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It cannot be run.
    #[error("ffmpeg cannot be run: {0}")]
    Io(#[from] io::Error),
}

/// The settings of `ffmpeg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FfmpegSettings {
    /// Makes posters, thumbnails and smaller forms of videos.
    pub enabled: bool,
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: PathBuf,
    /// The time limit of the smaller form of a video.
    pub timeout: Duration,
}

/// The installed program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ffmpeg {
    program: PathBuf,
    timeout: Duration,
}

impl Ffmpeg {
    /// Finds the program.
    ///
    /// # Errors
    /// Returns a text that says what is missing.
    pub fn find(settings: &FfmpegSettings) -> Result<Self, String> {
        let FfmpegSettings { enabled: _, program, timeout } = settings;
        let name = program.display();
        let output = Command::new(program)
            .args(["-hide_banner", "-v", "error", "-encoders"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{name} cannot be run: {error}"))?;
        let encoders = String::from_utf8_lossy(&output.stdout);
        let missing: Vec<_> = ["libx264", "aac", "mjpeg"]
            .into_iter()
            .filter(|encoder| !encoders.split_whitespace().any(|word| word == *encoder))
            .collect();
        if missing.is_empty() {
            Ok(Self { program: program.clone(), timeout: *timeout })
        } else {
            Err(format!("{name} has no encoder {}", missing.join(", ")))
        }
    }

    /// Makes a poster, or a thumbnail, of the picture at a time.
    pub(super) fn picture(
        &self,
        work: &WorkFolder,
        info: VideoInfo,
        seconds: f64,
        is_poster: bool,
        target: &str,
    ) -> Result<(), FfmpegError> {
        let width = if is_poster { POSTER_WIDTH.min(info.width) } else { THUMBNAIL_WIDTH };
        let scale = format!("scale={}:-2,setsar=1", width.max(2) & !1);
        let arguments = [
            "-frames:v",
            "1",
            "-vf",
            &scale,
            "-c:v",
            "mjpeg",
            "-q:v",
            "3",
            "-pix_fmt",
            "yuvj420p",
            "-an",
            "-f",
            "mjpeg",
        ];
        // There may be no picture so late; the first one always exists.
        for seconds in [seconds, 0.0] {
            let position = format!("{seconds:.3}");
            self.run(work, info.kind, &["-ss", &position], &arguments, target, PICTURE_TIME)?;
            if fs::metadata(work.file(target)).is_ok_and(|written| written.len() > 0) {
                return Ok(());
            }
        }
        Err(FfmpegError::Failed("the video has no picture".to_owned()))
    }

    /// Makes the smaller form: H.264 in mp4, whose headers come first. Returns its width and height. Videos are not enlarged.
    pub(super) fn smaller_form(
        &self,
        work: &WorkFolder,
        info: VideoInfo,
        target: &str,
    ) -> Result<(u32, u32), FfmpegError> {
        let (width, height) = smaller_sides(info.width, info.height);
        let scale = format!("scale={width}:{height},setsar=1");
        let arguments = [
            "-map",
            "0:v:0",
            "-map",
            "0:a:0?",
            "-sn",
            "-dn",
            "-vf",
            &scale,
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-crf",
            "23",
            "-maxrate",
            "2500k",
            "-bufsize",
            "5000k",
            "-pix_fmt",
            "yuv420p",
            "-fpsmax",
            "60",
            "-c:a",
            "aac",
            "-b:a",
            "128k",
            "-ac",
            "2",
            "-movflags",
            "+faststart",
            "-f",
            "mp4",
        ];
        self.run(work, info.kind, &[], &arguments, target, self.timeout)?;
        Ok((width, height))
    }

    fn run(
        &self,
        work: &WorkFolder,
        kind: VideoKind,
        before_input: &[&str],
        arguments: &[&str],
        target: &str,
        timeout: Duration,
    ) -> Result<(), FfmpegError> {
        // The demuxer is named, so that a file which is really a playlist is not read as one. References of a container to
        // other files are not followed, and a second demuxer, as for subtitles within AVI, cannot be opened.
        let demuxer: &[&str] = match kind {
            VideoKind::Mp4 | VideoKind::QuickTime => {
                &["-format_whitelist", "mov", "-enable_drefs", "0", "-use_absolute_path", "0", "-f", "mov"]
            }
            VideoKind::WebM => &["-format_whitelist", "matroska", "-f", "matroska"],
            VideoKind::Avi => &["-format_whitelist", "avi", "-f", "avi"],
        };
        let error_output = work.file("errors");
        let mut command = Command::new("/bin/sh");
        // Limits that the shell does not know are left out.
        let limits = "ulimit -t \"$1\"; ulimit -f \"$2\" 2>/dev/null; ulimit -v \"$3\" 2>/dev/null; shift 3; exec nice -n 19 \"$@\"";
        let seconds = timeout.as_secs().max(1).saturating_mul(2).to_string();
        command
            .args([
                "-c",
                limits,
                "sh",
                &seconds,
                &(MAX_OUTPUT_MIB * 2048).to_string(),
                &(MAX_MEMORY_MIB * 1024).to_string(),
            ])
            .arg(&self.program)
            .args([
                "-nostdin",
                "-hide_banner",
                "-v",
                "error",
                "-y",
                "-threads",
                "2",
                "-protocol_whitelist",
                "file",
            ])
            .args(["-codec_whitelist", DECODERS])
            .args(demuxer)
            .args(before_input)
            .args(["-i", &format!("file:{SOURCE}")])
            .args(["-map_metadata", "-1", "-map_chapters", "-1"])
            .args(arguments)
            .args(["-threads", "2"])
            .arg(format!("file:{target}"))
            .current_dir(&work.path)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&error_output)?);
        let mut child = KillOnDrop(command.spawn()?);
        let deadline = Instant::now() + timeout;
        let status = loop {
            if let Some(status) = child.0.try_wait()? {
                break status;
            }
            if work.is_canceled() {
                return Err(FfmpegError::Failed("canceled".to_owned()));
            }
            if Instant::now() >= deadline {
                return Err(FfmpegError::TimedOut(timeout));
            }
            thread::sleep(POLL);
        };
        if status.success() {
            return Ok(());
        }
        let reason = last_line(&error_output).unwrap_or_else(|| status.to_string());
        Err(FfmpegError::Failed(reason))
    }
}

/// A running program, which is killed when this is dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // One that ended already is not killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the end of the error output as one line.
fn last_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_ERROR_OUTPUT))).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_ERROR_OUTPUT).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect())
}

/// Returns even sides of which the shorter one has at most 720 pixels.
fn smaller_sides(width: u32, height: u32) -> (u32, u32) {
    let shorter = width.min(height);
    let side = |side: u32| {
        let scaled = if shorter <= SHORT_SIDE {
            u64::from(side)
        } else {
            (u64::from(side) * u64::from(SHORT_SIDE) + u64::from(shorter) / 2) / u64::from(shorter)
        };
        // H.264 with this layout of colors has even sides.
        u32::try_from(scaled & !1).expect("it is not longer than before").max(2)
    };
    (side(width), side(height))
}

/// A folder for the files of one job, which is removed when this is dropped.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
    canceled: Arc<AtomicBool>,
}

impl WorkFolder {
    /// Creates the folder of a job, after what a killed process may have left of it. It is canceled by the guard.
    ///
    /// # Errors
    /// The failure of the file system.
    pub fn create(job: &str) -> io::Result<(Self, CancelOnDrop)> {
        use std::os::unix::fs::DirBuilderExt as _;

        let name: String = job.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        let path = std::env::temp_dir().join(format!("field-notes-video-{name}"));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Fails if someone else was faster.
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        let canceled = Arc::<AtomicBool>::default();
        Ok((Self { path, canceled: Arc::clone(&canceled) }, CancelOnDrop(canceled)))
    }

    /// Returns the path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What is left is removed by the next attempt, or by the system.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Cancels the work in a folder when it is dropped, since work that blocks a thread is not canceled with the task that waits
/// for it.
#[derive(Debug)]
pub struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_forms_are_even_and_never_larger() {
        for (sides, expected) in [
            ((1920, 1080), (1280, 720)),
            ((1080, 1920), (720, 1280)),
            ((3840, 1600), (1728, 720)),
            ((641, 361), (640, 360)),
            ((64, 36), (64, 36)),
            ((1, 1), (2, 2)),
            ((32_768, 1), (32_768, 2)),
        ] {
            assert_eq!(smaller_sides(sides.0, sides.1), expected, "{sides:?}");
        }
    }

    #[test]
    fn missing_program_is_named() {
        let find = |program: &str| {
            let timeout = Duration::from_secs(1);
            Ffmpeg::find(&FfmpegSettings { enabled: true, program: program.into(), timeout }).unwrap_err()
        };
        let missing = find("/no/such/ffmpeg");
        assert!(missing.starts_with("/no/such/ffmpeg cannot be run: "), "{missing}");
        assert_eq!(find("true"), "true has no encoder libx264, aac, mjpeg");
    }

    #[test]
    fn reason_is_the_last_line_of_the_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors");
        fs::write(&path, format!("first\n{}\n\n", "x\u{7}".repeat(5000))).unwrap();
        assert_eq!(last_line(&path).unwrap(), "x".repeat(MAX_REASON));
        assert_eq!(last_line(&folder.path().join("none")), None);
    }
}
