use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Declared, ImageError, MAX_DECODED_BYTES, Picture, convert, decode};
use crate::domain::ImageFilter;
use crate::media::names::VARIANTS;
use crate::media::sniff::FileFormat;

const MIB: u64 = 1024 * 1024;

/// Converts pictures on a bounded number of threads and with a bounded amount of memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ImagePool {
    threads: Arc<Semaphore>,
    /// A permit for each MiB of decoded pictures.
    memory: Arc<Semaphore>,
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
        let memory = usize::try_from(MAX_DECODED_BYTES / MIB).expect("a few hundred");
        Self { threads: Arc::new(Semaphore::new(threads)), memory: Arc::new(Semaphore::new(memory)) }
    }

    /// Waits for a thread. What is done before [`Turn::convert`] is bounded, too: reading the file into memory.
    pub async fn turn(&self) -> Turn {
        let thread = Arc::clone(&self.threads).acquire_owned().await.expect("the semaphore is never closed");
        Turn { pool: self.clone(), thread }
    }
}

/// The right to convert one picture.
#[derive(Debug)]
pub struct Turn {
    pool: ImagePool,
    thread: OwnedSemaphorePermit,
}

impl Turn {
    /// Converts a picture. If the caller is dropped, the work ends by itself, and holds its place until then.
    ///
    /// # Errors
    /// The reason why the picture is refused.
    pub async fn convert(
        self,
        file: Vec<u8>,
        format: FileFormat,
        filter: ImageFilter,
    ) -> Result<Picture, ImageError> {
        let Self { pool, thread } = self;
        let (file, declared) = run(move || {
            let declared = decode::inspect(&file, format)?;
            Ok((file, declared))
        })
        .await?;
        let memory = pool.acquire_memory(declared).await;
        // Threads that no one else needs.
        let more: Vec<_> =
            (1..VARIANTS.len()).map_while(|_| Arc::clone(&pool.threads).try_acquire_owned().ok()).collect();
        run(move || {
            let picture = convert(&file, format, declared, filter, 1 + more.len());
            drop((thread, memory, more));
            picture
        })
        .await
    }
}

impl ImagePool {
    /// Waits for the memory of a picture. A caller that waits has a thread, and so have those that hold memory: they go on.
    async fn acquire_memory(&self, declared: Declared) -> OwnedSemaphorePermit {
        // The picture, and the decoder's own buffers.
        let mebibytes = (2 * declared.frame_bytes / MIB + 1).min(MAX_DECODED_BYTES / MIB);
        let mebibytes = u32::try_from(mebibytes).expect("a few hundred");
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
