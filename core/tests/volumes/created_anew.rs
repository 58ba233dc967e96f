//! A pod that is created anew while its deletion is under way.

use podium_core::{Command, CommandId, Config, Input, Origin};
use serde_json::json;

use super::harness::{Driver, pod_id};
use super::{config, offer, resident};

#[test]
fn a_pod_created_anew_before_its_copies_were_asked_to_end_gets_new_volumes() {
    let mut driver = Driver::connected_with(Config { portion: 2, ..config() });
    driver.create(resident(2, &json!({})));
    for n in 0..2 {
        offer(&mut driver, &format!("s{n}"), &[]);
        driver.run(n);
    }
    driver.wait(10.0);
    driver.calls.clear();
    // Nothing comes between the two commands.
    for command in [
        Command::DeletePod { id: pod_id("/db"), force: false },
        Command::CreatePod { pod: resident(2, &json!({})), force: true, role_given: true },
    ] {
        driver.now = driver.now.next();
        let input =
            Input::Command { id: CommandId(99), origin: Origin::default(), command: Box::new(command) };
        let _ = driver.step(input);
    }
    driver.finish();
    assert_eq!(driver.kills().len(), 4, "the data was to go, whatever the new definition says");
    assert_eq!(driver.picture()[2..], ["v2.0 - Pending"; 2]);
}
