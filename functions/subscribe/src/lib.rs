//! What a browser says: `subscribe`, `unsubscribe`, `history`, `heads`, `ping` and anything else.
//!
//! Owns: answering each message, each order of it for itself, so that the client knows where it stands; ending a
//! connection whose token has expired.
//! Must not know: the change feed, other connections.
//! Source: README.md of `protocol`; rule 2 of the guarantee is kept in `order.rs`.

mod answers;
mod caller;
mod heads;
mod meter;
mod order;

use std::{collections::BTreeSet, sync::Arc};

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{Anonymous, ConnectionId, OrderId, Redaction, VariableError, limits};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use lambda_runtime::{LambdaEvent, service_fn};
use protocol::{
    ErrorCode, ErrorMessage, Message, Request,
    request::{BadRequest, Wanted},
};
use push::{NotClosed, Push, deadline};
use serde_json::{Value, json};
use store::{CallError, Forgotten, SdkConfig, Store, Witness, aws};
use tokio::time::Instant;

pub use answers::AnswerError;
use answers::Answers;
use caller::Admission;
pub use caller::{Caller, NoCaller};
use meter::{Ledger, Meter, NotPaid};

const SUBSCRIPTIONS_MAX_VARIABLE: &str = "SUBSCRIPTIONS_MAX";

/// What the function works with.
#[derive(Clone, Debug)]
pub struct Subscribe {
    store: Store,
    push: Push,
    redaction: Redaction,
    anonymous: Anonymous,
    subscriptions_max: usize,
    ledger: Arc<Ledger>,
}

/// Why a message is not answered; API Gateway tells the browser of an internal error then.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The invocation is none of API Gateway's.
    #[error(transparent)]
    NoCaller(#[from] NoCaller),
    /// A part of the answer could not be sent.
    #[error("the answer could not be sent")]
    NotAnswered(#[from] AnswerError),
    /// A connection that is served no more stays open.
    #[error("a connection that nobody vouches for is still open")]
    NotClosed(#[from] NotClosed),
}

/// Serves the browsers' messages until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let subscribe = Subscribe::from_vars(&var)?;
    let subscribe = &subscribe;
    let serve = async |event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        let deadline = deadline::from_epoch_ms(event.context.deadline);
        Box::pin(subscribe.handle(event.payload, deadline)).await.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl Subscribe {
    /// Reads the environment.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn from_vars(var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Self::with_sdk(&aws::sdk_config(var)?, var)
    }

    /// Reads the environment, but for what `sdk` has.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn with_sdk(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            store: Store::from_vars(sdk, var)?,
            push: Push::from_vars(sdk, var)?,
            redaction: Redaction::from_vars(var),
            anonymous: Anonymous::from_vars(var),
            subscriptions_max: subscriptions_max(var)?,
            ledger: Arc::default(),
        })
    }

    /// Answers one message, if its principal may cost more. The last frame of the answer is the route response; those before it
    /// are pushed. A connection whose token has expired, or that sends on and on though it is refused, is closed and not
    /// answered: its client comes back with another token, or later.
    ///
    /// # Errors
    /// [`SubscribeError`] if the invocation is none of API Gateway's or a frame could not be pushed.
    pub async fn handle(
        &self,
        request: ApiGatewayWebsocketProxyRequest,
        deadline: Instant,
    ) -> Result<Value, SubscribeError> {
        let caller = match Admission::of(&request.request_context, &self.anonymous)? {
            Admission::Admitted(caller) => caller,
            Admission::Refused(connection_id) => {
                self.push.close(&connection_id, deadline).await?;
                tracing::info!(connection_id = connection_id.as_str(), "closed: its token has expired, or it has none");
                return Ok(json!({"statusCode": 200}));
            }
        };
        let text = request.body.as_deref().unwrap_or_default();
        let meter = Meter::new(&self.ledger, &self.store.connections, &caller, text.len());
        let paid = meter.pay().await;
        if paid.is_err() && meter.is_flood() {
            self.push.close(caller.connection_id(), deadline).await?;
            tracing::warn!(connection_id = caller.connection_id().as_str(), "closed: it sends on though it is refused");
            return Ok(json!({"statusCode": 200}));
        }
        let answers = Answers::new(&self.push, meter, caller.connection_id(), deadline);
        let served = match paid {
            Ok(()) => {
                let served = self.serve(&caller, text, &answers).await;
                // What the last step cost; if that is too much, the next message is refused.
                answers.meter.pay().await.ok();
                served
            }
            Err(not_paid) => answers.send(Message::Error(caller.not_paid(&not_paid))).await,
        };
        if let Err(AnswerError::Gone) = served {
            self.forget(caller.connection_id()).await;
            return Ok(json!({"statusCode": 200}));
        }
        let body = served.and(answers.last_frame())?;
        Ok(json!({"statusCode": 200, "body": body}))
    }

    async fn serve(&self, caller: &Caller, text: &str, answers: &Answers<'_>) -> Result<(), AnswerError> {
        let request = match Request::parse(text) {
            Ok(request) => request,
            Err(error) => return answers.send(caller.refusal(error)).await,
        };
        match request {
            // API Gateway answers a ping itself; one without that route sends it here, by `$default`.
            Request::Ping => answers.send(Message::Pong).await,
            Request::History(range) => self.history(caller, range, answers).await,
            Request::Heads(asked) => self.heads(caller, asked, answers).await,
            Request::Subscribe(wanted) => {
                let room = self.make_room(caller, &wanted, &answers.meter).await;
                let serve = |wanted| self.subscribe(caller, wanted, &room, answers).boxed();
                each(caller, wanted, answers, serve).await
            }
            Request::Unsubscribe(orders) => {
                let serve = |order_id| self.unsubscribe(caller, order_id, answers).boxed();
                each(caller, orders, answers, serve).await
            }
        }
    }

    /// Which of the orders the connection has room for, all of them in one call if it can be.
    async fn make_room(
        &self,
        caller: &Caller,
        wanted: &[Result<Wanted, BadRequest>],
        meter: &Meter<'_>,
    ) -> Result<BTreeSet<OrderId>, CallError> {
        let order_ids = wanted.iter().flatten().map(|wanted| &wanted.order_id).collect();
        let room =
            self.store.connections.make_room(&caller.connection, self.push.stage(), &order_ids, self.subscriptions_max);
        let (room, write_units) = room.await?;
        meter.owe_write_units(write_units);
        Ok(room.into_iter().cloned().collect())
    }

    async fn unsubscribe(&self, caller: &Caller, order_id: OrderId, answers: &Answers<'_>) -> Result<(), AnswerError> {
        if let Err(not_paid) = answers.meter.pay().await {
            return answers.send(Message::Error(caller.not_paid(&not_paid).about(order_id))).await;
        }
        let Store { connections, subscriptions, .. } = &self.store;
        match store::unsubscribe(connections, subscriptions, caller.connection_id(), &order_id).await {
            Ok(write_units) => {
                answers.meter.owe_write_units(write_units);
                answers.send(Message::Unsubscribed(order_id)).await
            }
            Err(error) => answers.send(caller.failure(order_id, &error)).await,
        }
    }

    /// The connection turned out to be gone. What cannot be removed is removed by the next push that finds it gone.
    async fn forget(&self, connection_id: &ConnectionId) {
        let Store { connections, subscriptions, .. } = &self.store;
        let witness = Witness { stage: self.push.stage(), trusts_unknown: true };
        let forgotten = store::forget_gone(connections, subscriptions, connection_id, witness).await;
        let forgotten = matches!(forgotten, Ok(Forgotten::Yes));
        tracing::info!(connection_id = connection_id.as_str(), forgotten, "gone");
    }
}

