//! The same sales, counted by a batch job and by a stream, with late data.
//!
//! Look at one window first: its answer comes early and changes twice. Then at the
//! table. Waiting longer before the first answer, keeping windows open for
//! corrections, or dropping what is late: you can choose which you pay with. The
//! batch job has the same choice, made by the hour at which it starts.
//!
//! Simplified: one partition, events counted one by one, a bound on the delay that
//! is known (60 s), and no event arrives twice or is lost.

use fastrand::Rng;
use std::collections::BTreeMap;

const EVENTS: usize = 2_000;
const PERIOD_S: u64 = 600;
const WINDOW_S: u64 = 10;
const DELAY_S_MAX: u64 = 60;

#[derive(Clone, Copy)]
struct Event {
    at_s: u64, // event time: when the sale was made
    arrives_s: u64,
}

/// In the order of arrival. A phone in a tunnel sends its sale later.
fn events(seed: u64) -> Vec<Event> {
    let mut rng = Rng::with_seed(seed);
    let event = |_| {
        let at_s = rng.u64(..PERIOD_S);
        let delay_s = match rng.u8(..100) {
            0 => rng.u64(20..=DELAY_S_MAX),
            1..10 => rng.u64(3..20),
            _ => rng.u64(..3),
        };
        let arrives_s = at_s + delay_s;
        Event { at_s, arrives_s }
    };
    let mut events: Vec<Event> = (0..EVENTS).map(event).collect();
    events.sort_by_key(|event| (event.arrives_s, event.at_s));
    events
}

/// By start of the window: how many sales.
type Counts = BTreeMap<u64, u64>;

// ANCHOR: batch
fn window(at_s: u64) -> u64 {
    at_s - at_s % WINDOW_S
}

/// Counts what has arrived when it starts.
fn batch(events: &[Event], starts_s: u64) -> Counts {
    let mut counts = Counts::new();
    for event in events.iter().filter(|event| event.arrives_s <= starts_s) {
        *counts.entry(window(event.at_s)).or_default() += 1;
    }
    counts
}
// ANCHOR_END: batch

#[derive(Clone, Copy)]
struct Answer {
    window_s: u64,
    count: u64,
    given_s: u64,
}

impl Answer {
    fn new((window_s, count): (u64, u64), given_s: u64) -> Answer {
        Answer {
            window_s,
            count,
            given_s,
        }
    }
}

// ANCHOR: stream
struct Stream {
    wait_s: u64,      // the watermark stays this far behind the newest event
    keep_s: u64,      // a window stays open this long after the watermark passed
    watermark_s: u64, // "nothing older will come": a guess
    waiting: Counts,  // windows without an answer yet
    open: Counts,     // windows with an answer that may be corrected
    open_max: usize,  // what waiting and keeping cost: memory
    answers: Vec<Answer>, // the first one of each window
    corrected: Vec<Answer>,
    dropped: u64,
}

impl Stream {
    fn step(&mut self, event: Event) {
        let (start, now) = (window(event.at_s), event.arrives_s);
        let end = start + WINDOW_S;
        if end + self.keep_s <= self.watermark_s {
            self.dropped += 1; // its window is closed for good
        } else if end <= self.watermark_s {
            let count = self.open.entry(start).or_default();
            *count += 1;
            self.corrected.push(Answer::new((start, *count), now));
        } else {
            *self.waiting.entry(start).or_default() += 1;
        }

        let newest = event.at_s.saturating_sub(self.wait_s);
        self.watermark_s = self.watermark_s.max(newest);
        // Windows that start before this have ended before the watermark.
        let passed = (self.watermark_s + 1).saturating_sub(WINDOW_S);
        let later = self.waiting.split_off(&passed);
        let ready = std::mem::replace(&mut self.waiting, later);
        self.answers
            .extend(ready.iter().map(|(&w, &n)| Answer::new((w, n), now)));
        self.open.extend(ready);
        self.open = self.open.split_off(&passed.saturating_sub(self.keep_s));
        self.open_max = self.open_max.max(self.open.len() + self.waiting.len());
    }
}
// ANCHOR_END: stream

impl Stream {
    fn new(wait_s: u64, keep_s: u64) -> Stream {
        Stream {
            wait_s,
            keep_s,
            watermark_s: 0,
            waiting: Counts::new(),
            open: Counts::new(),
            open_max: 0,
            answers: Vec::new(),
            corrected: Vec::new(),
            dropped: 0,
        }
    }

    fn run(events: &[Event], wait_s: u64, keep_s: u64) -> Stream {
        let mut stream = Stream::new(wait_s, keep_s);
        events.iter().for_each(|&event| stream.step(event));
        // The source says that it has ended: nothing is held back any more.
        let (rest, now) =
            (std::mem::take(&mut stream.waiting), PERIOD_S + DELAY_S_MAX);
        stream
            .answers
            .extend(rest.into_iter().map(|w| Answer::new(w, now)));
        stream
    }

    /// What a reader has at the end: the last answer for each window.
    fn counts(&self) -> Counts {
        let all = self.answers.iter().chain(&self.corrected);
        all.map(|answer| (answer.window_s, answer.count)).collect()
    }
}

