use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Declared, ImageError, Picture, convert, decode};
use crate::domain::ImageFilter;
use crate::media::names::VARIANTS;
use crate::media::sniff::FileFormat;

const MIB: u64 = 1024 * 1024;
/// The memory for decoded pictures, in MiB for each thread.
const MEMORY: usize = 64;
/// The least memory for decoded pictures, in MiB. A picture that needs more is converted alone.
const MIN_MEMORY: usize = 128;

/// Converts pictures on a bounded number of threads and with a bounded amount of memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ImagePool {
    threads: Arc<Semaphore>,
    /// A permit for each MiB of decoded pictures.
    memory: Arc<Semaphore>,
    /// The number of these permits.
    mebibytes: usize,
}

impl Default for ImagePool {
    /// Uses a thread for each processor.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl ImagePool {
    /// Uses this many threads.
    pub fn new(threads: usize) -> Self {
        let mebibytes = MIN_MEMORY.max(threads * MEMORY);
        let (threads, memory) = (Arc::new(Semaphore::new(threads)), Arc::new(Semaphore::new(mebibytes)));
        Self { threads, memory, mebibytes }
    }

    /// Converts a picture, which `read` reads twice: while it waits for memory, its file is in none. If the caller is
    /// dropped, work that has begun ends by itself, and holds its place until then.
    ///
    /// # Errors
    /// The reason why the picture is refused; [`ImageError::Unread`] if `read` fails.
    pub async fn convert<F>(
        &self,
        format: FileFormat,
        filter: ImageFilter,
        read: impl Fn() -> F,
    ) -> Result<Picture, ImageError>
    where
        F: Future<Output = io::Result<Vec<u8>>>,
    {
        let unread = |error: io::Error| ImageError::Unread(error.to_string());
        let declared = {
            let _thread = self.thread().await;
            let file = read().await.map_err(unread)?;
            run(move || decode::inspect(&file, format)).await?
        };
        let memory = self.memory(declared).await;
        let thread = self.thread().await;
        // Threads that no one else needs.
        let more: Vec<_> =
            (1..VARIANTS.len()).map_while(|_| Arc::clone(&self.threads).try_acquire_owned().ok()).collect();
        let file = read().await.map_err(unread)?;
        run(move || {
            let picture = convert(&file, format, declared, filter, 1 + more.len());
            drop((thread, memory, more));
            picture
        })
        .await
    }

    async fn thread(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.threads).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Waits for the memory of a picture: its own, and the decoder's buffers.
    async fn memory(&self, declared: Declared) -> OwnedSemaphorePermit {
        let mebibytes = usize::try_from(2 * declared.frame_bytes / MIB + 1).unwrap_or(usize::MAX);
        let mebibytes = u32::try_from(mebibytes.min(self.mebibytes)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory).acquire_many_owned(mebibytes).await;
        memory.expect("the semaphore is never closed")
    }
}

/// Runs work on a thread that may block. A decoder that panics has met a broken file.
async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a codec panicked");
        Err(ImageError::Broken("a codec panicked".to_owned()))
    })
}
