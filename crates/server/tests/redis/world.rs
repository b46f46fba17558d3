//! A Redis of a test's own: started on a free port, in a folder that goes with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// What Redis says when it has loaded its data and listens.
const READY: &str = "Ready to accept connections";

/// A Redis that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `redis-server` on loopback. It is killed when it is dropped.
pub(crate) struct RedisServer {
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts one with these arguments, and waits until it has loaded its data and listens. Without any it keeps
    /// nothing on disk.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("wshub-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut server = Self {
            port: 0,
            folder,
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            process: None,
        };
        // Between the moment a port is found free and Redis' taking it somebody else may have taken it.
        for _ in 0..10 {
            server.port = free_port();
            if server.begin(READY).is_ok() {
                return server;
            }
        }
        server
            .begin(READY)
            .unwrap_or_else(|log| panic!("redis-server doesn't start:\n{log}"));
        server
    }

    /// The port it listens on, the same after a restart.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub(crate) fn address(&self) -> String {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)).to_string()
    }

    /// Ends it by SIGKILL. What it hasn't written to its disk is gone.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// SIGSTOP: it takes connections and answers nothing. Returns when it has stopped.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let stopped = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    }

    /// SIGCONT: it goes on where it was stopped.
    pub(crate) fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again on the same port with what its folder has, after SIGKILL where it still runs, and waits until it
    /// has loaded its data.
    pub(crate) fn restart(&mut self) {
        self.restart_until(READY);
    }

    /// As [`RedisServer::restart`], but waits only until its log has this.
    pub(crate) fn restart_until(&mut self, said: &str) {
        self.kill();
        self.begin(said)
            .unwrap_or_else(|log| panic!("redis-server doesn't start again:\n{log}"));
    }

    /// Gives it more arguments from the next start on.
    pub(crate) fn set(&mut self, arguments: &[&str]) {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        let process = self.process.as_ref().expect("redis-server was killed");
        Pid::from_child(&process.child)
    }

    fn begin(&mut self, said: &str) -> Result<(), String> {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port"])
            .arg(self.port.to_string())
            .arg("--dir")
            .arg(&self.folder)
            .args(["--save", "", "--daemonize", "no"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("redis-server is installed (./test installs it)");
        let process = Process::reading(child);
        process.log.wait_for(said)?;
        self.process = Some(process);
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process and what it says, which ends with it.
struct Process {
    child: Child,
    log: Arc<Log>,
}

/// The log lines of a Redis, read as it writes them.
#[derive(Default)]
struct Log {
    /// The lines, and whether there will be more.
    said: Mutex<(String, bool)>,
    more: Condvar,
}

impl Process {
    fn reading(mut child: Child) -> Self {
        let log = Arc::new(Log::default());
        let stdout = child.stdout.take().expect("its output is piped");
        let reader = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                reader.add(&line);
            }
            reader.end();
        });
        Self { child, log }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn add(&self, line: &str) {
        let mut said = self.said.lock().unwrap();
        said.0.push_str(line);
        said.0.push('\n');
        self.more.notify_all();
    }

    fn end(&self) {
        self.said.lock().unwrap().1 = true;
        self.more.notify_all();
    }

    /// Returns when a line has this, or with the whole log when none will.
    fn wait_for(&self, wanted: &str) -> Result<(), String> {
        let said = self.said.lock().unwrap();
        let undecided = |said: &mut (String, bool)| !said.0.contains(wanted) && !said.1;
        let (said, _) = self
            .more
            .wait_timeout_while(said, PATIENCE, undecided)
            .unwrap();
        if said.0.contains(wanted) {
            Ok(())
        } else {
            Err(said.0.clone())
        }
    }
}

/// Ports below those that the system gives to outgoing connections: while Redis is dead, thousands of clients that try
/// to come back must not be given its port.
const PORTS: Range<u16> = 10_000..32_000;

/// A port that nobody listens on. It is let go here, so somebody else may get it.
pub(crate) fn free_port() -> u16 {
    iter::repeat_with(|| fastrand::u16(PORTS))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("the ports don't end")
}
