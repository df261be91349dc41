use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bson::doc;
use mongodb::Client;

use crate::record::scratch;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const START_DEADLINE: Duration = Duration::from_mins(1);

/// Keeps the server company: carries out what is written to it, and ends server and data when the pipe closes, so
/// that nothing is left behind even by a test process that was killed.
const KEEPER: &str = r#"
dir=$1; shift
"$@" </dev/null >/dev/null 2>&1 &
pid=$!
echo "$pid"
while read -r order; do
  case $order in
    leave) exit 0 ;;
    *) kill -"$order" "$pid" 2>/dev/null; case $order in STOP|CONT) ;; *) wait "$pid" ;; esac; echo done ;;
  esac
done
kill -9 "$pid" 2>/dev/null
wait "$pid"
rm -rf "$dir"
"#;

/// A user made in a server that wants authentication.
#[derive(Debug, Clone)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
}

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The name of the replica set; a standalone server if `None`.
    pub replica_set: Option<String>,
    /// Wants authentication; this user is made first, with role `root`. Standalone servers only.
    pub user: Option<User>,
}

/// A real server process with data of its own; stopped and removed when dropped.
pub struct Mongod {
    binary: PathBuf,
    dir: PathBuf,
    options: ServerOptions,
    port: u16,
    keeper: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Mongod {
    /// Starts a standalone server.
    pub async fn standalone(binary: &Path) -> Outcome<Self> {
        Self::start(binary, ServerOptions::default()).await
    }

    /// Starts a replica set of one node and waits until it takes writes.
    pub async fn replica_set(binary: &Path) -> Outcome<Self> {
        let options = ServerOptions { replica_set: Some("rs0".into()), user: None };
        let server = Self::start(binary, options).await?;
        initiate(&[&server]).await?;
        Ok(server)
    }

    /// Starts a server that lets in this user only.
    pub async fn with_user(binary: &Path, user: User) -> Outcome<Self> {
        let server =
            Self::start(binary, ServerOptions { replica_set: None, user: Some(user.clone()) }).await?;
        // The first user may be made without authentication, over loopback.
        let admin = server.direct().await?.database("admin");
        admin.run_command(doc! { "createUser": user.name, "pwd": user.password, "roles": ["root"] }).await?;
        Ok(server)
    }

    /// Starts a server and waits until it listens. A member of a replica set is not yet initiated.
    pub async fn start(binary: &Path, options: ServerOptions) -> Outcome<Self> {
        let dir = scratch("mongod-")?.keep();
        Self::launch(binary.to_owned(), dir, options, 0).await
    }

    async fn launch(binary: PathBuf, dir: PathBuf, options: ServerOptions, port: u16) -> Outcome<Self> {
        let log = dir.join("log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&dir).arg(&binary);
        command.arg("--dbpath").arg(&dir).arg("--logpath").arg(&log).args(["--port", &port.to_string()]);
        // The log files of an empty data folder take 300 MB without the engine string, 17 MB with it. Test commands
        // are what fail points are made of.
        command.args([
            "--bind_ip",
            "127.0.0.1",
            "--nounixsocket",
            "--wiredTigerCacheSizeGB",
            "0.25",
            "--wiredTigerEngineConfigString",
            "log=(file_max=16MB,prealloc=false)",
            "--setParameter",
            "enableTestCommands=1",
            "--setParameter",
            "ttlMonitorSleepSecs=1",
            // The transaction of a client that was killed holds its documents for so long; looked for twice as often.
            "--setParameter",
            "transactionLifetimeLimitSeconds=20",
            "--setParameter",
            "diagnosticDataCollectionEnabled=false",
        ]);
        if let Some(name) = &options.replica_set {
            command.args(["--replSet", name, "--oplogSize", "16"]);
        }
        if options.user.is_some() {
            command.arg("--auth");
        }
        let mut keeper =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let orders = keeper.stdin.take();
        let answers = BufReader::new(keeper.stdout.take().ok_or("the keeper has no output")?);
        let mut server = Self { binary, dir, options, port, keeper, orders, answers };
        let mut pid = String::new();
        server.answers.read_line(&mut pid)?;
        server.port = server.wait_for_port(&log, pid.trim()).await?;
        Ok(server)
    }

    /// The server's log names the port that the kernel chose.
    async fn wait_for_port(&self, log: &Path, pid: &str) -> Outcome<u16> {
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(log).unwrap_or_default();
            let listening = text.split("\"Waiting for connections\",\"attr\":{\"port\":").nth(1);
            if let Some(port) = listening.and_then(|rest| {
                rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
            }) {
                return Ok(port);
            }
            let gone = Path::new("/proc/self").exists()
                && fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
            if gone || started.elapsed() > START_DEADLINE {
                let tail: Vec<_> = text.lines().rev().take(3).collect();
                return Err(format!("mongod did not start listening: {}", tail.join(" | ")).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `host:port`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A connection string without credentials.
    pub fn uri(&self) -> String {
        match &self.options.replica_set {
            Some(name) => format!("mongodb://{}/?replicaSet={name}", self.host()),
            None => format!("mongodb://{}/", self.host()),
        }
    }

    /// A client of this very node, whatever its state in a replica set.
    pub async fn direct(&self) -> Outcome<Client> {
        Ok(Client::with_uri_str(format!("mongodb://{}/?directConnection=true", self.host())).await?)
    }

    /// Kills the server as a power cut would: SIGKILL. Its data stays.
    pub fn kill(&mut self) -> Outcome<()> {
        self.order("KILL")
    }

    /// Asks the server to end, and waits until it has. Its data stays.
    pub fn stop(&mut self) -> Outcome<()> {
        self.order("TERM")
    }

    /// Freezes the process: it keeps its connections and answers nothing.
    pub fn pause(&mut self) -> Outcome<()> {
        self.order("STOP")
    }

    /// Lets a frozen process go on.
    pub fn resume(&mut self) -> Outcome<()> {
        self.order("CONT")
    }

    /// Starts a killed or stopped server anew, with its data and on its port.
    pub async fn restart(&mut self) -> Outcome<()> {
        if let Some(orders) = &mut self.orders {
            orders.write_all(b"leave\n")?;
        }
        let next =
            Self::launch(self.binary.clone(), self.dir.clone(), self.options.clone(), self.port).await?;
        let previous = std::mem::replace(self, next);
        previous.forget();
        Ok(())
    }

    /// The keeper has left, and the data belongs to the next one.
    fn forget(mut self) {
        self.orders = None;
        let _ = self.keeper.wait();
    }

    fn order(&mut self, order: &str) -> Outcome<()> {
        let orders = self.orders.as_mut().ok_or("the server has no keeper")?;
        writeln!(orders, "{order}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(())
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        // The keeper ends the server and removes its data when its input closes.
        self.orders = None;
        let _ = self.keeper.wait();
    }
}

/// Three servers that make one replica set.
pub struct ReplicaSet {
    /// Its nodes.
    pub nodes: Vec<Mongod>,
}

impl ReplicaSet {
    /// Starts three nodes and waits for a primary.
    pub async fn of_three(binary: &Path) -> Outcome<Self> {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let options = ServerOptions { replica_set: Some("rs0".into()), user: None };
            nodes.push(Mongod::start(binary, options).await?);
        }
        initiate(&nodes.iter().collect::<Vec<_>>()).await?;
        Ok(Self { nodes })
    }

    /// A connection string that names every node.
    pub fn uri(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(Mongod::host).collect();
        format!("mongodb://{}/?replicaSet=rs0", hosts.join(","))
    }

    /// The position of the node that is the primary, waiting until there is one among those asked.
    pub async fn primary(&self, among: &[usize]) -> Outcome<usize> {
        let started = Instant::now();
        loop {
            for &i in among {
                if is_primary(&self.nodes[i]).await.unwrap_or(false) {
                    return Ok(i);
                }
            }
            if started.elapsed() > START_DEADLINE {
                return Err("no node became primary".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn is_primary(node: &Mongod) -> Outcome<bool> {
    let hello = node.direct().await?.database("admin").run_command(doc! { "hello": 1 }).await?;
    Ok(hello.get_bool("isWritablePrimary").unwrap_or(false))
}

async fn initiate(nodes: &[&Mongod]) -> Outcome<()> {
    let members: Vec<_> =
        (0..).zip(nodes).map(|(id, node): (i32, _)| doc! { "_id": id, "host": node.host() }).collect();
    let admin = nodes[0].direct().await?.database("admin");
    // Short intervals, so that a failover takes seconds.
    let config = doc! {
        "_id": "rs0",
        "members": members,
        "settings": { "electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500 },
    };
    admin.run_command(doc! { "replSetInitiate": config }).await?;
    let started = Instant::now();
    while !is_primary(nodes[0]).await? && !any_primary(&nodes[1..]).await {
        if started.elapsed() > START_DEADLINE {
            return Err("the replica set has no primary".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn any_primary(nodes: &[&Mongod]) -> bool {
    for node in nodes {
        if is_primary(node).await.unwrap_or(false) {
            return true;
        }
    }
    false
}
