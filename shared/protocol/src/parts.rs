//! Numbered parts: how a message over API Gateway's limit travels.
//!
//! [`split`] cuts a text into parts, and [`Assembler`] puts parts together in whatever order and however often they
//! arrive. A message that the assembler gives up is named by its order and version, so that its loss is known.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use domain::{
    OrderId, Version,
    limits::{ITEM_BYTES_MAX, MESSAGE_BYTES_MAX, ORDER_ID_BYTES_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX},
};
use serde::{Deserialize, Serialize};

/// Room for the other fields of a part, in bytes: their names, a 16-digit id and three numbers (192), and the order's id.
/// In JSON an order's id is at most twice as long, since it has no control characters.
const PART_FIELDS_BYTES_MAX: usize = 192 + 2 * ORDER_ID_BYTES_MAX;

/// Parts of one message that a client takes. The longest message has an event and a projection of 400 KB, which as JSON
/// are at most seven times as long (control characters, escaped twice): about 50 parts.
const PARTS_MAX: usize = 1_000;

/// Bytes of incomplete messages that a client holds: an update to each order that a connection follows, each with a
/// projection of the largest item (100 × 400 KB), and half as much again for events, escapes and messages sent twice.
pub const INCOMPLETE_BYTES_MAX: usize = 64 * 1024 * 1024;

const _: () = assert!(
    INCOMPLETE_BYTES_MAX * 2 >= SUBSCRIPTIONS_PER_CONNECTION_MAX * ITEM_BYTES_MAX * 3,
    "an update to every order of a connection is held at once"
);

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct WirePart<'a> {
    r#type: &'a str,
    id: &'a str,
    part: usize,
    parts: usize,
    order_id: &'a str,
    version: u64,
    text: &'a str,
}

/// A part as a client reads it; a gateway that does not name what its parts belong to is understood as well.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadPart {
    id: String,
    part: usize,
    parts: usize,
    order_id: Option<String>,
    version: Option<u64>,
    text: String,
}

#[derive(Deserialize)]
struct ReadType<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
}

/// Cuts the text of a message about an order into frames of at most [`MESSAGE_BYTES_MAX`] bytes: itself if it fits, else
/// numbered parts, which name the order and the version. The id of the parts is made from all of this, so that a text which
/// is sent twice completes itself.
#[must_use]
pub fn split(text: String, order_id: &OrderId, version: Version) -> Vec<String> {
    if text.len() <= MESSAGE_BYTES_MAX {
        return vec![text];
    }
    let mut hasher = DefaultHasher::new();
    (&text, order_id, version).hash(&mut hasher);
    let id = format!("{:016x}", hasher.finish());
    let slices = slices(&text);
    let part = |(index, slice): (usize, &&str)| {
        let wire = WirePart {
            r#type: "part",
            id: &id,
            part: index + 1,
            parts: slices.len(),
            order_id: order_id.as_str(),
            version: version.get(),
            text: slice,
        };
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

/// What a frame leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// A whole message: the frame is one, or completes one.
    Whole(String),
    /// The frame is a part of a message that is not complete.
    Incomplete,
    /// These messages are given up, and do not come.
    Lost(Vec<Lost>),
}

/// A message that was given up: what a client that followed its orders by it has to ask for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A message about one order.
    Named {
        /// The order.
        order_id: OrderId,
        /// The version that the message would have brought the order to.
        version: Version,
    },
    /// Any message: each order of the connection may miss it.
    Unnamed,
}

/// Puts parts together: the client's half. It is good for one connection.
#[derive(Debug)]
pub struct Assembler {
    incomplete: BTreeMap<String, Incomplete>,
    bytes: usize,
    bytes_max: usize,
    /// Parts so far: the time of this clockless state machine.
    taken: u64,
}

#[derive(Debug)]
struct Incomplete {
    parts: usize,
    lost: Lost,
    texts: BTreeMap<usize, String>,
    bytes: usize,
    /// When its youngest part was taken.
    grown: u64,
}

impl Default for Assembler {
    fn default() -> Self {
        Self::bounded(INCOMPLETE_BYTES_MAX)
    }
}

impl Assembler {
    /// An assembler that holds at most so many bytes of incomplete messages.
    #[must_use]
    pub fn bounded(bytes_max: usize) -> Self {
        Self { incomplete: BTreeMap::new(), bytes: 0, bytes_max, taken: 0 }
    }

