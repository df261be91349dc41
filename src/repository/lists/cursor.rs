//! Cursors: where a walk over a list goes on. They hold the position of the last item in the order of the list, and are
//! signed for the list and its filters, so that none can be made by hand or taken to another list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bson::{Binary, Bson, Document, spec::BinarySubtype};
use docstore::{Collection, Database, Filter, Find, Update};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::repository::Error;

/// The collection of what processes have to share and nobody else may know.
const COLLECTION: &str = "_secrets";
const ID: &str = "cursors";
const KEY: &str = "key";
/// Whoever writes the key finds it at the next look, unless something else is in its place.
const ATTEMPTS: usize = 5;
/// The first byte of a cursor.
const FORMAT: u8 = 1;
/// So many bytes of the signature are kept.
const SIGNATURE: usize = 16;

/// Signs and reads the cursors of a collection, with a key that all processes on a database share.
pub(in crate::repository) struct Cursors {
    secrets: Collection,
    collection: String,
    key: OnceCell<Vec<u8>>,
}

/// Where a walk goes on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CursorPosition {
    /// How many items lie behind.
    pub(super) passed: u64,
    /// The position of the last of them, a value for each field of the order.
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

    /// The cursor of a place in a list.
    pub(super) async fn seal(&self, list: &Find, position: &CursorPosition) -> Result<String, Error> {
        let values = position.values.iter().enumerate().map(|(n, value)| (n.to_string(), value.clone()));
        let values = bson::serialize_to_vec(&values.collect::<Document>()).map_err(|_| Error::Cursor)?;
        let mut bytes = vec![FORMAT];
        bytes.extend(position.passed.to_le_bytes());
        bytes.extend(values);
        let signature = self.signed(list, &bytes).await?.finalize().into_bytes();
        bytes.extend(&signature[..SIGNATURE]);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place that a cursor names.
    ///
    /// # Errors
    /// [`Error::Cursor`] if it is none of this list.
    pub(super) async fn open(&self, list: &Find, cursor: &str) -> Result<CursorPosition, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::Cursor)?;
        let signed = bytes.len().checked_sub(SIGNATURE).ok_or(Error::Cursor)?;
        let (signed, signature) = bytes.split_at(signed);
        self.signed(list, signed).await?.verify_truncated_left(signature).map_err(|_| Error::Cursor)?;
        let (Some(&FORMAT), Some((passed, values))) =
            (signed.first(), signed.get(1..).and_then(|rest| rest.split_first_chunk()))
        else {
            return Err(Error::Cursor);
        };
        let values: Document = bson::deserialize_from_slice(values).map_err(|_| Error::Cursor)?;
        let values = values.into_iter().map(|(_, value)| value).collect();
        Ok(CursorPosition { passed: u64::from_le_bytes(*passed), values })
    }

    /// What is signed besides: which list it is.
    async fn signed(&self, list: &Find, bytes: &[u8]) -> Result<Hmac<Sha256>, Error> {
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

    /// The key of this database, made now if there is none. Whoever writes it first has made it.
    async fn shared_key(&self) -> Result<Vec<u8>, Error> {
        for _ in 0..ATTEMPTS {
            let stored = self.secrets.find_one(Find::new(Filter::id(ID))).await?;
            if let Some(Bson::Binary(key)) = stored.as_ref().and_then(|stored| stored.get(KEY)) {
                return Ok(key.bytes.clone());
            }
            // 244 random bits.
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
