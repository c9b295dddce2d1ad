//! The page of a run in a browser: it loads, plays, and says what `summary.json` says.
//!
//! Needs Chromium or Chrome; CI has one and fails without, elsewhere the test says so and passes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const SCENARIO: &str = r#"
name = "page"
nodes = 20
duration = "25s"

[[at]]
time = "5s"
publish = { node = 3, data = "v1" }

[[at]]
time = "8s"
partition = ["0..8", "8..20"]
for = "7s"

[[at]]
time = "10s"
publish = { node = 15, data = "v2" }

[[at]]
time = "11s"
crash = 7

[groups.zone-e]
nodes = "0..3"
name = "east-{i}"

[expect]
"node_list.converged" = "== true"
"#;

/// Runs in a copy of the page and leaves what it finds in an element.
const PROBE: &str = r#"
<script>
window.addEventListener("error", (event) => problems.push(event.message));
window.addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
const problems = [];
window.addEventListener("load", async () => {
  const { player } = await rumormill.ready;
  const found = { summary: document.getElementById("summary").textContent };
  const slide = (ms) => {
    player.slider.value = player.watchedAt(ms);
    player.slider.dispatchEvent(new Event("input"));
    return player.state();
  };
  found.begin = slide(0);
  found.before = slide(4990);
  found.spreading = slide(5008);
  found.parted = slide(12000);
  found.end = slide(20000);
  slide(5000);
  player.step(1);
  found.stepped = player.state().ms;
  player.draw();
  const [x, y] = player.places[4];
  const box = player.canvas.getBoundingClientRect();
  const where = { clientX: box.left + x, clientY: box.top + y, bubbles: true };
  player.canvas.dispatchEvent(new MouseEvent("click", where));
  found.story = player.story.textContent;
  found.title = player.storyTitle.textContent;
  const press = (on, key) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  press(player.canvas, "Home");
  press(player.canvas, "ArrowRight");
  found.keyed = player.storyTitle.textContent;
  found.controls_end = player.slider.getBoundingClientRect().bottom;
  const first = player.scene.rumors[0];
  found.hops = player.blocks(700, 400, first, player.scene.heldAt(first, 20000))
    .shown.map(({ title, nodes }) => [title, nodes.length]);
  found.played_from = player.ms;
  player.play();
  found.playing = player.playing;
  // No frames are drawn for a page that is only dumped: what they would do is done here.
  player.advance(2);
  found.played_to = player.ms;
  player.advance(1000);
  found.stopped_at_the_end = !player.playing && player.ms;
  found.tiles = [...document.querySelectorAll(".tile .value")].map((tile) => tile.textContent);
  const chart = document.querySelector(".chart canvas");
  const at = (x) => {
    const { left, top, width } = chart.getBoundingClientRect();
    return { clientX: left + width * x, clientY: top + 80, bubbles: true };
  };
  chart.dispatchEvent(new PointerEvent("pointermove", at(0.99)));
  found.tip = chart.nextElementSibling.textContent;
  press(chart, "End");
  found.told = chart.nextElementSibling.textContent;
  const values = document.querySelector(".values");
  values.open = true;
  values.dispatchEvent(new Event("toggle"));
  found.values = values.querySelectorAll("tbody tr").length;
  chart.dispatchEvent(new PointerEvent("pointerdown", at(0.4)));
  chart.dispatchEvent(new PointerEvent("pointermove", at(0.6)));
  chart.dispatchEvent(new PointerEvent("pointerup", at(0.6)));
  chart.dispatchEvent(new PointerEvent("pointermove", at(0.99)));
  found.zoomed = chart.nextElementSibling.textContent;
  found.charts = document.querySelectorAll(".chart canvas").length;
  found.problems = problems;
  const result = document.createElement("textarea");
  result.id = "found";
  result.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(found))));
  document.body.append(result);
});
</script>
"#;

fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let at = |name: &&str| folders.iter().map(|dir| dir.join(name)).find(|file| file.is_file());
    names.iter().find_map(at)
}

/// What the page looks like once its scripts have run, and what the browser complained of.
fn opened(browser: &Path, page: &Path, folder: &Path) -> (String, String) {
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        "--window-size=1240,1400",
        "--virtual-time-budget=20000",
        "--dump-dom",
    ];
    let output = Command::new(browser)
        .args(flags)
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

/// The page of a run with the probe in it, and the run's `summary.json`.
fn probed(folder: &Path) -> (PathBuf, String) {
    fs::write(folder.join("page.toml"), SCENARIO).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["run", "page.toml", "-q"])
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(status.success());
    let run = folder.join("out/page/seed-1");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let copy = folder.join("probed.html");
    fs::write(&copy, page.replacen("<main", &format!("{PROBE}<main"), 1)).unwrap();
    (copy, fs::read_to_string(run.join("summary.json")).unwrap())
}

/// Base64 of JSON, which survives a dump of the page unchanged.
fn found(dom: &str) -> Value {
    use base64::Engine;
    let (_, rest) = dom.split_once(r#"<textarea id="found">"#).unwrap_or_else(|| {
        panic!("the probe came to no end; the page is\n{}", &dom[..dom.len().min(3_000)])
    });
    let (text, _) = rest.split_once("</textarea>").unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn a_browser_shows_the_page_plays_it_and_finds_the_summary_in_it() {
    let Some(browser) = browser() else {
        let required = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "no chromium in the PATH: .ci/run installs one");
        eprintln!("no browser was found: report.html is not tested in one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (page, summary) = probed(folder.path());
    let (dom, complaints) = opened(&browser, &page, folder.path());
    let console: Vec<&str> = complaints.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "the console says {console:?}");
    let found = found(&dom);
    assert_eq!(found["problems"], Value::Array(vec![]));
    assert_eq!(found["summary"].as_str(), Some(summary.as_str()));
    let number = |at: &str, what: &str| found[at][what].as_f64().unwrap();
    assert_eq!((number("begin", "held"), &found["begin"]["rumor"]), (0.0, &Value::Null));
    assert_eq!((number("before", "up"), number("before", "held")), (20.0, 0.0));
    let spreading = number("spreading", "held");
    assert!(spreading > 0.0 && spreading < 20.0, "{spreading} nodes hold it after 8 ms");
    assert!(number("spreading", "flights") > 0.0);
    assert_eq!((number("parted", "groups"), number("parted", "up")), (2.0, 19.0));
    assert_eq!((number("end", "groups"), &found["end"]["rumor"]), (1.0, &"metadata-1".into()));
    assert_eq!(number("end", "held"), 19.0);
    assert!(found["stepped"].as_f64().unwrap() > 5_000.0);
    assert_eq!((&found["playing"], &found["stopped_at_the_end"]), (&true.into(), &25_000.into()));
    let played = found["played_to"].as_f64().unwrap() - found["played_from"].as_f64().unwrap();
    assert!(played > 0.0 && played < 1_000.0, "{played} ms in two seconds of a rumor");
    assert_eq!(found["title"], "The story of node 4, others");
    assert!(found["story"].as_str().unwrap().contains("metadata-0 "), "{}", found["story"]);
    let tips = ["tip", "zoomed"].map(|key| found[key].as_str().unwrap());
    assert!(tips[0].contains("metadata-0") && tips[1].contains("metadata-0"), "{tips:?}");
    assert_ne!(tips[0], tips[1], "the chart does not zoom");
    assert_eq!(found["keyed"], "The story of east-1 (node 1), zone-e");
    assert!(found["controls_end"].as_f64().unwrap() < 400.0, "{}", found["controls_end"]);
    let hops = found["hops"].as_array().unwrap();
    assert_eq!(hops[0], serde_json::json!(["source", 1]));
    assert_eq!(hops.iter().map(|hop| hop[1].as_u64().unwrap()).sum::<u64>(), 20);
    let told = found["told"].as_str().unwrap();
    assert!(told.contains("metadata-0, node 3 at 5 s: 100 %"), "{told}");
    assert!(found["values"].as_u64().unwrap() > 5);
    assert!(found["charts"].as_u64().unwrap() >= 5);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let wrong = summary["removals"]["false"].to_string();
    assert!(found["tiles"].as_array().unwrap().contains(&Value::String(wrong)));
}

