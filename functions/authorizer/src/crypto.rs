//! Signatures of tokens, by `ring`, which the SDKs' TLS brings anyway.
//!
//! Owns: which algorithms there are: RS256 and ES256 of a key set, HS256 of a shared secret.
//! Must not know: claims, where a key comes from.
//! Source: RFC 7518, sections 3.2 to 3.4; `jsonwebtoken` takes its cryptography from a provider.

use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
};
use ring::{
    hmac,
    signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey},
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(Checking::new(*algorithm, key)?)),
    // Keys are read from key sets and never written to one.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the cryptography of every token in this process. Twice is once.
pub(crate) fn install() {
    PROVIDER.install_default().ok();
}

/// A key that checks signatures of one algorithm.
struct Checking {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Checking {
    /// A key checks signatures of its own family alone: a public key is never taken for a shared secret.
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        let family = family(algorithm).ok_or(ErrorKind::UnsupportedAlgorithm)?;
        if key.family() != family {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        Ok(Self { algorithm, key: key.clone() })
    }

    fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        match (family(self.algorithm), self.key.kind()) {
            (Some(AlgorithmFamily::Rsa), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            (Some(AlgorithmFamily::Ec), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            (Some(AlgorithmFamily::Hmac), DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature).is_ok()
            }
            _ => false,
        }
    }
}

fn family(algorithm: Algorithm) -> Option<AlgorithmFamily> {
    [
        (Algorithm::RS256, AlgorithmFamily::Rsa),
        (Algorithm::ES256, AlgorithmFamily::Ec),
        (Algorithm::HS256, AlgorithmFamily::Hmac),
    ]
    .into_iter()
    .find_map(|(known, family)| (known == algorithm).then_some(family))
}

impl Verifier<Vec<u8>> for Checking {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        if self.is_valid(message, signature) { Ok(()) } else { Err(signature::Error::new()) }
    }
}

impl JwtVerifier for Checking {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A shared secret that signs.
struct Hs256(hmac::Key);

impl Hs256 {
    fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, Error> {
        if algorithm != Algorithm::HS256 || key.family() != AlgorithmFamily::Hmac {
            return Err(ErrorKind::UnsupportedAlgorithm.into());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_checks_signatures_of_its_own_family_alone() {
        let (secret, public) = (DecodingKey::from_secret(b"secret"), DecodingKey::from_rsa_raw_components(b"n", b"e"));
        assert!(Checking::new(Algorithm::HS256, &secret).is_ok() && Checking::new(Algorithm::RS256, &public).is_ok());
        for (algorithm, key) in [
            (Algorithm::HS256, &public),
            (Algorithm::ES256, &public),
            (Algorithm::RS384, &public),
            (Algorithm::RS256, &secret),
            (Algorithm::HS512, &secret),
        ] {
            assert!(Checking::new(algorithm, key).is_err(), "{algorithm:?}");
        }
    }
}
