//! One pod: from what there is to what there shall be.

use std::ops::Bound;

use super::capacity::Capacity;
use crate::kill::{Among, Choice, Preference, Versions};
use crate::marks::Mark;
use crate::model::deployment::ActionKind;
use crate::model::ids::{InstanceId, PodId, Uuid, new_uuid};
use crate::model::instance::{Goal, GoalReason, Instance, KillReason, Task};
use crate::model::pod::{KillSelection, PodSpec};
use crate::model::time::Timestamp;
use crate::record::Stability;
use crate::scheduler::Scheduler;
use crate::state::{Pod, Stage, Tally};

/// What to do about a pod right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// So many new copies are wanted.
    create: u32,
    /// So many copies are too many: while definitions are being replaced, of the current one, unless they have volumes.
    surplus: u32,
    /// So many copies of older definitions may go although they serve.
    old_ready: u32,
    /// So many copies of older definitions may go that do not serve.
    old_unready: u32,
    /// Copies of older definitions have to make so many places for new ones.
    places: u32,
    /// So many of those that serve may go for that.
    spare: u32,
    /// So many copies that are out of reach and were replaced are of no use any more.
    inactive: u32,
}

impl Moves {
    /// Of copies that may be another thing by now only those go that were never launched; but if none is wanted, nothing
    /// depends on how they are.
    fn wait_for_news(&mut self, tally: Tally, wanted: u32, replacing: bool) -> bool {
        if wanted == 0 {
            return false;
        }
        let held = *self;
        let waiting = if replacing { tally.current } else { tally.current + tally.old };
        self.surplus = self.surplus.min(waiting.get(Stage::Waiting));
        self.old_unready = self.old_unready.min(tally.old.get(Stage::Waiting));
        self.places = 0;
        self.old_ready = 0;
        *self != held
    }

    /// Whether copies that serve may go.
    pub(super) fn may_end_serving(self) -> bool {
        self.surplus > 0 || self.old_ready > 0 || self.places > 0
    }

    /// Of copies that serve no more go than by `sure`, which counts on fewer of those in `tally`; and none for being too
    /// many.
    pub(super) fn only_sure(self, sure: Self, tally: Tally) -> Self {
        Self {
            surplus: self.surplus.min(tally.counted() - tally.serving()),
            old_ready: self.old_ready.min(sure.old_ready),
            places: self.places.min(sure.places),
            spare: self.spare.min(sure.spare),
            ..self
        }
    }

    /// Begins nothing new: those that got lost are replaced if fewer are `there` than shall be and than there were.
    fn keep_up(&mut self, before: u32, there: u32) {
        self.create = self.create.min(before.saturating_sub(there));
        self.places = 0;
        self.old_ready = 0;
        self.old_unready = 0;
    }
}

impl Scheduler {
    /// Looks at every pod that something happened to, until nothing more is to be done or this step's portion is
    /// used up. Then the next step begins behind the last one, so that no pod keeps the others waiting, however much
    /// there is to be done for it.
    pub(crate) fn drive_pods(&mut self) {
        if self.is_up_to_date() {
            self.state.changes.touched.append(&mut self.held);
            self.state.changes.touched.extend(self.searches.due(self.now).cloned());
        }
        self.note_settled_pods();
        let mut last = None;
        // A look at a pod is of no use if nothing can be done about it.
        while self.portion.left() > 1
            && let Some(id) = self.take_touched()
        {
            self.portion.take(1);
            self.drive_pod(&id);
            last = Some(id.clone());
            if self.portion.is_used_up() {
                // Perhaps not all was done for it.
                self.state.changes.touched.insert(id);
                break;
            }
            if self.state.changes.touched.contains(&id) {
                // It is not at rest: there may be more to do for it.
                continue;
            }
            self.note_stability(&id);
            self.advance_deployment_of(&id);
            self.note_settled(&id);
        }
        if self.state.changes.touched.is_empty() {
            self.drive_cursor = None;
        } else if last.is_some() {
            self.drive_cursor = last;
        }
    }