/// As [`PROBE`], for the page of a sweep.
const SWEEP_PROBE: &str = r##"
<script>
const problems = [];
window.addEventListener("error", (event) => problems.push(event.message));
window.addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
window.addEventListener("load", async () => {
  const { sweep } = await rumormill.ready;
  const tiles = () => [...document.querySelectorAll(".map td")].map((tile) => tile.textContent);
  const choose = (id, name) => {
    const select = document.getElementById(id);
    select.value = [...select.options].find((option) => option.text === name).value;
    select.dispatchEvent(new Event("change"));
  };
  const found = {};
  choose("measure", "nodes.start");
  found.nodes = tiles();
  choose("measure", "bytes.with_headers");
  found.few = document.querySelector(".scale span").textContent;
  found.best = [...document.querySelectorAll(".map td.best")].map((tile) => tile.dataset.cell);
  choose("statistic", "how many never");
  found.never = tiles();
  document.querySelector('.map td[data-cell="3"]').click();
  found.command = document.querySelector("#cell pre").textContent;
  document.querySelector("#cells th.sort").click();
  found.rows = document.querySelectorAll("#cells tbody tr").length;
  found.lines = document.querySelectorAll(".lines svg").length;
  found.problems = problems;
  const bytes = new TextEncoder().encode(JSON.stringify(found));
  const area = document.createElement("textarea");
  area.id = "found";
  area.textContent = btoa(String.fromCharCode(...bytes));
  document.body.replaceChildren(area);
});
</script>
"##;

#[test]
fn a_browser_shows_the_page_of_a_sweep_by_any_measure() {
    let Some(browser) = browser() else {
        let required = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "no chromium in the PATH: .ci/run installs one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my files/page.toml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(file, "name = 'page'\nnodes = 3\nduration = '4s'\n").unwrap();
    let arguments = "--vary nodes=3,5 --vary engine.cycle=1s,2s --set network.loss=5% --seeds 2 -q";
    let status = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["sweep", "my files/page.toml"])
        .args(arguments.split(' '))
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let entries = fs::read_dir(folder.path().join("out/page")).unwrap();
    let sweep = entries.map(|entry| entry.unwrap().path()).next().unwrap();
    let page = fs::read_to_string(sweep.join("report.html")).unwrap();
    let copy = folder.path().join("probed.html");
    fs::write(&copy, page.replacen("<main", &format!("{SWEEP_PROBE}<main"), 1)).unwrap();
    let (dom, complaints) = opened(&browser, &copy, folder.path());
    let console: Vec<&str> = complaints.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "the console says {console:?}");
    let found = found(&dom);
    assert_eq!(found["problems"], Value::Array(vec![]));
    // The first axis across, the second down.
    assert_eq!(found["nodes"], serde_json::json!(["3", "5", "3", "5"]));
    assert_eq!(found["best"], serde_json::json!([]), "two seeds can't tell which is best");
    assert_eq!(found["few"], "too few seeds to say which is best: that takes 7");
    assert_eq!(found["never"], serde_json::json!(["0", "0", "0", "0"]));
    let command = "sim run 'my files/page.toml' --set network.loss=5% --set nodes=5 --set \
                   engine.cycle=2s --seed 1";
    assert_eq!(found["command"], command);
    assert_eq!((&found["rows"], &found["lines"]), (&4.into(), &2.into()));
}
