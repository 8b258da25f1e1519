//! The same 20,000 requests meet a new version in six ways. Who is hurt, who learns?
//!
//! The new version has three bugs. It fails for a name with a letter such as é, one
//! request in 200. It answers a wrong price for large orders, one in 500. It mails
//! twice when a gift is sent, one in 300. Look at `hurt`: users who got a wrong
//! answer or an unwanted mail or charge. `found` says which bugs somebody would
//! know of afterwards.
//!
//! Simplified: one request after the other, nothing is slow, the shadow has no
//! database of its own that could differ from the first one's.

const REQUESTS: u64 = 20_000;
const MADE_UP: u64 = 500;

#[derive(Clone)]
struct Request {
    accent: bool,
    large: bool,
    gift: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Response {
    status: u16,
    cents: u64,
    /// New for each answer, and right in both: noise.
    id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Charge,
    Mail,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Old,
    New,
}

// ANCHOR: effects
/// The one door to the world. Closed, it still writes down what was to happen, so
/// that intentions can be compared too.
struct Door {
    open: bool,
    intended: Vec<Effect>,
    done: Vec<Effect>,
}

impl Door {
    fn new(open: bool) -> Self {
        Self {
            open,
            intended: Vec::new(),
            done: Vec::new(),
        }
    }

    fn cause(&mut self, effect: Effect) {
        self.intended.push(effect);
        if self.open {
            self.done.push(effect); // somebody pays, somebody reads a mail
        }
    }
}
// ANCHOR_END: effects

fn handle(version: Version, request: &Request, door: &mut Door) -> (u16, u64) {
    let new = version == Version::New;
    if new && request.accent {
        return (500, 0);
    }
    door.cause(Effect::Charge);
    door.cause(Effect::Mail);
    if new && request.gift {
        door.cause(Effect::Mail);
    }
    match request.large {
        true if new => (200, 90_000), // the rebate is taken off twice
        true => (200, 95_000),
        false => (200, 1_999),
    }
}

fn answer(
    version: Version,
    request: &Request,
    door: &mut Door,
    ids: &mut fastrand::Rng,
) -> Response {
    let (status, cents) = handle(version, request, door);
    Response {
        status,
        cents,
        id: ids.u64(..),
    }
}

/// Real requests, or those that testers think of: short names, small orders.
fn requests(count: u64, real: bool) -> Vec<Request> {
    let mut rng = fastrand::Rng::with_seed(41);
    let mut one_in = |n: u32| real && rng.u32(..n) == 0;
    let one = |_| Request {
        accent: one_in(200),
        large: one_in(500),
        gift: one_in(300),
    };
    (0..count).map(one).collect()
}

#[derive(Default, Debug, PartialEq)]
struct Outcome {
    hurt: u64,
    differences: u64,
    /// Bugs that are known afterwards: name, price, mail.
    found: [bool; 3],
}

// ANCHOR: shadow
#[derive(Clone, Copy)]
struct Shadow {
    stubbed: bool,
    /// The id is new for each answer: compare what should be equal.
    masked: bool,
}

/// The user gets the old version's answer, whatever the new one does.
fn shadow(requests: &[Request], how: Shadow) -> Outcome {
    let mut outcome = Outcome::default();
    let mut ids = fastrand::Rng::with_seed(1);
    for request in requests {
        let (mut door, mut side_door) = (Door::new(true), Door::new(!how.stubbed));
        let mut old = answer(Version::Old, request, &mut door, &mut ids);
        let mut new = answer(Version::New, request, &mut side_door, &mut ids);
        outcome.hurt += u64::from(!side_door.done.is_empty());
        if how.masked {
            (old.id, new.id) = (0, 0);
        }
        let intended = how.masked && side_door.intended != door.intended;
        outcome.differences += u64::from(old != new || intended);
        if how.masked {
            outcome.found[0] |= old.status != new.status;
            outcome.found[1] |= new.status == 200 && old.cents != new.cents;
            outcome.found[2] |= new.status == 200 && intended;
        }
    }
    outcome
}
// ANCHOR_END: shadow

// ANCHOR: canary
const ERRORS_MAX: u64 = 5;

/// `percent` of the users get the new version until it has made five errors, and
/// then for `lag` requests more: that long it takes to bring the old one back.
fn canary(requests: &[Request], percent: u32, lag: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut dice = fastrand::Rng::with_seed(2);
    let mut errors = 0;
    let mut left = None;
    for request in requests {
        if dice.u32(..100) < percent && left != Some(0) {
            let mut door = Door::new(true);
            let (status, _) = handle(Version::New, request, &mut door);
            let wrong = request.accent || request.large || request.gift;
            outcome.hurt += u64::from(wrong);
            errors += u64::from(status == 500); // all that it watches
        }
        left = match left {
            None if errors >= ERRORS_MAX => Some(lag),
            Some(lag) => Some(lag.saturating_sub(1)),
            None => None,
        };
    }
    outcome.found[0] = errors >= ERRORS_MAX;
    outcome
}
// ANCHOR_END: canary

fn outcomes() -> Vec<(&'static str, Outcome)> {
    let (real, made_up) = (requests(REQUESTS, true), requests(MADE_UP, false));
    let with = |stubbed, masked| shadow(&real, Shadow { stubbed, masked });
    let staging = Shadow {
        stubbed: true,
        masked: true,
    };
    vec![
        ("staging, 500 made up", shadow(&made_up, staging)),
        ("shadow, effects real", with(false, false)),
        ("shadow, effects stubbed", with(true, false)),
        ("the same, ids masked", with(true, true)),
        ("canary 1 %, roll back", canary(&real, 1, 600)),
        ("canary 10 %, roll back", canary(&real, 10, 600)),
        ("everybody, roll back", canary(&real, 100, 600)),
        ("everybody, flag off", canary(&real, 100, 5)),
    ]
}

fn main() {
    println!("{REQUESTS} requests            differences   hurt  found\n");
    for (way, outcome) in outcomes() {
        let names = ["name", "price", "mail"].iter().zip(outcome.found);
        let found: Vec<&str> = names
            .filter(|(_, found)| *found)
            .map(|(name, _)| *name)
            .collect();
        let found = if found.is_empty() {
            "-".into()
        } else {
            found.join(", ")
        };
        let differences = match outcome.differences {
            0 if way.contains("canary") || way.contains("everybody") => "".into(),
            n => n.to_string(),
        };
        println!("{way:<26} {differences:>12} {:>6}  {found}", outcome.hurt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(way: &str) -> Outcome {
        let named = outcomes().into_iter().find(|(name, _)| *name == way);
        named.expect("a way of that name").1
    }

    #[test]
    fn requests_that_testers_make_up_meet_none_of_the_bugs() {
        assert_eq!(outcome("staging, 500 made up"), Outcome::default());
    }

    #[test]
    fn a_shadow_with_real_effects_charges_or_mails_nearly_every_user_twice() {
        let hurt = outcome("shadow, effects real").hurt;
        let accents = requests(REQUESTS, true).iter().filter(|r| r.accent).count();
        assert_eq!(hurt, REQUESTS - accents as u64);
    }

    #[test]
    fn unmasked_every_answer_differs_and_masked_only_the_wrong_ones() {
        assert_eq!(outcome("shadow, effects stubbed").differences, REQUESTS);
        let wrong = |r: &&Request| r.accent || r.large || r.gift;
        let wrong = requests(REQUESTS, true).iter().filter(wrong).count() as u64;
        assert_eq!(outcome("the same, ids masked").differences, wrong);
    }

    #[test]
    fn a_stubbed_shadow_finds_all_three_bugs_and_hurts_nobody() {
        let shadow = outcome("the same, ids masked");
        assert_eq!((shadow.hurt, shadow.found), (0, [true; 3]));
    }

    #[test]
    fn a_canary_that_watches_errors_finds_errors_only() {
        assert_eq!(
            outcome("canary 10 %, roll back").found,
            [true, false, false]
        );
        let large = Request {
            accent: false,
            large: true,
            gift: false,
        };
        let wrong_price = canary(&vec![large; 1_000], 100, 5);
        assert_eq!((wrong_price.hurt, wrong_price.found[0]), (1_000, false));
    }

    #[test]
    fn a_canary_stops_after_five_errors_and_the_time_that_a_roll_back_takes() {
        let accent = Request {
            accent: true,
            large: false,
            gift: false,
        };
        assert_eq!(canary(&vec![accent.clone(); 100], 100, 7).hurt, 5 + 7);
        assert_eq!(canary(&vec![accent.clone(); 100], 100, 0).hurt, 5);
        assert!(!canary(&vec![accent; 4], 100, 0).found[0]);
    }

    #[test]
    fn a_canary_gets_its_percentage_of_the_requests() {
        let large = Request {
            accent: false,
            large: true,
            gift: false,
        };
        let hurt = |percent| canary(&vec![large.clone(); 10_000], percent, 0).hurt;
        assert!((70..130).contains(&hurt(1)) && (900..1_100).contains(&hurt(10)));
    }

    #[test]
    fn a_small_canary_learns_late_and_a_flag_hurts_fewer_than_a_roll_back() {
        let ways = ["canary 1 %, roll back", "everybody, flag off"];
        let [one, flag] = ways.map(outcome);
        assert!(
            !one.found[0],
            "200 of 20,000 requests show one error in 200 once"
        );
        let back = outcome("everybody, roll back");
        assert!(flag.found[0] && flag.hurt < back.hurt);
    }
}
