//! Who may do what: JWTs that name documents and rights, checked against one key.
//!
//! Always holds: a token counts only with a matching signature of the key's own algorithm family, an expiry in the
//! future and a `docs` claim that is understood in full; whatever is wrong with it, the answer is "no" and a reason.
//! Without a key everybody may do everything, and `serve` then listens on loopback only.
//! Not here: when tokens are asked for (the engine) and the clock that ends a connection (`hub`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use selvedge::DocName;
use selvedge::sync::{Grant, GrantRule, Rights};
use serde::{Deserialize, Serialize};

/// Shortest HS256 secret, in bytes: as long as the hash, or it can be guessed.
pub const MIN_SECRET_BYTES: usize = 32;

/// Most documents or patterns that one token may name.
const MAX_RULES: usize = 1000;

/// Longest name of a user, in bytes: it is passed on with everything that tells of the user.
const MAX_USER_BYTES: usize = 256;

/// What a credential is worth, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The rights.
    pub grant: Grant,
    /// When the token expires, in seconds since 1970; `None` without tokens.
    pub expires_s: Option<u64>,
}

/// Checks credentials.
#[derive(Debug, Default)]
pub struct Gate(Option<Verifier>);

struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("algorithms", &self.validation.algorithms).finish_non_exhaustive()
    }
}

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// When it expires, in seconds since 1970.
    pub exp: f64,
    /// Document names, or prefixes followed by `*`, and the rights for them: `r`, `w` or `rw`.
    pub docs: BTreeMap<String, String>,
    /// Whom it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the token key {file}: {problem}")]
pub struct KeyError {
    file: String,
    problem: String,
}

impl Gate {
    /// Lets everybody do everything.
    pub fn open() -> Self {
        Self(None)
    }

    /// Checks tokens with the key in `file`: the bytes of an HS256 secret, or a public key in PEM (Ed25519, P-256,
    /// P-384 or RSA). `audience` is what a token's `aud` claim, if it has one, must name.
    ///
    /// # Errors
    /// If the file cannot be read or holds no such key.
    pub fn from_key_file(file: &Path, audience: Option<&str>) -> Result<Self, KeyError> {
        let bytes = read_key(file)?;
        let verifier = if is_pem(&bytes) { public_key(&bytes) } else { secret(&bytes) };
        let (key, algorithms) = verifier.map_err(|problem| key_error(file, problem))?;
        let mut validation = Validation { algorithms, leeway: 0, validate_nbf: true, ..Validation::default() };
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
        }
        Ok(Self(Some(Verifier { key, validation })))
    }

    /// Whether credentials are asked for at all.
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// What a credential is worth now.
    ///
    /// # Errors
    /// Why it is worth nothing, in words for the peer.
    pub fn check(&self, credential: Option<&str>) -> Result<Admission, String> {
        let Some(verifier) = &self.0 else { return Ok(Admission { grant: Grant::all(), expires_s: None }) };
        let token = credential.ok_or("this relay asks for a token, and none was presented")?;
        let decoded = jsonwebtoken::decode::<Claims>(token, &verifier.key, &verifier.validation);
        let claims = decoded.map_err(|error| explain(error.kind()))?.claims;
        Ok(Admission { grant: claims.grant()?, expires_s: Some(claims.exp as u64) })
    }
}

impl Claims {
    fn grant(&self) -> Result<Grant, String> {
        if self.docs.len() > MAX_RULES {
            return Err(format!("the token names {} documents; at most {MAX_RULES} are allowed", self.docs.len()));
        }
        if self.sub.as_ref().is_some_and(|sub| sub.len() > MAX_USER_BYTES) {
            return Err(format!("the token's sub is longer than {MAX_USER_BYTES} bytes"));
        }
        let rules = self.docs.iter().map(|(documents, rights)| rule(documents, rights));
        Ok(Grant { user: self.sub.clone(), rules: rules.collect::<Result<_, _>>()? })
    }
}

