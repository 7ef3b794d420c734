//! Arbitrary bytes through every reader of JSON from outside.

#![no_main]

mod readers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| readers::read(data));
