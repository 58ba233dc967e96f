//! Keeps the scheduler subscribed: what the client hears goes to the driver, what the driver says to the client.

use podium_core::model::mesos::Call;
use podium_mesos::client::{
    CallSender, Client, Config, Credential, Ended, Notice, StaticMasters, Subscription,
};
use tokio::sync::watch;

use super::Failure;
use crate::driver::{Connection, Handle, Stopped};

/// What whoever finds the framework removed can do.
const ADVICE: &str = "The pods' definitions are kept. To register as a new framework and launch all pods anew, start with \
                      --framework_removed register";

/// Who this is, for masters that want to know.
///
/// # Errors
/// The principal or the secret cannot be used.
pub(super) fn credential(
    principal: Option<&str>,
    secret: Option<&str>,
) -> Result<Option<Credential>, Failure> {
    let (Some(principal), Some(secret)) = (principal, secret) else { return Ok(None) };
    Credential::new(principal, secret).map(Some).map_err(|error| Failure::Settings(error.to_string()))
}

/// Keeps the scheduler subscribed with one of `masters` for as long as that makes sense. Says why it does no
/// longer.
pub(super) async fn keep_subscribed(
    masters: StaticMasters,
    credential: Option<Credential>,
    driver: Handle,
) -> String {
    match subscribe(masters, credential, driver).await {
        Ok(reason) => reason,
        Err(stopped) => stopped.to_string(),
    }
}

async fn subscribe(
    masters: StaticMasters,
    credential: Option<Credential>,
    driver: Handle,
) -> Result<String, Stopped> {
    let start = |wishes: Subscription| {
        let config = Config { credential: credential.clone(), ..Config::default() };
        let (wishes, subscription) = watch::channel(wishes);
        (Client::start(config, Box::new(masters.clone()), subscription), wishes)
    };
    let (mut client, mut wishes) = start(self::wishes(&driver).await?);
    while let Some(notice) = client.next().await {
        match notice {
            Notice::Subscribed(calls) => driver.connected(Box::new(calls)).await?,
            Notice::Event(event) => driver.event(event).await?,
            // The client has logged it.
            Notice::Refused { call, reason, .. } => driver.refused(call, reason).await?,
            Notice::Disconnected(_) => {
                driver.disconnected().await?;
                wishes.send_replace(self::wishes(&driver).await?);
            }
            Notice::AttemptFailed { .. } => {
                wishes.send_replace(self::wishes(&driver).await?);
            }
            Notice::Ended(reason @ Ended::FrameworkRemoved) => {
                driver.framework_removed().await?;
                let next = self::wishes(&driver).await?;
                if next.framework_info.id.is_some() {
                    return Ok(format!("{reason}. {ADVICE}"));
                }
                tracing::warn!("registering as a new framework, and launching everything anew");
                (client, wishes) = start(next);
            }
            Notice::Ended(reason) => return Ok(reason.to_string()),
        }
    }
    Ok("the client has stopped".to_owned())
}

async fn wishes(driver: &Handle) -> Result<Subscription, Stopped> {
    let podium_core::Subscription { framework_info, suppressed_roles } = driver.subscription().await?;
    Ok(Subscription { framework_info, suppressed_roles })
}

impl Connection for CallSender {
    fn send(&mut self, call: Call) {
        // The end of the subscription is reported by the client.
        if CallSender::send(self, call).is_err() {
            tracing::debug!("the subscription is over, a call goes nowhere");
        }
    }
}
