//! Which of its orders a browser is not level with.
//!
//! An update that API Gateway accepts and drops is noticed by this before the order's next event. An order that the
//! browser may not see counts as one without events, as it does in every other answer.

use std::{collections::BTreeMap, error::Error as _};

use domain::{OrderId, Version, price};
use protocol::{
    ErrorCode, ErrorMessage, Message,
    request::{BadRequest, Known},
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
        asked: Vec<Result<Known, BadRequest>>,
        answers: &Answers<'_>,
    ) -> Result<(), AnswerError> {
        let mut known = Vec::with_capacity(asked.len());
        for entry in asked {
            match entry {
                Ok(order) => known.push(order),
                Err(bad) => answers.send(caller.refusal(bad)).await?,
            }
        }
        let order_ids: Vec<&OrderId> = known.iter().map(|known| &known.order_id).collect();
        let mut heads = match self.store.projections.heads(&order_ids).await {
            Ok((heads, read_units)) => {
                answers.meter.owe(price::READ_UNIT.saturating_mul(read_units));
                heads
            }
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(request_id = caller.request_id, %error, cause, "the heads were not read");
                let message = "the heads could not be read; try again";
                let error = ErrorMessage::new(ErrorCode::Internal, message, caller.request_id.as_str());
                return answers.send(Message::Error(error)).await;
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
