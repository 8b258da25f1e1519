//! A presigned URL: whoever has it may do one thing, for a while, without a key.
//!
//! Look at what the signature covers: each change to the URL is refused, and so is
//! another method. Then look at the last line, which is accepted. A URL can be used
//! by anybody, many times, and says nothing about what a PUT sends.
//!
//! It is Amazon's Signature Version 4 with the signature in the query, as S3 wants
//! it: only the `host` header is signed, the body is not. Simplified: one user, no
//! session tokens. Time is seconds since 1970, handed in.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

/// Seconds since 1 January 1970.
pub type Seconds = u64;

/// S3 refuses more: seven days.
pub const EXPIRES_S_MAX: Seconds = 604_800;
/// How far in the future a date may lie: clocks differ.
pub const SKEW_S_MAX: Seconds = 15 * 60;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

pub struct Credentials<'a> {
    pub access_key: &'a str, // a name, no secret
    pub secret_key: &'a str,
    pub region: &'a str,
}

/// A request as it travels. Path and query are not percent-encoded here.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: String,
    pub host: String,
    pub path: String,
    pub query: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Malformed,
    TooLong,
    NotYet,
    Expired,
    UnknownKey,
    SignatureDoesNotMatch,
}

// ANCHOR: canonical
/// What is signed. Both sides build this text from the request as they see it, so
/// it must come out the same to the byte: parameters encoded, then sorted.
fn canonical(request: &Request) -> String {
    let unsigned = |(name, _): &&(String, String)| name != "X-Amz-Signature";
    let parameters = request.query.iter().filter(unsigned);
    let mut query: Vec<(String, String)> = parameters
        .map(|(name, value)| (encoded(name, ""), encoded(value, "")))
        .collect();
    query.sort(); // by name; as text with its `=`, `a-b=` would come before `a=`
    let query: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let (method, host) = (&request.method, &request.host);
    let path = encoded(&request.path, "/"); // S3 encodes once, and keeps each slash
    let query = query.join("&");
    // One signed header, `host`, and its name; then the hash of the body, if it
    // were known.
    format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD")
}
// ANCHOR_END: canonical

/// Percent-encodes every byte but RFC 3986's unreserved ones and those of `keep`. A
/// space is `%20`, not `+`.
fn encoded(text: &str, keep: &str) -> String {
    let unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut out = String::new();
    for byte in text.bytes() {
        if unreserved(byte) || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

// ANCHOR: sign
fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac
}

/// `scope` is `20130524/us-east-1/s3/aws4_request`. The secret makes a key for that
/// day, that makes one for the region, and so on: a leaked one opens no other.
fn signature(
    request: &Request,
    secret: &str,
    date: &str,
    scope: &str,
) -> Hmac<Sha256> {
    let mut key = format!("AWS4{secret}").into_bytes();
    for step in scope.split('/') {
        key = mac(&key, step).finalize().into_bytes().to_vec();
    }
    let request = hex(&Sha256::digest(canonical(request)));
    mac(&key, &format!("{ALGORITHM}\n{date}\n{scope}\n{request}"))
}
// ANCHOR_END: sign

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of small digits only, so that each signature can be written in one way.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_digit = |byte: &u8| b"0123456789abcdef".contains(byte);
    let digits = Some(text.as_bytes()).filter(|text| text.iter().all(is_digit));
    let digits = digits?.chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    };
    digits.map(byte).collect()
}

// ANCHOR: presign
/// Needs no server: the URL is computed where the secret is.
pub fn presign(
    mut request: Request,
    by: &Credentials,
    now: Seconds,
    expires: Seconds,
) -> Request {
    let date = amz_date(now);
    let scope = format!("{}/{}/s3/aws4_request", &date[..8], by.region);
    let who = format!("{}/{scope}", by.access_key);
    let expires = expires.to_string();
    let parameters = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", &who),
        ("X-Amz-Date", &date),
        ("X-Amz-Expires", &expires),
        ("X-Amz-SignedHeaders", "host"),
    ];
    let parameters = parameters.map(|(name, value)| (name.into(), value.into()));
    request.query.extend(parameters);
    let mac = signature(&request, by.secret_key, &date, &scope);
    let mac = hex(&mac.finalize().into_bytes());
    request.query.push(("X-Amz-Signature".into(), mac));
    request
}
// ANCHOR_END: presign

