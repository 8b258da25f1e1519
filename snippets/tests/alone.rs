//! Compiles and runs each ordinary Rust block of the book alone, with skeptic: what a reader
//! pastes into an empty file must work there too.

/// skeptic's own runner behind a message that says where the block is. The generated tests call
/// `skeptic::rt::run_test`, which is this one.
mod skeptic {
    pub mod rt {
        /// Runs one block. The build script put the block's file and line in its first line.
        pub fn run_test(root: &str, out: &str, target: &str, text: &str) {
            let at = text
                .lines()
                .find_map(|line| line.strip_prefix("// "))
                .unwrap_or("?")
                .to_owned();
            let ran = std::panic::catch_unwind(|| ::skeptic::rt::run_test(root, out, target, text));
            if let Err(cause) = ran {
                eprintln!("\n{at}: this block fails when it is compiled and run alone (see above)");
                std::panic::resume_unwind(cause);
            }
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/alone.rs"));
