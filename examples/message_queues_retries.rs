//! A message fails. When is it tried again, and when does one give up?
//!
//! First, nine good messages and a poison one: a message that fails however often
//! it is tried. Look at who has to wait for it. Then 200 messages whose target is
//! down for 30 seconds and takes 20 calls a second after that: look at the calls
//! that are made for nothing, and at the busiest second after the repair.
//!
//! Simplified: one worker in the first part, an attempt takes a second; in the
//! second part each message has a worker of its own and an attempt takes no time.

use fastrand::Rng;
use std::collections::VecDeque;

const RUN_S_MAX: u64 = 600;
const POISON: Message = 2;
const DOWN_S: u64 = 30;
const CALLS_PER_S_MAX: usize = 20;
const BACK_OFF_S_MAX: u64 = 32;

type Message = u32;

#[derive(Clone, Copy)]
struct Policy {
    /// The head of the queue is tried until it is done. Otherwise it goes to the
    /// back.
    in_order: bool,
    attempts_max: Option<u32>,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<(Message, u32)>, // with the attempts made so far
    dead: Vec<Message>,              // for a person to look at
}

impl Queue {
    fn failed(&mut self, message: Message, attempts: u32, policy: Policy) {
        if policy.attempts_max == Some(attempts) {
            self.dead.push(message);
        } else if policy.in_order {
            self.ready.push_front((message, attempts));
        } else {
            self.ready.push_back((message, attempts));
        }
    }
}

struct Drained {
    done: Vec<Message>,
    good_done_s: Option<u64>,
    poison_attempts: u32,
    dead: Vec<Message>,
}

fn drain(policy: Policy) -> Drained {
    let mut queue = Queue::default();
    queue.ready.extend((1..=10).map(|message| (message, 0)));
    let (mut done, mut good_done_s, mut poison_attempts) = (vec![], None, 0);
    for now_s in 1..=RUN_S_MAX {
        let Some((message, attempts)) = queue.ready.pop_front() else {
            break;
        };
        if message == POISON {
            poison_attempts += 1;
            queue.failed(message, attempts + 1, policy);
        } else {
            done.push(message);
        }
        if done.len() == 9 {
            good_done_s = good_done_s.or(Some(now_s));
        }
    }
    let dead = queue.dead;
    Drained {
        done,
        good_done_s,
        poison_attempts,
        dead,
    }
}

// ANCHOR: back_off
#[derive(Clone, Copy)]
enum BackOff {
    Fixed,
    Doubling,
    DoublingJittered,
}
use BackOff::*;

impl BackOff {
    /// How long to wait after so many failures.
    fn delay_s(self, failures: u32, rng: &mut Rng) -> u64 {
        let doubled_s = (1 << (failures - 1).min(16)).min(BACK_OFF_S_MAX);
        match self {
            Fixed => 1,
            Doubling => doubled_s,
            DoublingJittered => rng.u64(1..=doubled_s), // no two in step
        }
    }
}
// ANCHOR_END: back_off

struct Repair {
    calls: usize,
    in_vain: usize,
    busiest: usize, // calls in one second, after the repair
    all_done_s: u64,
}

fn repair(back_off: BackOff) -> Repair {
    let mut rng = Rng::with_seed(1);
    let mut due: Vec<(u64, u32)> = vec![(0, 0); 200]; // at second, failures
    let (mut calls, mut done, mut busiest, mut all_done_s) = (0, 0, 0, 0);
    for now_s in 0..RUN_S_MAX {
        let mut in_this_second = 0;
        due.retain_mut(|(due_s, failures)| {
            if *due_s > now_s {
                return true;
            }
            in_this_second += 1;
            if now_s >= DOWN_S && in_this_second <= CALLS_PER_S_MAX {
                done += 1;
                all_done_s = now_s;
                return false;
            }
            *failures += 1;
            *due_s = now_s + back_off.delay_s(*failures, &mut rng);
            true
        });
        calls += in_this_second;
        if now_s >= DOWN_S {
            busiest = busiest.max(in_this_second);
        }
    }
    Repair {
        calls,
        in_vain: calls - done,
        busiest,
        all_done_s,
    }
}

