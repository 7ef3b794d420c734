//! What AWS meters, and what it takes for it.
//!
//! Owns: the date of the prices, and adding up.
//! Must not know: what is done with what is metered.
//! Source: `domain::price`.

use std::{
    iter::Sum,
    ops::{Add, Mul},
};

use domain::price::{
    CONNECTION_MINUTE, GB_SECOND, INVOCATION, KILOBYTE_OUT, MESSAGE, READ_UNIT, SQS_REQUEST, WRITE_UNIT,
};
use serde_json::{Value, json};

/// When the youngest of the prices was looked at.
pub(super) const PRICES_AS_OF: &str = "June 2026";

/// The memory is metered in MB of which 1,024 are a GB, the time in milliseconds.
const MB_MS_A_GB_SECOND: u64 = 1_024_000;

/// What was metered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bill {
    pub(super) dynamodb_calls: u64,
    pub(super) read_units: u64,
    pub(super) write_units: u64,
    /// Calls of `@connections`.
    pub(super) pushes: u64,
    /// Messages of API Gateway, in units of 32 KB, both ways.
    pub(super) messages: u64,
    pub(super) connection_minutes: u64,
    pub(super) invocations: u64,
    pub(super) lambda_mb_ms: u64,
    pub(super) sqs_requests: u64,
    pub(super) bytes_out: u64,
}

impl Bill {
    /// The price, in billionths of a dollar.
    pub(super) fn nano_dollars(&self) -> u64 {
        self.read_units * READ_UNIT
            + self.write_units * WRITE_UNIT
            + self.messages * MESSAGE
            + self.connection_minutes * CONNECTION_MINUTE
            + self.invocations * INVOCATION
            + self.lambda_mb_ms * GB_SECOND / MB_MS_A_GB_SECOND
            + self.sqs_requests * SQS_REQUEST
            + self.bytes_out * KILOBYTE_OUT / 1_000
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "dynamodbCalls": self.dynamodb_calls, "readUnits": self.read_units, "writeUnits": self.write_units,
            "pushes": self.pushes, "messages": self.messages, "connectionMinutes": self.connection_minutes,
            "invocations": self.invocations, "lambdaMbMs": self.lambda_mb_ms, "sqsRequests": self.sqs_requests,
            "bytesOut": self.bytes_out, "dollars": dollars(self.nano_dollars(), 9),
        })
    }
}

/// Billionths of a dollar as a decimal number with so many digits behind the point, rounded up.
pub(super) fn dollars(nano_dollars: u64, digits: u32) -> String {
    let unit = 10_u64.pow(9_u32.saturating_sub(digits));
    let rounded = nano_dollars.div_ceil(unit);
    let one = 10_u64.pow(digits);
    let width = usize::try_from(digits).unwrap_or_default();
    if digits == 0 { grouped(rounded) } else { format!("{}.{:0width$}", grouped(rounded / one), rounded % one) }
}

/// A number with commas.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Add for Bill {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            dynamodb_calls: self.dynamodb_calls + other.dynamodb_calls,
            read_units: self.read_units + other.read_units,
            write_units: self.write_units + other.write_units,
            pushes: self.pushes + other.pushes,
            messages: self.messages + other.messages,
            connection_minutes: self.connection_minutes + other.connection_minutes,
            invocations: self.invocations + other.invocations,
            lambda_mb_ms: self.lambda_mb_ms + other.lambda_mb_ms,
            sqs_requests: self.sqs_requests + other.sqs_requests,
            bytes_out: self.bytes_out + other.bytes_out,
        }
    }
}

impl Mul<u64> for Bill {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            dynamodb_calls: self.dynamodb_calls * times,
            read_units: self.read_units * times,
            write_units: self.write_units * times,
            pushes: self.pushes * times,
            messages: self.messages * times,
            connection_minutes: self.connection_minutes * times,
            invocations: self.invocations * times,
            lambda_mb_ms: self.lambda_mb_ms * times,
            sqs_requests: self.sqs_requests * times,
            bytes_out: self.bytes_out * times,
        }
    }
}

impl Sum for Bill {
    fn sum<I: Iterator<Item = Self>>(bills: I) -> Self {
        bills.fold(Self::default(), Self::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_of_each_costs_its_list_price() {
        let million = |bill: Bill| dollars((bill * 1_000_000).nano_dollars(), 3);
        assert_eq!(million(Bill { read_units: 1, ..Bill::default() }), "0.125");
        assert_eq!(million(Bill { write_units: 1, ..Bill::default() }), "0.625");
        assert_eq!(million(Bill { messages: 1, ..Bill::default() }), "1.000");
        assert_eq!(million(Bill { connection_minutes: 1, ..Bill::default() }), "0.250");
        assert_eq!(million(Bill { invocations: 1, ..Bill::default() }), "0.200");
        assert_eq!(million(Bill { lambda_mb_ms: 1_024_000, ..Bill::default() }), "13.333");
        assert_eq!(million(Bill { sqs_requests: 1, ..Bill::default() }), "0.400");
        assert_eq!(million(Bill { bytes_out: 1_000, ..Bill::default() }), "0.090");
    }

    #[test]
    fn money_is_rounded_up_and_grouped() {
        assert_eq!(dollars(1_234_567_000_000_001, 2), "1,234,567.01");
        assert_eq!(dollars(1, 0), "1");
        assert_eq!(dollars(0, 2), "0.00");
        assert_eq!(dollars(5, 9), "0.000000005");
    }
}
