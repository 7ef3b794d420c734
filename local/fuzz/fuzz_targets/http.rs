//! Any bytes on the port of the WebSocket API: they are answered, or the connection ends.
//!
//! Owns: nothing.
//! Must not know: HTTP.
//! Source: libFuzzer.

#![no_main]

mod gateway;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gateway::say(&[data]));
