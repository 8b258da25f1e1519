//! How long does a transfer take? Bandwidth, throughput and latency apart.
//!
//! What it shows: links are sold in bits per second and files are counted in
//! bytes, so the first mistake is a factor of eight. The second is to divide
//! by the bandwidth alone: frames and headers take their share, the first bit
//! needs its latency, and a sender that waits for acknowledgements sends at
//! most one window per round trip, however wide the link is.
//!
//! What to look for in the output: the same gigabyte on the same 1 Gbit/s link
//! takes 8.5 s or 20 minutes, depending on the window; and a small message
//! hardly gets faster when the bandwidth grows.
//!
//! What is simplified: one TCP connection with a fixed window, IPv4 without
//! options, full frames of Ethernet, no loss, no slow start, no handshake, no
//! other traffic, and acknowledgements that cost no time to send.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Bytes(u64);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct BitsPerSecond(u64);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Micros(u64);

const MICROS_PER_SECOND: u128 = 1_000_000;
const BITS_PER_BYTE: u128 = 8;

/// What one full Ethernet frame carries: 1,500 bytes less 20 of IPv4 header
/// and 20 of TCP header.
const PAYLOAD_BYTES_MAX: u64 = 1_500 - 20 - 20;
/// What each frame costs on top: those 40, preamble and start 8, header 14,
/// checksum 4, gap to the next frame 12 (RFC 6349, section 4.1.1).
const OVERHEAD_BYTES: u64 = 40 + 8 + 14 + 4 + 12;
/// The largest window that TCP's 16-bit field can state without scaling.
const WINDOW_UNSCALED: Bytes = Bytes(65_535);

#[derive(Clone, Copy)]
struct Link {
    /// What the wire can carry.
    bandwidth: BitsPerSecond,
    /// One way, for the first bit.
    latency: Micros,
}

impl BitsPerSecond {
    /// The time to put this many bytes on the wire, rounded up.
    fn time_for(self, size: Bytes) -> Micros {
        let bits = u128::from(size.0) * BITS_PER_BYTE;
        let micros = (bits * MICROS_PER_SECOND).div_ceil(u128::from(self.0));
        Micros(micros as u64)
    }
}

/// A file's bytes with the frames and headers that carry them.
fn on_the_wire(payload: Bytes) -> Bytes {
    let frames = payload.0.div_ceil(PAYLOAD_BYTES_MAX);
    Bytes(payload.0 + frames * OVERHEAD_BYTES)
}

impl Link {
    fn round_trip(&self) -> Micros {
        Micros(2 * self.latency.0)
    }

    // ANCHOR: transfer
    /// Until the last bit arrives. A window (at least one byte) that is too
    /// short for the pipe is sent, then the sender waits for the round trip
    /// to end before it sends the next.
    fn transfer(&self, size: Bytes, window: Bytes) -> Micros {
        let window_micros = self.bandwidth.time_for(on_the_wire(window)).0;
        let waits = size.0.saturating_sub(1) / window.0;
        let rest = Bytes(size.0 - waits * window.0);
        let sending = self.bandwidth.time_for(on_the_wire(rest)).0;
        let each = window_micros.max(self.round_trip().0);
        Micros(waits * each + sending + self.latency.0)
    }
    // ANCHOR_END: transfer

    /// Bandwidth × round trip: the bytes under way when the pipe is full.
    fn window_that_fills_it(&self) -> Bytes {
        let bits = u128::from(self.bandwidth.0) * u128::from(self.round_trip().0);
        Bytes((bits / MICROS_PER_SECOND / BITS_PER_BYTE) as u64)
    }
}

/// What you got: payload bits over the time that it really took.
fn throughput(size: Bytes, took: Micros) -> BitsPerSecond {
    let bits = u128::from(size.0) * BITS_PER_BYTE;
    BitsPerSecond((bits * MICROS_PER_SECOND / u128::from(took.0)) as u64)
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            0..1_000_000 => format!("{:.2} ms", self.0 as f64 / 1e3),
            _ => format!("{:.2} s", self.0 as f64 / 1e6),
        };
        f.pad(&text)
    }
}

impl fmt::Display for BitsPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} Mbit/s", self.0 as f64 / 1e6))
    }
}

