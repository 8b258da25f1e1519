//! Two primaries at once, and the number that tells which of them is over.
//!
//! N1 is primary. The network cuts it off from N2 and N3, so N2 is promoted. N1
//! does not know that, and clients on its side still write to it. Every promotion
//! raises the *epoch*, and a node refuses messages of an older epoch. Look at what
//! N1 has said "ok" to when the network is whole again.
//!
//! Simplified: a primary sends its whole log each time; the failover tool is the
//! story in `play`, and never promotes two nodes with the same epoch.

use std::collections::VecDeque;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Epoch(u32);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    N1,
    N2,
    N3,
    Client,
}
use Place::{Client, N1, N2, N3};

#[derive(Clone, Debug)]
enum Message {
    Write(&'static str),
    Promote(Epoch),
    Log(Epoch, Vec<&'static str>),
    Stored(Epoch, usize),
    Refused(Epoch),
    Ok(&'static str),
}
use Message::{Log, Ok, Promote, Refused, Stored, Write};

struct Node {
    me: Place,
    epoch: Epoch,
    is_primary: bool,
    log: Vec<&'static str>,
    needs: usize, // replicas that must have stored a write before its "ok"
    stored: [usize; 3], // by node: how much of my log it has
    answered: usize, // so much of my log has been confirmed to clients
}

impl Node {
    // ANCHOR: step
    fn step(&mut self, from: Place, m: Message) -> Vec<(Place, Message)> {
        match m {
            Write(_) if !self.is_primary => vec![(Client, Refused(self.epoch))],
            Write(what) => {
                self.log.push(what);
                self.send_log()
            }
            Promote(epoch) => {
                (self.epoch, self.is_primary) = (epoch, true);
                self.answered = self.log.len(); // the past is not answered again
                self.stored = [0; 3];
                self.send_log()
            }
            // This line is the fence: whoever comes with an old number is refused.
            Log(epoch, _) if epoch < self.epoch => vec![(from, Refused(self.epoch))],
            Log(epoch, log) => {
                (self.epoch, self.is_primary) = (epoch, false);
                self.log = log; // and whatever else I had is gone
                vec![(from, Stored(epoch, self.log.len()))]
            }
            Stored(epoch, len) if self.is_primary && epoch == self.epoch => {
                self.stored[from as usize] = len;
                self.confirm()
            }
            Refused(epoch) if epoch > self.epoch => {
                self.is_primary = false; // I am over
                vec![]
            }
            _ => vec![],
        }
    }
    // ANCHOR_END: step

    fn send_log(&mut self) -> Vec<(Place, Message)> {
        let others = [N1, N2, N3].into_iter().filter(|n| *n != self.me);
        let log = Log(self.epoch, self.log.clone());
        let mut out: Vec<_> = others.map(|n| (n, log.clone())).collect();
        out.extend(self.confirm());
        out
    }

    fn confirm(&mut self) -> Vec<(Place, Message)> {
        let mut reached = self.stored;
        reached.sort_unstable_by(|a, b| b.cmp(a)); // the furthest first
        let safe = match self.needs {
            0 => self.log.len(),
            k => reached[k - 1],
        };
        let newly = self.answered..safe.max(self.answered);
        self.answered = newly.end;
        newly.map(|i| (Client, Ok(self.log[i]))).collect()
    }
}

#[derive(Default, PartialEq, Eq, Debug)]
struct Outcome {
    ok: Vec<&'static str>,        // what clients were told
    logs: Vec<Vec<&'static str>>, // what the three nodes have in the end
}

/// Runs the story; `needs` replicas must have stored a write before its "ok".
fn play(needs: usize, print: bool) -> Outcome {
    let mut nodes = [N1, N2, N3].map(|me| Node {
        me,
        epoch: Epoch(1),
        is_primary: me == N1,
        log: Vec::new(),
        needs,
        stored: [0; 3],
        answered: 0,
    });
    let mut outcome = Outcome::default();
    let story = [
        (false, N1, Write("tea")),
        (true, N2, Promote(Epoch(2))), // N1 is cut off from here
        (true, N1, Write("milk")),     // by a client on N1's side
        (true, N2, Write("rice")),
        (false, N1, Write("salt")), // whole again; this client still knows N1
        (false, N2, Write("soup")),
    ];
    for (cut, to, order) in story {
        let link = if cut { "cut" } else { "" };
        let mut line = format!("{link:<4} {:<26}", format!("{to:?} gets {order:?}"));
        let mut mail = VecDeque::from([(Client, to, order)]);
        while let Some((from, to, m)) = mail.pop_front() {
            if cut && from != Client && to != Client && (from == N1 || to == N1) {
                continue; // lost
            }
            if matches!(m, Refused(_)) {
                line += &format!(" {from:?} refuses,");
            } else if to == Client {
                line += &format!(" {from:?}: {m:?},");
            }
            if let (Client, Ok(what)) = (to, &m) {
                outcome.ok.push(*what);
            }
            if to != Client {
                let out = nodes[to as usize].step(from, m);
                mail.extend(out.into_iter().map(|(next, m)| (to, next, m)));
            }
        }
        if print {
            println!("{}", line.trim_end_matches([' ', ',']));
        }
    }
    outcome.logs = nodes.map(|node| node.log).to_vec();
    outcome
}

fn main() {
    for (needs, name) in [
        (0, "--- ok when 0 replicas have"),
        (1, "\n--- ok when 1 replica has"),
    ] {
        println!("{name} stored it ---");
        let outcome = play(needs, true);
        println!("clients were told ok: {}", outcome.ok.join(" "));
        println!("all three nodes have: {}", outcome.logs[0].join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_async_primary_says_ok_to_writes_that_vanish() {
        let outcome = play(0, false);
        assert_eq!(outcome.ok, ["tea", "milk", "rice", "salt", "soup"]);
        assert_eq!(outcome.logs[0], ["tea", "rice", "soup"]);
    }

    #[test]
    fn a_stale_primary_that_needs_a_replica_says_ok_to_nothing() {
        let outcome = play(1, false);
        assert_eq!(outcome.ok, outcome.logs[0]);
    }

    #[test]
    fn all_nodes_agree_after_the_cut_under_every_rule() {
        for needs in [0, 1, 2] {
            let logs = play(needs, false).logs;
            assert!(logs.iter().all(|log| *log == logs[0]), "needs {needs}");
        }
    }

    fn node(me: Place, epoch: Epoch, is_primary: bool) -> Node {
        Node {
            me,
            epoch,
            is_primary,
            log: vec!["rice"],
            needs: 1,
            stored: [0; 3],
            answered: 0,
        }
    }

    #[test]
    fn a_stale_primary_stops_as_soon_as_it_hears_of_a_newer_epoch() {
        for news in [Refused(Epoch(2)), Log(Epoch(2), vec!["soup"])] {
            let mut stale = node(N1, Epoch(1), true);
            stale.step(N2, news);
            let reply = stale.step(Client, Write("salt"));
            assert!(matches!(reply[..], [(Client, Refused(_))]));
        }
    }

    #[test]
    fn what_was_stored_in_an_older_epoch_confirms_nothing() {
        let mut primary = node(N2, Epoch(2), true);
        assert!(primary.step(N3, Stored(Epoch(1), 1)).is_empty());
        primary.stored = [0, 0, 9];
        primary.step(Client, Promote(Epoch(3)));
        let out = primary.step(Client, Write("soup"));
        assert!(out.iter().all(|(to, _)| *to != Client));
    }

    #[test]
    fn a_node_refuses_the_log_of_an_older_epoch_and_keeps_its_own() {
        let mut node = node(N3, Epoch(2), false);
        let reply = node.step(N1, Log(Epoch(1), vec!["milk"]));
        assert!(matches!(reply[..], [(N1, Refused(Epoch(2)))]));
        assert_eq!(node.log, ["rice"]);
    }
}
