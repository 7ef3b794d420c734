//! What can be asked on the command line.
//!
//! Owns: commands, flags, defaults and their help.
//! Must not know: what a command does.
//! Source: README.md, "Commands".

use std::{path::PathBuf, process::ExitCode};

use clap::{Args as ClapArgs, Parser, Subcommand, error::ErrorKind, value_parser};
use domain::{OrderId, limits::WHOLE_NUMBER_MAX};

/// Live orders in the browser: every event and the refreshed projection, at once.
#[derive(Debug, Parser)]
#[command(name = "foldcast", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole gateway on this machine (what `foldcast` alone does)
    Up(Up),
    /// Append events from a file to the log
    Append(Append),
    /// Print the updates of orders as they come, each a line of JSON
    Tail(Tail),
    /// Print an order's projection, folded from its log
    Fold(Fold),
    /// Print a token for the local stack (foldcast up --auth)
    Token(Token),
    /// Compare every stored projection with the fold of its log
    Verify(Verify),
    /// Fold orders again from their logs, store and push their projections
    Rebuild(Rebuild),
    /// List, show, replay and delete what could not be folded
    Failures(Failures),
    /// Reckon what a load costs on AWS, and which quotas bind; calls nothing
    Cost(Cost),
    /// Bring a collection of FaunaDB into the log: check, init, backfill, verify
    Fauna(crate::fauna::Options),
    /// Be one of the Lambda functions (what the local stack starts)
    #[command(hide = true)]
    Function {
        /// The function's name
        name: String,
    },
}

impl Default for Command {
    fn default() -> Self {
        Self::Up(Args::parse_from(["foldcast", "up"]).up())
    }
}