// ANCHOR: verify
/// What the server does, which knows the secret too.
pub fn verify(
    request: &Request,
    by: &Credentials,
    now: Seconds,
) -> Result<(), Refusal> {
    let get = |name: &str| {
        let mut found = request.query.iter().filter(|(n, _)| n == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value.as_str()),
            _ => Err(Refusal::Malformed), // twice is as bad as never
        }
    };
    let date = get("X-Amz-Date")?;
    let signed_at = from_amz_date(date).ok_or(Refusal::Malformed)?;
    let expires = get("X-Amz-Expires")?.parse::<Seconds>();
    let expires = expires.map_err(|_| Refusal::Malformed)?;
    let who = get("X-Amz-Credential")?;
    let (access_key, scope) = who.split_once('/').ok_or(Refusal::Malformed)?;
    let fixed = (get("X-Amz-Algorithm")?, get("X-Amz-SignedHeaders")?);
    let right = format!("{}/{}/s3/aws4_request", &date[..8], by.region);
    if fixed != (ALGORITHM, "host") || scope != right {
        return Err(Refusal::Malformed);
    }
    if expires > EXPIRES_S_MAX {
        return Err(Refusal::TooLong);
    }
    if signed_at > now + SKEW_S_MAX {
        return Err(Refusal::NotYet);
    }
    if now > signed_at + expires {
        return Err(Refusal::Expired);
    }
    if access_key != by.access_key {
        return Err(Refusal::UnknownKey);
    }
    let mac = unhex(get("X-Amz-Signature")?).ok_or(Refusal::Malformed)?;
    // Compares in constant time: how long it takes tells nobody which byte is wrong.
    signature(request, by.secret_key, date, scope)
        .verify_slice(&mac)
        .map_err(|_| Refusal::SignatureDoesNotMatch)
}
// ANCHOR_END: verify

