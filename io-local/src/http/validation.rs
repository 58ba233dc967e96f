//! What the master checks before a call reaches it (`validation::scheduler::call::validate` of Mesos).

use podium_mesos::proto::scheduler::Call;
use podium_mesos::proto::scheduler::call::Type;

/// Checks a call in itself.
///
/// # Errors
/// Mesos' words.
pub(super) fn validate(call: &Call) -> Result<Type, String> {
    let kind = call.r#type.and_then(|number| Type::try_from(number).ok()).ok_or_else(|| absent("type"))?;
    let framework_id = call.framework_id.as_ref().map(|id| id.value.as_str());
    if kind == Type::Subscribe {
        let subscribe = call.subscribe.as_ref().ok_or_else(|| absent("subscribe"))?;
        let own_id = subscribe.framework_info.id.as_ref().map(|id| id.value.as_str());
        return if framework_id.unwrap_or_default() == own_id.unwrap_or_default() {
            Ok(kind)
        } else {
            Err("'framework_id' differs from 'subscribe.framework_info.id'".to_owned())
        };
    }
    let framework_id = framework_id.ok_or_else(|| absent("framework_id"))?;
    if !has_member(call, kind) {
        return Err(absent(&kind.as_str_name().to_ascii_lowercase()));
    }
    if let Some(acknowledge) = call.acknowledge.as_ref().filter(|_| kind == Type::Acknowledge) {
        check_uuid(&acknowledge.uuid)?;
    }
    if let Some(acknowledge) =
        call.acknowledge_operation_status.as_ref().filter(|_| kind == Type::AcknowledgeOperationStatus)
    {
        check_uuid(&acknowledge.uuid)?;
        if acknowledge.agent_id.is_none() {
            return Err(absent("agent_id"));
        }
    }
    if let Some(update) = call.update_framework.as_ref().filter(|_| kind == Type::UpdateFramework) {
        let own_id = update.framework_info.id.as_ref().map(|id| id.value.as_str());
        if own_id.unwrap_or_default() != framework_id {
            return Err("'framework_id' differs from 'update_framework.framework_info.id'".to_owned());
        }
    }
    Ok(kind)
}

fn absent(field: &str) -> String {
    format!("Expecting '{field}' to be present")
}

fn check_uuid(uuid: &[u8]) -> Result<(), String> {
    if uuid.len() == 16 { Ok(()) } else { Err("Not a valid UUID".to_owned()) }
}

/// Whether the call has the member that its type needs.
fn has_member(call: &Call, kind: Type) -> bool {
    match kind {
        Type::Accept => call.accept.is_some(),
        Type::AcceptInverseOffers => call.accept_inverse_offers.is_some(),
        Type::Acknowledge => call.acknowledge.is_some(),
        Type::AcknowledgeOperationStatus => call.acknowledge_operation_status.is_some(),
        Type::Decline => call.decline.is_some(),
        Type::DeclineInverseOffers => call.decline_inverse_offers.is_some(),
        Type::Kill => call.kill.is_some(),
        Type::Message => call.message.is_some(),
        Type::Reconcile => call.reconcile.is_some(),
        Type::ReconcileOperations => call.reconcile_operations.is_some(),
        Type::Request => call.request.is_some(),
        Type::Shutdown => call.shutdown.is_some(),
        Type::UpdateFramework => call.update_framework.is_some(),
        Type::Subscribe => call.subscribe.is_some(),
        Type::Revive | Type::Suppress | Type::Teardown | Type::Unknown => true,
    }
}
