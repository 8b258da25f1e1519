//! The bug that a test could not reach, until the mail server was a parameter.
//!
//! A library reminds its readers of books that are due. `Tangled` asks the clock
//! and the mail server itself, so a test can only run it on a good day. Behind
//! two traits the same code meets a fake server that fails when it is told to.
//! Look at the second table: who is never reminded, and who is twice.
//!
//! Simplified: the "real" server is a stand-in that always works; a day is the
//! smallest time.

use std::collections::BTreeSet;

type Day = u32;
type ReaderId = &'static str;

#[derive(Clone, Copy, Debug)]
struct Loan {
    reader: ReaderId,
    due: Day,
}

// ANCHOR: tangled
/// Knows which clock and which server: whoever tests it has both.
#[derive(Default)]
struct Tangled {
    reminded: BTreeSet<ReaderId>,
}

impl Tangled {
    fn remind(&mut self, loans: &[Loan]) -> Result<(), String> {
        let today = real_clock();
        for loan in loans.iter().filter(|loan| loan.due <= today) {
            if self.reminded.insert(loan.reader) {
                real_mail_server(loan.reader)?;
            }
        }
        Ok(())
    }
}
// ANCHOR_END: tangled

fn real_clock() -> Day {
    20
}

fn real_mail_server(_reader: ReaderId) -> Result<(), String> {
    Ok(())
}

// ANCHOR: seams
/// What the rule needs to know of the world, and nothing more.
trait Clock {
    fn today(&self) -> Day;
}

trait Mailer {
    fn send(&mut self, reader: ReaderId) -> Result<(), String>;
}

/// The same rule. In which order it notes and sends is its only decision.
struct Reminders {
    reminded: BTreeSet<ReaderId>,
    order: Order,
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    NoteThenSend,
    SendThenNote,
}

impl Reminders {
    fn new(order: Order) -> Reminders {
        Reminders {
            reminded: BTreeSet::new(),
            order,
        }
    }

    fn remind(
        &mut self,
        loans: &[Loan],
        clock: &dyn Clock,
        mailer: &mut dyn Mailer,
    ) -> Result<(), String> {
        let today = clock.today();
        for loan in loans.iter().filter(|loan| loan.due <= today) {
            if self.reminded.contains(loan.reader) {
                continue;
            }
            if self.order == Order::NoteThenSend {
                self.reminded.insert(loan.reader);
            }
            mailer.send(loan.reader)?;
            self.reminded.insert(loan.reader);
        }
        Ok(())
    }
}
// ANCHOR_END: seams

// ANCHOR: fake
/// A clock that stands where the test puts it.
struct FakeClock(Day);

impl Clock for FakeClock {
    fn today(&self) -> Day {
        self.0
    }
}

/// What goes wrong with the `n`-th mail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Refused,    // the server says no
    AnswerLost, // it sends the mail, and we never hear of it
}

/// A server that remembers what it delivered and fails once.
#[derive(Default)]
struct FakeMailer {
    delivered: Vec<ReaderId>,
    calls: usize,
    fault: Option<(usize, Fault)>,
}

impl Mailer for FakeMailer {
    fn send(&mut self, reader: ReaderId) -> Result<(), String> {
        self.calls += 1;
        let fault = self.fault.filter(|(nth, _)| *nth == self.calls);
        if !matches!(fault, Some((_, Fault::Refused))) {
            self.delivered.push(reader);
        }
        match fault {
            Some((_, fault)) => Err(format!("mail {}: {fault:?}", self.calls)),
            None => Ok(()),
        }
    }
}
// ANCHOR_END: fake

const LOANS: [Loan; 4] = [
    Loan {
        reader: "Ann",
        due: 18,
    },
    Loan {
        reader: "Bob",
        due: 19,
    },
    Loan {
        reader: "Cid",
        due: 20,
    },
    Loan {
        reader: "Dot",
        due: 21,
    },
];

