// Puts the page together: head, figures, player, charts, tables.

function header(summary, data) {
  const good = data.aggregate ? data.aggregate.ok.true === data.aggregate.ok.n : summary.ok;
  const count = summary.expectations.length;
  let words = good ? (count ? "all expectations held" : "all laws held") : "failed";
  let over = `seed ${summary.seed}`;
  if (data.seeds) {
    words = `held in ${grouped(data.aggregate.ok.true)} of ${plural(data.aggregate.ok.n, "seed")}`;
    over = `below, the worst of ${plural(data.seeds.count, "seed")}: seed ${summary.seed}`;
  }
  const parts = [
    plural(summary.nodes.start, "node"),
    `${span(summary.virtual_ms)} of virtual time`,
    over,
    `rumormill ${summary.tool_version}`,
  ];
  return el(
    "header",
    {},
    el("h1", {}, summary.scenario),
    el(`span.pill.${good ? "good" : "bad"}`, {}, `${good ? "✓" : "✕"} ${words}`),
    el("p.sub", {}, parts.join("  ·  ")),
  );
}

function tiles(summary) {
  const rate = summary.per_node_per_second;
  const { messages } = summary;
  const all = [
    [
      span(summary.node_list.converged_after_ms),
      "until all node lists were right, after the last change",
      !summary.node_list.converged,
    ],
    summary.metadata.converged === null ? null
      : [
        span(summary.metadata.converged_after_ms),
        "until all agreed on the metadata",
        !summary.metadata.converged,
      ],
    summary.metadata.t99_ms === null ? null : [
      span(summary.metadata.t99_ms),
      "for the last publish to reach 99 %",
    ],
    ...(summary.entries ? entryTiles(summary.entries) : []),
    summary.detection.all_ms === null ? null : [
      span(summary.detection.all_ms),
      "for all to notice the slowest crash",
    ],
    [
      grouped(summary.removals.false),
      "live nodes removed though they could be heard",
      summary.removals.false > 0,
    ],
    summary.views.unique === 0 ? null : [
      grouped(summary.views.unique),
      `sizes of the list told in one episode, and ${
        grouped(summary.views.changes)
      } views to one node after the warm-up, at most`,
    ],
    summary.removals.healthy === 0 ? null : [
      grouped(summary.removals.healthy),
      "nodes that no fault touched removed by such nodes",
      true,
    ],
    summary.removals.flaps === 0 ? null : [
      grouped(summary.removals.flaps),
      `times that a node that no fault touched took one back, one at most ${
        grouped(summary.removals.flaps_max)
      } times`,
    ],
    [
      rate.bytes_p50 === null ? "–" : `${byteCount(rate.bytes_p50)}/s`,
      "sent by the median node, headers included",
    ],
    [
      share(messages.delivered / Math.max(1, messages.sent + messages.duplicated)),
      `of ${grouped(messages.sent)} packets arrived`,
    ],
  ];
  const tile = ([value, label, bad]) => el(
    `div.tile${bad ? ".bad" : ""}`,
    {},
    el("div.value", {}, value),
    el("div.label", {}, label),
  );
  return el("div.tiles", {}, ...all.filter(Boolean).map(tile));
}

function entryTiles(entries) {
  return [
    entries.converged === null ? null : [
      span(entries.converged_after_ms),
      "until all read the same entries",
      !entries.converged,
    ],
    entries.t99_ms === null ? null : [span(entries.t99_ms), "for the last put or delete to reach 99 %"],
    [
      `${grouped(entries.lost)} + ${grouped(entries.zombies)}`,
      "keys whose newest value was lost, and deleted values still read",
      entries.lost + entries.zombies > 0,
    ],
    [grouped(entries.repaired), "puts and deletes that came by a swap first"],
  ];
}