const HEAD_FIRST: Policy = Policy {
    in_order: true,
    attempts_max: None,
};
const TO_THE_BACK: Policy = Policy {
    in_order: false,
    attempts_max: None,
};
const DEAD_LETTER: Policy = Policy {
    in_order: true,
    attempts_max: Some(5),
};

fn main() {
    println!("nine good messages behind and before a poison one, {RUN_S_MAX} s\n");
    println!("                   good ones    after     tries of     dead");
    println!("                   done                   the poison   letters\n");
    for (name, policy) in [
        ("head first", HEAD_FIRST),
        ("to the back", TO_THE_BACK),
        ("dead after 5 tries", DEAD_LETTER),
    ] {
        let end = drain(policy);
        let after = end.good_done_s.map_or("never".into(), |s| format!("{s} s"));
        println!(
            "{name:<19}{:<13}{after:<10}{:<13}{:?}",
            end.done.len(),
            end.poison_attempts,
            end.dead
        );
    }
    println!("\n200 messages, their target is down for {DOWN_S} s\n");
    println!("wait               calls     in vain   busiest second    all done");
    println!("                                       after the repair  after\n");
    for (name, back_off) in [
        ("1 s", Fixed),
        ("1, 2, 4 … 32 s", Doubling),
        ("… with jitter", DoublingJittered),
    ] {
        let repair = repair(back_off);
        println!(
            "{name:<19}{:<10}{:<10}{:<18}{} s",
            repair.calls,
            repair.in_vain,
            format!("{} calls", repair.busiest),
            repair.all_done_s
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poison_message_at_the_head_blocks_all_behind_it() {
        let end = drain(HEAD_FIRST);
        assert_eq!(end.done, [1]);
        assert_eq!(end.poison_attempts, RUN_S_MAX as u32 - 1);
    }

    #[test]
    fn a_dead_letter_queue_frees_the_head_and_keeps_the_message() {
        let end = drain(DEAD_LETTER);
        assert_eq!(end.done, [1, 3, 4, 5, 6, 7, 8, 9, 10], "in order");
        assert_eq!((end.poison_attempts, &end.dead[..]), (5, &[POISON][..]));
        assert_eq!(end.good_done_s, Some(14));
    }

    #[test]
    fn sent_to_the_back_it_blocks_nobody_and_costs_work_for_ever() {
        let end = drain(TO_THE_BACK);
        assert_eq!((end.done.len(), end.good_done_s), (9, Some(10)));
        assert_eq!(end.poison_attempts as u64, RUN_S_MAX - 9);
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let mut rng = Rng::with_seed(0);
        let mut delay_s = |failures| Doubling.delay_s(failures, &mut rng);
        assert_eq!([1, 2, 3, 6, 7, 40].map(&mut delay_s), [1, 2, 4, 32, 32, 32]);
        for failures in 1..40 {
            let jittered_s = DoublingJittered.delay_s(failures, &mut rng);
            let doubled_s = Doubling.delay_s(failures, &mut rng);
            assert!((1..=doubled_s).contains(&jittered_s));
        }
    }

    #[test]
    fn back_off_saves_calls_and_jitter_breaks_the_herd() {
        let [fixed, doubling, jittered] =
            [Fixed, Doubling, DoublingJittered].map(repair);
        let while_down = 200 * DOWN_S as usize;
        let refused: usize = (20..200).step_by(CALLS_PER_S_MAX).sum();
        assert_eq!(fixed.in_vain, while_down + refused);
        assert_eq!(fixed.all_done_s, DOWN_S + 9, "twenty a second");
        assert!(doubling.calls * 2 < fixed.calls);
        assert_eq!(fixed.busiest, 200);
        assert_eq!(
            doubling.busiest, 200,
            "all failed together, all come back together"
        );
        assert!(jittered.busiest * 4 < doubling.busiest);
        assert!(jittered.all_done_s < doubling.all_done_s);
        assert!(
            fixed.all_done_s < jittered.all_done_s,
            "what the calls were for"
        );
    }
}
