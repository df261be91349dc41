use std::cell::RefCell;
use std::collections::HashMap;

use tempfile::TempDir;
use testkit::Mongod;
use tokio::runtime::Runtime;

use crate::machine::Cores;
use crate::program::{Place, Program};
use crate::seed::{self, Size};
use crate::settings::Settings;

/// Which engine a store is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Engine {
    Embedded,
    /// A replica set of one.
    Mongo,
    /// A server that is by itself, which has no change streams.
    Standalone,
}

/// What all rows share: how large the run is, the stores that are filled, the servers.
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    pub(crate) cores: Cores,
    pub(crate) runtime: Runtime,
    stores: RefCell<HashMap<(Engine, Size), Place>>,
    mongods: RefCell<HashMap<Engine, Mongod>>,
    // The last, so that nobody uses it any more when it goes.
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new(settings: Settings, cores: Cores, folder: TempDir) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        Ok(Self { settings, cores, runtime, stores: RefCell::default(), mongods: RefCell::default(), folder })
    }

    /// How many stories are in a store.
    pub(crate) fn stories(&self, size: Size) -> u64 {
        match size {
            Size::Few => 10,
            Size::Thousand => 1000,
            Size::Million => self.settings.stories,
        }
    }

    /// A store of this size, filled when it is first asked for.
    pub(crate) fn store(&self, engine: Engine, size: Size) -> Result<Place, String> {
        if let Some(place) = self.stores.borrow().get(&(engine, size)) {
            return Ok(place.clone());
        }
        let place = match engine {
            Engine::Embedded => Place::Embedded(self.folder.path().join(size.name())),
            Engine::Mongo | Engine::Standalone => Place::Mongo(self.uri(engine)?, size.name().to_owned()),
        };
        // The program makes it: migrations, sections, indexes.
        Program::start(self, &place, &[])?.end();
        self.cores.become_free();
        let filled = self.runtime.block_on(seed::fill(&place, size, self.stories(size)));
        self.cores.become_client();
        filled?;
        self.stores.borrow_mut().insert((engine, size), place.clone());
        Ok(place)
    }

    /// The connection string of a server, which is started when it is first asked for.
    fn uri(&self, engine: Engine) -> Result<String, String> {
        if let Some(server) = self.mongods.borrow().get(&engine) {
            return Ok(server.uri());
        }
        let binary = testkit::locate::binary().map_err(|why| format!("no mongod: {why}"))?;
        let server = self.runtime.block_on(async {
            match engine {
                Engine::Standalone => Mongod::standalone(&binary).await,
                Engine::Embedded | Engine::Mongo => Mongod::replica_set(&binary).await,
            }
        });
        let server = server.map_err(|error| format!("mongod does not start: {error}"))?;
        let uri = server.uri();
        self.mongods.borrow_mut().insert(engine, server);
        Ok(uri)
    }
}
