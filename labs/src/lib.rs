//! The interactive figures: the chapters' own programs, moved by the reader.
//!
//! A figure is a small adapter (`src/figures/NAME.rs`) on a program of `examples/`, compiled from the
//! program's very file. The same crate runs natively, where it draws the still picture that stands in
//! the page, and as WebAssembly, where the page's script (`page/lab.js`) moves it. Seed and parameters
//! decide a run: both give the same bytes.
//!
//! May know of the programs; knows nothing of pages, chapters or browsers.

pub mod figure;
pub mod player;
pub mod scene;
#[cfg(not(target_family = "wasm"))]
pub mod trace;
pub mod wasm;
#[cfg(not(target_family = "wasm"))]
pub mod way;

use figure::{About, Figure, Setup};
use player::Player;

include!(concat!(env!("OUT_DIR"), "/figures.rs"));

/// A figure that can be asked for by name.
pub struct Entry {
    /// The name that a chapter places it by.
    pub name: &'static str,
    /// The program of `examples/` that it runs.
    pub program: &'static str,
    /// What it is and how it is controlled.
    pub about: &'static About,
    start: fn(&Setup) -> Box<dyn Run>,
}

impl Entry {
    /// A run from its beginning.
    pub fn start(&self, setup: &Setup) -> Box<dyn Run> {
        (self.start)(setup)
    }
}

/// A run of some figure, for those who do not know which.
pub trait Run {
    /// One step on; `false` when the run is over.
    fn step(&mut self) -> bool;
    /// One step or action back; `false` at the beginning.
    fn back(&mut self) -> bool;
    /// What the reader does: the action's place in [`About::actions`], and its value.
    fn act(&mut self, action: usize, value: i64);
    /// The picture of this moment, as JSON (see [`Player::view`]).
    fn view(&self) -> String;
    /// The picture of this moment to stand still: an SVG element with nothing to press.
    fn still(&self) -> String;
    /// This moment in words.
    fn words(&self) -> String;
    /// The goals that are reached, in the order of [`About::goals`].
    #[cfg(not(target_family = "wasm"))]
    fn reached(&self) -> Vec<bool>;
}

#[cfg_attr(target_family = "wasm", allow(dead_code))]
const fn entry<F: Figure + 'static>(name: &'static str, program: &'static str) -> Entry {
    Entry {
        name,
        program,
        about: F::ABOUT,
        start: |setup| Box::new(Player::<F>::new(setup)),
    }
}

/// Every figure of the book, by name.
#[cfg(not(target_family = "wasm"))]
pub fn all() -> &'static [Entry] {
    ALL
}
