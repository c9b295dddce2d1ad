//! What stands in a page, unpacked again as a browser does it.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;

use super::*;
use crate::results::fixture;
use crate::world::testkit;

fn plan(nodes: u32) -> Plan {
    testkit::plan(nodes, std::time::Duration::from_secs(60))
}

fn page(run: &RunResult) -> String {
    let plan = plan(run.summary.nodes.start);
    document(&Page { run, plan: &plan, seeds: None })
}

/// The header of a page's data, and the bytes behind it.
fn unpacked(page: &str) -> (Value, Vec<u8>) {
    let (_, rest) = page.split_once(r#"id="data">"#).unwrap();
    let (block, _) = rest.split_once("</script>").unwrap();
    let mut bytes = Vec::new();
    DeflateDecoder::new(&STANDARD.decode(block).unwrap()[..]).read_to_end(&mut bytes).unwrap();
    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let rest = bytes.split_off(4 + length);
    (serde_json::from_slice(&bytes[4..]).unwrap(), rest)
}

/// An array of whole numbers, of any width.
fn numbers(header: &Value, bytes: &[u8], name: &str) -> Vec<u64> {
    let array = &header["arrays"][name];
    let whole = |key: &str| array[key].as_u64().unwrap() as usize;
    let width = match array["type"].as_str().unwrap() {
        "u8" => 1,
        "u16" => 2,
        "u32" => 4,
        other => panic!("no whole numbers: {other}"),
    };
    let byte = |number: usize, place: usize| bytes[whole("at") + place * whole("length") + number];
    let number =
        |number| (0..width).map(|place| u64::from(byte(number, place)) << (8 * place)).sum();
    (0..whole("length")).map(number).collect()
}

#[test]
fn a_page_unpacks_to_the_receipts_and_the_summary_of_its_run() {
    let run = fixture::partition(50, 4, 7);
    let (header, bytes) = unpacked(&page(&run));
    assert_eq!(header["summary"].as_str().unwrap(), json::document(&run.summary));
    let column = |name: &str| numbers(&header, &bytes, name);
    let (first, flight) = (column("first"), column("flight"));
    let (node, from, hop, via) = (column("node"), column("from"), column("hop"), column("via"));
    assert_eq!(first.len(), run.rumor_rows.len());
    let us = |ms: f64| (ms * 1000.0).round() as u64;
    for (place, row) in run.rumor_rows.iter().enumerate() {
        assert_eq!(first[place], us(row.first_ms));
        assert_eq!(flight[place], us(row.first_ms - row.sent_ms.unwrap_or(row.first_ms)));
        assert_eq!((node[place], hop[place]), (row.node.into(), row.hop.into()));
        assert_eq!(from[place], u64::from(row.from.unwrap_or(row.node)));
        assert_eq!(header["vias"][via[place] as usize], row.via);
    }
    let rumors = header["rumors"].as_array().unwrap();
    let rows = rumors.iter().map(|rumor| rumor["rows"].as_u64().unwrap());
    assert_eq!(rows.sum::<u64>(), run.rumor_rows.len() as u64);
}

#[test]
fn a_page_is_the_same_bytes_each_time_and_asks_for_nothing_else() {
    let run = fixture::partition(50, 40, 7);
    let page = page(&run);
    assert!(page == super::tests::page(&run));
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "the page refers to {outside}");
    }
    assert!(page.contains("<title>partition, seed 7</title>"));
}

#[test]
fn as_many_receipts_and_rumors_of_a_thousand_nodes_as_are_followed_fit_in_five_megabytes() {
    let mut run = fixture::partition(1_000, 200, 7);
    assert_eq!(run.rumor_rows.len(), 200_000);
    let rumors = run.summary.rumors.clone();
    run.summary.rumors = rumors.iter().cycle().take(16_000).cloned().collect();
    // Real receipts have no pattern that deflates well: neither have these.
    let mut chance = 1_u64;
    for row in run.rumor_rows.iter_mut().filter(|row| row.from.is_some()) {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        row.from = Some((chance >> 40) as u32 % 1_000);
        row.first_ms += (chance >> 44) as f64 / 1e3;
        row.sent_ms = Some(row.first_ms - 1.0 - (chance >> 50) as f64 / 1e3);
    }
    let bytes = page(&run).len();
    assert!(bytes < 5_000_000, "{bytes} bytes");
}

#[test]
fn above_two_thousand_nodes_there_is_no_player_and_the_page_says_so() {
    let run = fixture::partition(PLAYER_NODES_MAX + 1, 1, 7);
    let (header, bytes) = unpacked(&page(&run));
    let why = "The player shows runs of up to 2,000 nodes; this one has 2,001.";
    assert_eq!(header["no_player"], why);
    assert!(bytes.is_empty() && header["rumors"].as_array().unwrap().is_empty());
    let (header, _) = unpacked(&page(&fixture::partition(PLAYER_NODES_MAX, 1, 7)));
    assert_eq!(header["no_player"], Value::Null);
}

#[test]
fn a_run_of_days_has_coarser_ticks() {
    let mut run = fixture::partition(5, 1, 7);
    assert_eq!(tick_ms(&run), 0.001);
    run.summary.virtual_ms = 2.0 * 24.0 * 3_600_000.0;
    assert!(run.summary.virtual_ms / tick_ms(&run) <= f64::from(u32::MAX));
}

#[test]
fn deliveries_are_counted_by_hop_and_way() {
    let run = fixture::partition(50, 4, 7);
    let total: u64 = hops(&run.rumor_rows).iter().flat_map(|(_, counts)| counts).sum();
    let told = run.rumor_rows.iter().filter(|row| row.from.is_some()).count();
    assert_eq!(total, told as u64);
}

/// The colours of a style sheet's block of variables.
fn colours(block: &str) -> std::collections::BTreeMap<&str, [f64; 3]> {
    let channel = |text: &str, at: usize| {
        let value = f64::from(u8::from_str_radix(&text[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let variables = block.split(';').filter_map(|one| one.trim().split_once(": #"));
    let colours = variables.filter(|(_, hex)| hex.len() == 6);
    colours.map(|(name, hex)| (name, [0, 2, 4].map(|at| channel(hex, at)))).collect()
}

/// The contrast of two colours, after WCAG 2.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let light = |[red, green, blue]: [f64; 3]| 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    let (one, other) = (light(one), light(other));
    one.max(other) / one.min(other)
}

#[test]
fn every_text_stands_out_from_its_ground_by_day_and_by_night() {
    let blocks: Vec<_> =
        STYLE.split(":root {").skip(1).map(|rest| rest.split('}').next()).collect();
    assert_eq!(blocks.len(), 2, "by day and by night");
    let mut texts = vec![("--good", "--good-ground"), ("--bad", "--bad-ground")];
    for text in ["--ink", "--soft", "--faint", "--accent", "--good", "--bad"] {
        texts.extend(["--ground", "--card", "--grid"].map(|ground| (text, ground)));
    }
    for block in blocks.into_iter().flatten() {
        let colours = colours(block);
        for (text, ground) in &texts {
            let found = contrast(colours[text], colours[ground]);
            assert!(found >= 4.5, "{text} on {ground}: {found:.2}");
        }
    }
}

#[test]
fn a_name_can_not_break_out_of_its_place() {
    assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
}
