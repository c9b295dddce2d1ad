// The page of a sweep: one measure at a time, as a heat map, as lines, and all cells in a table.

const STATISTICS = [
  ["median over seeds", 0], ["p5", 1], ["p95", 2], ["p99", 3], ["mean", 4], ["how many never", 7],
];
// From bad to good: dark to bright, as in the pictures.
const RAMP = [[52, 24, 86], [57, 73, 140], [38, 121, 142], [48, 168, 120], [150, 208, 82], [250, 230, 90]];

// A word as a shell reads it back.
function shellWord(word) {
  return /^[\w./=:,+%@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function rampColor(goodness) {
  const place = Math.min(Math.max(goodness, 0), 1) * (RAMP.length - 1);
  const below = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[below].map((from, i) => Math.round(from + (RAMP[below + 1][i] - from) * (place - below)));
}

const css = (color) => `rgb(${color.join(", ")})`;
const inkOn = ([red, green, blue]) => (0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#141414" : "#fff");
const shortName = (axis) => axis.key.split(".").pop();

function shownFigure(measure, value) {
  if (value === null || value === undefined) return "never";
  switch (measure.unit) {
    case "duration": return span(value);
    case "bytes": return byteCount(value);
    case "byte_rate": return `${byteCount(value)}/s`;
    case "share": case "flag": return share(value);
    case "rate": return `${threeDigits(value)}/s`;
    default: return threeDigits(value);
  }
}

// The place of a cell along each axis; the last axis is the fastest.
function placesOf(axes, cell) {
  const places = [];
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    places.unshift(cell % axes[axis].values.length);
    cell = Math.floor(cell / axes[axis].values.length);
  }
  return places;
}

const cellAt = (axes, places) => axes.reduce((cell, axis, i) => cell * axis.values.length + places[i], 0);

// Every combination of values of some axes, as places.
const combinations = (axes) => axes.reduce(
  (all, axis) => all.flatMap((places) => axis.values.map((_, place) => [...places, place])), [[]],
);

class Sweep {
  constructor(data) {
    this.data = data;
    this.axes = data.axes;
    const first = data.measures.findIndex((measure) => measure.name === data.shown[0]);
    this.measure = Math.max(first, 0);
    this.statistic = 0;
    this.cell = 0;
    this.order = [null, 1];
  }

  value(cell, measure = this.measure, statistic = this.statistic) {
    return this.data.cells[cell].figures[measure][statistic];
  }

  text(cell, measure = this.measure) {
    const value = this.value(cell, measure);
    return this.statistic === 7 ? grouped(value) : shownFigure(this.data.measures[measure], value);
  }

  // How good a value is among all, from 0 to 1; by decades where they reach far.
  scale() {
    const values = this.data.cells.map((_, cell) => this.value(cell)).filter((value) => value !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const decades = low > 0 && high / low >= 10;
    const at = (value) => (decades ? Math.log(value) : value);
    const better = this.statistic === 7 ? -1 : this.data.measures[this.measure].better;
    const goodness = (value) => {
      const part = high > low ? (at(value) - at(low)) / (at(high) - at(low)) : 0;
      return better > 0 ? part : 1 - part;
    };
    // Only of medians is known which of them chance can't tell apart from the best.
    const leaders = this.statistic === 0 ? this.data.measures[this.measure].leaders : [];
    return { low, high, better, goodness, leaders, known: values.length > 0 };
  }

  page() {
    const { data } = this;
    const parts = [plural(data.cells.length, "cell"), `rumormill ${data.tool_version}`];
    const broken = data.cells.reduce((sum, cell) => sum + cell.broken_laws, 0);
    this.body = el("div");
    this.draw();
    return [
      el("header", {},
        el("h1", {}, data.scenario),
        broken ? el("span.pill.bad", {}, `✕ ${plural(broken, "broken law")}`) : null,
        el("p.sub", {}, [data.title, ...parts].join("  ·  "))),
      this.body,
      el("footer", {}, `sweep ${data.sweep}. Every cell has the same seeds; sweep.csv beside this page has each run.`),
    ];
  }

  draw() {
    this.body.replaceChildren(this.maps(), this.detail(), this.lines(), this.table());
  }

  chooser() {
    const option = (text, value, chosen) => {
      const attributes = { value };
      if (chosen) attributes.selected = "";
      return el("option", attributes, text);
    };
    const shown = this.data.measures.map((measure, i) => [measure.name, i]);
    shown.sort((a, b) => this.data.shown.includes(b[0]) - this.data.shown.includes(a[0]));
    const measure = el("select", { id: "measure", onchange: (event) => this.choose({ measure: Number(event.target.value) }) },
      ...shown.map(([name, i]) => option(name, i, i === this.measure)));
    const statistic = el("select", { id: "statistic", onchange: (event) => this.choose({ statistic: Number(event.target.value) }) },
      ...STATISTICS.map(([name, i]) => option(name, i, i === this.statistic)));
    return el("div.choose", {}, el("label", {}, "measure", measure), el("label", {}, "statistic", statistic));
  }

  choose(what) {
    Object.assign(this, what);
    this.draw();
  }

  maps() {
    const scale = this.scale();
    const beyond = combinations(this.axes.slice(2));
    const tables = beyond.map((rest) => this.map(rest, scale));
    const measure = this.data.measures[this.measure];
    return el("section.card", {},
      el("h2", {}, measure.name), el("p.note", {}, measure.definition), this.chooser(),
      el("div.maps", {}, ...tables), scale.known ? this.legend(scale) : null);
  }

  map(rest, scale) {
    const [across, down] = this.axes;
    const rows = down ? down.values.map((_, place) => place) : [0];
    const head = el("tr", {},
      el("th.down", {}, down ? shortName(down) : ""),
      ...across.values.map((value) => el("th", {}, value)));
    const body = rows.map((row) => el("tr", {},
      el("th.down", {}, down ? down.values[row] : ""),
      ...across.values.map((_, column) => this.tile(cellAt(this.axes, down ? [column, row, ...rest] : [column]), scale))));
    const names = rest.map((place, i) => `${shortName(this.axes[i + 2])} ${this.axes[i + 2].values[place]}`);
    return el("div.map", {},
      names.length ? el("h3", {}, names.join(", ")) : null,
      el("table", {}, el("thead", {}, head), el("tbody", {}, ...body),
        el("tfoot", {}, el("tr", {}, el("th.down"), el("th", { colspan: across.values.length }, shortName(across))))));
  }

  tile(cell, scale) {
    const value = this.value(cell);
    const never = this.value(cell, this.measure, 7);
    const note = never > 0 && value !== null && this.statistic !== 7 ? el("small", {}, `${never} never`) : null;
    const tile = el("td", { title: this.tip(cell), onclick: () => this.choose({ cell }) }, this.text(cell), note);
    tile.dataset.cell = cell;
    if (value === null) tile.classList.add("never");
    else {
      const color = rampColor(scale.goodness(value));
      tile.style.background = css(color);
      tile.style.color = inkOn(color);
    }
    tile.classList.toggle("best", scale.leaders.includes(cell));
    tile.classList.toggle("now", cell === this.cell);
    return tile;
  }

  name(cell) {
    const places = placesOf(this.axes, cell);
    return this.axes.map((axis, i) => `${shortName(axis)} ${axis.values[places[i]]}`).join(", ");
  }

  tip(cell) {
    const measure = this.data.measures[this.measure];
    const figures = this.data.cells[cell].figures[this.measure];
    const lines = STATISTICS.slice(0, 5).map(([name, i]) => `${name}: ${shownFigure(measure, figures[i])}`);
    return [this.name(cell), ...lines, `never: ${figures[7]} of ${this.data.cells[cell].n}`].join("\n");
  }

  legend(scale) {
    const bar = el("i");
    bar.style.background = `linear-gradient(90deg, ${RAMP.map(css).join(", ")})`;
    const measure = this.data.measures[this.measure];
    const shown = (value) => (this.statistic === 7 ? grouped(value) : shownFigure(measure, value));
    const [worst, best] = scale.better > 0 ? [scale.low, scale.high] : [scale.high, scale.low];
    const framed = this.statistic === 0 ? measure.framed : "frames are drawn for medians";
    const note = scale.better === 0 ? "neither direction is progress" : framed ?? "";
    return el("div.scale", {}, shown(worst), bar, shown(best), el("span", {}, note));
  }

  // The chosen cell: its figures, and how to see one of its runs.
  detail() {
    const { cell } = this;
    const figuresOf = this.data.cells[cell];
    const places = placesOf(this.axes, cell);
    const own = this.axes.map((axis, i) => `${axis.key}=${axis.values[places[i]]}`);
    const sets = [...this.data.sets, ...own].map((set) => `--set ${shellWord(set)}`);
    const command = ["sim run", shellWord(this.data.file), ...sets, "--seed", this.data.seeds[0]].join(" ");
    const head = ["", ...STATISTICS.slice(0, 5).map(([name]) => name), "95 % sure of the median", "never"];
    const rows = this.data.shown.map((name) => {
      const place = this.data.measures.findIndex((measure) => measure.name === name);
      const measure = this.data.measures[place];
      const figures = figuresOf.figures[place];
      const cells = STATISTICS.slice(0, 5).map(([, i]) => el("td", {}, shownFigure(measure, figures[i])));
      const sure = figures[5] === null ? "" : `${shownFigure(measure, figures[5])} to ${shownFigure(measure, figures[6])}`;
      return el("tr", {}, el("td", {}, name), ...cells, el("td", {}, sure), el("td", {}, grouped(figures[7])));
    });
    return el("section.card.cell", { id: "cell" },
      el("h2", {}, this.name(cell)),
      el("p.note", {}, `${figuresOf.held} of ${plural(figuresOf.n, "run")} held all expectations of the scenario. To look into one of them:`),
      el("pre", {}, command),
      el("div.scroll", {}, el("table", {},
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", {}, text)))), el("tbody", {}, ...rows))));
  }

  // Lines over the first axis: a panel for each value of the second, a line for each of the third.
  lines() {
    const [across, down, third] = this.axes;
    const columns = down ? down.values.map((_, place) => place) : [null];
    const lines = third ? third.values.map((_, place) => place) : [null];
    const rest = this.axes.slice(3).map(() => 0);
    const at = (x, column, line) => cellAt(
      this.axes, [x, ...(column === null ? [] : [column]), ...(line === null ? [] : [line]), ...rest],
    );
    const high = Math.max(...this.data.cells.map((_, cell) => this.value(cell, this.measure, 2) ?? this.value(cell, this.measure, 0) ?? 0), 1e-9);
    const panels = columns.map((column) => el("div", {},
      column === null ? null : el("h3", {}, `${shortName(down)} ${down.values[column]}`),
      this.panel(across, lines.map((line) => across.values.map((_, x) => at(x, column, line))), high)));
    const names = lines[0] === null ? null : el("div.legend", {}, ...lines.map((line) => {
      const swatch = el("span.swatch");
      swatch.style.background = `var(--c${line % 7})`;
      return el("span", {}, swatch, ` ${shortName(third)} ${third.values[line]}`);
    }));
    return el("section.card", {}, el("h2", {}, `Over ${shortName(across)}`),
      el("p.note", {}, "median, with the band from p5 to p95 over seeds"), names, el("div.lines", {}, ...panels));
  }

  panel(across, lines, high) {
    const [width, height, left, bottom] = [300, 190, 58, 34];
    const svg = (tag, attributes, text) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      if (text !== undefined) element.textContent = text;
      return element;
    };
    const count = across.values.length;
    const x = (place) => left + ((place + 0.5) / count) * (width - left - 8);
    const y = (value) => 8 + (1 - value / (high * 1.05)) * (height - bottom - 8);
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}` });
    const measure = this.data.measures[this.measure];
    for (const part of [0, 0.5, 1]) {
      root.append(svg("line", { x1: left, x2: width - 8, y1: y(part * high), y2: y(part * high), class: "grid-line" }));
      root.append(svg("text", { x: left - 6, y: y(part * high) + 4, "text-anchor": "end" }, part ? shownFigure(measure, part * high) : "0"));
    }
    const step = Math.ceil(count / 8);
    across.values.forEach((value, place) => {
      if (place % step === 0) root.append(svg("text", { x: x(place), y: height - 18, "text-anchor": "middle" }, value));
    });
    root.append(svg("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, shortName(across)));
    lines.forEach((cells, line) => {
      const color = `var(--c${line % 7})`;
      const known = cells.map((cell, place) => [place, ...[1, 0, 2].map((i) => this.value(cell, this.measure, i))]);
      if (known.every(([, low, , top]) => low !== null && top !== null)) {
        const outline = [...known.map(([place, , , top]) => [x(place), y(top)]), ...known.slice().reverse().map(([place, low]) => [x(place), y(low)])];
        root.append(svg("polygon", { points: outline.map((point) => point.join(",")).join(" "), fill: color, opacity: 0.16 }));
      }
      const reached = known.filter(([, , middle]) => middle !== null);
      root.append(svg("polyline", { points: reached.map(([place, , middle]) => `${x(place)},${y(middle)}`).join(" "), fill: "none", stroke: color, "stroke-width": 2 }));
      for (const [place, , middle] of reached) root.append(svg("circle", { cx: x(place), cy: y(middle), r: 3, fill: color }));
    });
    return root;
  }

  table() {
    const places = this.data.shown.map((name) => this.data.measures.findIndex((measure) => measure.name === name));
    const chosen = places.includes(this.measure) ? places : [this.measure, ...places];
    const [by, way] = this.order;
    const cells = this.data.cells.map((_, cell) => cell);
    if (by !== null) cells.sort((a, b) => way * ((this.value(a, by) ?? Infinity) - (this.value(b, by) ?? Infinity)) || a - b);
    const sortBy = (measure) => () => this.choose({ order: [measure, by === measure ? -way : 1] });
    const head = [
      ...this.axes.map((axis) => el("th", {}, shortName(axis))),
      ...chosen.map((i) => el("th.sort", { onclick: sortBy(i), title: "sort" },
        `${this.data.measures[i].name}${by === i ? (way > 0 ? " ↑" : " ↓") : ""}`)),
      el("th", {}, "held"),
    ];
    const rows = cells.map((cell) => {
      const own = placesOf(this.axes, cell);
      return el("tr", {},
        ...this.axes.map((axis, i) => el("td", {}, axis.values[own[i]])),
        ...chosen.map((i) => el("td", {}, this.text(cell, i))),
        el("td", {}, `${this.data.cells[cell].held} of ${this.data.cells[cell].n}`));
    });
    return el("section.card", {}, el("h2", {}, "All cells"),
      el("p.note", {}, `${STATISTICS.find(([, i]) => i === this.statistic)[0]}; a click on a heading sorts`),
      el("div.scroll", {}, el("table", { id: "cells" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows))));
  }
}

const ready = unpack(document.getElementById("data").textContent).then((data) => {
  const sweep = new Sweep(data);
  document.getElementById("page").replaceChildren(...sweep.page().filter(Boolean));
  return { sweep };
});
window.rumormill = { ready };
