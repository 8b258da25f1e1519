//! A queue and a log, given the same six orders.
//!
//! Look at who gets what. A queue gives each message to one consumer and forgets
//! it when that consumer acknowledges. A log keeps its messages; each group of
//! readers has an offset, the place in the log that it has reached, and every group
//! gets everything. Then look at what each can do that the other cannot.
//!
//! Simplified: one log without partitions, nobody crashes, retention is counted in
//! messages and not in hours or bytes.

use std::collections::{BTreeMap, VecDeque};

type Message = u32;
type Group = &'static str;

const RETAINED_MESSAGES_MAX: usize = 8;

// ANCHOR: queue
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tag(u64); // names one delivery

#[derive(Default)]
struct Queue {
    ready: VecDeque<Message>,
    in_flight: BTreeMap<Tag, Message>,
    deliveries: u64,
}

impl Queue {
    fn publish(&mut self, message: Message) {
        self.ready.push_back(message);
    }

    fn receive(&mut self) -> Option<(Tag, Message)> {
        let message = self.ready.pop_front()?;
        self.deliveries += 1;
        let tag = Tag(self.deliveries);
        self.in_flight.insert(tag, message);
        Some((tag, message))
    }

    /// Done: forget it. Nobody will see it again.
    fn ack(&mut self, tag: Tag) {
        self.in_flight.remove(&tag);
    }

    /// Not done: it goes back to the head, for whoever asks next.
    fn nack(&mut self, tag: Tag) {
        if let Some(message) = self.in_flight.remove(&tag) {
            self.ready.push_front(message);
        }
    }

    fn len(&self) -> usize {
        self.ready.len() + self.in_flight.len()
    }
}
// ANCHOR_END: queue

// ANCHOR: log
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offset(usize);

#[derive(Debug, PartialEq, Eq)]
struct Deleted {
    messages: usize,
}

#[derive(Default)]
struct Log {
    first: usize, // the offset of the oldest message that is still kept
    messages: VecDeque<Message>,
    committed: BTreeMap<Group, Offset>,
}

impl Log {
    fn append(&mut self, message: Message) {
        self.messages.push_back(message);
        if self.messages.len() > RETAINED_MESSAGES_MAX {
            self.messages.pop_front(); // read or not
            self.first += 1;
        }
    }

    /// Reading changes nothing. The next offset is the reader's to keep.
    fn read(&self, at: Offset) -> Result<Option<(Message, Offset)>, Deleted> {
        let Some(index) = at.0.checked_sub(self.first) else {
            return Err(Deleted {
                messages: self.first - at.0,
            });
        };
        let next = Offset(at.0 + 1);
        Ok(self.messages.get(index).map(|message| (*message, next)))
    }

    fn committed(&self, group: Group) -> Offset {
        self.committed.get(group).copied().unwrap_or(Offset(0))
    }

    /// One number says that everything before it is done. It may go back, too.
    fn commit(&mut self, group: Group, offset: Offset) {
        self.committed.insert(group, offset);
    }

    /// How many messages a group has yet to do.
    fn lag(&self, group: Group) -> usize {
        let end = self.first + self.messages.len();
        end.saturating_sub(self.committed(group).0)
    }
}
// ANCHOR_END: log

/// Reads and commits up to `max` messages.
fn poll(log: &mut Log, group: Group, max: usize) -> Result<Vec<Message>, Deleted> {
    let mut messages = vec![];
    let mut at = log.committed(group);
    while messages.len() < max {
        let Some((message, next)) = log.read(at)? else {
            break;
        };
        messages.push(message);
        at = next;
    }
    log.commit(group, at);
    Ok(messages)
}