// What all seeds show together, where there are several.
function overSeeds({ aggregate, seeds }) {
  const entries = aggregate.entries ?? {};
  const measures = [
    ["all node lists right after", aggregate.node_list.converged_after_ms, span],
    ["all agree on the metadata after", aggregate.metadata.converged_after_ms, span],
    ["the last publish reaches 99 % after", aggregate.metadata.t99_ms, span],
    ["all read the same entries after", entries.converged_after_ms, span],
    ["the last put or delete reaches 99 % after", entries.t99_ms, span],
    ["keys whose newest value was lost", entries.lost, threeDigits],
    ["deleted values still read", entries.zombies, threeDigits],
    ["puts and deletes that came by a swap first", entries.repaired, threeDigits],
    ["the slowest crash noticed by all after", aggregate.detection.all_ms, span],
    ["live nodes removed though they could be heard", aggregate.removals.false, threeDigits],
    ["sizes of the list told in one episode", aggregate.views.unique, threeDigits],
    ["views told to one node after the warm-up", aggregate.views.changes, threeDigits],
    ["nodes that no fault touched removed by such nodes", aggregate.removals.healthy, threeDigits],
    ["times that one of these took one back", aggregate.removals.flaps, threeDigits],
    ["bytes that the median node sends a second", aggregate.per_node_per_second.bytes_p50, byteCount],
  ];
  const some = measures.filter(([, figures]) => figures && figures.n > figures.censored);
  const rows = some.map(([name, { median, p5, p95, p99, n, censored }, show]) => {
    const cells = [p5, median, p95, p99].map((value) => (value === null ? "never" : show(value)));
    return [name, ...cells, grouped(n - censored)];
  });
  const heads = ["", "p5", "median", "p95", "p99", "seeds"];
  return el("section.card", {}, el("h2", {}, `Over ${plural(seeds.count, "seed")}`), table(heads, rows));
}

const KINDS = {
  metadata: "--c0",
  entry: "--c1",
  join: "--c2",
  removal: "--c3",
  restart: "--c4",
  leave: "--c5",
};
const kindColor = (kind) => KINDS[kind] || "--c6";
const OWN_COLORS = ["--c0", "--c1", "--c2", "--c4", "--c5", "--c6"];
const percentTicks = {
  from: 0,
  to: 1.02,
  ticks: [0, 0.25, 0.5, 0.75, 1],
  label: "share of nodes",
  format: (part) => `${Math.round(part * 100)} %`,
  tell: share,
};

function spreadAxis(times) {
  const sorted = times.filter((at) => at > 0).sort((a, b) => a - b);
  const largest = sorted.at(-1) ?? 100;
  const median = sorted[sorted.length >> 1] ?? 1;
  const axis = { label: "since the rumor's start", format: span };
  if (largest <= 20 * median) return { ...axis, from: 0, to: largest * 1.03 };
  const floor = 10 ** Math.floor(Math.log10(Math.max(sorted[Math.floor(sorted.length / 50)], 0.1)));
  return { ...axis, from: floor, to: largest * 1.2, scale: "log" };
}

const levelPoints = (levels) => levels.map((at, index) => [at, (index + 1) / 100]).filter(([at]) => at !== null);

// Kinds of a few rumors have a line for each; of the others there is a median and faint lines.
function spreadChart(data) {
  const lines = [];
  const legend = [];
  let color = 0;
  const many = data.medians.filter(({ count }) => count > 3 || (count > 1 && data.medians.length > 2));
  const isMany = (kind) => many.some((median) => median.kind === kind);
  for (const curve of data.curves) {
    const own = !isMany(curve.kind);
    const name = own ? curve.title : curve.kind;
    const shade = own ? OWN_COLORS[color++ % OWN_COLORS.length] : kindColor(curve.kind);
    const line = { name, color: shade, points: curve.steps, faint: !own, width: own ? 2 : 1.2, hold: true };
    if (own) legend.push({ color: shade, text: curve.title, group: name });
    lines.push(line);
  }
  for (const { kind, count, levels } of many) {
    const [shade, points] = [kindColor(kind), levelPoints(levels)];
    lines.push({ name: kind, label: `${kind}, median`, color: shade, points, width: 3, hold: true });
    legend.push({ color: shade, text: `${kind}: median of ${grouped(count)}`, group: kind });
  }
  lines.sort((a, b) => Number(b.faint ?? false) - Number(a.faint ?? false));
  const times = lines.flatMap(({ points }) => points.map(([at]) => at));
  const note = "Share of the nodes that hold a rumor.";
  return chartCard({
    title: "How rumors spread",
    note,
    x: spreadAxis(times),
    y: percentTicks,
    lines,
    legend,
  });
}

