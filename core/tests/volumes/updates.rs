//! Updates of copies with volumes that are on their way.

use super::harness::changed;
use super::{offer, one, running, used};

#[test]
fn an_update_of_copies_with_volumes_can_be_taken_back_midway() {
    let (mut driver, kept) = running(one());
    driver.update_pod(changed(one(), "two"));
    driver.confirm_kills();
    driver.wait(2.0);
    assert_eq!(used(&offer(&mut driver, "s1", &kept)), kept);
    assert_eq!(driver.picture(), ["v2.2 s1 Pending"]);
    driver.cancel(false);
    driver.confirm_kills();
    driver.wait(2.0);
    assert_eq!(used(&offer(&mut driver, "s1", &kept)), kept, "the same volumes");
    driver.run(0);
    driver.wait(6.0);
    assert_eq!(driver.picture(), ["v3.3 s1 Stable"]);
    assert_eq!(driver.deployments(), [""; 0]);
}

#[test]
fn the_kill_that_makes_room_for_an_update_is_repeated() {
    let (mut driver, _) = running(one());
    driver.update_pod(changed(one(), "two"));
    assert_eq!(driver.kills(), ["/db.a.1", "/db.b.1"]);
    driver.wait(2.0);
    assert_eq!(driver.kills(), ["/db.a.1", "/db.b.1"], "the first may have got lost");
    driver.restart();
    driver.subscribe();
    assert_eq!(driver.kills(), ["/db.a.1", "/db.b.1"], "also by the next leader");
}