impl Args {
    fn up(self) -> Up {
        match self.command {
            Some(Command::Up(up)) => up,
            Some(_) | None => Up::default(),
        }
    }
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Up {
    /// Port of the WebSocket API and of @connections; 0 takes a free one
    #[arg(long, default_value_t = 3001)]
    pub(crate) port: u16,
    /// Port of DynamoDB; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    pub(crate) dynamodb_port: u16,
    /// Folder of the data
    #[arg(long, value_name = "DIR", default_value = ".foldcast", conflicts_with = "ephemeral")]
    pub(crate) data: PathBuf,
    /// Keep the data in memory: it ends with the process
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Run this CloudFormation template (JSON) instead of Foldcast's own
    #[arg(long, value_name = "FILE")]
    pub(crate) template: Option<PathBuf>,
    /// Run this program as the template's function of this name, logical id or handler; it speaks the Runtime API
    #[arg(long, value_name = "NAME=FILE", value_parser = function)]
    pub(crate) function: Vec<(String, PathBuf)>,
    /// Set numbers of the WebSocket API, such as {"idle_max_ms": 60000}, from this file (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) limits: Option<PathBuf>,
    /// Let go wrong what this script (JSON) says, as it does on AWS now and then
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Bring the collection of this FaunaDB into the log, each minute; its secret is FAUNA_SECRET
    #[arg(long, value_name = "URL", conflicts_with = "template")]
    pub(crate) fauna: Option<String>,
    /// Let in who has a token: of `foldcast token`, or of the issuer of JWKS_URL, JWT_ISSUER and JWT_AUDIENCE
    #[arg(long, conflicts_with = "no_auth")]
    pub(crate) auth: bool,
    /// Let in whoever comes from this machine; the default, but for another template
    #[arg(long)]
    pub(crate) no_auth: bool,
}

/// Which deployment a command works on.
#[derive(Debug, ClapArgs)]
pub(crate) struct Target {
    /// DynamoDB's address [default: AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, else the local stack]
    #[arg(long, value_name = "URL", conflicts_with = "aws")]
    pub(crate) endpoint_url: Option<String>,
    /// Work on AWS, with AWS_REGION and the credentials of the environment
    #[arg(long)]
    pub(crate) aws: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Append {
    /// A JSON array or NDJSON of events {"ref", "ts", "data"}; - is standard input
    ///
    /// `ref` is the event's id, any text of 1 to 128 bytes: the same event is appended once, and another one with its ref is
    /// an error. `ts` is in microseconds since 1970. A file is read twice: with a bad event in it, nothing is appended. What
    /// comes on standard input or through a pipe is appended as it comes, and the first bad event ends it.
    pub(crate) file: PathBuf,
    /// Append the good events of a file with bad ones
    #[arg(long)]
    pub(crate) skip_bad: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Tail {
    /// The orders
    #[arg(required = true, value_name = "ORDER_ID", value_parser = order_id)]
    pub(crate) order_ids: Vec<OrderId>,
    /// The WebSocket API
    #[arg(long, default_value = "ws://127.0.0.1:3001/local")]
    pub(crate) url: String,
    /// The token that says who you are [default: FOLDCAST_TOKEN]
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Begin after this version of each order; 0 is the whole log
    #[arg(long, value_name = "VERSION", value_parser = value_parser!(u64).range(..=WHOLE_NUMBER_MAX))]
    pub(crate) since: Option<u64>,
    /// End after this many lines
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Token {
    /// The user, whose orders are those with this `userId`
    #[arg(long, value_name = "USER")]
    pub(crate) sub: String,
    /// Scopes, separated by blanks; orders:read:all shows every order
    #[arg(long, default_value = "")]
    pub(crate) scope: String,
    /// For how long it is valid
    #[arg(long, value_name = "SECONDS", default_value_t = 12 * 60 * 60)]
    pub(crate) expires_in: u32,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Fold {
    /// The order
    #[arg(value_name = "ORDER_ID", value_parser = order_id)]
    pub(crate) order_id: OrderId,
    /// Fold events 1 to this version
    #[arg(long, value_name = "VERSION", value_parser = value_parser!(u64).range(..=WHOLE_NUMBER_MAX))]
    pub(crate) at: Option<u64>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Rebuild {
    /// The orders [default: every order of the log]
    #[arg(value_name = "ORDER_ID", value_parser = order_id)]
    pub(crate) order_ids: Vec<OrderId>,
    /// Write down each order that is done in this file, and leave out those that it has; it goes when all are done
    #[arg(long, value_name = "FILE", conflicts_with = "order_ids")]
    pub(crate) resume: Option<PathBuf>,
    /// The address of @connections [default: MANAGEMENT_ENDPOINT, else that of the tables: the local stack's own, or on AWS the one that the newest connection names]
    #[arg(long, value_name = "URL")]
    pub(crate) management_url: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Failures {
    #[command(subcommand)]
    pub(crate) command: FailuresCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FailuresCommand {
    /// Print the messages of the failure queue, each a line of JSON; they stay on it
    List {
        #[command(flatten)]
        queue: Queue,
    },
    /// Print one message and what to do about it
    Show {
        /// The message's id
        id: String,
        #[command(flatten)]
        queue: Queue,
    },
    /// Rebuild the orders that messages name, and delete each message whose order was rebuilt
    Replay {
        /// The messages' ids
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// Every message
        #[arg(long)]
        all: bool,
        /// The address of @connections [default: MANAGEMENT_ENDPOINT, else that of the tables: the local stack's own, or on AWS the one that the newest connection names]
        #[arg(long, value_name = "URL")]
        management_url: Option<String>,
        #[command(flatten)]
        queue: Queue,
    },
    /// Delete messages that need no replay
    Delete {
        /// The messages' ids
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        queue: Queue,
    },
}

/// Which failure queue a command works on.
#[derive(Debug, ClapArgs)]
pub(crate) struct Queue {
    /// The queue's address [default: FAILURE_QUEUE_URL, else the local stack's]
    #[arg(long, value_name = "URL")]
    pub(crate) queue_url: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Cost {
    /// Browsers that are connected all the time, each subscribed to one order
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub(crate) connections: u64,
    /// Events of all orders
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub(crate) events_per_minute: u64,
    /// Browsers that each event goes to
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub(crate) subscribers: u64,
    /// After how many seconds of silence a client pings
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) ping_seconds: u64,
    /// After how many seconds at most a client asks whether its order is level
    #[arg(long, value_name = "N", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) heads_seconds: u64,
    /// Bytes of an event's item
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=409_600))]
    pub(crate) event_bytes: u64,
    /// Bytes of a projection's item
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=409_600))]
    pub(crate) projection_bytes: u64,
    /// Bytes of an update as it is sent
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(crate) message_bytes: u64,
    /// Print the tables of docs/cost.md instead
    #[arg(long)]
    pub(crate) page: bool,
}

pub(crate) fn order_id(text: &str) -> Result<OrderId, String> {
    OrderId::new(text).map_err(|invalid| invalid.to_string())
}

fn function(text: &str) -> Result<(String, PathBuf), String> {
    let given = text.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty());
    given.map(|(name, file)| (name.to_owned(), file.into())).ok_or_else(|| "it must be NAME=FILE".to_owned())
}

/// What is shown instead of running a command.
#[derive(Debug)]
pub(crate) struct Shown(clap::Error);

impl Shown {
    /// Prints help on stdout, or what is wrong on one line of stderr.
    pub(crate) fn exit(&self) -> ExitCode {
        if matches!(self.0.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            print!("{}", self.0);
            return ExitCode::SUCCESS;
        }
        let text = self.0.to_string();
        let lines =
            text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
        let line = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        eprintln!("foldcast: {} (foldcast --help says more)", line.trim_start_matches("error: "));
        ExitCode::from(2)
    }
}

/// Reads the command line.
pub(crate) fn parse() -> Result<Args, Shown> {
    Args::try_parse().map_err(Shown)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn no_command_is_up_with_its_defaults() {
        let Command::Up(up) = Command::default() else { panic!("not up") };
        assert_eq!((up.port, up.dynamodb_port, up.data), (3001, 8000, PathBuf::from(".foldcast")));
    }
}
