//! Graceful degradation: give less rather than nothing.
//!
//! First a product page that asks ten services, each of which fails one call of a
//! hundred, while the one for recommendations is down for a while. Look at the share
//! of pages that fail, by what counts as necessary. Then a server that more and more
//! requests reach: it answers 100 a tick. Look at the good answers, those that come
//! before the caller gives up, at twice the load that it can carry.
//!
//! Simplified: a request costs the same whether or not somebody still waits for it;
//! to refuse one costs a hundredth of an answer.

use fastrand::Rng;
use std::collections::VecDeque;

const PAGES: u32 = 10_000;
const SERVICES: usize = 10;
const FAILS_PERCENT: u32 = 1;
const NECESSARY: usize = 2; // product and price; eight more make it nicer
const RECOMMENDATIONS: usize = 9;
const DOWN: std::ops::Range<u32> = 4_000..5_000; // pages, for recommendations

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    AllNeeded,
    LeaveOut,
    Stale, // the last good answer instead, where there is one
}

#[derive(Debug, Default, PartialEq)]
struct Pages {
    whole: u32,
    stale: u32,
    partial: u32,
    failed: u32,
}

// ANCHOR: page
/// Serves all pages. `rng` decides which calls fail, the same for each rule.
fn serve(page: Page) -> Pages {
    let mut rng = Rng::with_seed(1);
    let mut last_good: [Option<u32>; SERVICES] = [None; SERVICES];
    let mut pages = Pages::default();
    for number in 0..PAGES {
        let (mut missing, mut stale, mut failed) = (0, 0, false);
        for (service, last) in last_good.iter_mut().enumerate() {
            let down = service == RECOMMENDATIONS && DOWN.contains(&number);
            let ok = rng.u32(..100) >= FAILS_PERCENT && !down;
            if ok {
                *last = Some(number);
                continue;
            }
            let necessary = page == Page::AllNeeded || service < NECESSARY;
            if necessary {
                failed = true; // a stale price would be a lie
            } else if page == Page::Stale && last.is_some() {
                stale += 1;
            } else {
                missing += 1;
            }
        }
        match (failed, missing, stale) {
            (true, _, _) => pages.failed += 1,
            (_, 1.., _) => pages.partial += 1,
            (_, _, 1..) => pages.stale += 1,
            _ => pages.whole += 1,
        }
    }
    pages
}
// ANCHOR_END: page

const ANSWER_COST: u32 = 100;
const REFUSE_COST: u32 = 1;
const BUDGET_PER_TICK: u32 = 100 * ANSWER_COST;
const PATIENCE_TICKS: u64 = 10;
const RUN_TICKS: u64 = 400;
/// Who comes in these ticks is counted.
const MEASURED_TICKS: std::ops::Range<u64> = 200..380;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shed {
    Nothing,
    WhenFull(usize),   // refuses at the door
    ByPriority(usize), // … browsers first, buyers only when there is no room
    Expired,           // takes no request that nobody waits for
}

#[derive(Debug, Default, PartialEq)]
struct Good {
    all: f64,    // good answers a tick
    buyers: f64, // in percent of the buyers who came
}

// ANCHOR: shed
/// One request in five is from a buyer.
fn overload(shed: Shed, load_percent: u32) -> Good {
    let mut rng = Rng::with_seed(2);
    let mut queue: VecDeque<(u64, bool)> = VecDeque::new(); // came at, buyer
    let (mut good, mut good_buyers, mut buyers) = (0, 0, 0);
    for now in 0..RUN_TICKS {
        let mut budget = BUDGET_PER_TICK;
        for _ in 0..load_percent {
            let buyer = rng.u8(..5) == 0;
            buyers += u32::from(buyer && MEASURED_TICKS.contains(&now));
            let room = match shed {
                Shed::WhenFull(queue_len_max) => queue.len() < queue_len_max,
                // Browsers may use half of the room.
                Shed::ByPriority(queue_len_max) => {
                    let share = if buyer { 2 } else { 1 };
                    queue.len() < queue_len_max * share / 2
                }
                Shed::Nothing | Shed::Expired => true,
            };
            if room {
                queue.push_back((now, buyer));
            } else {
                budget = budget.saturating_sub(REFUSE_COST);
            }
        }
        while let Some(&(came, buyer)) = queue.front() {
            let waits = now - came < PATIENCE_TICKS;
            let drop = shed == Shed::Expired && !waits;
            let cost = if drop { REFUSE_COST } else { ANSWER_COST };
            if budget < cost {
                break;
            }
            budget -= cost;
            queue.pop_front();
            if !drop && waits && MEASURED_TICKS.contains(&came) {
                good += 1;
                good_buyers += u32::from(buyer);
            }
        }
    }
    Good {
        all: f64::from(good) / (MEASURED_TICKS.end - MEASURED_TICKS.start) as f64,
        buyers: 100.0 * f64::from(good_buyers) / f64::from(buyers),
    }
}
// ANCHOR_END: shed

