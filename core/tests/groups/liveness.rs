//! Whatever groups say and whoever is deleted, cancelled or forced meanwhile: nobody waits for ever.

use podium_core::model::ids::GroupId;
use podium_core::{Command, Refusal};
use proptest::prelude::*;
use serde_json::json;

use super::harness::{Driver, pod, pod_id};
use super::{launch, put};

const PATHS: [&str; 8] = ["/a", "/b", "/c", "/a/x", "/a/y", "/b/x", "/b/y", "/c/x"];
const PODS: [&str; 6] = ["/a/x/p", "/a/y/p", "/a/q", "/b/x/p", "/b/y/p", "/c/x/p"];

#[derive(Clone, Debug)]
enum Step {
    Depend { group: usize, on: Vec<usize> },
    Update { pod: usize, instances: u32, label: u8, force: bool },
    DeletePod { pod: usize, force: bool },
    DeleteGroup { group: usize, force: bool },
    Cancel { nth: usize, force: bool },
    Crash { nth: usize },
    Launch,
    ConfirmKills,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let force = any::<bool>();
    prop_oneof![
        2 => (0..PATHS.len(), prop::collection::vec(0..PATHS.len(), 0..3))
            .prop_map(|(group, on)| Step::Depend { group, on }),
        6 => (0..PODS.len(), 0..3_u32, 0..3_u8, force)
            .prop_map(|(pod, instances, label, force)| Step::Update { pod, instances, label, force }),
        1 => (0..PODS.len(), force).prop_map(|(pod, force)| Step::DeletePod { pod, force }),
        1 => (0..PATHS.len(), force).prop_map(|(group, force)| Step::DeleteGroup { group, force }),
        1 => (0..4_usize, force).prop_map(|(nth, force)| Step::Cancel { nth, force }),
        2 => (0..6_usize).prop_map(|nth| Step::Crash { nth }),
        4 => Just(Step::Launch),
        2 => Just(Step::ConfirmKills),
        1 => Just(Step::Restart),
    ]
}

fn take(driver: &mut Driver, step: Step) {
    let result = match step {
        Step::Depend { group, on } => {
            let on: Vec<&str> = on.into_iter().map(|path| PATHS[path]).collect();
            put(driver, PATHS[group], &json!({ "dependencies": on })).map(drop)
        }
        Step::Update { pod: id, instances, label, force } => {
            let mut pod = pod(PODS[id], 1, instances);
            pod.labels.insert("label".into(), label.to_string());
            driver.command(Command::UpdatePod { pod, force, role_given: false }).map(drop)
        }
        Step::DeletePod { pod, force } => {
            driver.command(Command::DeletePod { id: pod_id(PODS[pod]), force }).map(drop)
        }
        Step::DeleteGroup { group, force } => {
            driver.command(Command::DeleteGroup { id: GroupId::from(PATHS[group]), force }).map(drop)
        }
        Step::Cancel { nth, force } => match driver.scheduler.deployments(driver.now).get(nth) {
            Some(deployment) => {
                let id = deployment.id.clone();
                driver.command(Command::CancelDeployment { id, force }).map(drop)
            }
            None => Ok(()),
        },
        Step::Crash { nth } => {
            if driver.instances().get(nth).is_some_and(|instance| instance.agent_id.is_some()) {
                driver.crash(nth);
            }
            Ok(())
        }
        Step::Launch => {
            launch(driver);
            Ok(())
        }
        Step::ConfirmKills => {
            driver.confirm_kills();
            Ok(())
        }
        Step::Restart => {
            // What was asked for and not yet done is asked for again by the new one.
            driver.restart();
            driver.subscribe();
            driver.wait(0.0);
            Ok(())
        }
    };
    let is_fine = match &result {
        Ok(()) => true,
        Err(refusal) => !matches!(refusal, Refusal::TooManyDeployments { .. }),
    };
    assert!(is_fine, "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn once_everything_works_every_deployment_ends(steps in prop::collection::vec(step(), 1..40)) {
        let mut driver = Driver::connected();
        driver.answers = true;
        for step in steps {
            take(&mut driver, step);
        }
        for _ in 0..80 {
            driver.wait(60.0);
            launch(&mut driver);
            driver.confirm_kills();
        }
        prop_assert_eq!(driver.deployments(), [""; 0]);
        for pod in driver.scheduler.pods() {
            let status = driver.status_of(pod.id.as_str());
            prop_assert_eq!(status.instances.len(), pod.instances() as usize);
            prop_assert_eq!(status.message, None);
        }
    }
}
