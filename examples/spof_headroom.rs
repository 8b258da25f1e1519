//! Three servers, of which none can be spared.
//!
//! Look at the first table: one of three servers dies, the two others get half
//! as much again, more than they can answer, and follow it. With a fourth
//! server, or with servers that turn away what they cannot do, the same death
//! is survived. Then look at the nines: three servers that are all needed are
//! worse than one.
//!
//! Simplified: requests go to a living server chosen by dice. A server whose
//! queue is full runs out of memory and stays down. Nobody retries, which would
//! make it worse.

const SERVER_PER_S: u64 = 100; // answers of one server in a second
const LOAD_PER_S: u64 = 240;
const QUEUE_LEN_MAX: u64 = 300;
const DEATH_AT_S: u64 = 10;
const SECONDS: u64 = 40;

#[derive(Clone, Copy, PartialEq)]
enum WhenFull {
    Crash,
    TurnAway,
}

#[derive(Clone, Copy)]
struct Server {
    up: bool,
    waiting: u64,
}

struct Second {
    up: usize,
    answered: u64,
    waiting: u64, // at the end of it
}

// ANCHOR: mechanism
/// One second after another; in one of them the first server dies.
fn run(servers: usize, when_full: WhenFull) -> Vec<Second> {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut servers = vec![
        Server {
            up: true,
            waiting: 0
        };
        servers
    ];
    let mut seconds = Vec::new();
    for now_s in 0..SECONDS {
        if now_s == DEATH_AT_S {
            servers[0] = Server {
                up: false,
                waiting: 0,
            };
        }
        let mut answered = 0;
        let living: Vec<usize> =
            (0..servers.len()).filter(|id| servers[*id].up).collect();
        for _ in 0..LOAD_PER_S {
            if let Some(id) = rng.choice(living.iter()) {
                servers[*id].waiting += 1;
            }
        }
        for server in servers.iter_mut().filter(|server| server.up) {
            let answers = server.waiting.min(SERVER_PER_S);
            answered += answers;
            server.waiting -= answers;
            if server.waiting > QUEUE_LEN_MAX {
                match when_full {
                    WhenFull::TurnAway => server.waiting = QUEUE_LEN_MAX,
                    WhenFull::Crash => {
                        *server = Server {
                            up: false,
                            waiting: 0,
                        }
                    }
                }
            }
        }
        let up = servers.iter().filter(|server| server.up).count();
        let waiting = servers.iter().map(|server| server.waiting).sum();
        seconds.push(Second {
            up,
            answered,
            waiting,
        });
    }
    seconds
}
// ANCHOR_END: mechanism

/// The probability that `servers` of availability `one` carry the load.
fn availability(servers: u64, one: f64) -> f64 {
    let needed = LOAD_PER_S.div_ceil(SERVER_PER_S);
    let up = |up: u64| {
        let ways: u64 = (0..up).fold(1, |ways, i| ways * (servers - i) / (i + 1));
        ways as f64 * one.powi(up as i32) * (1.0 - one).powi((servers - up) as i32)
    };
    (needed..=servers).map(up).sum()
}

fn main() {
    let cases = [
        ("3 servers", 3, WhenFull::Crash),
        ("4 servers", 4, WhenFull::Crash),
        ("3, turn away", 3, WhenFull::TurnAway),
    ];
    let runs = cases.map(|(_, servers, when_full)| run(servers, when_full));
    println!(
        "{LOAD_PER_S} requests/s, {SERVER_PER_S}/s a server, one dies at 10 s\n"
    );
    let titles = cases.map(|(title, ..)| format!("{title:>21}"));
    println!("      {}", titles.concat());
    println!("second{}\n", "  up answered waiting".repeat(3));
    for second in [9, 10, 15, 20, 23, 24, 25, 26, 39] {
        print!("{second:>6}");
        for run in &runs {
            let Second {
                up,
                answered,
                waiting,
            } = run[second];
            print!("{up:>4}{answered:>9}{waiting:>8}");
        }
        println!();
    }
    println!(
        "\nservers of 99 %   needed   enough are up   multiplied, one enough\n"
    );
    for servers in [3, 4, 5] {
        let needed = LOAD_PER_S.div_ceil(SERVER_PER_S);
        let enough = availability(servers, 0.99) * 100.0;
        let believed = (1.0 - 0.01_f64.powi(servers as i32)) * 100.0;
        println!("{servers:>15} {needed:>8} {enough:>13.4} % {believed:>21.8} %");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(servers: usize, when_full: WhenFull) -> Second {
        run(servers, when_full).pop().expect("some seconds")
    }

    #[test]
    fn without_headroom_one_death_takes_all_the_others() {
        let run = run(3, WhenFull::Crash);
        let before = &run[DEATH_AT_S as usize - 1];
        assert_eq!(before.up, 3, "80 % busy is fine while all are up");
        assert!(run.iter().any(|second| second.up == 1), "one by one");
        let end = last(3, WhenFull::Crash);
        assert_eq!((end.up, end.answered), (0, 0));
    }

    #[test]
    fn one_server_more_than_needed_survives_one_death() {
        let end = last(4, WhenFull::Crash);
        assert_eq!(end.up, 3);
        assert!(end.answered > 200);
    }

    #[test]
    fn servers_that_turn_away_keep_answering_what_they_can() {
        let end = last(3, WhenFull::TurnAway);
        assert_eq!((end.up, end.answered), (2, 2 * SERVER_PER_S));
        assert!(end.waiting <= 2 * QUEUE_LEN_MAX);
    }

    #[test]
    fn three_servers_that_are_all_needed_are_worse_than_one() {
        assert!((availability(3, 0.99) - 0.99_f64.powi(3)).abs() < 1e-12);
        assert!(availability(3, 0.99) < 0.99);
        assert!(availability(4, 0.99) > 0.999);
    }

    #[test]
    fn the_sum_agrees_with_counting_all_cases() {
        for servers in 3..=8_u64 {
            let mut enough = 0.0;
            for case in 0..1_u32 << servers {
                let up = u64::from(case.count_ones());
                if up * SERVER_PER_S >= LOAD_PER_S {
                    enough += 0.9_f64.powi(up as i32)
                        * 0.1_f64.powi((servers - up) as i32);
                }
            }
            assert!((availability(servers, 0.9) - enough).abs() < 1e-12);
        }
    }
}
