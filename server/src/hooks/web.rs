//! A hook told over HTTP: a POST of the event, signed where there is a secret.
//!
//! The headers are those of Standard Webhooks (standardwebhooks.com), for which there are libraries to verify them:
//! `webhook-id`, `webhook-timestamp`, and `webhook-signature: v1,…`, the HMAC-SHA-256 (RFC 2104) in base64 of
//! `id.timestamp.body`. Each attempt has a timestamp of its own, so a receiver may refuse what is old.
//!
//! Invariants: 2xx is yes and anything else no, redirects among it.
//! Not here: connections and TLS (net).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use net::ClientTls;
use net::http::{Post, Url};
use std::time::Duration;

/// What goes out.
pub(super) struct Letter<'a> {
    pub(super) url: &'a Url,
    pub(super) secret: Option<&'a line::Secret>,
    /// The event's id.
    pub(super) id: &'a str,
    pub(super) body: &'a str,
    /// Unix seconds.
    pub(super) now: i64,
    pub(super) limit: Duration,
}

/// Posts it, over `tls` if the URL says so; says what was answered, or why it was not taken.
pub(super) async fn post(letter: Letter<'_>, tls: Option<&ClientTls>) -> Result<String, String> {
    let Letter { url, secret, id, body, now, limit } = letter;
    let mut headers = vec![
        ("content-type", "application/json".to_string()),
        ("user-agent", "packetboat".to_string()),
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", now.to_string()),
    ];
    if let Some(secret) = secret {
        headers.push(("webhook-signature", signature(secret, id, now, body)));
    }
    let post = Post { url, headers: &headers, body: body.as_bytes().to_vec(), limit };
    let posted = net::http::post(post, tls).await.map_err(|error| error.to_string())?;
    let answer = format!("{} {}", posted.status, super::command::one_line(&posted.text));
    match posted.status {
        200..=299 => Ok(answer.trim_end().to_string()),
        _ => Err(format!("it answered {}", answer.trim_end())),
    }
}

fn signature(secret: &line::Secret, id: &str, now: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal());
    let signed = hmac::sign(&key, format!("{id}.{now}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(signed.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // The example of the standard's own libraries.
        let key = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let signed = signature(
            &line::Secret::new(key),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
