//! What the chapter "Moving data" says of protocols and formats, held by the
//! libraries that people use.

use anyhow::Result;
use prost::Message;
use protocols::feed::Tick;
use protocols::meter::Counts;
use protocols::orders::{example, thousand, JsonOrder, XmlOrder};
use protocols::orders_v1::{OldOrder, Order};
use protocols::ways;

const TICKS: u64 = 50;

#[test]
fn to_the_client_a_tick_takes_most_by_poll_then_event_then_frame_then_grpc(
) -> Result<()> {
    let down = |cost: ways::Cost| cost.tick_42.down;
    let poll = down(ways::run(ways::long_poll(TICKS))?);
    let event = down(ways::run(ways::server_sent_events(TICKS))?);
    let frame = down(ways::run(ways::websocket(TICKS))?);
    let grpc = down(ways::run(ways::grpc(TICKS))?);
    assert!(poll > 2 * event, "{poll} {event}");
    assert!(event > frame && frame > grpc, "{event} {frame} {grpc}");
    Ok(())
}

/// `examples/moving_frames.rs` writes these by hand; its output has these numbers.
#[test]
fn the_bytes_of_one_tick_are_those_that_the_specifications_give() -> Result<()> {
    let bytes = |cost: ways::Cost| {
        let Counts { up, down, .. } = cost.tick_42;
        (up, down)
    };
    assert_eq!(bytes(ways::run(ways::long_poll(TICKS))?), (48, 147));
    assert_eq!(bytes(ways::run(ways::server_sent_events(TICKS))?), (0, 60));
    assert_eq!(bytes(ways::run(ways::websocket(TICKS))?), (0, 41));
    assert_eq!(bytes(ways::run(ways::grpc(TICKS))?), (0, 26));
    Ok(())
}

#[test]
fn a_poll_asks_every_time_and_a_stream_once() -> Result<()> {
    let asked = |cost: ways::Cost| (cost.requests, cost.all.connections);
    let polls = TICKS * ways::POLLS_A_TICK;
    assert_eq!(asked(ways::run(ways::poll(TICKS, false))?), (polls, polls));
    assert_eq!(asked(ways::run(ways::poll(TICKS, true))?), (polls, 1));
    assert_eq!(asked(ways::run(ways::long_poll(TICKS))?), (TICKS, 1));
    assert_eq!(asked(ways::run(ways::server_sent_events(TICKS))?), (1, 1));
    assert_eq!(asked(ways::run(ways::websocket(TICKS))?), (1, 1));
    assert_eq!(asked(ways::run(ways::grpc(TICKS))?), (1, 1));
    Ok(())
}

#[test]
fn asking_three_times_a_tick_moves_more_than_ten_times_the_payload() -> Result<()> {
    let all = ways::run(ways::poll(TICKS, true))?.all;
    let mut payload = 0;
    for id in 1..=TICKS {
        payload += serde_json::to_vec(&Tick::new(id))?.len() as u64;
    }
    assert!(all.up + all.down > 10 * payload, "{all:?} {payload}");
    Ok(())
}

#[test]
fn a_new_connection_for_each_poll_costs_no_more_bytes_only_connections() -> Result<()>
{
    let [new, kept] = [false, true].map(|keep| ways::run(ways::poll(TICKS, keep)));
    let (new, kept) = (new?.all, kept?.all);
    assert_eq!((new.up, new.down), (kept.up, kept.down));
    Ok(())
}

#[test]
fn after_a_cut_events_resume_and_a_websocket_does_not_by_itself() -> Result<()> {
    assert_eq!(ways::run(ways::cut_events())?, 0);
    assert_eq!(ways::run(ways::cut_websocket())?, ways::AWAY_FOR);
    assert_eq!(ways::run(ways::cut_grpc(false))?, ways::AWAY_FOR);
    assert_eq!(ways::run(ways::cut_grpc(true))?, 0);
    Ok(())
}

#[test]
fn on_one_connection_a_slow_answer_holds_back_http_1_and_not_grpc() -> Result<()> {
    assert_eq!(ways::run(ways::order_over_http())?, (vec![2, 1], 1));
    assert_eq!(ways::run(ways::order_over_grpc())?, (vec![1, 2], 1));
    Ok(())
}

#[test]
fn a_websocket_client_masks_what_it_says_and_pays_four_bytes_more() -> Result<()> {
    let said = ways::run(ways::said_over_websocket("x".repeat(39)))?;
    assert_eq!(said.up, 2 + 4 + 39);
    let said = ways::run(ways::said_over_websocket("x".repeat(126)))?;
    assert_eq!(said.up, 2 + 2 + 4 + 126);
    Ok(())
}

/// The same constant stands in `examples/moving_formats.rs`.
#[test]
fn the_library_writes_the_bytes_that_were_written_by_hand() {
    let hex: String =
        example().encode_to_vec().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        "088180808080808010120a41646120262053\
         6f6e731801220a0a03746561100218c20322130a0467696674\
         1001188cfcffffffffffffff01"
    );
}

#[test]
fn an_old_reader_reads_what_a_newer_program_wrote() -> Result<()> {
    let new = example();
    let old = OldOrder::decode(&new.encode_to_vec()[..])?;
    assert_eq!((old.id, &old.customer, old.paid), (new.id, &new.customer, new.paid));
    Ok(())
}

#[test]
fn a_newer_reader_reads_what_an_old_program_wrote() -> Result<()> {
    let old = OldOrder { id: 7, customer: "Ada".to_owned(), paid: true };
    let new = Order::decode(&old.encode_to_vec()[..])?;
    assert_eq!((new.id, new.lines.len()), (7, 0));
    Ok(())
}

#[test]
fn each_format_brings_every_order_back() -> Result<()> {
    for order in thousand().into_iter().chain([example()]) {
        let (as_xml, as_json) = (XmlOrder::from(&order), JsonOrder::from(&order));
        let xml = quick_xml::se::to_string(&as_xml)?;
        let json = serde_json::to_string(&as_json)?;
        let protobuf = order.encode_to_vec();
        assert!(xml.len() > json.len() && json.len() > protobuf.len());
        assert_eq!(quick_xml::de::from_str::<XmlOrder>(&xml)?, as_xml);
        assert_eq!(serde_json::from_str::<JsonOrder>(&json)?, as_json);
        assert_eq!(Order::decode(&protobuf[..])?, order);
    }
    Ok(())
}