    /// The next pod to look at, by id: those behind the cursor, then the others.
    fn take_touched(&mut self) -> Option<PodId> {
        let touched = &mut self.state.changes.touched;
        let cursor = self.drive_cursor.as_ref();
        let next = cursor
            .and_then(|last| touched.range::<PodId, _>((Bound::Excluded(last), Bound::Unbounded)).next());
        match next.cloned() {
            Some(id) => touched.take(&id),
            None => touched.pop_first(),
        }
    }

    fn drive_pod(&mut self, id: &PodId) {
        self.held.remove(id);
        self.in_doubt.remove(id);
        let Some(pod) = self.state.pod(id) else {
            self.searches.forget(id);
            return;
        };
        let deployment = pod.deployment.as_ref().and_then(|id| self.state.deployments().get(id));
        let is_overdue =
            deployment.and_then(|deployment| deployment.deadline).is_some_and(|due| due.at <= self.now);
        let next = deployment.and_then(|deployment| deployment.next_action(id));
        let next = next.map(|(action, is_now)| (action.action, is_now, action.copies_before));
        let scaled_since = match next {
            Some((ActionKind::ScalePod, ..)) => deployment.map(|deployment| deployment.version),
            _ => None,
        };
        let tally = pod.tally;
        let spec = pod.spec().cloned();
        let replacing = matches!(next, Some((ActionKind::RestartPod, true, _)));
        let lack_place = self.lack_place(id, spec.as_deref().filter(|_| replacing), tally);
        let Some(spec) = spec else {
            // Those that depend on it end first, in an earlier step.
            if next.is_none_or(|(_, is_now, _)| is_now) {
                let wanted = tally.all() - tally.get(Stage::Stopping);
                let preference = Preference::KillSelection(KillSelection::OldestFirst);
                let all = Choice { of: Versions::All, among: Among::All, preference };
                self.decommission(id, wanted, all, GoalReason::DeletingPod);
            }
            return;
        };
        if let Some((ActionKind::StartPod, ..)) = next {
            return;
        }
        let there = tally.counted();
        let mut moves = plan(tally, &spec, replacing, lack_place);
        if replacing {
            moves = self.wait_for_answers(id, moves, |tally| plan(tally, &spec, replacing, lack_place));
        }
        if let Some((_, is_now, before)) = next
            && (!is_now || self.has_to_wait(id))
        {
            moves.keep_up(before.min(spec.instances()), there);
            self.mark(Mark::DependencyAwaited);
        }
        if is_overdue && self.is_up_to_date() {
            // It ends in this step or a later one, and what leads back would begin with fewer copies.
            moves = Moves::default();
        }
        if !self.is_up_to_date() && moves.wait_for_news(tally, spec.instances(), replacing) {
            self.mark(Mark::OldNewsHeld);
            self.held.insert(id.clone());
        }
        for _ in 0..self.portion.take(moves.create as usize) {
            self.create_instance(&spec);
        }
        let selection = spec.scheduling.kill_selection;
        let by_selection = Preference::KillSelection(selection);
        if moves.surplus > 0 {
            self.mark(Mark::Surplus);
            let preference = match spec.scheduling.unreachable_strategy.on_return() {
                // If fewer are wanted, a copy that had returned before has nothing to do with that.
                Some(on_return) => {
                    Preference::OnReturn(on_return, selection, scaled_since.unwrap_or(Timestamp::EPOCH))
                }
                None => by_selection,
            };
            let of = if replacing && !spec.is_resident() { Versions::Current } else { Versions::All };
            let choice = Choice { of, among: Among::NotInactive, preference };
            self.decommission(id, moves.surplus, choice, GoalReason::OverCapacity);
        }
        if moves.inactive > 0 {
            let choice = Choice { of: Versions::All, among: Among::Inactive, preference: by_selection };
            self.decommission(id, moves.inactive, choice, GoalReason::OverCapacity);
        }
        let older = |among| Choice { of: Versions::Older, among, preference: by_selection };
        if moves.old_unready > 0 {
            self.mark(Mark::OldUnready);
            // What ends already and has volumes comes back as the new version by itself.
            let (count, among) = match spec.is_resident() {
                true => (
                    moves.old_unready.saturating_sub(tally.old.get(Stage::Ending)),
                    Among::NotServingNorEnding,
                ),
                false => (moves.old_unready, Among::NotServing),
            };
            self.decommission(id, count, older(among), GoalReason::Upgrading);
        }
        if moves.old_ready > 0 {
            self.decommission(id, moves.old_ready, older(Among::Serving), GoalReason::Upgrading);
        }
        if moves.places > 0 {
            self.make_place(&spec, moves.places, moves.spare);
        }
    }

