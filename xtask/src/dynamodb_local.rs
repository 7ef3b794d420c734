//! The step of the second engine: the contract tests of the tables on Amazon's own DynamoDB Local.
//!
//! Owns: DynamoDB Local's files under `target/`, and its process while the tests run.
//! Must not know: what the tests ask.
//! Source: tests/dynamodb-local/pom.xml.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{
    root,
    step::{self, program},
    tally::Tally,
};

const POM: &str = "tests/dynamodb-local/pom.xml";
const MAIN: &str = "software.amazon.dynamodb.services.local.main.ServerRunner";

const START_MAX: Duration = Duration::from_secs(60);
const START_POLL: Duration = Duration::from_millis(50);

/// Runs them. It needs Java 17 and Maven, which nothing else does.
pub(crate) fn test() -> anyhow::Result<Tally> {
    let library = library()?;
    let server = Server::start(&library)?;
    let mut command = program("cargo", &["test", "-p", "store", "--test", "contract"]);
    command.env("DYNAMODB_LOCAL_URL", format!("http://{}", server.address));
    step::run_tests("tables on DynamoDB Local", command)
}

/// The folder of DynamoDB Local's files.
fn library() -> anyhow::Result<PathBuf> {
    for tool in ["java", "mvn"] {
        if program(tool, &["-version"]).output().is_err() {
            bail!(
                "`{tool}` is missing: install Java 17 and Maven (Debian: apt-get install default-jre-headless maven)"
            );
        }
    }
    let folder = root().join("target/dynamodb-local");
    let (library, installed) = (folder.join("lib"), folder.join("pom.xml"));
    let wanted = fs::read(root().join(POM)).with_context(|| format!("cannot read {POM}"))?;
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(library);
    }
    let output = format!("-DoutputDirectory={}", library.display());
    let copy = ["-B", "-q", "-f", POM, "dependency:copy-dependencies", &output];
    step::run("DynamoDB Local", program("mvn", &copy))?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(library)
}

/// A running DynamoDB Local; it ends with this.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(library: &Path) -> anyhow::Result<Self> {
        // Nobody else gets the port in the moment between, or the wait below ends in an error.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (natives, classes) = (format!("-Djava.library.path={}", library.display()), library.join("*"));
        let (classes, port) = (classes.to_string_lossy(), address.port().to_string());
        let arguments = [&natives, "-cp", &classes, MAIN, "-inMemory", "-disableTelemetry", "-port", &port];
        let process = program("java", &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = Self { process: process.context("cannot start java")?, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.process.try_wait()? {
                bail!("DynamoDB Local ended with {status}");
            }
            if begun.elapsed() > START_MAX {
                bail!("DynamoDB Local does not listen after {} s", START_MAX.as_secs());
            }
            thread::sleep(START_POLL);
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