function spreadOverSeeds(data) {
  const lines = [];
  const bands = [];
  const legend = [];
  for (const [kind, [low, middle, high]] of data.seeds.kinds) {
    const color = kindColor(kind);
    const reached = low.filter((at) => at !== null).length;
    const slow = high.slice(0, reached).map((at) => at ?? 1e9);
    bands.push({ name: kind, color, low: levelPoints(low), high: levelPoints(slow) });
    lines.push({ name: kind, color, points: levelPoints(middle), hold: true });
    legend.push({ color, text: `${kind}: median seed`, group: kind });
  }
  legend.push({ color: "--c6", mark: "box", text: "p5 to p95" });
  const times = lines.flatMap(({ points }) => points.map(([at]) => at));
  const note = `The median rumor of each of ${plural(data.seeds.count, "seed")}.`;
  return chartCard({
    title: "How rumors spread, over seeds",
    note,
    x: spreadAxis(times),
    y: percentTicks,
    lines,
    bands,
    legend,
  });
}

// Axes of time are in seconds, so that ticks fall on whole ones.
const inSeconds = (t_ms) => t_ms.map((ms) => ms / 1000);
const secondsAxis = (end) => ({
  label: "s since the start",
  from: 0,
  to: end / 1000,
  format: threeDigits,
  tell: (s) => clock(s * 1000, 20),
});
const shadesOf = (data) => data.windows.map(({ text, from_ms, to_ms }) => ({
  text,
  from: from_ms / 1000,
  to: to_ms / 1000,
}));
const zip = (xs, ys) => xs.map((x, index) => [x, ys[index]]);

function errorChart(data, end) {
  const t = inSeconds(data.series.t_ms);
  const pairs = [
    ["missing", "--c0", "missing: true, not listed"],
    ["ghosts", "--c1", "ghosts: listed, not true"],
  ];
  const bands = [];
  const lines = pairs.map(([name, color]) => {
    if (!data.seeds) return { name, color, points: zip(t, data.series[name]) };
    const [low, middle, high] = data.seeds[name];
    bands.push({ name, color, low: zip(t, low), high: zip(t, high) });
    return { name, color, points: zip(t, middle) };
  });
  const largest = Math.max(
    10,
    ...lines.flatMap(({ points }) => points.map(([, y]) => y)),
    ...bands.flatMap(({ high }) => high.map(([, y]) => y)),
  );
  const legend = pairs.map(([group, color, text]) => ({
    group,
    color,
    text: data.seeds ? `${text}, median seed` : text,
  }));
  if (data.seeds) legend.push({ color: "--c6", mark: "box", text: "p5 to p95" });
  if (data.windows.length) legend.push({ color: "--c6", mark: "box", text: "a fault at work" });
  const y = {
    label: "wrong pairs, log scale",
    from: 0,
    to: largest * 1.3,
    scale: "logFromZero",
    format: grouped,
  };
  return chartCard({
    title: "What node lists got wrong",
    note: "Ordered pairs of live nodes.",
    x: secondsAxis(end),
    y,
    lines,
    bands,
    legend,
    shades: shadesOf(data),
  });
}

