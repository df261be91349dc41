use std::ops::Range;

use super::Error;
use crate::media::{Key, Object, ObjectInfo, Storage, StorageError};

/// The name of a file in errors.
const FILE: &str = "Media file";

/// The delivery of pictures and videos. Cheap to clone.
#[derive(Clone)]
pub struct MediaFiles {
    storage: Storage,
}

/// A file that was asked for.
pub struct Found<T> {
    /// The file, or its properties.
    pub file: T,
    /// True if the same request always finds the same bytes: the name contains the id of an upload, and no better
    /// variant can appear.
    pub is_final: bool,
}

impl MediaFiles {
    /// Creates the use cases.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Returns the storage.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Returns the properties of the file at a path below `/uploads/`, or of its best variant for a width.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::Storage`].
    pub async fn head(&self, path: &str, width: Option<u64>) -> Result<Found<ObjectInfo>, Error> {
        let keys = candidates(path, width)?;
        for (index, key) in keys.iter().enumerate() {
            match self.storage.head(key).await {
                Ok(file) => return Ok(found(file, key, index)),
                Err(StorageError::NotFound) => {}
                Err(error) => return Err(Error::Storage(error)),
            }
        }
        Err(Error::NotFound(FILE))
    }

    /// Reads the file at a path below `/uploads/`, or its best variant for a width.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::Storage`].
    pub async fn get(&self, path: &str, width: Option<u64>) -> Result<Found<Object>, Error> {
        let keys = candidates(path, width)?;
        for (index, key) in keys.iter().enumerate() {
            match self.storage.get(key).await {
                Ok(file) => return Ok(found(file, key, index)),
                Err(StorageError::NotFound) => {}
                Err(error) => return Err(Error::Storage(error)),
            }
        }
        Err(Error::NotFound(FILE))
    }

    /// Reads a range, which must not be empty, of a file that [`MediaFiles::head`] found.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::Storage`].
    pub async fn get_range(&self, info: &ObjectInfo, range: Range<u64>) -> Result<Object, Error> {
        match self.storage.get_range(info, range).await {
            Ok(object) => Ok(object),
            Err(StorageError::NotFound) => Err(Error::NotFound(FILE)),
            Err(error) => Err(Error::Storage(error)),
        }
    }
}

fn candidates(path: &str, width: Option<u64>) -> Result<Vec<Key>, Error> {
    let key = Key::in_uploads(path).ok_or(Error::NotFound(FILE))?;
    Ok(match width {
        Some(width) => key.for_width(width),
        None => vec![key],
    })
}

fn found<T>(file: T, key: &Key, index: usize) -> Found<T> {
    Found { file, is_final: index == 0 && key.id().is_some() }
}
