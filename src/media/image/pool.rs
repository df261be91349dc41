use std::future::Future;
use std::io;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Declared, ImageError, Picture, convert, decode};
use crate::domain::ImageFilter;
use crate::media::sniff::FileFormat;

const MIB: u64 = 1024 * 1024;
/// The memory for decoded pictures, in MiB for each thread.
const MEMORY: usize = 64;
/// The least memory for decoded pictures, in MiB. A picture that needs more is converted alone.
const MIN_MEMORY: usize = 128;

/// Converts pictures on a bounded number of threads and with a bounded amount of memory. Cheap to clone.
///
/// The threads are its own: allocators keep freed memory for each thread, and a decoded picture has tens of MiB.
#[derive(Debug, Clone)]
pub struct ImagePool {
    pool: Arc<ThreadPool>,
    /// A permit for each file in memory; there are as many as threads.
    files: Arc<Semaphore>,
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
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("image-{index}"))
            .panic_handler(|_| tracing::error!("a codec panicked"))
            .build()
            .expect("threads can be started");
        Self {
            pool: Arc::new(pool),
            files: Arc::new(Semaphore::new(threads)),
            memory: Arc::new(Semaphore::new(mebibytes)),
            mebibytes,
        }
    }

    /// Converts a picture. `read` is called twice, so that the file is not in memory while it waits for its turn. If the
    /// caller is dropped, work that has begun continues, and keeps its permits until it ends.
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
            let place = self.place().await;
            let file = read().await.map_err(unread)?;
            self.run(move || {
                let declared = decode::inspect(&file, format);
                drop(place);
                declared
            })
            .await?
        };
        let memory = self.memory(declared).await;
        let place = self.place().await;
        let file = read().await.map_err(unread)?;
        self.run(move || {
            let picture = convert(&file, format, declared, filter);
            drop((file, place, memory));
            picture
        })
        .await
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.files).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Waits for the memory of a picture: its own, and the decoder's buffers.
    async fn memory(&self, declared: Declared) -> OwnedSemaphorePermit {
        let mebibytes = usize::try_from(2 * declared.frame_bytes / MIB + 1).unwrap_or(usize::MAX);
        let mebibytes = u32::try_from(mebibytes.min(self.mebibytes)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory).acquire_many_owned(mebibytes).await;
        memory.expect("the semaphore is never closed")
    }

    /// Runs work on a thread of the pool. A decoder that panics has met a broken file.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImageError> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || _ = sender.send(work()));
        receiver.await.unwrap_or_else(|_| Err(ImageError::Broken("a codec panicked".to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageError, ImagePool};

    #[tokio::test]
    async fn panic_of_a_codec_refuses_one_picture_only() {
        let pool = ImagePool::new(1);
        let refused = pool.run::<()>(|| panic!("of a test")).await;
        assert!(matches!(refused, Err(ImageError::Broken(_))), "{refused:?}");
        assert_eq!(pool.run(|| Ok(1)).await, Ok(1));
    }
}