    /// Has copies of older definitions go so that so many new ones find a place, among them at most `spare` that serve.
    fn make_place(&mut self, spec: &PodSpec, places: u32, spare: u32) {
        let most = u32::try_from(self.portion.left()).unwrap_or(u32::MAX);
        let places = places.min(most);
        let mut going =
            if places > 0 { self.who_makes_place(&spec.id, spec, places, spare) } else { Vec::new() };
        going.truncate(self.portion.take(going.len()));
        if self.portion.is_used_up() {
            // Perhaps that was not all.
            self.go_on_making_place(&spec.id);
        }
        for uuid in going {
            self.mark(Mark::PlaceMade);
            self.decommission_instance(uuid, GoalReason::Upgrading);
        }
    }

    /// Notes when as many copies serve as shall, and when that ends.
    fn note_stability(&mut self, id: &PodId) {
        let Some(pod) = self.state.pod(id) else { return };
        let Some(spec) = pod.spec() else { return };
        let is_stable = pod.tally.serving() >= spec.instances();
        if pod.state.stability.is_none_or(|noted| noted.is_stable != is_stable) {
            let since = self.now;
            self.state.edit_pod(id, |pod| pod.stability = Some(Stability { is_stable, since }));
        }
    }

    fn create_instance(&mut self, spec: &PodSpec) {
        let random = self.random.id_part(&["instance", spec.id.as_str()]);
        let id = InstanceId { pod: spec.id.clone(), uuid: new_uuid(self.now, random) };
        let instance = Instance::scheduled(id, spec.version, spec.role.clone(), self.now);
        self.state.insert(&self.config, instance);
    }

    /// Decommissions the first `count` of a pod's copies that go, by `choice`.
    fn decommission(&mut self, id: &PodId, count: u32, choice: Choice, reason: GoalReason) {
        // Copies with volumes come back as the new version, to the same volumes.
        let come_back = reason == GoalReason::Upgrading
            && self.state.pod(id).and_then(Pod::spec).is_some_and(|spec| spec.is_resident());
        let count = count as usize;
        // Those out of reach that were asked to end are chosen again each time: what is left to be done lies behind them,
        // and only that is work.
        let most = if come_back { count } else { count.min(self.portion.left()) };
        if most == 0 {
            return;
        }
        let mut victims = self.state.choose(id, choice, most);
        let returns = |instance: &Instance| come_back && instance.residence.is_some();
        victims.retain(|uuid| {
            let instance = self.state.instance(*uuid);
            instance.is_some_and(|instance| !returns(instance) || instance.kill_requested.is_none())
        });
        victims.truncate(self.portion.take(victims.len()));
        for uuid in victims {
            if self.state.instance(uuid).is_some_and(returns) {
                self.request_kill(uuid, KillReason::Upgrading);
            } else {
                self.decommission_instance(uuid, reason);
            }
        }
    }

    /// Ends an instance for good. One that never ran, or has ended, is gone at once; one that is out of reach
    /// is given up, and killed should it return.
    pub(crate) fn decommission_instance(&mut self, uuid: Uuid, reason: GoalReason) {
        self.state.edit(&self.config, uuid, |instance| {
            instance.goal = Goal::Decommissioned;
            instance.goal_reason = Some(reason);
        });
        let Some(instance) = self.state.instance(uuid) else { return };
        if !instance.tasks.iter().any(Task::can_be_killed) {
            self.let_go(uuid);
        }
    }

    /// Removes an instance that has ended or cannot be asked to. Unless all of it reported its own end, it is
    /// remembered, and killed should it show up again.
    pub(crate) fn let_go(&mut self, uuid: Uuid) {
        let now = self.now;
        let Some(instance) = self.state.instance(uuid) else { return };
        if instance.tasks.iter().all(Task::reported_its_end) {
            self.state.remove(uuid);
        } else {
            self.state.forget(uuid, now);
        }
    }
}

