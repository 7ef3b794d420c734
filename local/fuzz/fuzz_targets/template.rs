//! Any JSON as a template: it is read, or refused with a reason.
//!
//! Owns: nothing.
//! Must not know: what a template should be.
//! Source: libFuzzer.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(template) = serde_json::from_slice(data) {
        // A refusal is as good as an application: what must not be is a panic.
        local::template::read(&template, &BTreeMap::new()).ok();
    }
});