// ANCHOR: run
/// One run meets the fault, the next one finishes. How often each reader whose
/// book is due was reminded.
fn mails(order: Order, fault: Option<(usize, Fault)>) -> Vec<(ReaderId, usize)> {
    let mut reminders = Reminders::new(order);
    let mut mailer = FakeMailer {
        fault,
        ..FakeMailer::default()
    };
    let clock = FakeClock(20);
    if reminders.remind(&LOANS, &clock, &mut mailer).is_err() {
        // The scheduler tries again. What happens then is what we came to see.
        reminders.remind(&LOANS, &clock, &mut mailer).ok();
    }
    let due = LOANS.iter().filter(|loan| loan.due <= 20);
    let count = |reader| mailer.delivered.iter().filter(|to| **to == reader).count();
    due.map(|loan| (loan.reader, count(loan.reader))).collect()
}
// ANCHOR_END: run

fn main() {
    let mut tangled = Tangled::default();
    let outcome = tangled.remind(&LOANS);
    println!(
        "on a good day: {outcome:?}, {} reminded",
        tangled.reminded.len()
    );

    println!("\nsecond mail fails   noted first        sent first");
    for fault in [Fault::Refused, Fault::AnswerLost] {
        let row = [Order::NoteThenSend, Order::SendThenNote]
            .map(|order| show(&mails(order, Some((2, fault)))));
        let name = format!("{fault:?}");
        println!("{name:18}  {:17}  {}", row[0], row[1]);
    }
    println!("\n0: never reminded, 2: reminded twice");
}

fn show(mails: &[(ReaderId, usize)]) -> String {
    let words: Vec<String> = mails
        .iter()
        .map(|(reader, n)| format!("{reader} {n}"))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fault at every mail.
    fn faults() -> impl Iterator<Item = Option<(usize, Fault)>> {
        let at = |nth| [Fault::Refused, Fault::AnswerLost].map(|f| Some((nth, f)));
        (1..=3).flat_map(at)
    }

    #[test]
    fn on_a_good_day_nobody_can_tell_the_programs_apart() {
        let once = vec![("Ann", 1), ("Bob", 1), ("Cid", 1)];
        assert_eq!(mails(Order::NoteThenSend, None), once);
        assert_eq!(mails(Order::SendThenNote, None), once);
        let mut tangled = Tangled::default();
        assert_eq!(tangled.remind(&LOANS), Ok(()));
        assert_eq!(tangled.reminded, BTreeSet::from(["Ann", "Bob", "Cid"]));
    }

    #[test]
    fn noting_first_forgets_a_reader_when_the_server_refuses() {
        let mails = mails(Order::NoteThenSend, Some((2, Fault::Refused)));
        assert_eq!(mails, [("Ann", 1), ("Bob", 0), ("Cid", 1)]);
    }

    #[test]
    fn sending_first_reminds_everyone_and_at_worst_one_of_them_twice() {
        for fault in faults() {
            let mails = mails(Order::SendThenNote, fault);
            assert!(mails.iter().all(|(_, n)| *n >= 1), "{fault:?}: {mails:?}");
            let twice = mails.iter().filter(|(_, n)| *n > 1).count();
            let lost = matches!(fault, Some((_, Fault::AnswerLost)));
            assert_eq!(twice, usize::from(lost), "{fault:?}: {mails:?}");
        }
    }

    #[test]
    fn noting_first_never_reminds_anyone_twice() {
        for fault in faults() {
            let mails = mails(Order::NoteThenSend, fault);
            assert!(mails.iter().all(|(_, n)| *n <= 1), "{fault:?}: {mails:?}");
        }
    }

    #[test]
    fn a_reader_is_reminded_from_the_day_on_which_the_book_is_due() {
        let mut mailer = FakeMailer::default();
        let mut reminders = Reminders::new(Order::SendThenNote);
        for (today, delivered) in [(17, 0), (18, 1), (19, 2), (20, 3), (21, 4)] {
            let outcome = reminders.remind(&LOANS, &FakeClock(today), &mut mailer);
            assert_eq!((outcome, mailer.delivered.len()), (Ok(()), delivered));
        }
    }
}
