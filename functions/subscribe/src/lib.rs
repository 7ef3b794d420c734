//! What a browser says: `subscribe`, `unsubscribe`, `history`, `ping` and anything else.
//!
//! Owns: answering each message, each order of it for itself, so that the client knows where it stands.
//! Must not know: the change feed, other connections.
//! Source: README.md of `protocol`; rule 2 of the guarantee is kept in `order.rs`.

mod answers;
mod caller;
mod order;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{ConnectionId, OrderId, Redaction, limits};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use lambda_runtime::{LambdaEvent, service_fn};
use protocol::{ErrorCode, ErrorMessage, Message, Request, RequestError};
use push::{ManagementEndpoint, Push, deadline};
use serde_json::{Value, json};
use store::{SdkConfig, Store, aws};
use tokio::time::Instant;

pub use answers::AnswerError;
use answers::Answers;
pub use caller::{Caller, NoCaller};

/// What the function works with.
#[derive(Clone, Debug)]
pub struct Subscribe {
    store: Store,
    push: Push,
    redaction: Redaction,
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
            push: Push::new(sdk, &ManagementEndpoint::from_vars(var)?),
            redaction: Redaction::from_vars(var),
        })
    }

    /// Answers one message. The last frame of the answer is the route response; those before it are pushed.
    ///
    /// # Errors
    /// [`SubscribeError`] if the invocation is none of API Gateway's or a frame could not be pushed.
    pub async fn handle(
        &self,
        request: ApiGatewayWebsocketProxyRequest,
        deadline: Instant,
    ) -> Result<Value, SubscribeError> {
        let caller = Caller::of(&request.request_context)?;
        let answers = Answers::new(&self.push, &caller.connection_id, deadline);
        let served = self.serve(&caller, request.body.as_deref().unwrap_or_default(), &answers).await;
        if let Err(AnswerError::Gone) = served {
            self.forget(&caller.connection_id).await;
            return Ok(json!({"statusCode": 200}));
        }
        let body = served.and(answers.last_frame())?;
        Ok(json!({"statusCode": 200, "body": body}))
    }

    async fn serve(&self, caller: &Caller, text: &str, answers: &Answers<'_>) -> Result<(), AnswerError> {
        let request = match Request::parse(text) {
            Ok(request) => request,
            Err(error) => return answers.send(&caller.refusal(error)).await,
        };
        match request {
            Request::Ping => answers.send(&Message::Pong).await,
            Request::History(range) => self.history(caller, range, answers).await,
            Request::Subscribe(wanted) => {
                let serve = |wanted| self.subscribe(caller, wanted, answers).boxed();
                each(caller, wanted, answers, serve).await
            }
            Request::Unsubscribe(orders) => {
                let serve = |order_id| self.unsubscribe(caller, order_id, answers).boxed();
                each(caller, orders, answers, serve).await
            }
        }
    }

    async fn unsubscribe(&self, caller: &Caller, order_id: OrderId, answers: &Answers<'_>) -> Result<(), AnswerError> {
        match self.store.subscriptions.delete(&order_id, &caller.connection_id).await {
            Ok(()) => answers.send(&Message::Unsubscribed(order_id)).await,
            Err(error) => answers.send(&caller.failure(order_id, &error)).await,
        }
    }

    /// The connection turned out to be gone. What cannot be removed is removed by the next push that finds it gone.
    async fn forget(&self, connection_id: &ConnectionId) {
        let forgotten = store::forget(&self.store.connections, &self.store.subscriptions, connection_id).await.is_ok();
        tracing::info!(connection_id = connection_id.as_str(), forgotten, "gone");
    }
}

/// Serves each order of a message for itself, several at once; a bad one gets its own error.
async fn each<'a, T>(
    caller: &'a Caller,
    orders: Vec<Result<T, RequestError>>,
    answers: &'a Answers<'a>,
    serve: impl Fn(T) -> BoxFuture<'a, Result<(), AnswerError>>,
) -> Result<(), AnswerError> {
    let served = orders.into_iter().map(|order| match order {
        Ok(order) => serve(order),
        Err(error) => async move { answers.send(&caller.refusal(error)).await }.boxed(),
    });
    let mut served = stream::iter(served).buffer_unordered(limits::ORDERS_IN_FLIGHT_MAX);
    while let Some(outcome) = served.next().await {
        outcome?;
    }
    Ok(())
}

impl Caller {
    /// The answer to a message that cannot be understood.
    fn refusal(&self, error: RequestError) -> Message {
        Message::Error(ErrorMessage {
            code: ErrorCode::BadRequest,
            message: error.to_string(),
            request_id: self.request_id.clone(),
            order_id: None,
        })
    }

    /// The answer when something behind the gateway failed: what it was is for the log alone.
    fn failure(&self, order_id: OrderId, error: &dyn std::error::Error) -> Message {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        tracing::error!(request_id = self.request_id, order_id = order_id.as_str(), %error, ?causes, "not served");
        Message::Error(ErrorMessage {
            code: ErrorCode::Internal,
            message: "the order could not be read; try again".to_owned(),
            request_id: self.request_id.clone(),
            order_id: Some(order_id),
        })
    }
}