fn subscriptions_max(var: &impl Fn(&str) -> Option<String>) -> Result<usize, VariableError> {
    let Some(text) = var(SUBSCRIPTIONS_MAX_VARIABLE) else { return Ok(limits::SUBSCRIPTIONS_PER_CONNECTION_MAX) };
    let number = text.parse().ok().filter(|max| (1..=limits::SUBSCRIPTIONS_PER_CONNECTION_CEILING).contains(max));
    number.ok_or(VariableError::Malformed { name: SUBSCRIPTIONS_MAX_VARIABLE, must_be: "a number from 1 to 1000" })
}

/// Serves each order of a message for itself, several at once; a bad one gets its own error.
async fn each<'a, T>(
    caller: &'a Caller,
    orders: Vec<Result<T, BadRequest>>,
    answers: &'a Answers<'a>,
    serve: impl Fn(T) -> BoxFuture<'a, Result<(), AnswerError>>,
) -> Result<(), AnswerError> {
    let served = orders.into_iter().map(|order| match order {
        Ok(order) => serve(order),
        Err(error) => async move { answers.send(caller.refusal(error)).await }.boxed(),
    });
    let mut served = stream::iter(served).buffer_unordered(limits::ORDERS_IN_FLIGHT_MAX);
    while let Some(outcome) = served.next().await {
        outcome?;
    }
    Ok(())
}

impl Caller {
    /// The answer to a message, or one order of it, that cannot be understood.
    fn refusal(&self, BadRequest { order_id, index, error }: BadRequest) -> Message {
        let refusal = ErrorMessage::new(ErrorCode::BadRequest, error.to_string(), self.request_id.as_str());
        Message::Error(ErrorMessage { order_id, index, ..refusal })
    }

    /// The answer to one subscription too many.
    fn too_many(&self, order_id: OrderId, max: usize) -> Message {
        let message = format!("a connection has at most {max} subscriptions; end others first");
        let error = ErrorMessage::new(ErrorCode::TooManySubscriptions, message, self.request_id.as_str());
        Message::Error(error.about(order_id))
    }

    /// The answer to a message, or one order of it, that the principal has to wait for: a client tries again after a pause.
    fn not_paid(&self, not_paid: &NotPaid) -> ErrorMessage {
        let (message, retry_after_ms) = match not_paid {
            NotPaid::Exhausted(exhausted) => {
                tracing::warn!(
                    request_id = self.request_id,
                    connection_id = self.connection_id().as_str(),
                    "too many requests"
                );
                (exhausted.to_string(), Some(exhausted.retry_after_ms))
            }
            NotPaid::NotRead(error) => {
                tracing::error!(request_id = self.request_id, %error, "the allowance was not read");
                ("the message could not be served; try again".to_owned(), None)
            }
        };
        let error = ErrorMessage::new(ErrorCode::Internal, message, self.request_id.as_str());
        ErrorMessage { retry_after_ms, ..error }
    }

    /// The answer when something behind the gateway failed: what it was is for the log alone.
    fn failure(&self, order_id: OrderId, error: &dyn std::error::Error) -> Message {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        tracing::error!(request_id = self.request_id, order_id = order_id.as_str(), %error, ?causes, "not served");
        let message = "the order could not be read; try again";
        let error = ErrorMessage::new(ErrorCode::Internal, message, self.request_id.as_str());
        Message::Error(error.about(order_id))
    }
}
