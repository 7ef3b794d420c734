//! Numbered parts: how a message over API Gateway's limit travels.
//!
//! Owns: cutting a text into parts, and putting parts together in whatever order and however often they arrive.
//! Must not know: what the text says.
//! Source: API Gateway delivers at most 128 KB in one message.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use domain::limits::MESSAGE_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// Room for the other fields of a part, in bytes: their names, a 16-digit id and two numbers.
const PART_FIELDS_BYTES_MAX: usize = 128;

/// Parts of one message that a client takes; a message of the gateway has far fewer.
const PARTS_MAX: usize = 1_000;

/// Messages whose parts a client waits for at once; past that the oldest id is given up.
const MESSAGES_IN_PARTS_MAX: usize = 100;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WirePart<'a> {
    r#type: &'a str,
    id: &'a str,
    part: usize,
    parts: usize,
    text: &'a str,
}

#[derive(Deserialize)]
struct ReadPart {
    id: String,
    part: usize,
    parts: usize,
    text: String,
}

#[derive(Deserialize)]
struct ReadType<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
}

/// Cuts a text into frames of at most [`MESSAGE_BYTES_MAX`] bytes: itself if it fits, else numbered parts. The id of the
/// parts is made from the text, so that a text which is sent twice completes itself.
#[must_use]
pub fn split(text: String) -> Vec<String> {
    if text.len() <= MESSAGE_BYTES_MAX {
        return vec![text];
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let id = format!("{:016x}", hasher.finish());
    let slices = slices(&text);
    let part = |(index, slice): (usize, &&str)| {
        let wire = WirePart { r#type: "part", id: &id, part: index + 1, parts: slices.len(), text: slice };
        #[expect(clippy::expect_used, reason = "numbers and texts always serialize")]
        serde_json::to_string(&wire).expect("a part is JSON")
    };
    slices.iter().enumerate().map(part).collect()
}

/// Slices whose JSON strings fit a part.
fn slices(text: &str) -> Vec<&str> {
    let mut slices = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut bytes = PART_FIELDS_BYTES_MAX;
        let cut = rest.char_indices().find_map(|(index, character)| {
            bytes += escaped_bytes(character);
            (bytes > MESSAGE_BYTES_MAX).then_some(index)
        });
        let (slice, after) = rest.split_at(cut.unwrap_or(rest.len()));
        slices.push(slice);
        rest = after;
    }
    slices
}

/// Bytes of a character inside a JSON string, as `serde_json` writes it.
fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' => 2,
        control if control < ' ' => 6,
        other => other.len_utf8(),
    }
}

/// Puts parts together: the client's half.
#[derive(Debug, Default)]
pub struct Assembler {
    waiting: BTreeMap<String, BTreeMap<usize, String>>,
}

/// A part whose numbers contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of a message has wrong numbers")]
pub struct BrokenPart;

impl Assembler {
    /// Takes a frame; the answer is a whole message if the frame is one or completes one.
    ///
    /// # Errors
    /// [`BrokenPart`] for a part that cannot belong to any message.
    pub fn accept(&mut self, frame: &str) -> Result<Option<String>, BrokenPart> {
        match serde_json::from_str::<ReadType<'_>>(frame) {
            Ok(read) if read.r#type == "part" => {}
            Ok(_) | Err(_) => return Ok(Some(frame.to_owned())),
        }
        let part: ReadPart = serde_json::from_str(frame).map_err(|_wrong_fields| BrokenPart)?;
        if part.parts > PARTS_MAX || !(1..=part.parts).contains(&part.part) {
            return Err(BrokenPart);
        }
        let have = self.waiting.entry(part.id.clone()).or_default();
        have.insert(part.part, part.text);
        if have.len() == part.parts {
            return Ok(self.waiting.remove(&part.id).map(|have| have.into_values().collect()));
        }
        if self.waiting.len() > MESSAGES_IN_PARTS_MAX {
            self.waiting.pop_first();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_fits_is_one_frame() {
        let text = "x".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(split(text.clone()), [text]);
        assert_eq!(split("x".repeat(MESSAGE_BYTES_MAX + 1)).len(), 2);
    }

    #[test]
    fn a_part_with_wrong_numbers_is_refused() {
        for numbers in [r#""part":0,"parts":2"#, r#""part":3,"parts":2"#, r#""part":1,"parts":1000000"#] {
            let frame = format!(r#"{{"type":"part","id":"a",{numbers},"text":""}}"#);
            assert_eq!(Assembler::default().accept(&frame), Err(BrokenPart), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn parts_in_any_order_and_number_become_the_text(
            character in prop_oneof![Just('"'), Just('\u{1}'), Just('é'), Just('𝄞'), any::<char>()],
            count in 30_000usize..200_000, seed in any::<u64>(),
        ) {
            let text: String = std::iter::repeat_n(character, count).collect();
            let mut frames = split(text.clone());
            prop_assert!(frames.iter().all(|frame| frame.len() <= MESSAGE_BYTES_MAX));
            let turn = usize::try_from(seed % 7).unwrap() % frames.len();
            frames.rotate_left(turn);
            let mut assembler = Assembler::default();
            let first = frames.first().cloned().unwrap();
            if frames.len() > 1 {
                prop_assert_eq!(assembler.accept(&first), Ok(None));
            }
            let whole: Vec<String> = frames.iter().filter_map(|frame| assembler.accept(frame).unwrap()).collect();
            prop_assert_eq!(whole, [text]);
        }
    }
}
