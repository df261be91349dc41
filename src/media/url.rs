use std::fmt;
use std::path::{Path, PathBuf};

/// The location of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// The memory of this process, for tests.
    Memory,
    /// A bucket of S3, or of a service with its interface.
    S3(Bucket),
    /// A bucket of Google Cloud Storage.
    Google(Bucket),
    /// A container of Azure Blob Storage.
    Azure(Bucket),
}

/// A bucket or container, and the prefix of all names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The name of the bucket.
    pub name: String,
    /// The prefix of all names, without slashes around it; may be empty.
    pub prefix: String,
}

impl Location {
    /// Parses a URL: `file:///folder`, `s3://bucket/prefix`, `gs://…`, `az://…` or `memory://`.
    ///
    /// # Errors
    ///
    /// Returns the reason, without a part of the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORMS: &str = "must be a URL such as file:///srv/media, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";
        let url = ::url::Url::parse(text).map_err(|_| FORMS)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must have neither a query nor a fragment");
        }
        if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
            return Err("must have neither credentials nor a port: they are variables of their own");
        }
        let bucket = || {
            let name = url.host_str().filter(|name| !name.is_empty()).ok_or("must name a bucket")?;
            let prefix = percent_encoding::percent_decode_str(url.path()).decode_utf8().map_err(|_| FORMS)?;
            let prefix = prefix.trim_matches('/');
            if object_store::path::Path::parse(prefix).is_err() {
                return Err("must have a prefix without empty parts, . and ..");
            }
            Ok(Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
        };
        match url.scheme() {
            "file" => url.to_file_path().map(Self::Folder).map_err(|()| "must have an absolute path"),
            "memory" => Ok(Self::Memory),
            "s3" => bucket().map(Self::S3),
            "gs" => bucket().map(Self::Google),
            "az" => bucket().map(Self::Azure),
            _ => Err(FORMS),
        }
    }

    /// Returns the bucket of Google Cloud Storage with this name.
    pub fn google(name: String) -> Self {
        Self::Google(Bucket { name, prefix: String::new() })
    }

    /// Returns the folder of files beside the embedded store.
    pub fn beside_store(data_dir: &Path) -> Self {
        Self::Folder(data_dir.join("media"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, Bucket { name, prefix }) = match self {
            Self::Folder(path) => return write!(f, "{}", path.display()),
            Self::Memory => return f.write_str("memory://"),
            Self::S3(bucket) => ("s3", bucket),
            Self::Google(bucket) => ("gs", bucket),
            Self::Azure(bucket) => ("az", bucket),
        };
        write!(f, "{scheme}://{name}/{prefix}")
    }
}

/// The location of the files, with the credentials and addresses to reach it.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// The location.
    pub location: Location,
    /// Credentials, addresses and timeouts, by the names that `object_store` has for them. Those of other kinds of storage are
    /// ignored.
    pub options: Vec<(String, String)>,
}

impl fmt::Debug for StorageSettings {
    /// Omits the values of the options, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.options.iter().map(|(name, _)| name).collect();
        f.debug_struct("StorageSettings")
            .field("location", &self.location)
            .field("options", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_folder_or_a_bucket() {
        for (url, expected) in [
            ("file:///srv/media", "/srv/media"),
            ("file:///srv/my%20media/", "/srv/my media/"),
            ("memory://", "memory://"),
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("gs://bucket/a%20b", "gs://bucket/a b"),
            ("az://container/a", "az://container/a"),
        ] {
            assert_eq!(Location::parse(url).unwrap().to_string(), expected);
        }
        for bad in [
            "/srv/media",
            "media",
            "",
            "http://host/a",
            "s3://",
            "s3:///a",
            "s3://key:secret@bucket/a",
            "s3://bucket:9000/a",
            "s3://bucket/a?region=b",
            "s3://bucket/a//b",
            "gs://bucket/%00",
            "file://other-host/a",
        ] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_output_omits_credentials() {
        let options = vec![("aws_secret_access_key".to_owned(), "hunter2".to_owned())];
        let text = format!("{:?}", StorageSettings { location: Location::Memory, options });
        assert!(text.contains("aws_secret_access_key") && !text.contains("hunter2"), "{text}");
    }
}
