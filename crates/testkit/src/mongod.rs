use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bson::doc;
use mongodb::Client;

use crate::record::scratch;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const START_DEADLINE: Duration = Duration::from_mins(1);

/// A supervisor script: executes the commands that it reads. When the pipe closes, it kills the server and removes its
/// data, so that even a killed test process leaves nothing behind.
const SUPERVISOR: &str = r#"
dir=$1; shift
"$@" </dev/null >/dev/null 2>&1 &
pid=$!
echo "$pid"
while read -r command; do
  case $command in
    detach) exit 0 ;;
    *) kill -"$command" "$pid" 2>/dev/null; case $command in STOP|CONT) ;; *) wait "$pid" ;; esac; echo done ;;
  esac
done
kill -9 "$pid" 2>/dev/null
wait "$pid"
rm -rf "$dir"
"#;

/// Credentials of a user on a server with authentication.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Options for starting a server.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The name of the replica set; a standalone server if `None`.
    pub replica_set: Option<String>,
    /// Enables authentication and creates this user with the role `root`. Standalone servers only.
    pub user: Option<Credentials>,
    /// A PEM file with a certificate and its key: the server then requires TLS. Standalone servers only.
    pub certificate: Option<PathBuf>,
}

/// A real server process with its own data; stopped and removed when dropped.
pub struct Mongod {
    binary: PathBuf,
    dir: PathBuf,
    options: ServerOptions,
    port: u16,
    supervisor: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Mongod {
    /// Starts a standalone server.
    pub async fn standalone(binary: &Path) -> Result<Self> {
        Self::start(binary, ServerOptions::default()).await
    }

    /// Starts a replica set of one node and waits until it accepts writes.
    pub async fn replica_set(binary: &Path) -> Result<Self> {
        let options = ServerOptions { replica_set: Some("rs0".into()), ..Default::default() };
        let server = Self::start(binary, options).await?;
        initiate(&[&server]).await?;
        Ok(server)
    }

    /// Starts a server with authentication and one user.
    pub async fn with_user(binary: &Path, user: Credentials) -> Result<Self> {
        let options = ServerOptions { user: Some(user.clone()), ..Default::default() };
        let server = Self::start(binary, options).await?;
        // The first user may be created without authentication, over loopback.
        let admin = server.direct().await?.database("admin");
        admin.run_command(doc! { "createUser": user.name, "pwd": user.password, "roles": ["root"] }).await?;
        Ok(server)
    }

    /// Starts a server and waits until it listens. A replica set is not initiated yet.
    pub async fn start(binary: &Path, options: ServerOptions) -> Result<Self> {
        let dir = scratch("mongod-")?.keep();
        Self::launch(binary.to_owned(), dir, options, 0).await
    }

    async fn launch(binary: PathBuf, dir: PathBuf, options: ServerOptions, port: u16) -> Result<Self> {
        let log = dir.join("log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR, "supervisor"]).arg(&dir).arg(&binary);
        command.arg("--dbpath").arg(&dir).arg("--logpath").arg(&log).args(["--port", &port.to_string()]);
        // The engine string reduces the log files of an empty data folder from 300 MB to 17 MB. Fail points need test
        // commands.
        command.args([
            "--bind_ip",
            "127.0.0.1",
            "--nounixsocket",
            "--wiredTigerCacheSizeGB",
            "0.25",
            "--wiredTigerEngineConfigString",
            // The databases of all tests stay until the end of a run. Idle files are closed after 20 s instead of 10
            // minutes; otherwise a run reaches the limit on open files, which ends the server.
            "log=(file_max=16MB,prealloc=false),\
             file_manager=(close_idle_time=20,close_scan_interval=5,close_handle_minimum=250)",
            "--setParameter",
            "enableTestCommands=1",
            "--setParameter",
            "ttlMonitorSleepSecs=1",
            // The transaction of a killed client keeps its locks for this long; the server checks twice as often.
            "--setParameter",
            "transactionLifetimeLimitSeconds=20",
            // A secondary waits this many seconds more for a frozen node before it follows another one.
            "--setParameter",
            "oplogNetworkTimeoutBufferSeconds=1",
            "--setParameter",
            "diagnosticDataCollectionEnabled=false",
        ]);
        if let Some(name) = &options.replica_set {
            command.args(["--replSet", name, "--oplogSize", "16"]);
        }
        if options.user.is_some() {
            command.arg("--auth");
        }
        if let Some(certificate) = &options.certificate {
            command.args(["--tlsMode", "requireTLS", "--tlsCertificateKeyFile"]).arg(certificate);
        }
        let mut supervisor =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let commands = supervisor.stdin.take();
        let replies = BufReader::new(supervisor.stdout.take().ok_or("the supervisor has no output")?);
        let mut server = Self { binary, dir, options, port, supervisor, commands, replies };
        let mut pid = String::new();
        server.replies.read_line(&mut pid)?;
        server.port = server.wait_for_port(&log, pid.trim()).await?;
        Ok(server)
    }

    /// Waits until the server's log contains the port that the kernel chose.
    async fn wait_for_port(&self, log: &Path, pid: &str) -> Result<u16> {
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

    /// Returns `host:port`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns a connection string without credentials.
    pub fn uri(&self) -> String {
        match &self.options.replica_set {
            Some(name) => format!("mongodb://{}/?replicaSet={name}", self.host()),
            None => format!("mongodb://{}/", self.host()),
        }
    }

    /// Returns a client for this node, whatever its state in a replica set.
    pub async fn direct(&self) -> Result<Client> {
        Ok(Client::with_uri_str(format!("mongodb://{}/?directConnection=true", self.host())).await?)
    }

    /// Kills the server with SIGKILL, like a power failure. Its data stays.
    pub fn kill(&mut self) -> Result<()> {
        self.send("KILL")
    }

    /// Stops the server with SIGTERM and waits for its exit. Its data stays.
    pub fn stop(&mut self) -> Result<()> {
        self.send("TERM")
    }

    /// Freezes the process with SIGSTOP: it keeps its connections and does not respond.
    pub fn pause(&mut self) -> Result<()> {
        self.send("STOP")
    }

    /// Resumes a frozen process.
    pub fn resume(&mut self) -> Result<()> {
        self.send("CONT")
    }

    /// Restarts a killed or stopped server, with its data and on its port.
    pub async fn restart(&mut self) -> Result<()> {
        if let Some(commands) = &mut self.commands {
            commands.write_all(b"detach\n")?;
        }
        let next =
            Self::launch(self.binary.clone(), self.dir.clone(), self.options.clone(), self.port).await?;
        let previous = std::mem::replace(self, next);
        previous.detach();
        Ok(())
    }

    /// Waits for a detached supervisor; the data belongs to its successor.
    fn detach(mut self) {
        self.commands = None;
        let _ = self.supervisor.wait();
    }

    fn send(&mut self, command: &str) -> Result<()> {
        let commands = self.commands.as_mut().ok_or("the server has no supervisor")?;
        writeln!(commands, "{command}")?;
        let mut reply = String::new();
        self.replies.read_line(&mut reply)?;
        Ok(())
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        // The supervisor kills the server and removes its data when its input closes.
        self.commands = None;
        let _ = self.supervisor.wait();
    }
}

/// A replica set of three servers.
pub struct ReplicaSet {
    /// The nodes.
    pub nodes: Vec<Mongod>,
}

impl ReplicaSet {
    /// Starts three nodes and waits for a primary.
    pub async fn with_three_nodes(binary: &Path) -> Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let options = ServerOptions { replica_set: Some("rs0".into()), ..Default::default() };
            nodes.push(Mongod::start(binary, options).await?);
        }
        initiate(&nodes.iter().collect::<Vec<_>>()).await?;
        Ok(Self { nodes })
    }

    /// Returns a connection string with all nodes.
    pub fn uri(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(Mongod::host).collect();
        format!("mongodb://{}/?replicaSet=rs0", hosts.join(","))
    }

    /// Waits until one of the given nodes is the primary and returns its index.
    pub async fn primary(&self, among: &[usize]) -> Result<usize> {
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

async fn is_primary(node: &Mongod) -> Result<bool> {
    let hello = node.direct().await?.database("admin").run_command(doc! { "hello": 1 }).await?;
    Ok(hello.get_bool("isWritablePrimary").unwrap_or(false))
}

async fn initiate(nodes: &[&Mongod]) -> Result<()> {
    let members: Vec<_> =
        (0..).zip(nodes).map(|(id, node): (i32, _)| doc! { "_id": id, "host": node.host() }).collect();
    let admin = nodes[0].direct().await?.database("admin");
    // Short intervals make a failover take seconds. A new primary waits for an answer of each member, or for this timeout.
    let config = doc! {
        "_id": "rs0",
        "members": members,
        "settings": { "electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 2 },
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
