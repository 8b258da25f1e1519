//! A small service with metrics: what it was asked, and what it says of itself.
//!
//! Look at how few lines there are for so many requests, at the buckets, each of
//! which counts the faster ones too, and at the last two lines: what a label costs
//! when clients choose its values.
//!
//! Simplified: a request takes as long as this program says; nothing waits. The
//! series come in no order of their own; here they are sorted.

use anyhow::Result;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use services::shop::Shop;
use services::shop::client::ask;
use std::process::ExitCode;
use std::time::Duration;

const CHECKOUTS: u64 = 200;
const FAIL_EVERY: u64 = 25;
const RANDOM_PATHS: usize = 1000;

/// Lines that are samples: each is a time series that a server keeps.
fn series(metrics: &str) -> usize {
    metrics.lines().filter(|line| !line.starts_with('#')).count()
}

fn show(metrics: &str, keep: impl Fn(&str) -> bool) {
    let mut lines: Vec<&str> = metrics.lines().filter(|line| keep(line)).collect();
    if !lines.iter().any(|line| line.contains("le=")) {
        lines.sort_unstable();
    }
    lines.iter().for_each(|line| println!("{line}"));
}

/// The wrong way: the path itself is the label.
fn labelled_with_the_path(paths: &[String]) -> Result<String> {
    let requests = Family::<Vec<(String, String)>, Counter>::default();
    let mut registry = Registry::default();
    registry.register("http_requests", "Requests answered", requests.clone());
    for path in paths {
        requests.get_or_create(&vec![("path".to_owned(), path.clone())]).inc();
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn run() -> Result<()> {
    let shop = Shop::start()?;
    let mut rng = fastrand::Rng::with_seed(11);
    shop.fail_every(FAIL_EVERY);
    for n in 1..=CHECKOUTS {
        // One in forty waits for a lock; the others take 20 to 120 ms.
        let ms = if n % 40 == 0 { 3_000 } else { rng.u64(20..120) };
        shop.pretend(Some(Duration::from_millis(ms)));
        ask(shop.addr(), "POST", "/checkout")?;
    }
    shop.pretend(Some(Duration::from_millis(10)));
    let answer = ask(shop.addr(), "GET", "/products/7")?;
    let before = ask(shop.addr(), "GET", "/metrics")?;
    println!("{CHECKOUTS} checkouts, every {FAIL_EVERY}th fails; one product");
    println!("the product: status {}", answer.status);
    println!("Content-Type: {}\n", before.header("content-type").unwrap_or("none"));
    show(&before.body, |line| line.starts_with("# TYPE"));
    show(&before.body, |line| {
        line.starts_with("http_requests_total") && !line.contains("unknown")
    });
    show(&before.body, |line| {
        line.starts_with("http_request_duration") && line.contains("/checkout")
    });

    let paths: Vec<String> = (0..RANDOM_PATHS)
        .map(|_| (0..8).map(|_| rng.alphanumeric()).collect())
        .collect();
    for path in &paths {
        ask(shop.addr(), "GET", &format!("/{path}"))?;
    }
    let after = ask(shop.addr(), "GET", "/metrics")?;
    println!(
        "\ntime series before and after {RANDOM_PATHS} paths that do not exist:"
    );
    println!(
        "  label from the router: {:>4} {:>5}",
        series(&before.body),
        series(&after.body)
    );
    println!(
        "  label from the path:   {:>4} {:>5}",
        0,
        series(&labelled_with_the_path(&paths)?)
    );
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
