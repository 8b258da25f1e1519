//! A broker whose consumers, and which itself, are killed in the middle.
//!
//! Each message of the stream is an amount to be added to one account. The account
//! is a SQLite file, because what a consumer has done must outlive the consumer. A
//! consumer is a process of its own: the program of the chapter, started again by
//! itself with [`CONSUME`] as its first argument, so that SIGKILL is what ends it.
//!
//! The process that plays the consumer says on its standard output what it receives
//! and where it stops to be killed. A scene sleeps only where time is its subject: a
//! window that closes.
//!
//! May know of `nats` and `guard`; prints nothing but what a consumer tells its
//! parent.

pub mod account;
pub mod consumer;
pub mod scenes;

/// The first argument of a process that is to be a consumer.
pub const CONSUME: &str = "consume";
