//! Cursors: positions in a list. A cursor holds the position of the last item in the list's order and is signed for the
//! list and its filters, so that clients can neither forge one nor use it with another list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bson::{Binary, Bson, Document, spec::BinarySubtype};
use docstore::{Collection, Database, Filter, Find, Update};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::repository::Error;

/// The collection of secrets that all processes on a database share.
const COLLECTION: &str = "_secrets";
const ID: &str = "cursors";
const KEY: &str = "key";
/// The number of attempts to read or create the key. One retry is enough unless another value has its place.
const KEY_ATTEMPTS: usize = 5;
/// The first byte of a cursor.
const FORMAT: u8 = 1;
/// The length of the truncated signature, in bytes.
const SIGNATURE_LENGTH: usize = 16;

/// Signs and reads the cursors of a collection, with a key that all processes on a database share.
pub(in crate::repository) struct Cursors {
    secrets: Collection,
    collection: String,
    key: OnceCell<Vec<u8>>,
}

/// A position in a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CursorPosition {
    /// The number of items up to the position.
    pub(super) passed: u64,
    /// The last item's value of each field of the order.
    pub(super) values: Vec<Bson>,
}

impl Cursors {
    pub(in crate::repository) fn new(database: &Database, collection: &str) -> Self {
        Self {
            secrets: database.collection(COLLECTION),
            collection: collection.to_owned(),
            key: OnceCell::new(),
        }
    }

    /// Returns those of a collection whose key is known.
    #[cfg(any(test, fuzzing))]
    pub(super) fn with_key(database: &Database, collection: &str, key: Vec<u8>) -> Self {
        Self { key: OnceCell::new_with(Some(key)), ..Self::new(database, collection) }
    }

    /// Returns the cursor of a position.
    pub(super) async fn seal(&self, list: &Find, position: &CursorPosition) -> Result<String, Error> {
        let values = position.values.iter().enumerate().map(|(n, value)| (n.to_string(), value.clone()));
        let values = bson::serialize_to_vec(&values.collect::<Document>()).map_err(|_| Error::Cursor)?;
        let mut bytes = vec![FORMAT];
        bytes.extend(position.passed.to_le_bytes());
        bytes.extend(values);
        self.sign(list, bytes).await
    }

    /// Returns bytes with their signature, as text.
    pub(super) async fn sign(&self, list: &Find, mut bytes: Vec<u8>) -> Result<String, Error> {
        let signature = self.mac(list, &bytes).await?.finalize().into_bytes();
        bytes.extend(&signature[..SIGNATURE_LENGTH]);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the position of a cursor.
    ///
    /// # Errors
    /// [`Error::Cursor`] if it does not belong to this list.
    pub(super) async fn open(&self, list: &Find, cursor: &str) -> Result<CursorPosition, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::Cursor)?;
        let signed = bytes.len().checked_sub(SIGNATURE_LENGTH).ok_or(Error::Cursor)?;
        let (signed, signature) = bytes.split_at(signed);
        self.mac(list, signed).await?.verify_truncated_left(signature).map_err(|_| Error::Cursor)?;
        let (Some(&FORMAT), Some((passed, values))) =
            (signed.first(), signed.get(1..).and_then(|rest| rest.split_first_chunk()))
        else {
            return Err(Error::Cursor);
        };
        let values: Document = bson::deserialize_from_slice(values).map_err(|_| Error::Cursor)?;
        let values = values.into_iter().map(|(_, value)| value).collect();
        Ok(CursorPosition { passed: u64::from_le_bytes(*passed), values })
    }

    /// Computes the signature of a cursor's bytes and of the list they belong to.
    async fn mac(&self, list: &Find, bytes: &[u8]) -> Result<Hmac<Sha256>, Error> {
        let key = self.key.get_or_try_init(|| self.shared_key()).await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::Cursor)?;
        let order = list.sort.fields().iter().map(|(field, direction)| format!("{field} {direction:?},"));
        let filter = bson::serialize_to_vec(&list.filter.to_mql()).map_err(|_| Error::Cursor)?;
        for part in [self.collection.as_bytes(), order.collect::<String>().as_bytes(), &filter, bytes] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Ok(mac)
    }

    /// Reads the key of the database, or creates it. Of several processes that create it, the first wins.
    async fn shared_key(&self) -> Result<Vec<u8>, Error> {
        for _ in 0..KEY_ATTEMPTS {
            let stored = self.secrets.find_one(Find::new(Filter::id(ID))).await?;
            if let Some(Bson::Binary(key)) = stored.as_ref().and_then(|stored| stored.get(KEY)) {
                return Ok(key.bytes.clone());
            }
            // Two version 4 UUIDs have 244 random bits.
            let bytes = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
            let new = Update::new().set_on_insert(KEY, Binary { subtype: BinarySubtype::Generic, bytes });
            match self.secrets.upsert_one(&Filter::id(ID), &new).await {
                Err(error) if error.duplicate_index().is_none() => return Err(error.into()),
                _ => {}
            }
        }
        Err(Error::Corrupt { collection: COLLECTION, id: ID.to_owned(), field: KEY })
    }
}
