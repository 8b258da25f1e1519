//! What every figure keeps to, whatever it shows.

use std::collections::BTreeSet;

use labs::figure::{Kind, Setup};
use labs::{trace, way};

#[test]
fn a_run_is_decided_by_its_seed_and_its_settings() {
    for entry in labs::all() {
        for run in trace::runs(entry.about) {
            let line = || trace::line(entry, &run);
            assert_eq!(line(), line(), "{}", entry.name);
        }
    }
}

#[test]
fn another_seed_or_setting_shows_something_else() {
    for entry in labs::all() {
        let hashes: BTreeSet<String> = trace::runs(entry.about)
            .iter()
            .filter_map(|run| {
                let line = trace::line(entry, run);
                let (_, hash) = line.rsplit_once("\"hash\":")?;
                Some(hash.to_owned())
            })
            .collect();
        assert!(
            hashes.len() > 5,
            "{}: {} different runs",
            entry.name,
            hashes.len()
        );
    }
}

#[test]
fn a_picture_is_whole_at_every_moment() {
    for entry in labs::all() {
        let name = entry.name;
        for run in trace::runs(entry.about) {
            let mut shown = entry.start(&Setup::from_lines(run.seed.into(), &run.lines));
            for event in &run.events {
                event.happen(shown.as_mut());
                let view = shown.view();
                let keys: Vec<&str> = view.split("data-key=\\\"").skip(1).collect();
                let keys: Vec<&str> = keys
                    .iter()
                    .filter_map(|rest| rest.split("\\\"").next())
                    .collect();
                let different: BTreeSet<&&str> = keys.iter().collect();
                assert_eq!(
                    different.len(),
                    keys.len(),
                    "{name}: two shapes with one key: {view}"
                );
                assert!(keys.len() <= 400, "{name}: {} shapes", keys.len());
                assert!(!shown.words().is_empty(), "{name} says nothing");
                assert!(!view.contains("NaN"), "{name}: {view}");
            }
        }
    }
}

#[test]
fn a_figure_has_two_to_four_goals_none_of_them_reached_at_the_start() {
    for entry in labs::all() {
        let goals = entry.about.goals.len();
        assert!((2..=4).contains(&goals), "{} has {goals} goals", entry.name);
        let view = entry.start(&Setup::new(1)).view();
        let (_, reached) = view.rsplit_once("\"goals\":[").expect("goals");
        assert_eq!(
            reached.matches("false").count(),
            goals,
            "{}: {reached}",
            entry.name
        );
        assert!(!reached.contains("true"), "{}: {reached}", entry.name);
    }
}

#[test]
fn controls_begin_within_their_bounds_and_have_keys_fit_for_a_link() {
    for entry in labs::all() {
        for control in entry.about.controls {
            let name = format!("{}: {}", entry.name, control.key);
            assert!(
                control.key.bytes().all(|byte| byte.is_ascii_lowercase()),
                "{name}"
            );
            assert!(!["figure", "seed"].contains(&control.key), "{name}");
            match control.kind {
                Kind::Slider {
                    min,
                    max,
                    step,
                    value,
                    ..
                } => {
                    assert!(min <= value && value <= max && step > 0, "{name}");
                    assert_eq!((value - min) % step, 0, "{name}");
                }
                Kind::Choice { options, value } => assert!(value < options.len(), "{name}"),
                Kind::Text { value } => assert!(!value.is_empty(), "{name}"),
            }
        }
    }
}

#[test]
fn a_reader_who_tries_things_reaches_a_goal() {
    for entry in labs::all() {
        let way = way::to_a_goal(entry).unwrap_or_else(|| panic!("{}: no way", entry.name));
        assert_eq!(way.walk(entry), Some(way.events.len()), "{}", entry.name);
    }
}