function trafficChart(data, end, nodes) {
  const t = inSeconds(data.series.t_ms);
  // Beats come in bursts: what a reader wants to see is the rate over some of them.
  const stride = Math.ceil(t.length / 120);
  const points = [];
  for (let from = 0; from + 1 < t.length; from += stride) {
    const to = Math.min(from + stride, t.length - 1);
    const bytes = data.series.bytes.slice(from + 1, to + 1).reduce((sum, count) => sum + count, 0);
    points.push([t[from], bytes / (t[to] - t[from]) / nodes]);
  }
  const lines = [{ name: "bytes", label: "bytes a second", color: "--c0", points, hold: true }];
  const y = {
    label: "per node and second",
    from: 0,
    to: Math.max(1, ...points.map(([, value]) => value)) * 1.08,
    format: byteCount,
  };
  const legend = data.windows.length ? [{ color: "--c6", mark: "box", text: "a fault at work" }] : [];
  return chartCard({
    title: "Traffic over time",
    note: "Bytes that the average node sends, headers included.",
    x: secondsAxis(end),
    y,
    lines,
    legend,
    shades: shadesOf(data),
  });
}

function hopChart(data) {
  const colors = { rumor: "--c0", bulk: "--c2", swap: "--c1", stream: "--c3" };
  const bars = data.hops.map(([via, counts]) => ({
    name: via,
    color: colors[via],
    values: counts.map((count, hop) => [hop, count]).filter(([, count]) => count),
  }));
  const totals = new Map();
  bars.forEach(({ values }) => values.forEach(([hop, count]) => totals.set(
    hop,
    (totals.get(hop) || 0) + count,
  )));
  const last = Math.max(1, ...totals.keys());
  const x = {
    label: "hops from the source",
    from: 0.4,
    to: last + 0.6,
    format: (hop) => String(Math.round(hop)),
    whole: true,
    tell: (hop) => `hop ${hop}`,
  };
  const y = { label: "first receipts", from: 0, to: Math.max(1, ...totals.values()) * 1.08, format: grouped };
  const legend = bars.map(({ name, color }) => ({ color, mark: "dot", text: `by ${name}`, group: name }));
  return chartCard({
    title: "Delivery by hop",
    note: "How far first news of a rumor had come, and by what.",
    x,
    y,
    bars,
    legend,
  });
}

function loadChart(data) {
  const sorted = [...data.traffic].sort((a, b) => b[2] - a[2]);
  const values = sorted.map(([, , bytes], rank) => [rank + 1, bytes]);
  const bars = [{ name: "sends", color: "--c0", values }];
  const x = {
    label: "nodes, the busiest first",
    from: 0.5,
    to: sorted.length + 0.5,
    format: grouped,
    whole: true,
    tell: (rank) => calledBy(data.names, sorted[Math.max(0, Math.min(sorted.length, rank) - 1)][0]),
  };
  const y = {
    label: "bytes a second",
    from: 0,
    to: Math.max(1, ...values.map(([, bytes]) => bytes)) * 1.08,
    format: byteCount,
  };
  return chartCard({
    title: "Traffic per node",
    note: "What each node sends, over the time that it ran after the warm-up.",
    x,
    y,
    bars,
    barWidth: 0.8,
    legend: [],
  });
}