fn main() -> Result<(), Deleted> {
    let (mut queue, mut log) = (Queue::default(), Log::default());
    for order in 1..=6 {
        queue.publish(order);
        log.append(order);
    }
    println!("queue: two workers take turns, and acknowledge");
    let mut done = [vec![], vec![]];
    while let Some((tag, message)) = queue.receive() {
        done[message as usize % 2].push(message);
        queue.ack(tag);
    }
    let [even, odd] = done;
    println!("  worker a {odd:?}, worker b {even:?}");
    println!(
        "  left for an audit that comes later: {} messages",
        queue.len()
    );

    println!("log: two groups read, each at its own pace");
    let (mail, stock) = (poll(&mut log, "mail", 9)?, poll(&mut log, "stock", 2)?);
    println!("  mail  {mail:?}, lag {}", log.lag("mail"));
    println!("  stock {stock:?}, lag {}", log.lag("stock"));
    println!(
        "  an audit that comes later {:?}",
        poll(&mut log, "audit", 9)?
    );
    log.commit("mail", Offset(3));
    println!(
        "  mail had a bug; again from offset 3 {:?}",
        poll(&mut log, "mail", 9)?
    );

    println!("message 2 of 3 fails, 1 and 3 are done");
    for order in 1..=3 {
        queue.publish(order);
    }
    let tags = [(); 3].map(|()| queue.receive());
    for (tag, message) in tags.into_iter().flatten() {
        match message {
            2 => queue.nack(tag),
            _ => queue.ack(tag),
        }
    }
    println!("  queue: still has {:?}", queue.ready);
    for offset in [Offset(1), Offset(3)] {
        log.commit("invoice", offset);
        let again = poll(&mut log, "invoice", 3 - offset.0)?;
        println!("  log: commits {offset:?}, and gets of these {again:?}");
    }

    println!("four more are appended, of 10 the log keeps {RETAINED_MESSAGES_MAX}");
    for order in 7..=10 {
        log.append(order);
    }
    println!(
        "  stock, lag {}: {:?}",
        log.lag("stock"),
        poll(&mut log, "stock", 2)
    );
    let late = poll(&mut log, "new group", 9);
    println!("  a new group at offset 0: {late:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    fn log_of(messages: u32) -> Log {
        let mut log = Log::default();
        (1..=messages).for_each(|message| log.append(message));
        log
    }

    /// Whatever is received, put back and acknowledged in whatever order.
    #[test]
    fn a_queue_gives_each_message_up_only_when_it_is_acknowledged() {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let (mut queue, mut held) = (Queue::default(), Vec::<(Tag, u32)>::new());
            let (mut published, mut done) = (vec![], vec![]);
            for message in 0..100 {
                match rng.u32(..4) {
                    0 => {
                        queue.publish(message);
                        published.push(message);
                    }
                    1 => held.extend(queue.receive()),
                    _ if held.is_empty() => {}
                    what => {
                        let (tag, message) =
                            held.swap_remove(rng.usize(..held.len()));
                        if what == 2 {
                            queue.nack(tag);
                        } else {
                            queue.ack(tag);
                            done.push(message);
                        }
                    }
                }
                assert_eq!(queue.len() + done.len(), published.len());
            }
            held.iter().for_each(|(tag, _)| queue.nack(*tag));
            while let Some((tag, message)) = queue.receive() {
                queue.ack(tag);
                done.push(message);
            }
            done.sort_unstable();
            assert_eq!(done, published, "each once, seed {seed}");
        }
    }

    #[test]
    fn a_log_gives_every_group_everything_in_order() -> Result<(), Deleted> {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let (mut log, mut end) = (Log::default(), 0);
            let mut read = BTreeMap::from([("a", vec![]), ("b", vec![])]);
            for _ in 0..100 {
                let oldest = ["a", "b"].map(|group| log.committed(group).0);
                if rng.bool()
                    && end - oldest[0].min(oldest[1]) < RETAINED_MESSAGES_MAX
                {
                    log.append(end as u32);
                    end += 1;
                }
                let group = if rng.bool() { "a" } else { "b" };
                let new = poll(&mut log, group, rng.usize(..3))?;
                read.get_mut(group).expect("a or b").extend(new);
            }
            for (group, mut messages) in read {
                messages.extend(poll(&mut log, group, usize::MAX)?);
                assert_eq!(messages, (0..end as u32).collect::<Vec<_>>());
            }
        }
        Ok(())
    }

    #[test]
    fn a_log_can_be_replayed_and_an_acknowledged_message_cannot() {
        let mut log = log_of(6);
        let first = poll(&mut log, "mail", 9);
        log.commit("mail", Offset(0));
        assert_eq!(poll(&mut log, "mail", 9), first);
        let mut queue = Queue::default();
        queue.publish(1);
        let (tag, _) = queue.receive().expect("a message");
        queue.ack(tag);
        queue.nack(tag); // too late
        assert_eq!(queue.receive(), None);
    }

    #[test]
    fn a_queue_can_leave_one_message_behind() {
        let mut queue = Queue::default();
        (1..=4).for_each(|message| queue.publish(message));
        let tags: Vec<_> = (0..3).filter_map(|_| queue.receive()).collect();
        queue.ack(tags[0].0);
        queue.ack(tags[2].0);
        queue.nack(tags[1].0);
        assert_eq!(queue.ready, [2, 4], "and it is the next");
    }

    #[test]
    fn a_group_that_lags_by_more_than_is_kept_misses_messages() {
        let mut log = log_of(RETAINED_MESSAGES_MAX as u32);
        assert_eq!(log.read(Offset(0)), Ok(Some((1, Offset(1)))));
        log.append(9);
        log.append(10);
        assert_eq!(log.read(Offset(0)), Err(Deleted { messages: 2 }));
        assert_eq!(log.lag("slow"), 10);
    }
}
