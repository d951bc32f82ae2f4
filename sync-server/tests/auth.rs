//! Tokens: which are worth something, and that anything else is worth nothing. Bug class J. The keys in `keys` protect
//! nothing: they were made for these tests.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use selvedge::DocName;
use selvedge::sync::Rights;
use selvedge_relay::auth::{self, Gate};
use serde_json::{Value, json};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

fn secret_gate(audience: Option<&str>) -> Gate {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, SECRET).expect("writes");
    Gate::from_key_file(&file, audience).expect("a key")
}

fn in_an_hour() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 3600
}

fn good_claims() -> Value {
    json!({ "exp": in_an_hour(), "docs": { "board-1": "rw", "notes-*": "r", "drop": "w" }, "sub": "ada" })
}

fn signed(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET)).expect("signs")
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[key] = value;
    claims
}

fn rights(gate: &Gate, token: &str, name: &str) -> Rights {
    gate.check(Some(token)).expect("admitted").grant.rights(&DocName::new(name).expect("a name"))
}

#[test]
fn a_good_token_names_documents_rights_user_and_end() {
    let gate = secret_gate(None);
    let token = signed(&good_claims());
    assert_eq!(rights(&gate, &token, "board-1"), Rights::ALL);
    assert_eq!(rights(&gate, &token, "notes-7"), Rights { read: true, write: false });
    assert_eq!(rights(&gate, &token, "drop"), Rights { read: false, write: true });
    for other in ["board-12", "note", "Board-1", "*", "notes"] {
        assert_eq!(rights(&gate, &token, other), Rights::NONE, "{other}");
    }
    let admission = gate.check(Some(&token)).expect("admitted");
    assert_eq!(admission.grant.user.as_deref(), Some("ada"));
    assert!(admission.expires_s.is_some_and(|expires| expires.abs_diff(in_an_hour()) < 60));
    let floating = signed(&with("exp", json!(in_an_hour() as f64 + 0.5)));
    assert!(gate.check(Some(&floating)).is_ok(), "a NumericDate may have a fraction");
}

#[test]
fn anything_else_is_refused_with_a_reason() {
    let gate = secret_gate(None);
    let without = |key: &str| {
        let mut claims = good_claims();
        claims.as_object_mut().expect("an object").remove(key);
        signed(&claims)
    };
    let other_secret = EncodingKey::from_secret(b"another secret of thirty-two byte");
    let good = signed(&good_claims());
    let mut tampered = good.clone().into_bytes();
    let middle = tampered.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).expect("a payload"));
    for (token, why) in [
        (signed(&with("exp", json!(1))), "expired"),
        (without("exp"), "exp"),
        (without("docs"), "docs"),
        (signed(&with("exp", json!("tomorrow"))), ""),
        (signed(&with("exp", json!(-5))), ""),
        (signed(&with("nbf", json!(in_an_hour()))), "not valid yet"),
        (signed(&with("aud", json!("somebody else"))), "audience"),
        (signed(&with("docs", json!({ "a": "admin" }))), "r, w or rw"),
        (signed(&with("docs", json!({ "a*b": "rw" }))), "pattern"),
        (signed(&with("docs", json!({ "": "rw" }))), "document name"),
        (signed(&with("docs", json!(["a"]))), "claims"),
        (signed(&with("docs", (0..2000).map(|n| (n.to_string(), json!("r"))).collect())), "at most"),
        (signed(&with("sub", json!("x".repeat(257)))), "sub"),
        (encode(&Header::new(Algorithm::HS256), &good_claims(), &other_secret).expect("signs"), "signature"),
        (
            encode(&Header::new(Algorithm::HS512), &good_claims(), &EncodingKey::from_secret(SECRET)).expect("signs"),
            "algorithm",
        ),
        (String::from_utf8(tampered).expect("text"), ""),
        (unsigned, ""),
        (String::new(), ""),
        ("a.b.c".to_owned(), ""),
        ("é".repeat(5000), ""),
    ] {
        let reason = gate.check(Some(&token)).expect_err("refused");
        assert!(reason.contains(why) && !reason.is_empty(), "{token:.60}: {reason:?} does not say {why:?}");
    }
    assert!(gate.check(None).expect_err("refused").contains("none was presented"));
}

#[test]
fn an_audience_can_be_asked_for() {
    let gate = secret_gate(Some("relay"));
    assert!(gate.check(Some(&signed(&with("aud", json!(["other", "relay"]))))).is_ok());
    assert!(gate.check(Some(&signed(&with("aud", json!("other"))))).is_err());
}

#[test]
fn public_keys_check_and_each_only_its_own_algorithm() {
    let pem = |name: &str| std::fs::read(key(name)).expect("reads");
    let ed = EncodingKey::from_ed_pem(&pem("ed25519.private.pem")).expect("a key");
    let ec = EncodingKey::from_ec_pem(&pem("p256.private.pem")).expect("a key");
    let rsa = EncodingKey::from_rsa_pem(&pem("rsa.private.pem")).expect("a key");
    let kinds = [
        ("ed25519.public.pem", Algorithm::EdDSA, &ed),
        ("p256.public.pem", Algorithm::ES256, &ec),
        ("rsa.public.pem", Algorithm::RS256, &rsa),
    ];
    for (name, algorithm, _) in &kinds {
        let gate = Gate::from_key_file(&key(name), None).expect("a key");
        for (_, other, signer) in &kinds {
            let token = encode(&Header::new(*other), &good_claims(), signer).expect("signs");
            assert_eq!(gate.check(Some(&token)).is_ok(), algorithm == other, "{other:?} with {name}");
        }
        // The classic forgery: the public key, which everybody knows, used as the secret of an HS256 token.
        let forged = encode(&Header::new(Algorithm::HS256), &good_claims(), &EncodingKey::from_secret(&pem(name)));
        assert!(gate.check(Some(&forged.expect("signs"))).is_err(), "forged with {name}");
    }
}

#[test]
fn weak_and_wrong_keys_are_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |file: &Path| Gate::from_key_file(file, None).expect_err("refused").to_string();
    for (content, why) in [
        (&b""[..], "0 bytes"),
        (b"hunter2\n", "7 bytes"),
        (b"-----BEGIN PUBLIC KEY-----\nbm8ga2V5\n-----END PUBLIC KEY-----\n", "no public key"),
    ] {
        let file = folder.path().join("key");
        std::fs::write(&file, content).expect("writes");
        let said = refused(&file);
        assert!(said.contains(why) && said.contains("key"), "{said}");
    }
    assert!(refused(&key("ed25519.private.pem")).contains("private key"));
    assert!(refused(&key("rsa.private.pem")).contains("private key"));
    assert!(refused(&key("rsa-1024.public.pem")).contains("2048"));
    assert!(refused(&key("p521.public.pem")).contains("curve"));
    let said = auth::mint(&key("ed25519.public.pem"), &[], None, Duration::from_secs(1)).expect_err("cannot sign");
    assert!(said.to_string().contains("public key"), "{said}");
}

#[test]
fn without_a_key_everybody_may_do_everything() {
    let admission = Gate::open().check(None).expect("admitted");
    assert_eq!(admission.grant.rights(&DocName::new("any").expect("a name")), Rights::ALL);
    assert_eq!(admission.expires_s, None);
}
