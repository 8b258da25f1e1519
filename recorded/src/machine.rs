//! The line that says where a recorded run was made.
//!
//! May know of the clock and the number of cores.

use anyhow::{Context, Result};
use std::time::{SystemTime, UNIX_EPOCH};

/// The compiler that built this program, for [`measured_on`].
pub const RUSTC: (&str, &str) = ("rustc", env!("RUSTC_VERSION"));

/// `measured on: 2 cores, Linux, nginx 1.22.1, haproxy 2.6.12, 2026-11-21`: the
/// cores that this process may use, the system, each part's name and version, the
/// day in UTC.
///
/// # Errors
/// When the cores cannot be counted, or the clock is before 1970.
pub fn measured_on(parts: &[(&str, &str)]) -> Result<String> {
    let cores = std::thread::available_parallelism().context("count the cores")?;
    let system = match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "macOS",
        other => other,
    };
    let cores_word = if cores.get() == 1 { "core" } else { "cores" };
    let mut line = format!("measured on: {cores} {cores_word}, {system}");
    for (name, version) in parts {
        line.push_str(&format!(", {name} {version}"));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(format!("{line}, {}", date(now.as_secs() / 86_400)))
}

/// The day `days` after 1 January 1970, as `YYYY-MM-DD`. Years are counted from
/// March, so that the leap day is a year's last one.
fn date(days: u64) -> String {
    let days = days + 719_468; // since 1 March of the year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097); // 400 years each
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524
        - day_of_era / 146_096)
        / 365;
    let day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(20_778), "2026-11-21");
    }
}