/// `20130524T000000Z`. Years are counted from March, so that a leap day is the last.
pub fn amz_date(at: Seconds) -> String {
    let days = at / 86_400 + 719_468; // since 1 March of the year 0
    let (era, day) = (days / 146_097, days % 146_097); // 400 years each
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    let (hour, minute, second) = (at / 3_600 % 24, at / 60 % 60, at % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The inverse, by searching: a few steps a date, one calendar less to get wrong.
fn from_amz_date(date: &str) -> Option<Seconds> {
    let (mut low, mut high) = (0, 253_402_300_800); // 1970 to 9999
    while low < high {
        let middle = (low + high) / 2;
        if amz_date(middle).as_str() < date {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (amz_date(low) == date).then_some(low)
}

impl fmt::Display for Request {
    /// The URL without its scheme.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, encoded(&self.path, "/"))?;
        for (i, (name, value)) in self.query.iter().enumerate() {
            let mark = if i == 0 { '?' } else { '&' };
            write!(f, "{mark}{}={}", encoded(name, ""), encoded(value, ""))?;
        }
        Ok(())
    }
}

/// What a thief might do to a URL that reads one object and is good for an hour.
/// Only the first and the last leave it as it is.
pub fn attempts(url: &Request, by: &Credentials, now: Seconds) -> Vec<Attempt> {
    let change = |name: &str, value: &str| {
        let mut changed = url.clone();
        for (n, v) in &mut changed.query {
            if n == name {
                *v = value.into();
            }
        }
        changed
    };
    let added = ("response-content-type".into(), "text/html".into());
    let query = url.query.iter().cloned().chain([added]).collect();
    let mut bare = url.clone();
    bare.query.retain(|(name, _)| name != "X-Amz-Signature");
    let plain = Request {
        query: vec![],
        ..url.clone()
    };
    let at = |then, lifetime| presign(plain.clone(), by, then, lifetime);
    let thief = Credentials {
        secret_key: "a guess",
        ..*by
    };
    let day = amz_date(now);
    let other = format!("{}/{}/eu-west-1/s3/aws4_request", by.access_key, &day[..8]);
    vec![
        ("as signed", url.clone()),
        (
            "DELETE instead of GET",
            Request {
                method: "DELETE".into(),
                ..url.clone()
            },
        ),
        (
            "another key",
            Request {
                path: url.path.clone() + "2",
                ..url.clone()
            },
        ),
        ("longer life", change("X-Amz-Expires", "86400")),
        ("a later date", change("X-Amz-Date", &amz_date(now + 60))),
        ("another region", change("X-Amz-Credential", &other)),
        (
            "a parameter added",
            Request {
                query,
                ..url.clone()
            },
        ),
        ("no signature", bare),
        (
            "signed with a guess",
            presign(plain.clone(), &thief, now, 3_600),
        ),
        ("used a second too late", at(now - 3_601, 3_600)),
        ("dated an hour ahead", at(now + 3_600, 3_600)),
        ("good for eight days", at(now, 8 * 86_400)),
        ("used again", url.clone()),
    ]
}

/// What was done, and what came out.
pub type Attempt = (&'static str, Request);

fn main() {
    let by = Credentials {
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
    };
    let now = 1_369_353_600;
    let get = Request {
        method: "GET".into(),
        host: "examplebucket.s3.amazonaws.com".into(),
        path: "/test.txt".into(),
        query: vec![],
    };
    let url = presign(get, &by, now, 3_600);
    println!("{}{}", url.host, url.path);
    for (name, value) in &url.query {
        let short = if value.len() > 48 {
            &value[..24]
        } else {
            value
        };
        let dots = if value.len() > 48 { " ..." } else { "" };
        println!("  {name:<21}{short}{dots}");
    }
    println!();
    for (what, request) in attempts(&url, &by, now) {
        match verify(&request, &by, now) {
            Ok(()) => println!("{what:<28}accepted"),
            Err(refusal) => println!("{what:<28}{refusal:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: Credentials = Credentials {
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
    };
    const NOW: Seconds = 1_369_353_600;

    fn get(path: &str) -> Request {
        Request {
            method: "GET".into(),
            host: "examplebucket.s3.amazonaws.com".into(),
            path: path.into(),
            query: vec![],
        }
    }

    #[test]
    fn it_is_the_url_that_amazon_publishes_as_an_example() {
        let url = presign(get("/test.txt"), &BY, NOW, 86_400).to_string();
        let published = "examplebucket.s3.amazonaws.com/test.txt\
            ?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3\
            %2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400\
            &X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d8\
            6835f995330da4c265957d157751f604d404";
        assert_eq!(url, published);
    }

    #[test]
    fn every_change_to_a_signed_request_is_refused() {
        let url = presign(get("/a key/ü+&=?.txt"), &BY, NOW, 3_600);
        assert_eq!(verify(&url, &BY, NOW), Ok(()));
        let refused = |request: &Request| verify(request, &BY, NOW).is_err();
        for part in 0..3 {
            let mut changed = url.clone();
            let text = [&mut changed.method, &mut changed.host, &mut changed.path];
            text.into_iter().nth(part).expect("one of three").push('x');
            assert!(refused(&changed), "{changed}");
        }
        for i in 0..url.query.len() {
            for at in 0..url.query[i].1.len() {
                let old = url.query[i].1.as_bytes()[at];
                for new in [b'1', b'2', b'+', b' ', old ^ 0x20] {
                    let mut changed = url.clone();
                    let mut value = changed.query[i].1.clone().into_bytes();
                    value[at] = new;
                    changed.query[i].1 = String::from_utf8(value).expect("ASCII");
                    assert!(new == old || refused(&changed), "{changed}");
                }
            }
            let mut missing = url.clone();
            let gone = missing.query.remove(i);
            assert!(refused(&missing), "{missing}");
            let mut twice = url.clone();
            twice.query.push(gone);
            assert!(refused(&twice), "{twice}");
        }
    }

    #[test]
    fn it_is_good_from_a_little_before_its_date_until_it_expires() {
        let url = presign(get("/k"), &BY, NOW, 60);
        let at = |now| verify(&url, &BY, now);
        assert_eq!(at(NOW - SKEW_S_MAX - 1), Err(Refusal::NotYet));
        assert_eq!(at(NOW - SKEW_S_MAX), Ok(()));
        assert_eq!(at(NOW + 60), Ok(()));
        assert_eq!(at(NOW + 61), Err(Refusal::Expired));
        for (expires, verdict) in [(0, Ok(())), (1, Err(Refusal::TooLong))] {
            let url = presign(get("/k"), &BY, NOW, EXPIRES_S_MAX + expires);
            assert_eq!(verify(&url, &BY, NOW), verdict);
        }
    }

    #[test]
    fn what_is_signed_is_encoded_once_and_sorted_by_name_then_value() {
        let mut request = get("/a b/ü+~%41");
        let query = [
            ("b", "2"),
            ("a-b", "/ ="),
            ("a", "2"),
            ("a", "1"),
            ("ü", ""),
        ];
        request.query = query.map(|(n, v)| (n.into(), v.into())).into();
        assert_eq!(
            canonical(&request),
            "GET\n/a%20b/%C3%BC%2B~%2541\n\
             %C3%BC=&a=1&a=2&a-b=%2F%20%3D&b=2\n\
             host:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD"
        );
    }

    #[test]
    fn the_order_of_the_parameters_does_not_matter() {
        let mut url = presign(get("/k"), &BY, NOW, 60);
        url.query.reverse();
        assert_eq!(verify(&url, &BY, NOW), Ok(()));
    }

    #[test]
    fn of_the_attempts_only_the_url_as_signed_is_accepted_however_often() {
        let url = presign(get("/k"), &BY, NOW, 3_600);
        let stranger = Credentials {
            access_key: "nobody",
            ..BY
        };
        let signed = presign(get("/k"), &stranger, NOW, 3_600);
        assert_eq!(verify(&signed, &BY, NOW), Err(Refusal::UnknownKey));
        let elsewhere = Credentials {
            region: "eu-west-1",
            ..BY
        };
        let signed = presign(get("/k"), &elsewhere, NOW, 3_600);
        assert_eq!(verify(&signed, &BY, NOW), Err(Refusal::Malformed));
        for (what, request) in attempts(&url, &BY, NOW) {
            let accepted = ["as signed", "used again"].contains(&what);
            assert_eq!(verify(&request, &BY, NOW).is_ok(), accepted, "{what}");
        }
    }

    #[test]
    fn dates_go_there_and_back() {
        for (at, date) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (NOW + 43_201, "20130524T120001Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(amz_date(at), date);
            assert_eq!(from_amz_date(date), Some(at));
        }
        assert_eq!(from_amz_date("20130230T000000Z"), None);
        assert_eq!(from_amz_date("yesterday"), None);
    }
}
