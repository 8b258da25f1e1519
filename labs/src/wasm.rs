//! The narrow door to WebAssembly: one module a figure, which holds at most one run.
//!
//! Texts go through one buffer in the module's memory: the page writes into it what `lab_buffer`
//! made room for, and reads from it as many bytes as a function returns.

use std::cell::RefCell;

use crate::figure::{Figure, Kind, Setup};
use crate::player::{quoted, Player};
use crate::Run;

/// The longest text that a page may hand in, in bytes.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What a module holds. A module runs on one thread.
#[doc(hidden)]
pub struct Door<F> {
    run: RefCell<Option<Player<F>>>,
    buffer: RefCell<Vec<u8>>,
}

impl<F: Figure> Door<F> {
    /// A door with nothing behind it.
    pub const fn new() -> Self {
        Door {
            run: RefCell::new(None),
            buffer: RefCell::new(Vec::new()),
        }
    }

    /// Makes room for `bytes` of input and says where, or returns null when that is too many.
    pub fn buffer(&self, bytes: usize) -> *mut u8 {
        if bytes > INPUT_BYTES_MAX {
            return std::ptr::null_mut();
        }
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        buffer.resize(bytes, 0);
        buffer.as_mut_ptr()
    }

    /// Where the last answer stands.
    pub fn answer(&self) -> *const u8 {
        self.buffer.borrow().as_ptr()
    }

    /// Begins a run with the setup in the buffer.
    pub fn start(&self, seed: u64) {
        let lines = String::from_utf8_lossy(&self.buffer.borrow()).into_owned();
        *self.run.borrow_mut() = Some(Player::new(&Setup::from_lines(seed, &lines)));
    }

    /// One step on; 0 when the run is over or none has begun.
    pub fn step(&self) -> u32 {
        self.run
            .borrow_mut()
            .as_mut()
            .map_or(0, |run| run.step().into())
    }

    /// One event back; 0 at the beginning.
    pub fn back(&self) -> u32 {
        self.run
            .borrow_mut()
            .as_mut()
            .map_or(0, |run| run.back().into())
    }

    /// The reader does something.
    pub fn act(&self, action: u32, value: i32) {
        if let Some(run) = self.run.borrow_mut().as_mut() {
            run.act(action as usize, value.into());
        }
    }

    /// Writes the picture of this moment into the buffer and returns its bytes.
    pub fn view(&self) -> usize {
        let view = self
            .run
            .borrow()
            .as_ref()
            .map(Run::view)
            .unwrap_or_default();
        self.put(view)
    }

    /// Writes what the figure is into the buffer, as JSON, and returns its bytes.
    pub fn about(&self) -> usize {
        self.put(about::<F>())
    }

    fn put(&self, text: String) -> usize {
        let bytes = text.into_bytes();
        let length = bytes.len();
        *self.buffer.borrow_mut() = bytes;
        length
    }
}

impl<F: Figure> Default for Door<F> {
    fn default() -> Self {
        Door::new()
    }
}

/// What a figure is, as JSON.
pub fn about<F: Figure>() -> String {
    let about = F::ABOUT;
    let controls: Vec<String> = about
        .controls
        .iter()
        .map(|control| {
            let kind = match &control.kind {
                Kind::Slider {
                    min,
                    max,
                    step,
                    value,
                    unit,
                } => format!(
                    "\"min\":{min},\"max\":{max},\"step\":{step},\"value\":{value},\"unit\":{}",
                    quoted(unit)
                ),
                Kind::Choice { options, value } => {
                    let options: Vec<String> = options.iter().map(|word| quoted(word)).collect();
                    format!("\"options\":[{}],\"value\":{value}", options.join(","))
                }
                Kind::Text { value } => format!("\"text\":{}", quoted(value)),
            };
            let (key, label) = (quoted(control.key), quoted(control.label));
            format!("{{\"key\":{key},\"label\":{label},{kind}}}")
        })
        .collect();
    let actions: Vec<String> = about
        .actions
        .iter()
        .map(|action| {
            format!(
                "{{\"label\":{},\"button\":{}}}",
                quoted(action.label),
                action.button
            )
        })
        .collect();
    format!(
        "{{\"pace\":{},\"controls\":[{}],\"actions\":[{}]}}",
        about.pace_ms,
        controls.join(","),
        actions.join(",")
    )
}

/// Exports one figure from a module of its own.
#[macro_export]
macro_rules! export {
    ($figure:ty) => {
        thread_local! {
            static DOOR: $crate::wasm::Door<$figure> = const { $crate::wasm::Door::new() };
        }

        #[no_mangle]
        extern "C" fn lab_buffer(bytes: usize) -> *mut u8 {
            DOOR.with(|door| door.buffer(bytes))
        }

        #[no_mangle]
        extern "C" fn lab_answer() -> *const u8 {
            DOOR.with(|door| door.answer())
        }

        #[no_mangle]
        extern "C" fn lab_start(seed_high: u32, seed_low: u32) {
            DOOR.with(|door| door.start(u64::from(seed_high) << 32 | u64::from(seed_low)));
        }

        #[no_mangle]
        extern "C" fn lab_step() -> u32 {
            DOOR.with(|door| door.step())
        }

        #[no_mangle]
        extern "C" fn lab_back() -> u32 {
            DOOR.with(|door| door.back())
        }

        #[no_mangle]
        extern "C" fn lab_act(action: u32, value: i32) {
            DOOR.with(|door| door.act(action, value));
        }

        #[no_mangle]
        extern "C" fn lab_view() -> usize {
            DOOR.with(|door| door.view())
        }

        #[no_mangle]
        extern "C" fn lab_about() -> usize {
            DOOR.with(|door| door.about())
        }
    };
}
