//! Telling: what is due is tried, what failed is tried again, what is too old is given up.
//!
//! Invariants: an item is forgotten after somebody took it, never before; when the server stops, an attempt under way has a
//! moment to end, and is made again at the next start if it did not.
//! Not here: commands and requests themselves (`command`, `web`).

use super::event::{EventKind, FileFacts, Happening, environment};
use super::waiting::Item;
use super::{Hook, Target, command, web};
use crate::house::House;
use net::{ClientTls, Trust};
use policy::{Kind, Next, Schedule};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

/// How long attempts under way may take when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Nothing is due for so long at most before somebody looks again: clocks are set.
const LOOK_EVERY_SECS: i64 = 60;

/// Tells what waits, until the server stops.
pub async fn run(house: Arc<House>, mut leaving: watch::Receiver<bool>) {
    let tls = trusting();
    let mut under_way = JoinSet::new();
    loop {
        let now = house.now();
        let settings = house.settings();
        let parallel = |name: &str| settings.hook(name).map_or(1, |hook| hook.parallel);
        let (due, next) = house.hooks.waiting().take_due(now, parallel);
        for item in due {
            under_way.spawn(attempt(Arc::clone(&house), item, tls.clone()));
        }
        let pause = next.map_or(LOOK_EVERY_SECS, |next| (next - now).clamp(1, LOOK_EVERY_SECS));
        tokio::select! {
            _ = leaving.wait_for(|leaving| *leaving) => break,
            () = house.hooks.changed.notified() => {}
            Some(_) = under_way.join_next() => {}
            () = tokio::time::sleep(Duration::from_secs(pause.unsigned_abs())) => {}
        }
    }
    let all = async { while under_way.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, all).await;
}

/// None on a machine without certificate authorities: plain HTTP on loopback still goes.
fn trusting() -> Option<ClientTls> {
    ClientTls::verifying(Trust::Platform).ok()
}

async fn attempt(house: Arc<House>, item: Item, tls: Option<ClientTls>) {
    let begun = Instant::now();
    let settings = house.settings();
    let hook = settings.hook(&item.hook);
    let told = match hook {
        Some(hook) => tell(hook, &item.id, &item.body, house.now(), tls.as_ref()).await,
        None => Err("there is no hook of this name in the configuration".into()),
    };
    let (name, event, secs) = (&*item.hook, &*item.id, begun.elapsed().as_secs_f64());
    match told {
        Ok(output) => {
            info!(hook = name, event, attempts = item.attempts + 1, secs, output, "hook told");
            forget(&house, &item).await;
        }
        Err(why) => {
            let usual = Schedule::default();
            let schedule = hook.map_or(&usual, |hook| &hook.schedule);
            let chance = u32::from_le_bytes(crate::house::chance());
            match schedule.next_attempt(Kind::Mail, item.attempts + 1, item.at, house.now(), chance) {
                Next::At(at) => {
                    warn!(
                        hook = name,
                        event,
                        attempts = item.attempts + 1,
                        secs,
                        why,
                        next = at,
                        "hook not told; it will be again"
                    );
                    house.hooks.waiting().put_back(&item.key(), at, why);
                }
                Next::GiveUp => {
                    error!(hook = name, event, attempts = item.attempts + 1, why, facts = &*item.body, "hook given up");
                    forget(&house, &item).await;
                }
            }
        }
    }
    house.hooks.waiting().ended(&item.hook);
    house.hooks.changed.notify_one();
}

async fn forget(house: &House, item: &Item) {
    if let Err(error) = house.hooks.forget(&[item.key()]).await {
        // It stays in the store, so the hook is told again after the next start.
        error!(hook = item.hook, event = item.id, %error, "what a hook was told could not be forgotten");
        house.hooks.waiting().remove(&item.key());
    }
}

/// What was said to it, or why it was not told.
async fn tell(hook: &Hook, id: &str, body: &str, now: i64, tls: Option<&ClientTls>) -> Result<String, String> {
    match &hook.target {
        Target::Command(words) => {
            let facts = serde_json::from_str(body).map_err(|error| format!("the event is damaged: {error}"))?;
            command::run(words, environment(&facts), body, hook.limit).await
        }
        Target::Web { url, secret } => {
            web::post(web::Letter { url, secret: secret.as_ref(), id, body, now, limit: hook.limit }, tls).await
        }
    }
}

/// Tells a hook, once and now, that it is being tried.
///
/// # Errors
/// Why it was not told; none if there is no such hook.
pub async fn test(house: &House, name: &str) -> Result<String, Option<String>> {
    let settings = house.settings();
    let hook = settings.hook(name).ok_or(None)?;
    let tried = Happening {
        kind: EventKind::Test,
        at: house.now(),
        service: "test",
        session: house.name_session(),
        account: "nobody@example.org".into(),
        peer: None,
        agent: None,
        tls: false,
        file: FileFacts { path: b"/test.txt".to_vec(), ..FileFacts::default() },
        transfer: None,
    };
    let event = tried.event(&settings.host_name);
    tell(hook, &event.id, &event.body, house.now(), trusting().as_ref()).await.map_err(Some)
}