/// One entry of the `docs` claim.
///
/// # Errors
/// What is wrong with it.
pub fn rule(documents: &str, rights: &str) -> Result<GrantRule, String> {
    let rights = match rights {
        "r" => Rights { read: true, write: false },
        "w" => Rights { read: false, write: true },
        "rw" => Rights::ALL,
        other => return Err(format!("{documents:?} has the rights {other:?}; they are r, w or rw")),
    };
    let stem = documents.strip_suffix('*').unwrap_or(documents);
    if stem.contains('*') {
        return Err(format!("{documents:?} is no pattern: * may only stand at the end"));
    }
    if !stem.is_empty() || documents.is_empty() {
        DocName::new(stem).map_err(|error| error.to_string())?;
    }
    Ok(GrantRule { documents: documents.to_owned(), rights })
}

/// Makes an HS256 token for `docs` (pattern, rights) that lives for `ttl`.
///
/// # Errors
/// If the key file cannot be read, or holds a public key (which can check tokens but not make any).
pub fn mint(file: &Path, docs: &[GrantRule], sub: Option<&str>, ttl: Duration) -> Result<String, KeyError> {
    let bytes = read_key(file)?;
    if is_pem(&bytes) {
        return Err(key_error(
            file,
            "it holds a public key; tokens are made by whoever has the private one".to_owned(),
        ));
    }
    let secret = checked_secret(&bytes).map_err(|problem| key_error(file, problem))?;
    let name = |rule: &GrantRule| match (rule.rights.read, rule.rights.write) {
        (true, true) => "rw",
        (false, true) => "w",
        _ => "r",
    };
    let docs = docs.iter().map(|rule| (rule.documents.clone(), name(rule).to_owned())).collect();
    let exp = (unix_now() + ttl).as_secs() as f64;
    let claims = Claims { exp, docs, sub: sub.map(str::to_owned) };
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret));
    token.map_err(|error| key_error(file, error.to_string()))
}

/// The time since 1970.
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn read_key(file: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(file).map_err(|error| key_error(file, error.to_string()))
}

fn key_error(file: &Path, problem: String) -> KeyError {
    KeyError { file: file.display().to_string(), problem }
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

fn secret(bytes: &[u8]) -> Result<(DecodingKey, Vec<Algorithm>), String> {
    Ok((DecodingKey::from_secret(checked_secret(bytes)?), vec![Algorithm::HS256]))
}

/// The secret without the line end that editors and shells put behind it.
fn checked_secret(bytes: &[u8]) -> Result<&[u8], String> {
    let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.len() < MIN_SECRET_BYTES {
        let have = secret.len();
        let hint = "make one with: openssl rand -hex 32";
        return Err(format!("the secret has {have} bytes, at least {MIN_SECRET_BYTES} are needed; {hint}"));
    }
    Ok(secret)
}

fn public_key(pem: &[u8]) -> Result<(DecodingKey, Vec<Algorithm>), String> {
    if pem.windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err("it holds a private key; give the relay the public one only".to_owned());
    }
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return Ok((key, vec![Algorithm::EdDSA]));
    }
    let size = |key: &DecodingKey| key.try_get_as_bytes().map_or(0, <[u8]>::len);
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        // Uncompressed points: a tag and two coordinates.
        return match size(&key) {
            65 => Ok((key, vec![Algorithm::ES256])),
            97 => Ok((key, vec![Algorithm::ES384])),
            _ => Err("it is on a curve other than P-256 and P-384".to_owned()),
        };
    }
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        if size(&key) < 256 {
            return Err("the RSA key is shorter than 2048 bits".to_owned());
        }
        return Ok((key, vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256]));
    }
    Err("it is no public key in PEM that is known here (Ed25519, P-256, P-384 or RSA)".to_owned())
}

fn explain(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => "the token has expired".to_owned(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".to_owned(),
        ErrorKind::InvalidSignature => "the token's signature does not match the relay's key".to_owned(),
        ErrorKind::InvalidAlgorithm => "the token is signed with another algorithm than the relay's key".to_owned(),
        ErrorKind::InvalidAudience => "the token is meant for another audience".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token lacks the claim {claim}"),
        ErrorKind::Json(error) => format!("the token's claims are not understood: {error}"),
        other => format!("the token is not valid: {other:?}"),
    }
}