    /// Takes a frame. Beyond the bound the message that has not grown for longest is given up, and so is a message with a
    /// part that contradicts its others.
    pub fn accept(&mut self, frame: &str) -> Assembled {
        match serde_json::from_str::<ReadType<'_>>(frame) {
            Ok(read) if read.r#type == "part" => {}
            Ok(_) | Err(_) => return Assembled::Whole(frame.to_owned()),
        }
        let Ok(part) = serde_json::from_str::<ReadPart>(frame) else { return Assembled::Lost(vec![Lost::Unnamed]) };
        self.taken += 1;
        let lost = part.lost();
        if part.parts > PARTS_MAX || !(1..=part.parts).contains(&part.part) {
            return Assembled::Lost(self.forget(&part.id).into_iter().chain([lost]).collect());
        }
        let message = self.incomplete.entry(part.id.clone()).or_insert_with(|| Incomplete {
            parts: part.parts,
            lost: lost.clone(),
            texts: BTreeMap::new(),
            bytes: 0,
            grown: 0,
        });
        let is_another = message.texts.get(&part.part).is_some_and(|text| *text != part.text);
        if is_another || (message.parts, &message.lost) != (part.parts, &lost) {
            return Assembled::Lost(self.forget(&part.id).into_iter().chain([lost]).collect());
        }
        message.grown = self.taken;
        let bytes = PART_FIELDS_BYTES_MAX + part.text.len();
        if message.texts.insert(part.part, part.text).is_none() {
            message.bytes += bytes;
            self.bytes += bytes;
        }
        if message.texts.len() == message.parts {
            let texts = std::mem::take(&mut message.texts);
            self.forget(&part.id);
            return Assembled::Whole(texts.into_values().collect());
        }
        let lost = self.give_up();
        if lost.is_empty() { Assembled::Incomplete } else { Assembled::Lost(lost) }
    }

    fn forget(&mut self, id: &str) -> Option<Lost> {
        let message = self.incomplete.remove(id)?;
        self.bytes -= message.bytes;
        Some(message.lost)
    }

    /// Gives messages up until the others are within the bound.
    fn give_up(&mut self) -> Vec<Lost> {
        let mut lost = Vec::new();
        while self.bytes > self.bytes_max {
            let Some((id, _)) = self.incomplete.iter().min_by_key(|(_, message)| message.grown) else { break };
            let id = id.clone();
            lost.extend(self.forget(&id));
        }
        lost
    }
}