/// Compares what there is with what `spec` wants. So many new copies `lack_place`.
fn plan(tally: Tally, spec: &PodSpec, replacing: bool, lack_place: u32) -> Moves {
    let wanted = spec.instances();
    if !replacing {
        // Copies of older definitions stay until a deployment replaces them.
        let there = tally.counted();
        return Moves {
            create: wanted.saturating_sub(there),
            surplus: there.saturating_sub(wanted),
            inactive: if wanted == 0 { tally.get(Stage::Inactive) } else { 0 },
            ..Moves::default()
        };
    }
    if spec.is_resident() && tally.counted() > wanted {
        // With them goes what is on their volumes, so they are chosen as if nothing but their number changed. If those
        // stayed whose turn came first, the others would have to go, whichever they are.
        return Moves { surplus: tally.counted() - wanted, ..Moves::default() };
    }
    let capacity = Capacity::of(spec);
    let (current, old) = (tally.current, tally.old);
    let available = current.get(Stage::Available);
    // An old copy goes when a new one is available in its place.
    let old_counted = old.counted() + old.get(Stage::Inactive);
    let replaced = old_counted.saturating_sub(wanted.saturating_sub(available));
    // A new copy comes when there is room for it. Those that are ending still take their room.
    let missing = wanted.saturating_sub(current.counted());
    let room = capacity.ceiling.saturating_sub(tally.all() - tally.get(Stage::Inactive));
    // Where there is no room for what is missing, old copies have to make it.
    let in_the_way = missing.saturating_sub(room).min(old_counted);
    let ending = tally.get(Stage::Stopping);
    let to_go = replaced.max(in_the_way.saturating_sub(ending));
    // Those that do not serve go first. One that does may go only while enough serve without it, and of new
    // copies only those count that can be relied on.
    let old_unready = to_go.min(old_counted - old.serving());
    let spare = (old.serving() + available).saturating_sub(capacity.floor);
    let old_ready = (to_go - old_unready).min(spare).min(old.serving());
    Moves {
        create: missing.min(room),
        surplus: current.counted().saturating_sub(wanted),
        old_ready,
        old_unready,
        // Those that go anyway make place as well.
        places: lack_place.saturating_sub(ending + old_ready + old_unready),
        spare: spare - old_ready,
        inactive: if wanted == 0 { tally.get(Stage::Inactive) } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admission::{Rules, read_pod};
    use crate::model::number::Number;

    /// A pod before its replacement, and what is to be done first.
    struct Worked {
        instances: u32,
        minimum_health: f64,
        over: f64,
        /// So many old copies serve, and so many do not.
        old: (u32, u32),
        is_resident: bool,
        /// So many old copies that serve, and that do not, may go at once.
        go: (u32, u32),
        /// So many new ones come at once.
        create: u32,
        ceiling: u32,
    }

    fn first_moves(row: &Worked) -> (Moves, Capacity) {
        let mut json = json!({
            "id": "/p",
            "scaling": {"kind": "fixed", "instances": row.instances},
            "containers": [{"name": "c", "exec": {"command": {"shell": "true"}}, "resources": {"cpus": 1, "mem": 1}}]
        });
        if row.is_resident {
            json["role"] = json!("dev");
            json["volumes"] = json!([{"name": "data", "persistent": {"size": 1}}]);
            json["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        }
        let mut spec = read_pod(&json, &Rules::default()).expect("the test's pod is valid").pod;
        spec.scheduling.upgrade.minimum_health_capacity = Number(row.minimum_health);
        spec.scheduling.upgrade.maximum_over_capacity = Number(row.over);
        let mut tally = Tally::default();
        (0..row.old.0).for_each(|_| tally.add(false, Stage::Available));
        (0..row.old.1).for_each(|_| tally.add(false, Stage::Unready));
        let mut moves = plan(tally, &spec, true, 0);
        let surplus = moves.surplus;
        if surplus > 0 {
            // The next look follows at once.
            assert_eq!(moves, Moves { surplus, ..Moves::default() });
            for _ in 0..surplus {
                tally.remove(false, Stage::Available);
                tally.add(false, Stage::Stopping);
            }
            moves = plan(tally, &spec, true, 0);
            moves.old_ready += surplus;
        }
        (moves, Capacity::of(&spec))
    }

    /// The values that Marathon's tests work through. Where its numbers are others, a comment says which: so many old
    /// copies end at once, of so many that may exist.
    #[test]
    fn how_the_replacement_of_marathons_worked_values_begins() {
        let row = |instances, minimum_health, over, old, is_resident, go, create, ceiling| Worked {
            instances,
            minimum_health,
            over,
            old,
            is_resident,
            go,
            create,
            ceiling,
        };
        for row in [
            row(1, 0.5, 0.0, (1, 0), true, (1, 0), 0, 1),
            // 0 of 1.
            row(1, 0.5, 0.0, (0, 1), true, (0, 1), 0, 1),
            row(5, 0.5, 0.0, (5, 0), true, (2, 0), 0, 5),
            row(5, 1.0, 0.0, (7, 0), true, (3, 0), 0, 5),
            // 0 of 5.
            row(5, 1.0, 0.0, (3, 2), true, (0, 2), 0, 5),
            row(5, 1.0, 0.0, (5, 0), true, (1, 0), 0, 5),
            row(1, 0.5, 0.0, (1, 0), false, (0, 0), 1, 2),
            // 0 of 1.
            row(1, 0.5, 0.0, (0, 0), false, (0, 0), 1, 2),
            row(2, 0.5, 0.0, (2, 0), false, (1, 0), 0, 2),
            row(10, 0.1, 0.0, (1, 0), false, (0, 0), 9, 10),
            // 9 of 20.
            row(10, 0.1, 1.0, (10, 0), false, (0, 0), 10, 20),
            row(10, 1.0, 1.0, (10, 0), false, (0, 0), 10, 20),
        ] {
            let (moves, capacity) = first_moves(&row);
            let found = (moves.old_ready, moves.old_unready, moves.create, capacity.ceiling);
            let what =
                format!("{} · {}, {} over, {:?}", row.instances, row.minimum_health, row.over, row.old);
            assert_eq!(found, (row.go.0, row.go.1, row.create, row.ceiling), "{what}");
            assert_eq!((moves.surplus, moves.inactive), (0, 0), "{what}");
        }
    }

    /// One of four new copies serves, one old one is ending, and the other three new ones wait for a place.
    #[test]
    fn who_goes_anyway_makes_place_as_well() {
        let upgrade = json!({"minimumHealthCapacity": 0.5, "maximumOverCapacity": 1});
        let spec = json!({
            "id": "/p",
            "scaling": {"kind": "fixed", "instances": 4},
            "containers": [{"name": "c", "exec": {"command": {"shell": "true"}}, "resources": {"cpus": 1, "mem": 1}}],
            "scheduling": {"upgrade": upgrade}
        });
        let spec = read_pod(&spec, &Rules::default()).expect("the test's pod is valid").pod;
        let moves = |old: [Stage; 4]| {
            let mut tally = Tally::default();
            tally.add(true, Stage::Available);
            (0..3).for_each(|_| tally.add(true, Stage::Waiting));
            tally.add(false, Stage::Stopping);
            old.into_iter().for_each(|stage| tally.add(false, stage));
            let moves = plan(tally, &spec, true, 3);
            (moves.old_ready, moves.old_unready, moves.places, moves.spare)
        };
        let serves = Stage::Available;
        assert_eq!(moves([serves; 4]), (1, 0, 1, 2), "five serve, and two must");
        assert_eq!(moves([serves, serves, serves, Stage::Unready]), (0, 1, 1, 2));
    }

    /// Two of four are known to serve, one served, and one waits.
    #[test]
    fn while_mesos_owes_an_answer_only_those_go_that_are_not_needed_whatever_it_is() {
        let mut tally = Tally::default();
        for stage in [Stage::Available, Stage::Ready, Stage::Available, Stage::Waiting] {
            tally.add(true, stage);
        }
        let moves =
            Moves { create: 1, surplus: 2, old_ready: 2, old_unready: 3, places: 1, spare: 1, inactive: 1 };
        let sure = Moves { old_ready: 1, ..Moves::default() };
        let left = Moves { surplus: 1, old_ready: 1, places: 0, spare: 0, ..moves };
        assert_eq!(moves.only_sure(sure, tally), left);
    }
}
