//! Any bytes behind an upgrade: they are frames, or the connection is closed.
//!
//! Owns: nothing.
//! Must not know: RFC 6455.
//! Source: libFuzzer.

#![no_main]

mod gateway;

use libfuzzer_sys::fuzz_target;

const UPGRADE: &[u8] = b"GET /dev HTTP/1.1\r\nhost: l\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fuzz_target!(|data: &[u8]| gateway::say(&[UPGRADE, data]));