/// From the end of its window to an answer, on average.
fn delay_s(answers: &[Answer]) -> u64 {
    let delay = |a: &Answer| a.given_s - (a.window_s + WINDOW_S);
    answers.iter().map(delay).sum::<u64>() / answers.len() as u64
}

fn wrong(counts: &Counts, exact: &Counts) -> usize {
    exact
        .iter()
        .filter(|(start, n)| counts.get(start) != Some(n))
        .count()
}

fn main() {
    let events = events(7);
    let exact = batch(&events, PERIOD_S + DELAY_S_MAX);
    let stream = Stream::run(&events, 2, 60);
    let corrections = |start| {
        stream
            .corrected
            .iter()
            .filter(|a| a.window_s == start)
            .count()
    };
    let twice = exact.keys().copied().find(|&start| corrections(start) == 2);
    let start = twice.unwrap_or_default();
    println!("sales made from {start} s to {} s", start + WINDOW_S);
    for answer in stream.answers.iter().chain(&stream.corrected) {
        if answer.window_s == start {
            println!(
                "  at {:>3} s the stream says {}",
                answer.given_s, answer.count
            );
        }
    }

    println!(
        "\n                        first  corrected  dropped    wrong     open"
    );
    println!("                       answer    answers   events  windows  windows");
    let row = |what: String, delay: u64, counted: [usize; 4]| {
        let [corrected, dropped, wrong, open] = counted;
        println!(
            "{what:<21} {delay:>5} s {corrected:>10} {dropped:>8} \
             {wrong:>8} {open:>8}"
        );
    };
    for starts_s in [PERIOD_S, PERIOD_S + DELAY_S_MAX] {
        let counts = batch(&events, starts_s);
        let dropped = EVENTS - counts.values().sum::<u64>() as usize;
        let (wrong, open) = (wrong(&counts, &exact), counts.len());
        let answers: Vec<Answer> = counts
            .into_iter()
            .map(|w| Answer::new(w, starts_s))
            .collect();
        let what = format!("batch at {starts_s} s");
        row(what, delay_s(&answers), [0, dropped, wrong, open]);
    }
    for (wait_s, keep_s) in [(0, 0), (2, 0), (20, 0), (60, 0), (2, 20), (2, 60)] {
        let stream = Stream::run(&events, wait_s, keep_s);
        let (corrected, dropped) = (stream.corrected.len(), stream.dropped as usize);
        let wrong = wrong(&stream.counts(), &exact);
        let what = format!("wait {wait_s:>2} s, keep {keep_s:>2} s");
        let counted = [corrected, dropped, wrong, stream.open_max];
        row(what, delay_s(&stream.answers), counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: std::ops::Range<u64> = 0..100;

    fn exact(events: &[Event]) -> Counts {
        batch(events, PERIOD_S + DELAY_S_MAX)
    }

    #[test]
    fn a_stream_that_keeps_windows_for_the_longest_delay_ends_like_the_batch() {
        for seed in SEEDS {
            let all = events(seed);
            // So few that some windows get their first sale late.
            let few: Vec<Event> = all.iter().copied().step_by(97).collect();
            for events in [all, few] {
                let stream = Stream::run(&events, seed % 30, DELAY_S_MAX);
                assert_eq!(stream.counts(), exact(&events), "seed {seed}");
                assert_eq!(stream.dropped, 0, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_stream_that_waits_for_the_longest_delay_is_right_the_first_time() {
        for seed in SEEDS {
            let events = events(seed);
            let stream = Stream::run(&events, DELAY_S_MAX, 0);
            assert_eq!(stream.counts(), exact(&events), "seed {seed}");
            assert!(stream.corrected.is_empty(), "seed {seed}");
        }
    }

    #[test]
    fn every_event_is_counted_or_counted_as_dropped() {
        for seed in SEEDS {
            let mut rng = Rng::with_seed(seed);
            let stream = Stream::run(&events(seed), rng.u64(..70), rng.u64(..70));
            let counted: u64 = stream.counts().values().sum();
            assert_eq!(counted + stream.dropped, EVENTS as u64, "seed {seed}");
        }
    }

    #[test]
    fn without_waiting_or_keeping_windows_are_wrong_for_good() {
        for seed in SEEDS {
            let events = events(seed);
            let stream = Stream::run(&events, 2, 0);
            assert!(wrong(&stream.counts(), &exact(&events)) > 20, "seed {seed}");
        }
    }

    #[test]
    fn a_batch_that_starts_at_once_misses_what_is_late_too() {
        for seed in SEEDS {
            let events = events(seed);
            let early = batch(&events, PERIOD_S);
            assert!(wrong(&early, &exact(&events)) > 0, "seed {seed}");
        }
    }

    #[test]
    fn while_no_event_comes_no_answer_comes() {
        let event = |at_s, arrives_s| Event { at_s, arrives_s };
        let mut stream = Stream::new(2, 0);
        stream.step(event(9, 9));
        assert!(
            stream.answers.is_empty(),
            "the clock alone moves no watermark"
        );
        stream.step(event(12, 500));
        assert_eq!(stream.answers[0].given_s, 500);
    }
}
