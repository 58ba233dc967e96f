//! Keeps the scheduler subscribed: what the client hears goes to the driver, what the driver says to the client.

use podium_core::model::mesos::Call;
use podium_mesos::client::{CallSender, Client, Config, Credential, Notice, StaticMasters, Subscription};
use tokio::sync::watch;

use super::Failure;
use crate::driver::{Connection, Handle, Stopped};

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
    let config = Config { credential, ..Config::default() };
    let (wishes, subscription) = watch::channel(wishes(&driver).await?);
    let mut client = Client::start(config, Box::new(masters), subscription);
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
