//! What becomes of offers.

use super::*;

#[test]
fn an_offer_that_is_answered_twice() {
    let stutter = bug!(say, |output| {
        let is_answer = |action: &&Action| matches!(action, Action::Call(Call::Decline { .. }));
        let answers: Vec<Action> = output.actions.iter().filter(is_answer).cloned().collect();
        output.actions.extend(answers);
    });
    let found = violation(stutter, &plan()).to_string();
    assert!(found.starts_with("offers: ") && found.contains("answered before, or never made"), "{found}");
}

#[test]
fn an_offer_of_a_connection_that_is_gone() {
    /// Answers offers when it is subscribed again.
    #[derive(Clone, Default)]
    struct Late {
        kept: Vec<Action>,
        is_subscribed: bool,
    }
    impl Bug for Late {
        fn hear(&mut self, input: &mut Input) {
            self.is_subscribed =
                matches!(input, Input::Event(event) if matches!(**event, Event::Subscribed { .. }));
        }

        fn say(&mut self, output: &mut Output) {
            if self.is_subscribed {
                output.actions.append(&mut self.kept);
            }
            let is_answer = |action: &mut Action| matches!(action, Action::Call(Call::Decline { .. }));
            if !self.is_subscribed && self.kept.is_empty() {
                self.kept.extend(output.actions.extract_if(.., is_answer));
            }
        }
    }
    let broken = r#", "faults": [{ "at": "1s", "on": "offers", "do": { "connection_broken": {} } }]"#;
    let plan = surplus("", "", broken);
    assert_eq!(run(&plan).violation, None);
    let found = violation(Late::default(), &plan).to_string();
    assert!(found.starts_with("offers: ") && found.contains("answered before, or never made"), "{found}");
}
