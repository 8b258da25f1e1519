//! What the producer, the broker and the consumer do, in which order: all that tells
//! one promise of delivery from another.

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
