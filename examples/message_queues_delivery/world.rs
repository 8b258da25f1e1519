//! One message on its way from a producer by a broker to a consumer, a step at a
//! time. What each of them does in which order is all that tells one promise of
//! delivery from another. Of the consumer's database it knows what one can do.

use std::collections::VecDeque;

// ANCHOR: schemes
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Note,     // producer: nothing left to send
    Send,     // producer
    Store,    // broker
    Confirm,  // broker, to the producer
    Deliver,  // broker, to the consumer
    Forget,   // broker
    Look,     // consumer: done already? Then do not add
    Begin,    // consumer: a transaction
    Remember, // consumer: write the message's key. There already? Do not add
    Add,      // consumer: the effect
    Commit,   // consumer
    Ack,      // consumer, to the broker
}
use Step::*;

pub struct Scheme {
    pub name: &'static str,
    /// At the start, when no confirmation comes, and when one comes.
    pub producer: [&'static [Step]; 2],
    /// For a message that arrives, one that waits, and one acknowledged.
    pub broker: [&'static [Step]; 3],
    pub consumer: &'static [Step],
    pub key_is_the_producers: bool,
}

pub const AT_MOST_ONCE: Scheme = Scheme {
    name: "at most once",
    producer: [&[Note, Send], &[]],
    broker: [&[Store], &[Forget, Deliver], &[]],
    consumer: &[Add],
    key_is_the_producers: true,
};
pub const AT_LEAST_ONCE: Scheme = Scheme {
    name: "at least once",
    producer: [&[Send], &[Note]],
    broker: [&[Store, Confirm], &[Deliver], &[Forget]],
    consumer: &[Add, Ack],
    key_is_the_producers: true,
};
pub const EFFECTIVELY_ONCE: Scheme = Scheme {
    name: "effectively once",
    consumer: &[Begin, Remember, Add, Commit, Ack],
    ..AT_LEAST_ONCE
};
// ANCHOR_END: schemes

pub const LOOKS_RIGHT: [Scheme; 5] = [
    Scheme {
        name: "ack, then add",
        consumer: &[Ack, Add],
        ..AT_LEAST_ONCE
    },
    Scheme {
        name: "confirm, then store",
        broker: [&[Confirm, Store], &[Deliver], &[Forget]],
        ..EFFECTIVELY_ONCE
    },
    Scheme {
        name: "remember, then add",
        consumer: &[Remember, Add, Ack],
        ..AT_LEAST_ONCE
    },
    Scheme {
        name: "add, then remember",
        consumer: &[Look, Add, Remember, Ack],
        ..AT_LEAST_ONCE
    },
    Scheme {
        name: "key is the broker's number",
        key_is_the_producers: false,
        ..EFFECTIVELY_ONCE
    },
];

pub const AMOUNT: i64 = 10;

pub type Number = u32; // the broker's own name for a message

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Producer,
    Broker,
    Consumer,
    Network, // all packets that are under way are lost
}
use Victim::*;
pub const VICTIMS: [Victim; 4] = [Producer, Broker, Consumer, Network];

#[derive(Clone, Copy)]
pub enum Packet {
    Publish,
    Confirmed,
    Delivery(Number),
    Acked(Number),
}

/// The consumer's disk. A change outside a transaction is one of its own.
pub trait Database {
    type Error;
    fn begin(&mut self) -> Result<(), Self::Error>;
    fn commit(&mut self) -> Result<(), Self::Error>;
    /// What the death of the consumer does to a transaction, if one has begun.
    fn roll_back(&mut self) -> Result<(), Self::Error>;
    fn add(&mut self, amount: i64) -> Result<(), Self::Error>;
    /// Writes a message's key, and says whether it is new.
    fn remember(&mut self, key: &str) -> Result<bool, Self::Error>;
    fn is_done(&mut self, key: &str) -> Result<bool, Self::Error>;
}

pub enum Event {
    Made(Step),
    Woken, // something arrived, or somebody's time is up
}

pub struct World<'a, D> {
    scheme: &'a Scheme,
    order: u32,                           // the producer's disk
    nothing_to_send: bool,                // the producer's disk
    stored: VecDeque<Number>,             // the broker's disk
    next: Number,                         // the broker's disk
    pub db: D,                            // the consumer's disk
    delivered: bool,                      // the broker's memory
    plans: [VecDeque<(Step, Number)>; 3], // what each is about to do: memory
    network: VecDeque<Packet>,
    pub transcript: Vec<String>,
}

