//! Each program that has a recorded run beside it (`src/bin/<name>.out`) still prints
//! that.

use std::path::Path;

#[test]
fn each_program_prints_what_was_recorded() -> Result<(), String> {
    recorded::check_all(Path::new(env!("CARGO_MANIFEST_DIR")))
}
