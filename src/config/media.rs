use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reader::Reader;
use super::variables::{self as var, Variable};
use crate::media::{Location, Storage, StorageSettings};

/// The variables whose names in lower case are options of the storage.
const OPTIONS: [Variable; 7] = [
    var::AWS_ACCESS_KEY_ID,
    var::AWS_SECRET_ACCESS_KEY,
    var::AWS_SESSION_TOKEN,
    var::AWS_REGION,
    var::AWS_ENDPOINT_URL,
    var::AZURE_STORAGE_ACCOUNT_NAME,
    var::AZURE_STORAGE_ACCOUNT_KEY,
];

/// Returns the place of pictures and videos: `MEDIA_URL`, else what the original's variables say, else the folder `media` of
/// `DATA_DIR`.
pub(super) fn storage(reader: &mut Reader<'_>) -> StorageSettings {
    let fallback = Location::beside_store(Path::new(&reader.text(var::DATA_DIR)));
    let location = if let Some(url) = reader.given(var::MEDIA_URL) {
        Location::parse(&url).unwrap_or_else(|message| {
            reader.error(var::MEDIA_URL, message);
            fallback
        })
    } else if let Some(folder) = reader.given(var::LOCAL_STORAGE_PATH) {
        Location::Folder(PathBuf::from(folder))
    } else if let Some(bucket) = reader.given(var::GCS_BUCKET_NAME) {
        Location::google(bucket)
    } else {
        fallback
    };
    let given = OPTIONS
        .into_iter()
        .filter_map(|variable| Some((variable.name.to_ascii_lowercase(), reader.given(variable)?)));
    let mut options: Vec<_> = given.collect();
    options.extend(google_key(reader));
    let timeout = reader.seconds(var::MEDIA_TIMEOUT_SECONDS, 1);
    if reader.given(var::MEDIA_TIMEOUT_SECONDS).is_some() {
        options.push(own(("read_timeout", &format!("{}s", timeout.as_secs()))));
    }
    if let Some(host) = reader.given(var::STORAGE_EMULATOR_HOST) {
        let url = if host.contains("://") { host } else { format!("http://{host}") };
        options.extend(
            [("google_base_url", url.trim_end_matches('/')), ("google_bearer_token", "emulator")].map(own),
        );
    }
    let settings = StorageSettings { location, options };
    // Its text may repeat a part of a key.
    if Storage::open(&settings).is_err() {
        reader.error(
            var::MEDIA_URL,
            "cannot be used with these credentials: check the variables of its account and key",
        );
    }
    settings
}

/// Returns the key of Google's service account, in the order of the original.
fn google_key(reader: &mut Reader<'_>) -> Option<(String, String)> {
    let is_object = |text: &str| matches!(serde_json::from_str(text), Ok(serde_json::Value::Object(_)));
    if let Some(encoded) = reader.given(var::GOOGLE_APPLICATION_CREDENTIALS_JSON_B64) {
        let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.filter(|text| is_object(text));
        if decoded.is_none() {
            reader.error(var::GOOGLE_APPLICATION_CREDENTIALS_JSON_B64, "must be a JSON object in Base64");
        }
        return decoded.map(|key| own(("google_service_account_key", &key)));
    }
    if let Some(key) = reader.given(var::GOOGLE_APPLICATION_CREDENTIALS_JSON) {
        if !is_object(&key) {
            reader.error(var::GOOGLE_APPLICATION_CREDENTIALS_JSON, "must be a JSON object");
        }
        return Some(own(("google_service_account_key", &key)));
    }
    reader
        .given(var::GOOGLE_APPLICATION_CREDENTIALS)
        .map(|path| own(("google_application_credentials", &path)))
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
