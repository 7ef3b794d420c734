//! Which of its orders a browser is not level with.
//!
//! An update that API Gateway accepts and drops is noticed by this before the order's next event. An order that the
//! browser may not see counts as one without events, as it does in every other answer.

use std::{collections::BTreeMap, error::Error as _};

use domain::{OrderId, Version};
use protocol::{
    ErrorCode, ErrorMessage, Message,
    request::{BadHead, Known},
};
use store::projections::Head;

use crate::{
    Subscribe,
    answers::{AnswerError, Answers},
    caller::Caller,
};

impl Subscribe {
    /// Answers with the heads of those orders that the browser is not level with. An order that cannot be told gets its
    /// own error before.
    pub(crate) async fn heads(
        &self,
        caller: &Caller,
        asked: Vec<Result<Known, BadHead>>,
        answers: &Answers<'_>,
    ) -> Result<(), AnswerError> {
        let mut known = Vec::with_capacity(asked.len());
        for entry in asked {
            match entry {
                Ok(order) => known.push(order),
                Err(BadHead { order_id, error }) => {
                    let refusal = caller.error(ErrorCode::BadRequest, error.to_string(), order_id);
                    answers.send(refusal).await?;
                }
            }
        }
        let order_ids: Vec<&OrderId> = known.iter().map(|known| &known.order_id).collect();
        let mut heads = match self.store.projections.heads(&order_ids).await {
            Ok(heads) => heads,
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(request_id = caller.request_id, %error, cause, "the heads were not read");
                let message = "the heads could not be read; try again".to_owned();
                return answers.send(caller.error(ErrorCode::Internal, message, None)).await;
            }
        };
        let mut behind = BTreeMap::new();
        for Known { order_id, version } in known {
            match heads.remove(&order_id).unwrap_or_else(|| Ok(Head::default())) {
                Ok(head) if shown(&head, caller) == version => {}
                Ok(head) => {
                    behind.insert(order_id, shown(&head, caller));
                }
                Err(broken) => answers.send(caller.failure(order_id, &broken)).await?,
            }
        }
        answers.send(Message::Heads(behind)).await
    }
}

/// The version of an order as this caller may see it.
fn shown(head: &Head, caller: &Caller) -> Version {
    if caller.principal().may_see(head.owner.as_deref()) { head.version } else { Version::NONE }
}

impl Caller {
    fn error(&self, code: ErrorCode, message: String, order_id: Option<OrderId>) -> Message {
        Message::Error(ErrorMessage { code, message, request_id: self.request_id.clone(), order_id })
    }
}