const SHEDS: [(&str, Shed); 4] = [
    ("nothing", Shed::Nothing),
    ("the expired", Shed::Expired),
    ("whoever comes when full", Shed::WhenFull(500)),
    ("browsers before buyers", Shed::ByPriority(500)),
];

fn main() {
    println!("10000 pages             whole   stale  partial  failed");
    for (name, page) in [
        ("all ten necessary", Page::AllNeeded),
        ("two necessary", Page::LeaveOut),
        ("… and stale ones", Page::Stale),
    ] {
        let p = serve(page);
        print!("{name:<22} {:>6} {:>7}", p.whole, p.stale);
        println!(" {:>8} {:>7}", p.partial, p.failed);
    }
    println!("\ngood answers a tick, at a load of                   buyers served");
    println!("it sheds                  80 %  110 %  200 %  400 %   % at 200 %");
    for (name, shed) in SHEDS {
        print!("{name:<24}");
        for load_percent in [80, 110, 200, 400] {
            print!(" {:>6.1}", overload(shed, load_percent).all);
        }
        println!(" {:>9.1}", overload(shed, 200).buyers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_ten_parts_fails_when_any_of_them_does() {
        let pages = serve(Page::AllNeeded);
        let formula = 0.99_f64.powi(10) * 9_000.0; // none while one is down
        assert!(
            (f64::from(pages.whole) / formula - 1.0).abs() < 0.01,
            "{pages:?}"
        );
        assert_eq!(pages.whole + pages.failed, PAGES);
    }

    #[test]
    fn degrading_saves_all_pages_but_those_without_a_necessary_part() {
        let formula = (1.0 - 0.99_f64.powi(2)) * 10_000.0;
        for page in [Page::LeaveOut, Page::Stale] {
            let failed = f64::from(serve(page).failed);
            assert!((failed / formula - 1.0).abs() < 0.1, "{failed} {formula}");
        }
    }

    #[test]
    fn a_stale_part_replaces_every_missing_one_that_was_ever_seen() {
        let (left_out, stale) = (serve(Page::LeaveOut), serve(Page::Stale));
        assert_eq!(left_out.whole, stale.whole);
        assert!(stale.partial < 5, "only before the first good answer");
    }

    #[test]
    fn a_queue_without_end_answers_nobody_in_time_above_its_capacity() {
        assert!(overload(Shed::Nothing, 80).all > 79.0);
        assert_eq!(overload(Shed::Nothing, 200).all, 0.0);
    }

    #[test]
    fn a_queue_longer_than_the_patience_leaves_no_good_answer() {
        assert_eq!(overload(Shed::WhenFull(1_100), 200).all, 0.0);
        assert!(overload(Shed::WhenFull(900), 200).all > 90.0);
    }

    #[test]
    fn shedding_keeps_almost_all_of_the_goodput_at_four_times_the_load() {
        for (name, shed) in &SHEDS[1..] {
            let all = overload(*shed, 400).all;
            // Three hundred refusals or more cost three answers or more.
            assert!(all > 95.0 && all < 97.0, "{name} {all}");
        }
    }

    #[test]
    fn with_priorities_all_buyers_are_served_at_twice_the_capacity() {
        assert!(overload(Shed::ByPriority(500), 200).buyers > 99.0);
        assert!(overload(Shed::WhenFull(500), 200).buyers < 60.0);
    }
}
