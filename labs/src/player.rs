//! Plays a figure forward and back. Back is the run once more from its beginning, one event less: a
//! program need not know how to go back, and what one sees again is what one saw.

use crate::figure::{Figure, Setup};
use crate::scene::Scene;
use crate::Run;

/// Events remembered; after so many a run takes no more actions, so that memory has a limit.
const EVENTS_MAX: usize = 20_000;

#[derive(Clone, Copy)]
enum Event {
    Step,
    Act(usize, i64),
}

/// A run of one figure with what happened in it.
pub struct Player<F> {
    setup: Setup,
    events: Vec<Event>,
    figure: F,
    steps: usize,
    over: bool,
}

impl<F: Figure> Player<F> {
    /// A run from its beginning.
    pub fn new(setup: &Setup) -> Player<F> {
        Player {
            setup: setup.clone(),
            events: Vec::new(),
            figure: F::new(setup),
            steps: 0,
            over: false,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Step => {
                self.steps += 1;
                self.over = !self.figure.step() || self.steps >= F::ABOUT.steps_max;
            }
            Event::Act(action, value) => self.figure.act(action, value),
        }
        self.events.push(event);
    }

    fn scene(&self) -> Scene {
        let mut scene = Scene::default();
        self.figure.draw(&mut scene);
        scene
    }
}

impl<F: Figure> Run for Player<F> {
    fn step(&mut self) -> bool {
        if self.over || self.events.len() >= EVENTS_MAX {
            return false;
        }
        self.happen(Event::Step);
        !self.over
    }

    fn back(&mut self) -> bool {
        let mut events = std::mem::take(&mut self.events);
        let went_back = events.pop().is_some();
        *self = Player::new(&self.setup);
        for event in events {
            self.happen(event);
        }
        went_back
    }

    fn act(&mut self, action: usize, value: i64) {
        if action < F::ABOUT.actions.len() && self.events.len() < EVENTS_MAX {
            self.happen(Event::Act(action, value));
        }
    }

    /// `{"begun":true,"over":false,"svg":"<svg …","say":"…","goals":[true,false]}`
    fn view(&self) -> String {
        let scene = self.scene();
        let goals: Vec<&str> = self
            .figure
            .reached()
            .into_iter()
            .map(|reached| if reached { "true" } else { "false" })
            .collect();
        format!(
            "{{\"begun\":{},\"over\":{},\"svg\":{},\"say\":{},\"goals\":[{}]}}",
            !self.events.is_empty(),
            self.over,
            quoted(&scene.svg(F::ABOUT.title)),
            quoted(scene.words()),
            goals.join(",")
        )
    }

    fn still(&self) -> String {
        self.scene().still(F::ABOUT.title)
    }

    fn words(&self) -> String {
        self.scene().words().to_owned()
    }

    #[cfg(not(target_family = "wasm"))]
    fn reached(&self) -> Vec<bool> {
        self.figure.reached()
    }
}

/// A text as JSON (RFC 8259, section 7).
pub fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for letter in text.chars() {
        match letter {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", control as u32)),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{About, Action};

    struct Counter(u64);

    impl Figure for Counter {
        const ABOUT: &'static About = &About {
            title: "A \"count\"",
            controls: &[],
            actions: &[Action {
                label: "Add",
                button: true,
            }],
            goals: &["Reach ten."],
            pace_ms: 1,
            still_acts: &[],
            still_steps: 0,
            steps_max: 4,
        };

        fn new(setup: &Setup) -> Self {
            Counter(setup.seed)
        }

        fn step(&mut self) -> bool {
            self.0 += 1;
            true
        }

        fn act(&mut self, _: usize, value: i64) {
            self.0 += value as u64;
        }

        fn draw(&self, scene: &mut Scene) {
            scene.say(format!("It is {}.", self.0));
        }

        fn reached(&self) -> Vec<bool> {
            vec![self.0 >= 10]
        }
    }

    #[test]
    fn going_back_shows_what_was_seen_before() {
        let mut run = Player::<Counter>::new(&Setup::new(5));
        let mut seen = vec![run.view()];
        run.step();
        seen.push(run.view());
        run.act(0, 7);
        seen.push(run.view());
        run.step();
        while let Some(before) = seen.pop() {
            assert!(run.back());
            assert_eq!(run.view(), before);
        }
        assert!(!run.back());
    }

    #[test]
    fn a_run_ends_after_its_last_step_and_an_unknown_action_does_nothing() {
        let mut run = Player::<Counter>::new(&Setup::new(0));
        assert_eq!((0..9).filter(|_| run.step()).count(), 3);
        assert_eq!(run.words(), "It is 4.");
        run.act(1, 100);
        assert_eq!(run.words(), "It is 4.");
        assert!(
            run.view().starts_with("{\"begun\":true,\"over\":true,"),
            "{}",
            run.view()
        );
    }
}
