use std::cell::RefCell;
use std::collections::HashMap;

use tempfile::TempDir;
use testkit::Mongod;
use tokio::runtime::Runtime;

use crate::machine::Cores;
use crate::program::{Location, Program};
use crate::seed::{self, Size};
use crate::settings::Settings;

/// The kind of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StoreKind {
    Embedded,
    /// A replica set of one.
    Mongo,
    /// A standalone server, which has no change streams.
    Standalone,
}

/// State shared by all rows: the settings, the filled stores, the servers.
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    pub(crate) cores: Cores,
    pub(crate) runtime: Runtime,
    stores: RefCell<HashMap<(StoreKind, Size), Location>>,
    mongods: RefCell<HashMap<StoreKind, Mongod>>,
    // Declared last, so that it is dropped after everything that uses it.
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new(settings: Settings, cores: Cores, folder: TempDir) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        Ok(Self { settings, cores, runtime, stores: RefCell::default(), mongods: RefCell::default(), folder })
    }

    /// Returns the number of stories in a store of this size.
    pub(crate) fn stories(&self, size: Size) -> u64 {
        match size {
            Size::Few => 10,
            Size::Discussed => 50,
            Size::Thousand => 1000,
            Size::Million => self.settings.stories,
        }
    }

    /// Returns a store of this size; creates and fills it on first use.
    pub(crate) fn store(&self, kind: StoreKind, size: Size) -> Result<Location, String> {
        if let Some(location) = self.stores.borrow().get(&(kind, size)) {
            return Ok(location.clone());
        }
        let location = match kind {
            StoreKind::Embedded => Location::Embedded(self.folder.path().join(size.name())),
            StoreKind::Mongo | StoreKind::Standalone => {
                Location::Mongo(self.uri(kind)?, size.name().to_owned())
            }
        };
        // The program creates it: migrations, sections, indexes.
        Program::start(self, &location, &[])?.stop();
        self.cores.unpin();
        let filled = self.runtime.block_on(seed::fill(&location, size, self.stories(size)));
        self.cores.pin_client();
        filled?;
        self.stores.borrow_mut().insert((kind, size), location.clone());
        Ok(location)
    }

    /// Returns the connection string of a server; starts it on first use.
    fn uri(&self, kind: StoreKind) -> Result<String, String> {
        if let Some(server) = self.mongods.borrow().get(&kind) {
            return Ok(server.uri());
        }
        let binary = testkit::locate::binary().map_err(|why| format!("no mongod: {why}"))?;
        let server = self.runtime.block_on(async {
            match kind {
                StoreKind::Standalone => Mongod::standalone(&binary).await,
                StoreKind::Embedded | StoreKind::Mongo => Mongod::replica_set(&binary).await,
            }
        });
        let server = server.map_err(|error| format!("mongod does not start: {error}"))?;
        let uri = server.uri();
        self.mongods.borrow_mut().insert(kind, server);
        Ok(uri)
    }
}
