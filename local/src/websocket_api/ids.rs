//! The ids that API Gateway makes.
//!
//! Owns: their shapes, which clients must be able to carry in a URL.
//! Must not know: what they stand for.
//! Source: recorded ids, such as `L0SM9cOFvHcCIhw=` and `XfGLwFTktjMFsLg=`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};

/// Random bytes in an id: 15 characters of base64 and one of padding.
const ID_BYTES: usize = 11;

/// Characters of an id.
const ID_CHARACTERS: usize = 16;

/// A connection id: 16 characters of URL-safe base64, the last one `=`, which a URL must encode.
pub(super) fn connection_id() -> String {
    random()
}

/// A request id, which is the extended request id too: of the same shape.
pub(super) fn request_id() -> String {
    random()
}

fn random() -> String {
    let bytes: [u8; ID_BYTES] = std::array::from_fn(|_| fastrand::u8(..));
    URL_SAFE.encode(bytes)
}

/// Whether a text could be a connection id.
pub(super) fn is_connection_id(text: &str) -> bool {
    text.len() == ID_CHARACTERS && URL_SAFE.decode(text).is_ok_and(|bytes| bytes.len() == ID_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_15_characters_of_url_safe_base64_and_a_pad() {
        for id in ["L0SM9cOFvHcCIhw=", "JC1dgf9yoAMCK-g=", &connection_id(), &request_id()] {
            assert!(is_connection_id(id) && id.ends_with('='), "{id}");
        }
        for id in ["", "L0SM9cOFvHcCIhw", "L0SM9cOFvHcCIh==", "L0SM9cOFvHcCI/w=", "does-not-exist"] {
            assert!(!is_connection_id(id), "{id}");
        }
    }
}
