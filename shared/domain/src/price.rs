//! What AWS takes for what is metered, in billionths of a dollar.
//!
//! Source: list prices of us-east-1, without free tiers and volume discounts. API Gateway (1 dollar a million messages of 32 KB,
//! 25 cents a million connection-minutes) and data transfer: amnic.com and awsnegotiations.com, June 2026. DynamoDB on demand:
//! airbyte.com, July 2025. Lambda on arm64 and SQS: list prices of 2025, to be checked against AWS's price pages.

/// A strongly consistent read of 4 KB.
pub const READ_UNIT: u64 = 125;

/// A write of 1 KB.
pub const WRITE_UNIT: u64 = 625;

/// A message of API Gateway, either way, of 32 KB at most.
pub const MESSAGE: u64 = 1_000;

/// A connection that is open for a minute.
pub const CONNECTION_MINUTE: u64 = 250;

/// An invocation of a function, beside its time.
pub const INVOCATION: u64 = 200;

/// A GB-second of a function.
pub const GB_SECOND: u64 = 13_333;

/// A request to SQS.
pub const SQS_REQUEST: u64 = 400;

/// A thousand bytes to the internet.
pub const KILOBYTE_OUT: u64 = 90;

const READ_UNIT_BYTES: usize = 4 * 1024;
const MESSAGE_UNIT_BYTES: usize = 32 * 1024;

/// A strongly consistent read of so many bytes; reading nothing is a unit too.
#[must_use]
pub fn read(bytes: usize) -> u64 {
    READ_UNIT.saturating_mul(units(bytes, READ_UNIT_BYTES))
}

/// A message of so many bytes that a browser sends.
#[must_use]
pub fn message_in(bytes: usize) -> u64 {
    MESSAGE.saturating_mul(units(bytes, MESSAGE_UNIT_BYTES))
}

/// A message of so many bytes that a browser is sent.
#[must_use]
pub fn message_out(bytes: usize) -> u64 {
    let bytes_out = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(KILOBYTE_OUT) / 1_000;
    message_in(bytes).saturating_add(bytes_out)
}

fn units(bytes: usize, unit_bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(unit_bytes).max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_is_a_unit() {
        assert_eq!([read(0), read(4_096), read(4_097)], [125, 125, 250]);
        assert_eq!([message_in(0), message_in(32_768), message_in(32_769)], [1_000, 1_000, 2_000]);
        assert_eq!(message_out(100_000), 4_000 + 9_000);
    }
}
