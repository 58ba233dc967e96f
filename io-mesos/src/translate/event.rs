//! Events: what a master says and a scheduler hears.

use podium_core::model::mesos::{Event, ExecutorFailure};

use super::{
    At, Format, Invalid, Translate, duration_from_seconds, read, read_all, read_some, write_all, write_some,
};
use crate::proto::scheduler::{self, event};

/// An event of an unknown type, or without the member that goes with its type, is [`Event::Unknown`].
impl Translate for Event {
    type Proto = scheduler::Event;

    fn to_proto(&self, format: Format) -> scheduler::Event {
        let mut proto = scheduler::Event::default();
        let kind = match self {
            Self::Error { message } => {
                proto.error = Some(event::Error { message: message.clone() });
                event::Type::Error
            }
            Self::Failure(failure) => {
                proto.failure = Some(event::Failure {
                    agent_id: write_some(failure.agent_id.as_ref(), format),
                    executor_id: write_some(failure.executor_id.as_ref(), format),
                    status: failure.status,
                });
                event::Type::Failure
            }
            Self::Heartbeat => event::Type::Heartbeat,
            Self::InverseOffers(offers) => {
                proto.inverse_offers =
                    Some(event::InverseOffers { inverse_offers: write_all(offers, format) });
                event::Type::InverseOffers
            }
            Self::Message { agent_id, executor_id, data } => {
                proto.message = Some(event::Message {
                    agent_id: agent_id.to_proto(format),
                    executor_id: executor_id.to_proto(format),
                    data: data.clone(),
                });
                event::Type::Message
            }
            Self::Offers(offers) => {
                proto.offers = Some(event::Offers { offers: write_all(offers, format) });
                event::Type::Offers
            }
            Self::Rescind(offer_id) => {
                proto.rescind = Some(event::Rescind { offer_id: offer_id.to_proto(format) });
                event::Type::Rescind
            }
            Self::RescindInverseOffer(offer_id) => {
                let inverse_offer_id = offer_id.to_proto(format);
                proto.rescind_inverse_offer = Some(event::RescindInverseOffer { inverse_offer_id });
                event::Type::RescindInverseOffer
            }
            Self::Subscribed { framework_id, heartbeat_interval, master } => {
                proto.subscribed = Some(event::Subscribed {
                    framework_id: framework_id.to_proto(format),
                    heartbeat_interval_seconds: heartbeat_interval.map(|interval| interval.as_secs_f64()),
                    master_info: write_some(master.as_ref(), format),
                });
                event::Type::Subscribed
            }
            Self::Unknown => event::Type::Unknown,
            Self::Update(status) => {
                proto.update = Some(event::Update { status: status.to_proto(format) });
                event::Type::Update
            }
            Self::UpdateOperationStatus(status) => {
                let status = status.to_proto(format);
                proto.update_operation_status = Some(event::UpdateOperationStatus { status });
                event::Type::UpdateOperationStatus
            }
        };
        proto.set_type(kind);
        proto
    }

    fn from_proto(proto: scheduler::Event) -> Result<Self, Invalid> {
        let event = match proto.r#type() {
            event::Type::Error => proto.error.map(|error| Ok(Self::Error { message: error.message })),
            event::Type::Failure => proto.failure.map(|failure| read_failure(failure).at("failure")),
            event::Type::Heartbeat => Some(Ok(Self::Heartbeat)),
            event::Type::InverseOffers => proto.inverse_offers.map(|offers| {
                read_all("inverse_offers", offers.inverse_offers)
                    .map(Self::InverseOffers)
                    .at("inverse_offers")
            }),
            event::Type::Message => proto.message.map(|message| read_message(message).at("message")),
            event::Type::Offers => {
                proto.offers.map(|offers| read_all("offers", offers.offers).map(Self::Offers).at("offers"))
            }
            event::Type::Rescind => {
                proto.rescind.map(|rescind| read("rescind.offer_id", rescind.offer_id).map(Self::Rescind))
            }
            event::Type::RescindInverseOffer => proto.rescind_inverse_offer.map(|rescind| {
                read("rescind_inverse_offer.inverse_offer_id", rescind.inverse_offer_id)
                    .map(Self::RescindInverseOffer)
            }),
            event::Type::Subscribed => {
                proto.subscribed.map(|subscribed| read_subscribed(subscribed).at("subscribed"))
            }
            event::Type::Update => {
                proto.update.map(|update| read("update.status", update.status).map(Self::Update))
            }
            event::Type::UpdateOperationStatus => proto.update_operation_status.map(|update| {
                read("update_operation_status.status", update.status).map(Self::UpdateOperationStatus)
            }),
            event::Type::Unknown => None,
        };
        event.unwrap_or(Ok(Self::Unknown))
    }
}

fn read_failure(failure: event::Failure) -> Result<Event, Invalid> {
    Ok(Event::Failure(ExecutorFailure {
        agent_id: read_some("agent_id", failure.agent_id)?,
        executor_id: read_some("executor_id", failure.executor_id)?,
        status: failure.status,
    }))
}

fn read_message(message: event::Message) -> Result<Event, Invalid> {
    Ok(Event::Message {
        agent_id: read("agent_id", message.agent_id)?,
        executor_id: read("executor_id", message.executor_id)?,
        data: message.data,
    })
}

fn read_subscribed(subscribed: event::Subscribed) -> Result<Event, Invalid> {
    Ok(Event::Subscribed {
        framework_id: read("framework_id", subscribed.framework_id)?,
        // An interval that is no duration says as little as none.
        heartbeat_interval: subscribed.heartbeat_interval_seconds.and_then(duration_from_seconds),
        master: read_some("master_info", subscribed.master_info)?,
    })
}