function table(heads, rows) {
  const head = el("tr", {}, ...heads.map((text) => el("th", {}, text)));
  const body = rows.map((cells) => el(
    "tr",
    {},
    ...cells.map((cell) => (cell instanceof Node ? cell : el("td", {}, cell))),
  ));
  return el("div.scroll", {}, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}

const verdict = (ok) => el("td", {}, el(`span.${ok ? "yes" : "no"}`, {}, ok ? "✓ held" : "✕ failed"));

function measured({ name, got }) {
  if (got === null) return "nothing";
  if (typeof got !== "number") return String(got);
  return /converged_after|\.t\d|detection|staleness/.test(name) ? span(got) : threeDigits(got);
}

function expectations(summary) {
  const rows = summary.expectations.map((one) => [one.name, one.want, measured(one), verdict(one.ok)]);
  const laws = summary.invariants.map((law) => [
    law.name,
    "a law of every run",
    law.detail ?? "",
    verdict(law.ok),
  ]);
  return el(
    "section.card",
    {},
    el("h2", {}, "Expectations and laws"),
    table(["measure", "wanted", "got", ""], [...rows, ...laws]),
  );
}

function episodes(summary) {
  const rows = summary.node_list.episodes.map((episode) => [
    episode.cause,
    clock(episode.at_ms, 20),
    clock(episode.end_ms, 20),
    span(episode.converged_after_ms),
  ]);
  return el(
    "div.card",
    {},
    el("h2", {}, "Changes of the truth"),
    el("p.note", {}, "How long after each all node lists were right."),
    table(["cause", "from", "to", "all lists right after"], rows),
  );
}

// What a service says comes before who came and went; what did not reach all before what did, and
// of the others the slowest.
const WEIGHTS = ["metadata", "removal", "leave", "restart", "join"];

function byWeight(rumors) {
  const weight = ({ kind }) => (WEIGHTS.includes(kind) ? WEIGHTS.indexOf(kind) : 0);
  const time = ({ t100_ms: at }) => at ?? Infinity;
  const slower = (a, b) => (time(a) === time(b) ? a.start_ms - b.start_ms : time(b) - time(a));
  return [...rumors].sort((a, b) => weight(a) - weight(b) || slower(a, b));
}

function rumorTable(summary, names) {
  const shown = byWeight(summary.rumors).slice(0, 200);
  const rows = shown.map((rumor) => [
    rumor.id,
    names[rumor.node] || String(rumor.node),
    clock(rumor.start_ms, 20),
    span(rumor.t50_ms),
    span(rumor.t99_ms),
    span(rumor.t100_ms),
    share(rumor.coverage),
    grouped(rumor.messages),
    grouped(rumor.swap_first),
  ]);
  const cut = `${shown.length} of ${grouped(summary.rumors.length)}; summary.json has all.`;
  const more = summary.rumors.length > shown.length ? el("p.note", {}, cut) : null;
  return el(
    "section.card",
    {},
    el("h2", {}, "Rumors"),
    el("p.note", {}, "Values first, then changes of membership; in each the slowest first."),
    more,
    table(["rumor", "node", "start", "half", "99 %", "all", "coverage", "packets", "by swap"], rows),
  );
}

function rawSummary(data) {
  const text = el("pre", { id: "summary" }, data.summary);
  const folded = (title, content) => el("details", {}, el("summary", {}, title), content);
  const over = data.aggregate ? el("pre", {}, JSON.stringify(data.aggregate, null, 2)) : null;
  const aggregate = over ? folded("aggregate.json, over all seeds", over) : null;
  return el(
    "section.card",
    {},
    el("details", {}, el("summary", {}, "summary.json, as it stands beside this page"), text),
    aggregate,
  );
}

function build(page, data) {
  const summary = JSON.parse(data.summary);
  const player = data.no_player ? null : new Player(new Scene(data));
  const end = summary.virtual_ms;
  const cut = `The player leaves out ${plural(data.rumors_left_out, "rumor")} of many.`;
  const left = data.rumors_left_out && player ? el("p.note", {}, cut) : null;
  page.replaceChildren(
    header(summary, data),
    player ? player.root : el(
      "section.card",
      {},
      el("h2", {}, "What happened"),
      el("p.note", {}, data.no_player),
    ),
    ...(left ? [left] : []),
    ...(data.seeds ? [overSeeds(data)] : []),
    tiles(summary),
    el(
      "section.grid",
      {},
      data.seeds ? spreadOverSeeds(data) : null,
      spreadChart(data),
      errorChart(data, end),
      data.hops.length ? hopChart(data) : null,
      trafficChart(data, end, summary.nodes.start),
      data.traffic.length ? loadChart(data) : null,
      episodes(summary),
    ),
    expectations(summary),
    rumorTable(summary, data.names),
    rawSummary(data),
    el("footer", {}, `Made by sim run; this page needs no network. Trace hash ${summary.trace_hash}.`),
  );
  if (player) player.settle();
  return { data, player };
}

const page = document.getElementById("page");
const ready = unpack(document.getElementById("data").textContent).then(
  (data) => build(page, data),
  (error) => page.replaceChildren(el("p", {}, `The data of this page can't be read: ${error}`)),
);
// For the console and for tests.
window.rumormill = { ready };
