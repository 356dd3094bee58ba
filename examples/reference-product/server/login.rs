//! Who may log in, and how often one may try.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use openssl::rand::rand_bytes;
use serde::Deserialize;
use serde_json::json;

use crate::common::log::Log;
use crate::http::{Answer, Request};
use crate::users::{Hash, User, hex};

const MOST_FAILURES: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Names come from the network, so the memory for them is bounded.
const MOST_NAMES: usize = 4096;

/// The users and the failures of the last minute.
pub(crate) struct Logins {
    users: Vec<User>,
    /// Compared with when there is no such user, so that the answer takes as long.
    nobody: Hash,
    failures: HashMap<String, Vec<Instant>>,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(alias = "username")]
    user: String,
    password: String,
}

impl Logins {
    pub(crate) fn new(users: Vec<User>) -> anyhow::Result<Self> {
        Ok(Self { users, nobody: Hash::of("")?, failures: HashMap::new() })
    }

    /// Answers a log-in request.
    pub(crate) fn answer(&mut self, request: &Request, log: &Log) -> Answer {
        let kind = request.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let credentials = match kind.to_ascii_lowercase().as_str() {
            "application/json" => serde_json::from_slice(&request.body).ok(),
            "application/x-www-form-urlencoded" => from_form(&request.body),
            _ => return Answer::status(415),
        };
        let Some(Credentials { user, password }) = credentials else { return Answer::status(400) };
        match self.attempt(&user, &password, Instant::now()) {
            Ok(Attempt::Right) => match cookie() {
                Some(cookie) => {
                    log.info(format!("user '{user}' logged in"));
                    Answer::json(200, &json!({"ok": true, "user": user})).with("Set-Cookie", cookie)
                }
                None => Answer::status(500),
            },
            Ok(Attempt::Wrong) => {
                log.warning(format!("failed login of user '{user}'"));
                Answer::json(401, &json!({"ok": false}))
            }
            Ok(Attempt::TooMany) => {
                log.warning(format!("too many failed logins of user '{user}'"));
                Answer::json(429, &json!({"ok": false})).with("Retry-After", WINDOW.as_secs().to_string())
            }
            Err(error) => {
                log.error(format!("{error:#}"));
                Answer::status(500)
            }
        }
    }

    fn attempt(&mut self, user: &str, password: &str, now: Instant) -> anyhow::Result<Attempt> {
        self.failures.retain(|_, times| {
            times.retain(|time| now.duration_since(*time) < WINDOW);
            !times.is_empty()
        });
        let failed = self.failures.get(user).map_or(0, Vec::len);
        if failed >= MOST_FAILURES || (failed == 0 && self.failures.len() >= MOST_NAMES) {
            return Ok(Attempt::TooMany);
        }
        let known = self.users.iter().find(|known| known.username == user);
        let right = known.map_or(&self.nobody, |known| &known.password).matches(password)?;
        if right && known.is_some() {
            self.failures.remove(user);
            return Ok(Attempt::Right);
        }
        self.failures.entry(user.to_owned()).or_default().push(now);
        Ok(Attempt::Wrong)
    }
}

enum Attempt {
    Right,
    Wrong,
    TooMany,
}

/// The cookie of a session. The reference has no page behind the log-in, so no session is kept.
fn cookie() -> Option<String> {
    let mut token = [0u8; 32];
    rand_bytes(&mut token).ok()?;
    Some(format!("S={}; Path=/; Secure; HttpOnly; SameSite=Strict", hex(&token)))
}

fn from_form(body: &[u8]) -> Option<Credentials> {
    let (mut user, mut password) = (None, None);
    for pair in body.split(|byte| *byte == b'&') {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        match key {
            b"user" | b"username" => user = Some(decode(value)?),
            b"password" => password = Some(decode(value)?),
            _ => {}
        }
    }
    Some(Credentials { user: user?, password: password? })
}

/// Undoes the encoding of form values.
fn decode(value: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}
