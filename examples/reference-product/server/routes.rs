//! What the server answers.

use std::sync::PoisonError;

use serde_json::json;

use crate::common::release::{Fault, Release};
use crate::http::{Answer, Request};
use crate::listen::Service;

/// What becomes of a request.
pub(crate) enum Outcome {
    /// It is answered and the connection closed.
    Answer(Answer),
    /// The engine of that id stays connected.
    Engine(String),
}

/// Finds the answer to a request.
pub(crate) fn route(service: &Service, request: &Request) -> Outcome {
    let allowed = match request.path.as_str() {
        "/" | "/health" | "/d1ws" => "GET",
        "/login" => "POST",
        _ => return Outcome::Answer(Answer::status(404)),
    };
    if request.method != allowed {
        return Outcome::Answer(Answer::status(405).with("Allow", allowed));
    }
    Outcome::Answer(match request.path.as_str() {
        "/" => Answer::html(page(&service.release)),
        "/health" => health(&service.release),
        "/login" => {
            // One at a time: a log-in costs 16 MiB, which is what makes guessing expensive.
            let mut logins = service.logins.lock().unwrap_or_else(PoisonError::into_inner);
            logins.answer(request, &service.log)
        }
        _ => match request.header("x-engine-id") {
            Some(id) if !id.is_empty() => return Outcome::Engine(id.to_owned()),
            _ => Answer::status(400),
        },
    })
}

fn health(release: &Release) -> Answer {
    let wrong = release.has(Fault::WrongVersion);
    let version = if wrong { "0.0.0" } else { &release.version };
    Answer::json(
        200,
        &json!({
            "status": "ok",
            "product": release.product,
            "version": version,
            "build": release.build,
            "schema": release.schema,
            "fips_cc": true,
        }),
    )
}

fn page(release: &Release) -> String {
    include_str!("login.html").replace("{{version}}", &release.full())
}