impl ReadPart {
    /// What is lost with the message of this part.
    fn lost(&self) -> Lost {
        let order_id = self.order_id.as_ref().and_then(|text| OrderId::new(text.as_str()).ok());
        match (order_id, self.version.and_then(Version::checked)) {
            (Some(order_id), Some(version)) => Lost::Named { order_id, version },
            (None, _) | (_, None) => Lost::Unnamed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(id: &str) -> OrderId {
        OrderId::new(id).unwrap()
    }

    fn parts_of(text: &str, id: &str, version: u64) -> Vec<String> {
        split(text.to_owned(), &order(id), Version::new(version))
    }

    fn named(id: &str, version: u64) -> Lost {
        Lost::Named { order_id: order(id), version: Version::new(version) }
    }

    #[test]
    fn a_text_that_fits_is_one_frame() {
        let text = "x".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(parts_of(&text, "o", 1), std::slice::from_ref(&text));
        assert_eq!(parts_of(&(text + "x"), "o", 1).len(), 2);
    }

    #[test]
    fn a_part_names_its_order_and_version() {
        let frames = parts_of(&"x".repeat(MESSAGE_BYTES_MAX + 1), "guid_1", 7);
        assert!(frames[0].contains(r#","part":1,"parts":2,"orderId":"guid_1","version":7,"text":"xxx"#));
    }

    #[test]
    fn a_part_with_the_longest_order_id_and_version_fits_a_frame() {
        for id in ["\"".repeat(ORDER_ID_BYTES_MAX), "é".repeat(ORDER_ID_BYTES_MAX / 2)] {
            for text in ["x", "\"", "\u{1}"].map(|character| character.repeat(2 * MESSAGE_BYTES_MAX)) {
                let frames = split(text, &order(&id), Version::MAX);
                assert_eq!(frames.iter().map(String::len).filter(|bytes| *bytes > MESSAGE_BYTES_MAX).count(), 0);
            }
        }
    }

    #[test]
    fn a_part_with_wrong_numbers_is_a_loss() {
        for numbers in [r#""part":0,"parts":2"#, r#""part":3,"parts":2"#, r#""part":1,"parts":1000000"#] {
            let frame = format!(r#"{{"type":"part","id":"a",{numbers},"orderId":"o","version":7,"text":""}}"#);
            assert_eq!(Assembler::default().accept(&frame), Assembled::Lost(vec![named("o", 7)]), "{frame}");
        }
        assert_eq!(Assembler::default().accept(r#"{"type":"part"}"#), Assembled::Lost(vec![Lost::Unnamed]));
    }

    #[test]
    fn parts_that_contradict_each_other_are_a_loss_of_both() {
        let part = |part: usize, parts: usize, names: &str| {
            format!(r#"{{"type":"part","id":"a","part":{part},"parts":{parts},{names}"text":"x"}}"#)
        };
        let here = r#""orderId":"o","version":7,"#;
        let another_text = part(1, 3, here).replace("\"x\"", "\"y\"");
        let another_version = part(2, 3, r#""orderId":"o","version":8,"#);
        for other in [part(2, 4, here), part(4, 3, here), part(2, 3, ""), another_text, another_version] {
            let mut assembler = Assembler::default();
            assert_eq!(assembler.accept(&part(1, 3, here)), Assembled::Incomplete);
            let Assembled::Lost(lost) = assembler.accept(&other) else { panic!("{other} fits") };
            assert_eq!((lost.len(), &lost[0]), (2, &named("o", 7)), "{other}");
            assert_eq!((assembler.bytes, assembler.incomplete.len()), (0, 0));
        }
    }

    #[test]
    fn parts_without_names_are_put_together_and_their_loss_is_unnamed() {
        let part =
            |id: &str, part: usize| format!(r#"{{"type":"part","id":"{id}","part":{part},"parts":2,"text":"x"}}"#);
        let mut assembler = Assembler::bounded(PART_FIELDS_BYTES_MAX + 1);
        assert_eq!(assembler.accept(&part("a", 2)), Assembled::Incomplete);
        assert_eq!(assembler.accept(&part("a", 1)), Assembled::Whole("xx".to_owned()));
        assert_eq!(assembler.accept(&part("b", 1)), Assembled::Incomplete);
        assert_eq!(assembler.accept(&part("c", 1)), Assembled::Lost(vec![Lost::Unnamed]));
    }

    #[test]
    fn updates_to_every_order_of_a_connection_whose_parts_are_interleaved_all_arrive() {
        // What they take all together is the matter of the assertion on the bound; here they are short.
        let frame = |index: usize, part: usize| {
            let names = format!(r#""orderId":"o{index}","version":7"#);
            format!(r#"{{"type":"part","id":"{index}","part":{part},"parts":4,{names},"text":"{index}-"}}"#)
        };
        let mut assembler = Assembler::default();
        let mut whole = Vec::new();
        for part in 1..=4 {
            for index in 0..SUBSCRIPTIONS_PER_CONNECTION_MAX {
                match assembler.accept(&frame(index, part)) {
                    Assembled::Whole(text) => whole.push(text),
                    Assembled::Incomplete => {}
                    Assembled::Lost(lost) => panic!("{lost:?}"),
                }
            }
        }
        let texts = (0..SUBSCRIPTIONS_PER_CONNECTION_MAX).map(|index| format!("{index}-").repeat(4));
        assert_eq!(whole, texts.collect::<Vec<_>>());
        assert_eq!((assembler.bytes, assembler.incomplete.len()), (0, 0));
    }

    #[test]
    fn beyond_the_bound_the_message_that_has_not_grown_for_longest_is_given_up_and_named() {
        let [a, b, c] = ["a", "b", "c"].map(|id| parts_of(&id.repeat(3 * MESSAGE_BYTES_MAX), id, 7));
        let mut assembler = Assembler::bounded(11 * MESSAGE_BYTES_MAX / 2);
        for frame in [&a[0], &b[0], &b[1], &a[1], &c[0]] {
            assert_eq!(assembler.accept(frame), Assembled::Incomplete);
        }
        assert_eq!(assembler.accept(&c[1]), Assembled::Lost(vec![named("b", 7)]));
        assert_eq!(assembler.accept(&a[2]), Assembled::Incomplete);
        assert!(matches!(assembler.accept(&a[3]), Assembled::Whole(_)), "a goes on");
    }

    #[test]
    fn late_parts_of_whole_messages_take_bounded_room() {
        let mut assembler = Assembler::bounded(3 * MESSAGE_BYTES_MAX);
        for version in 0..10 {
            let frames = parts_of(&"x".repeat(MESSAGE_BYTES_MAX + 1), "o", version);
            let whole = frames.iter().filter(|frame| matches!(assembler.accept(frame), Assembled::Whole(_))).count();
            assert_eq!(whole, 1, "{version}");
            assert!(!matches!(assembler.accept(&frames[0]), Assembled::Whole(_)));
            assert!(assembler.bytes <= 3 * MESSAGE_BYTES_MAX);
        }
    }

    proptest! {
        #[test]
        fn parts_in_any_order_and_number_become_the_text(
            character in prop_oneof![Just('"'), Just('\u{1}'), Just('é'), Just('𝄞'), any::<char>()],
            count in 30_000usize..200_000, seed in any::<u64>(),
        ) {
            let text: String = std::iter::repeat_n(character, count).collect();
            let mut frames = parts_of(&text, "o", 1);
            prop_assert!(frames.iter().all(|frame| frame.len() <= MESSAGE_BYTES_MAX));
            let turn = usize::try_from(seed % 7).unwrap() % frames.len();
            frames.rotate_left(turn);
            let mut assembler = Assembler::default();
            let first = frames.first().cloned().unwrap();
            if frames.len() > 1 {
                prop_assert_eq!(assembler.accept(&first), Assembled::Incomplete);
            }
            let whole = |frame: &String| match assembler.accept(frame) {
                Assembled::Whole(text) => Some(text),
                Assembled::Incomplete => None,
                Assembled::Lost(lost) => panic!("{lost:?}"),
            };
            let whole: Vec<String> = frames.iter().filter_map(whole).collect();
            prop_assert_eq!(whole, [text]);
        }
    }
}