impl<'a, D: Database> World<'a, D> {
    /// All is quiet, and nothing was ever sent.
    pub fn new(scheme: &'a Scheme, db: D) -> Self {
        World {
            scheme,
            order: 0,
            nothing_to_send: true,
            stored: VecDeque::new(),
            next: 0,
            db,
            delivered: false,
            plans: [const { VecDeque::new() }; 3],
            network: VecDeque::new(),
            transcript: vec![],
        }
    }

    /// The producer has the message "add 10" of an order to send.
    pub fn take(&mut self, order: u32) {
        self.order = order;
        self.nothing_to_send = false;
    }

    /// The next step, or what leads to some; nothing when all is quiet.
    pub fn next(&mut self) -> Result<Option<Event>, D::Error> {
        match self.plans.iter_mut().find_map(VecDeque::pop_front) {
            Some((step, number)) => {
                self.make(step, number)?;
                Ok(Some(Event::Made(step)))
            }
            None => Ok(self.wake().then_some(Event::Woken)),
        }
    }

    fn plan(&mut self, who: Victim, steps: &[Step], number: Number) {
        let steps = steps.iter().map(|step| (*step, number));
        self.plans[who as usize].extend(steps);
    }

    pub fn die(&mut self, victim: Victim) -> Result<(), D::Error> {
        self.transcript.push(format!("({victim:?} dies)"));
        if victim == Network {
            self.network.clear();
            return Ok(());
        }
        self.plans[victim as usize].clear();
        self.network.retain(|packet| packet.to() != victim);
        match victim {
            Consumer => self.db.roll_back(),
            Broker => {
                self.delivered = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Arrivals and time-outs fill the plans; false when all is quiet.
    fn wake(&mut self) -> bool {
        let scheme = self.scheme;
        if let Some(packet) = self.network.pop_front() {
            match packet {
                Packet::Publish => self.plan(Broker, scheme.broker[0], 0),
                Packet::Confirmed => self.plan(Producer, scheme.producer[1], 0),
                Packet::Delivery(n) => self.plan(Consumer, scheme.consumer, n),
                Packet::Acked(n) => self.plan(Broker, scheme.broker[2], n),
            }
        } else if let (Some(&number), false) = (self.stored.front(), self.delivered)
        {
            self.plan(Broker, scheme.broker[1], number);
            self.delivered = true;
        } else if !self.nothing_to_send {
            self.plan(Producer, scheme.producer[0], 0);
        } else if !self.stored.is_empty() {
            self.delivered = false; // no acknowledgement: the time-out
        } else {
            return false;
        }
        true
    }

    fn make(&mut self, step: Step, number: Number) -> Result<(), D::Error> {
        let key = match self.scheme.key_is_the_producers {
            true => format!("order {}", self.order),
            false => number.to_string(),
        };
        let is_new = match step {
            Look => !self.db.is_done(&key)?,
            Remember => self.db.remember(&key)?,
            _ => true,
        };
        if !is_new {
            self.plans[Consumer as usize].retain(|(step, _)| *step != Add);
        }
        match step {
            Note => self.nothing_to_send = true,
            Send => self.network.push_back(Packet::Publish),
            Store => {
                self.next += 1;
                self.stored.push_back(self.next);
            }
            Confirm => self.network.push_back(Packet::Confirmed),
            Deliver => self.network.push_back(Packet::Delivery(number)),
            Forget => {
                self.stored.retain(|stored| *stored != number);
                self.delivered = false;
            }
            Begin => self.db.begin()?,
            Add => self.db.add(AMOUNT)?,
            Commit => self.db.commit()?,
            Ack => self.network.push_back(Packet::Acked(number)),
            Look | Remember => {}
        }
        self.transcript.push(match is_new {
            true => format!("{step:?}"),
            false => format!("({step:?}: known)"),
        });
        Ok(())
    }
}

impl Packet {
    fn to(self) -> Victim {
        match self {
            Packet::Publish | Packet::Acked(_) => Broker,
            Packet::Confirmed => Producer,
            Packet::Delivery(_) => Consumer,
        }
    }
}
