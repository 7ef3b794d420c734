//! What the function reads of its environment.
//!
//! Owns: the variables of FaunaDB, their defaults, and where the secret is.
//! Must not know: what is read from FaunaDB.
//! Source: `docs/fauna.md`, "Set-up".

use domain::VariableError;
use queues::FailureQueue;
use store::{EventLog, FaunaFeed, SdkConfig, TableName, aws};

use crate::{Fauna, Feed, Names, Refused, Secret, secrets_manager::StoredSecret};

/// FaunaDB's address.
pub const ENDPOINT_VARIABLE: &str = "FAUNA_ENDPOINT";

/// The secret itself, where there is no Secrets Manager.
pub const SECRET_VARIABLE: &str = "FAUNA_SECRET";

/// The ARN of the secret.
const SECRET_ARN_VARIABLE: &str = "FAUNA_SECRET_ARN";

const ENDPOINT_MUST_BE: &str = "an https:// or http:// address of FaunaDB";

/// Where the secret is.
#[derive(Debug)]
enum SecretSource {
    Given(Secret),
    Stored(StoredSecret),
}

/// The function's configuration.
#[derive(Debug)]
pub struct Config {
    endpoint: String,
    names: Names,
    secret: SecretSource,
    state: FaunaFeed,
    log: EventLog,
    refused: FailureQueue,
}

impl Names {
    /// `FAUNA_COLLECTION`, else `order_stream`, and `FAUNA_INDEX`, else the collection's name and `_by_ts`.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let collection = set("FAUNA_COLLECTION").unwrap_or_else(|| "order_stream".to_owned());
        let index = set("FAUNA_INDEX").unwrap_or_else(|| format!("{collection}_by_ts"));
        Self { collection, index }
    }
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn from_vars(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let set = |name: &'static str| var(name).filter(|value| !value.is_empty());
        let endpoint = set(ENDPOINT_VARIABLE).ok_or(VariableError::Absent(ENDPOINT_VARIABLE))?;
        let secret = match (set(SECRET_VARIABLE), set(SECRET_ARN_VARIABLE)) {
            (Some(secret), _) => {
                let must_be = "a secret of FaunaDB";
                let malformed = VariableError::Malformed { name: SECRET_VARIABLE, must_be };
                SecretSource::Given(Secret::new(&secret).map_err(|_no_secret| malformed)?)
            }
            (None, Some(arn)) => SecretSource::Stored(StoredSecret::new(arn, var)?),
            (None, None) => return Err(VariableError::Absent(SECRET_ARN_VARIABLE).into()),
        };
        let (names, client) = (Names::from_vars(var), aws::dynamodb(sdk));
        let state = FaunaFeed::new(client.clone(), TableName::fauna_feed(var)?, &names.collection);
        let log = EventLog::new(client, TableName::order_stream(var)?);
        Ok(Self { endpoint, names, secret, state, log, refused: FailureQueue::from_vars(sdk, var)? })
    }

    /// A feed with the secret as it is at this moment.
    ///
    /// # Errors
    /// [`crate::NoSecretValue`] if Secrets Manager does not give it, [`VariableError`] if the address is none.
    pub async fn feed(&self) -> anyhow::Result<Feed> {
        let secret = match &self.secret {
            SecretSource::Given(secret) => secret.clone(),
            SecretSource::Stored(stored) => stored.read().await?,
        };
        let malformed = VariableError::Malformed { name: ENDPOINT_VARIABLE, must_be: ENDPOINT_MUST_BE };
        let fauna = Fauna::at(&self.endpoint, secret).map_err(|_no_endpoint| malformed)?;
        let refused = Refused::Queue(self.refused.clone());
        Ok(Feed::new(fauna, self.names.clone(), self.state.clone(), self.log.clone(), refused))
    }
}
