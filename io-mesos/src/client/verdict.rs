//! What an answer or an `ERROR` means for the subscription: try again, give up, or carry on without the call.

use std::time::Duration;

use hyper::StatusCode;
use podium_core::model::ids::FrameworkId;

use super::master::{DetectError, InvalidEndpoint};
use crate::codec::DecodeError;
use crate::recordio::RecordError;

/// Why there is no subscription at the moment. The client tries again by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it; the fields are what they name")]
pub enum Disconnect {
    #[error("a call of type {call} was answered with {status}: {reason}")]
    Call { call: &'static str, status: u16, reason: String },
    #[error("a call of type {call} got no answer: {reason}")]
    CallUnanswered { call: &'static str, reason: String },
    #[error("the stream ended")]
    EndOfStream,
    #[error("the master said: {0}")]
    Error(String),
    #[error("{endpoint} cannot be reached: {reason}")]
    Io { endpoint: String, reason: String },
    #[error(transparent)]
    NoMaster(#[from] DetectError),
    #[error("the first event was not SUBSCRIBED")]
    NotSubscribed,
    #[error("{endpoint} did not answer as a master does: {reason}")]
    Protocol { endpoint: String, reason: String },
    #[error("the stream is broken: {0}")]
    Record(#[from] RecordError),
    #[error("{endpoint} redirects to a place that cannot be used: {source}")]
    Redirect { endpoint: String, source: InvalidEndpoint },
    #[error("the stream has been silent for {0:?}")]
    Silence(Duration),
    #[error("{endpoint} did not answer within {timeout:?}")]
    Timeout { endpoint: String, timeout: Duration },
    #[error("followed {0} redirects and found no leader")]
    TooManyRedirects(u32),
    #[error("{endpoint} cannot serve now ({status}): {reason}")]
    Unavailable { endpoint: String, status: u16, reason: String },
    #[error("the stream broke: {0}")]
    Stream(String),
    #[error("the first event cannot be read: {0}")]
    Undecodable(#[from] DecodeError),
}

/// Why the client gave up. Trying again would not help, or would do harm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// Another scheduler subscribed with this framework id. Taking it back would make the two evict each
    /// other in turn.
    #[error("another scheduler has taken over this framework")]
    FailedOver,
    /// The id is dead and its tasks are killed: the failover timeout is over, or somebody tore the framework
    /// down. Only a new id helps, and that is an operator's decision.
    #[error("the framework has been removed from Mesos; its tasks are being killed")]
    FrameworkRemoved,
    /// The master refuses what the subscription says: a role, the principal, a capability, ….
    #[error("the master refuses this framework: {0}")]
    Refused(String),
    /// `TEARDOWN` was asked for, and done.
    #[error("the framework was torn down")]
    TornDown,
    /// The credential is wrong or missing.
    #[error("the master does not accept the credential: {0}")]
    Unauthorized(String),
    /// The master answered with another framework's id.
    #[error("asked for framework {asked}, but the master subscribed {given}")]
    WrongFramework {
        /// The id that was sent.
        asked: FrameworkId,
        /// The id that came back.
        given: FrameworkId,
    },
}

/// Why a subscription, or an attempt at one, is over.
#[derive(Debug)]
pub(super) enum Stop {
    Disconnect(Disconnect),
    Ended(Ended),
    /// Nobody listens to the client any more.
    Unheard,
}

impl<T: Into<Disconnect>> From<T> for Stop {
    fn from(reason: T) -> Self {
        Self::Disconnect(reason.into())
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

/// What an answer to `SUBSCRIBE` other than 200 and 307 means.
pub(super) fn of_subscribe_status(endpoint: String, status: StatusCode, reason: String) -> Stop {
    match status {
        StatusCode::UNAUTHORIZED => Ended::Unauthorized(reason).into(),
        // 404: the master has started and its routes are not there yet.
        StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Disconnect::Unavailable { endpoint, status: status.as_u16(), reason }.into()
        }
        status if status.is_client_error() => Ended::Refused(format!("{status}: {reason}")).into(),
        status if status.is_server_error() => {
            Disconnect::Unavailable { endpoint, status: status.as_u16(), reason }.into()
        }
        status => Disconnect::Protocol { endpoint, reason: format!("status {status}") }.into(),
    }
}

/// What an `ERROR` event means; `first` if it came instead of `SUBSCRIBED`.
pub(super) fn of_error_event(message: String, first: bool) -> Stop {
    match message.as_str() {
        "Framework failed over" => Ended::FailedOver.into(),
        "Framework has been removed" => Ended::FrameworkRemoved.into(),
        // The master could not ask its authorizer, which says nothing about this framework.
        text if text.starts_with("Authorization failure") => Disconnect::Error(message).into(),
        // Instead of SUBSCRIBED: the same subscription will be refused again. All known texts are about
        // roles, the principal, the user, the id or the failover timeout.
        _ if first => Ended::Refused(message).into(),
        _ => Disconnect::Error(message).into(),
    }
}

/// What an answer to any other call means.
#[derive(Debug)]
pub(super) enum CallVerdict {
    Accepted,
    /// The call was bad; the subscription is not.
    Refused,
    Stop(Stop),
}

pub(super) fn of_call_status(call: &'static str, status: StatusCode, reason: &str) -> CallVerdict {
    let disconnect = || {
        let reason = reason.to_owned();
        CallVerdict::Stop(Disconnect::Call { call, status: status.as_u16(), reason }.into())
    };
    // This subscription is not what the master knows of this framework.
    let stale = ["Framework cannot be found", "Framework is not", "The stream ID"];
    match status {
        StatusCode::OK | StatusCode::ACCEPTED => CallVerdict::Accepted,
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN
            if stale.iter().any(|prefix| reason.starts_with(prefix)) =>
        {
            disconnect()
        }
        StatusCode::UNAUTHORIZED => CallVerdict::Stop(Ended::Unauthorized(reason.to_owned()).into()),
        StatusCode::NOT_FOUND => disconnect(),
        status if status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED => CallVerdict::Refused,
        // Redirects (another master leads now) and server errors.
        _ => disconnect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(status: u16, reason: &str) -> String {
        match of_call_status("KILL", StatusCode::from_u16(status).unwrap(), reason) {
            CallVerdict::Accepted => "accepted".into(),
            CallVerdict::Refused => "refused".into(),
            CallVerdict::Stop(stop) => kind(&stop),
        }
    }

    fn kind(stop: &Stop) -> String {
        match stop {
            Stop::Disconnect(_) => "disconnect".into(),
            Stop::Ended(ended) => format!("{ended:?}").split('(').next().unwrap().to_owned(),
            Stop::Unheard => "unheard".into(),
        }
    }

    #[test]
    fn answers_to_calls() {
        for (status, reason, verdict) in [
            (200, "", "accepted"),
            (202, "", "accepted"),
            (307, "", "disconnect"),
            (400, "Framework cannot be found", "disconnect"),
            (
                400,
                "The stream ID 'a' included in this request didn't match the stream ID currently …",
                "disconnect",
            ),
            (400, "Failed to validate scheduler::Call: Expecting 'kill' to be present", "refused"),
            (401, "401 Unauthorized.", "Unauthorized"),
            (403, "Framework is not subscribed", "disconnect"),
            (403, "Framework is not connected via HTTP", "disconnect"),
            (403, "Not authorized to update the framework", "refused"),
            (404, "", "disconnect"),
            (405, "", "refused"),
            (415, "", "refused"),
            (500, "", "disconnect"),
            (501, "", "refused"),
            (503, "No leader elected", "disconnect"),
        ] {
            assert_eq!(call(status, reason), verdict, "{status} {reason}");
        }
    }

    #[test]
    fn answers_to_subscribe() {
        for (status, verdict) in [
            (400, "Refused"),
            (401, "Unauthorized"),
            (403, "Refused"),
            (404, "disconnect"),
            (406, "Refused"),
            (415, "Refused"),
            (500, "disconnect"),
            (503, "disconnect"),
            (202, "disconnect"),
        ] {
            let stop = of_subscribe_status("m".into(), StatusCode::from_u16(status).unwrap(), String::new());
            assert_eq!(kind(&stop), verdict, "{status}");
        }
    }

    #[test]
    fn errors_on_the_stream() {
        for (message, first, verdict) in [
            ("Framework failed over", false, "FailedOver"),
            ("Framework has been removed", true, "FrameworkRemoved"),
            ("Not authorized to register framework  with roles { forbidden }", true, "Refused"),
            ("Changing framework's principal is not allowed.", true, "Refused"),
            ("Authorization failure: timeout", true, "disconnect"),
            ("Something new", false, "disconnect"),
        ] {
            assert_eq!(kind(&of_error_event(message.into(), first)), verdict, "{message}");
        }
    }
}
