//! `foldcast fauna`: a collection of FaunaDB as a source of events.
//!
//! Owns: which server, whose secret never stands on a command line, and what the local stack is told of it.
//! Must not know: FQL, how documents are appended.
//! Source: docs/fauna.md, "Set-up".

mod backfill;
mod check;
mod verify;

use anyhow::anyhow;
use clap::{Args as ClapArgs, Subcommand};
use domain::OrderId;
use fauna_feed::{ENDPOINT_VARIABLE, Fauna, Names, SECRET_VARIABLE, Secret};

use crate::{
    args::{Target, order_id},
    deployment::var,
    failure::Failure,
};

/// The variable with the server's address.
const URL_VARIABLE: &str = "FAUNA_URL";

/// The template's parameters of the feed.
const ENDPOINT_PARAMETER: &str = "FaunaEndpoint";

/// What the local stack's feed is told beside that.
const HANDED_ON: [&str; 3] = [SECRET_VARIABLE, "FAUNA_COLLECTION", "FAUNA_INDEX"];

#[derive(Debug, ClapArgs)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether FaunaDB is as the feed needs it
    Check(Source),
    /// Make the index that the feed reads, and wait until it is built
    Init(Source),
    /// Append the documents that there are; may be interrupted and run again
    Backfill {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        target: Target,
    },
    /// Compare FaunaDB's own fold of an order with ours
    Verify {
        /// The order
        #[arg(value_name = "ORDER_ID", value_parser = order_id)]
        order_id: OrderId,
        /// FaunaDB's index of the collection by data.orderId
        #[arg(long, value_name = "NAME", default_value = "order_events_by_order_id")]
        index: String,
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        target: Target,
    },
}

/// Which server; its secret is the variable FAUNA_SECRET.
#[derive(Debug, ClapArgs)]
struct Source {
    /// FaunaDB's address, such as https://db.example:8443 [default: FAUNA_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Source {
    /// The server and the names of what is read there.
    fn open(&self) -> Result<(Fauna, Names), Failure> {
        let url = self.url.clone().or_else(|| set(URL_VARIABLE)).or_else(|| set(ENDPOINT_VARIABLE));
        let url = url.ok_or_else(|| Failure::usage(anyhow!("--url or {URL_VARIABLE} names FaunaDB's address")))?;
        Ok((Fauna::at(&url, secret()?).map_err(Failure::usage)?, Names::from_vars(var)))
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    match options.command {
        Command::Check(source) => check::run(&source).await,
        Command::Init(source) => check::init(&source).await,
        Command::Backfill { source, target } => Box::pin(backfill::run(&source, &target)).await,
        Command::Verify { order_id, index, source, target } => {
            Box::pin(verify::run(&order_id, &index, &source, &target)).await
        }
    }
}

fn set(name: &str) -> Option<String> {
    var(name).filter(|value| !value.is_empty())
}

fn secret() -> Result<Secret, Failure> {
    let secret = set(SECRET_VARIABLE);
    let secret =
        secret.ok_or_else(|| Failure::usage(anyhow!("the variable {SECRET_VARIABLE} has FaunaDB's secret")))?;
    Secret::new(&secret).map_err(Failure::usage)
}

/// What the template of the local stack is told: a feed of this server, or none.
pub(crate) fn parameters(url: Option<&str>) -> Result<Option<(String, String)>, Failure> {
    let Some(url) = url else { return Ok(None) };
    // What is wrong is said here, and not by the function each minute.
    Fauna::at(url, secret()?).map_err(Failure::usage)?;
    Ok(Some((ENDPOINT_PARAMETER.to_owned(), url.to_owned())))
}

/// What its function is told.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    HANDED_ON.iter().filter_map(|name| Some(((*name).to_owned(), set(name)?)))
}