fn main() {
    let gigabyte = Bytes(1_000_000_000);
    let bandwidth = BitsPerSecond(1_000_000_000);
    let latency = Micros(40_000);
    let link = Link { bandwidth, latency };

    println!("1 GB over 1 Gbit/s, 40 ms one way    time   throughput");
    let row = |what: &str, took: Micros| {
        let rate = throughput(gigabyte, took);
        println!("  {what:<25} {took:>13}   {rate}");
    };
    let forgot_the_eight = Micros(1_000_000);
    row("bytes / bits (wrong)", forgot_the_eight);
    row("bits / bits", bandwidth.time_for(gigabyte));
    let framed = on_the_wire(gigabyte);
    row("with frames and headers", bandwidth.time_for(framed));
    let wide = link.window_that_fills_it();
    row("and latency, wide window", link.transfer(gigabyte, wide));
    let unscaled = WINDOW_UNSCALED;
    row("window of 65535 bytes", link.transfer(gigabyte, unscaled));
    let busy = bandwidth.time_for(on_the_wire(unscaled));
    let round_trip = link.round_trip();
    println!("such a window is sent in {busy} of every {round_trip}");
    println!("the window that fills this link: {} bytes", wide.0);

    println!("\none message, 40 ms one way, wide window");
    println!("  size       10 Mbit/s  100 Mbit/s    1 Gbit/s");
    for (name, size) in [
        ("1 kB", 1_000),
        ("1 MB", 1_000_000),
        ("1 GB", 1_000_000_000),
    ] {
        print!("  {name:<8}");
        for mbit_per_s in [10, 100, 1_000] {
            let bandwidth = BitsPerSecond(mbit_per_s * 1_000_000);
            let link = Link { bandwidth, latency };
            let took = link.transfer(Bytes(size), link.window_that_fills_it());
            print!("{took:>12}");
        }
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABYTE: Bytes = Bytes(1_000_000_000);

    fn gigabit(latency_ms: u64) -> Link {
        Link {
            bandwidth: BitsPerSecond(1_000_000_000),
            latency: Micros(latency_ms * 1_000),
        }
    }

    #[test]
    fn a_gigabyte_needs_eight_seconds_of_a_gigabit_link() {
        let took = gigabit(0).bandwidth.time_for(GIGABYTE);
        assert_eq!(took, Micros(8_000_000));
    }

    #[test]
    fn a_full_frame_is_1538_bytes_and_a_gigabit_carries_81274_a_second() {
        let frame = on_the_wire(Bytes(PAYLOAD_BYTES_MAX));
        assert_eq!(frame, Bytes(1_538));
        // The two numbers of RFC 6349, section 4.1.1.
        assert_eq!(1_000_000_000 / (frame.0 * 8), 81_274);
        assert_eq!(PAYLOAD_BYTES_MAX, 1_460);
    }

    #[test]
    fn headers_leave_949_of_1000_megabits() {
        let took = gigabit(0).bandwidth.time_for(on_the_wire(GIGABYTE));
        assert_eq!(throughput(GIGABYTE, took).0 / 1_000_000, 949);
    }

    #[test]
    fn with_a_small_window_ten_times_the_bandwidth_buys_nothing() {
        let slow = gigabit(40);
        let bandwidth = BitsPerSecond(10_000_000_000);
        let fast = Link { bandwidth, ..slow };
        let [a, b] = [slow, fast].map(|l| l.transfer(GIGABYTE, WINDOW_UNSCALED).0);
        assert!(b <= a && a - b < a / 1_000, "{a} {b}");
    }

    #[test]
    fn throughput_never_exceeds_bandwidth_nor_window_per_round_trip() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..10_000 {
            let link = gigabit(random.u64(1..200));
            let window = Bytes(random.u64(1_000..10_000_000));
            let size = Bytes(window.0 * random.u64(1..50));
            let rate = throughput(size, link.transfer(size, window));
            assert!(rate <= link.bandwidth);
            // Over n windows the sender waits n - 1 times: count them all.
            let waits = Micros(link.round_trip().0 * (size.0 / window.0 - 1));
            let bound = throughput(size, Micros(waits.0.max(1)));
            assert!(rate <= bound);
        }
    }

    #[test]
    fn a_window_of_bandwidth_times_round_trip_keeps_the_link_busy() {
        let link = gigabit(40);
        let window = link.window_that_fills_it();
        assert_eq!(window, Bytes(10_000_000));
        let busy = link.bandwidth.time_for(on_the_wire(GIGABYTE)).0;
        let took = link.transfer(GIGABYTE, window).0 - link.latency.0;
        assert!(took.abs_diff(busy) < busy / 1_000);
    }
}
