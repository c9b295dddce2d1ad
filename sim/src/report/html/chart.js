// A chart on a canvas: lines, bands or bars; hover tells values, dragging zooms, two clicks undo it.

const SCALES = {
  linear: { place: (value) => value, value: (place) => place },
  log: { place: (value) => Math.log10(Math.max(value, 1e-3)), value: (place) => 10 ** place },
  logFromZero: { place: (value) => Math.log10(value + 1), value: (place) => 10 ** place - 1 },
};

function roundStep(range, most) {
  const rough = range / most;
  const decade = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * decade).find((step) => step >= rough * 0.999999);
}

function ticksOf(axis, from, to, most) {
  const scale = SCALES[axis.scale || "linear"];
  if (axis.ticks) return axis.ticks;
  const linear = () => {
    const [low, high] = [scale.value(from), scale.value(to)];
    const step = roundStep(high - low || 1, most);
    const ticks = [];
    for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + step * 1e-6; tick++) {
      // Adding zero makes a plain one of minus zero.
      if (!axis.whole || Number.isInteger(tick * step)) ticks.push(tick * step + 0);
    }
    return ticks;
  };
  if ((axis.scale || "linear") === "linear") return linear();
  const decades = axis.scale === "logFromZero" ? [0] : [];
  for (let exponent = axis.scale === "logFromZero" ? 0 : -3; exponent <= 15; exponent++) decades.push(10 ** exponent);
  const inside = decades.filter((tick) => {
    const place = scale.place(tick);
    return place >= from - 1e-9 && place <= to + 1e-9;
  });
  if (inside.length < 2) return linear().filter((tick) => tick > 0 || axis.scale === "logFromZero");
  const keep = Math.ceil(inside.length / most);
  return inside.filter((_, index) => index % keep === 0);
}

// spec: { title, note, x: Axis, y: Axis, lines, bands, shades, bars, legend }
//   Axis: { label, scale, from, to, format, whole, ticks }
//   line: { name, color, points: [[x, y]], dashed, width, faint, steps }
//   band: { color, low: [[x, y]], high: [[x, y]], name }
//   bars: { name, color, values: [[x, y]] } stacked where x agrees
function chartCard(spec) {
  const keys = "Arrow keys tell the values one by one.";
  const canvas = el(
    "canvas",
    { role: "img", tabindex: 0, "aria-label": `${spec.title}. ${spec.note || ""} ${keys}` },
  );
  const tip = el("div.tip", { hidden: "", role: "status" });
  const box = el("div.chart", {}, canvas, tip);
  const hidden = new Set();
  const full = [
    SCALES[spec.x.scale || "linear"].place(spec.x.from),
    SCALES[spec.x.scale || "linear"].place(spec.x.to),
  ];
  const view = { x: [...full], cursor: null, drag: null };
  const redraw = denseCanvas(
    canvas,
    (context, width, height) => drawChart(context, width, height, spec, view, hidden),
  );
  hearChart(canvas, tip, spec, view, hidden, full, redraw);
  const legend = legendOf(spec, hidden, redraw);
  return el(
    "div.card",
    {},
    el("h2", {}, spec.title),
    spec.note ? el("p.note", {}, spec.note) : null,
    box,
    legend,
    valueTable(spec),
  );
}

// Of all lines and bars the values at up to so many places, for who can't point at them.
const VALUE_ROWS = 40;

function valueTable(spec) {
  const fold = el("details.values", {}, el("summary", {}, "Values"));
  fold.addEventListener("toggle", () => {
    if (fold.open && !fold.querySelector("table")) fold.append(valuesOf(spec));
  });
  return fold;
}

function valuesOf(spec) {
  const series = spec.bars
    ? spec.bars.map(({ name, values }) => ({ name, at: new Map(values) }))
    : spec.lines.filter(({ faint, silent }) => !faint && !silent)
      .map((line) => ({ name: line.label || line.name, line }));
  const places = spec.bars
    ? spec.bars.flatMap(({ values }) => values.map(([x]) => x))
    : series.flatMap(({ line }) => line.points.map(([x]) => x));
  const all = [...new Set(places)].sort((a, b) => a - b);
  const step = Math.max(1, (all.length - 1) / (VALUE_ROWS - 1));
  const chosen = new Set(Array.from({ length: Math.min(all.length, VALUE_ROWS) }, (_, i) => all[Math.round(i * step)]));
  const tell = (value) => (value === null || value === undefined ? "–" : (spec.y.tell || spec.y.format)(value));
  const rows = [...chosen].map((x) => [
    (spec.x.tell || spec.x.format)(x),
    ...series.map(({ at, line }) => tell(at ? at.get(x) : valueOf(line, x))),
  ]);
  return table([spec.x.label, ...series.map(({ name }) => name)], rows);
}

function legendOf(spec, hidden, redraw) {
  const legend = el("div.legend");
  for (const entry of spec.legend) {
    const style = `background:var(${entry.color});color:var(${entry.color})`;
    const swatch = el(`span.swatch${entry.mark ? "." + entry.mark : ""}`, { style });
    if (!entry.group) {
      legend.append(el(
        "span",
        { style: "display:inline-flex;gap:6px;align-items:center" },
        swatch,
        entry.text,
      ));
      continue;
    }
    const toggle = () => {
      if (!hidden.delete(entry.group)) hidden.add(entry.group);
      button.setAttribute("aria-pressed", String(!hidden.has(entry.group)));
      redraw();
    };
    const button = el(
      "button",
      { "aria-pressed": "true", onclick: toggle, title: "show or hide" },
      swatch,
      entry.text,
    );
    legend.append(button);
  }
  return legend;
}

const MARGIN = { left: 62, right: 12, top: 10, bottom: 40 };

function frame(spec, view, width, height) {
  const [xScale, yScale] = [SCALES[spec.x.scale || "linear"], SCALES[spec.y.scale || "linear"]];
  const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
  const y0 = yScale.place(spec.y.from || 0);
  const y1 = yScale.place(spec.y.to);
  const [x0, x1] = view.x;
  return {
    left, right, top, bottom,
    px: (x) => left + ((xScale.place(x) - x0) / (x1 - x0)) * (right - left),
    py: (y) => bottom - ((yScale.place(y) - y0) / (y1 - y0)) * (bottom - top),
    placeAt: (pixel) => x0 + ((pixel - left) / (right - left)) * (x1 - x0),
    valueAt: (pixel) => xScale.value(x0 + ((pixel - left) / (right - left)) * (x1 - x0)),
    yRange: [y0, y1],
  };
}

function drawChart(context, width, height, spec, view, hidden) {
  const area = frame(spec, view, width, height);
  context.clearRect(0, 0, width, height);
  context.font = '12px system-ui, -apple-system, "Segoe UI", sans-serif';
  drawAxes(context, spec, view, area, width, height);
  context.save();
  context.beginPath();
  context.rect(area.left, area.top - 4, area.right - area.left, area.bottom - area.top + 5);
  context.clip();
  drawShades(context, spec, area);
  for (const bars of stacked(spec, hidden)) drawBar(context, bars, area);
  for (const band of spec.bands || []) if (!hidden.has(band.name)) drawBand(context, band, area);
  for (const line of spec.lines || []) if (!hidden.has(line.name)) drawLine(context, line, area);
  if (view.drag) {
    context.fillStyle = cssColor("--shade");
    context.fillRect(
      Math.min(...view.drag),
      area.top,
      Math.abs(view.drag[1] - view.drag[0]),
      area.bottom - area.top,
    );
  }
  context.restore();
  if (view.cursor !== null && !view.drag) {
    context.strokeStyle = cssColor("--faint");
    context.lineWidth = 1;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(view.cursor, area.top);
    context.lineTo(view.cursor, area.bottom);
    context.stroke();
    context.setLineDash([]);
  }
}

function drawAxes(context, spec, view, area, width, height) {
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of ticksOf(spec.y, ...area.yRange, 6)) {
    const y = Math.round(area.py(tick)) + 0.5;
    if (y < area.top - 6 || y > area.bottom + 1) continue;
    context.strokeStyle = cssColor("--grid");
    context.beginPath();
    context.moveTo(area.left, y);
    context.lineTo(area.right, y);
    context.stroke();
    context.fillStyle = cssColor("--soft");
    context.fillText(spec.y.format(tick), area.left - 8, y);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  const most = Math.max(3, Math.floor((area.right - area.left) / 70));
  for (const tick of ticksOf(spec.x, ...view.x, most)) {
    const x = Math.round(area.px(tick)) + 0.5;
    if (x < area.left - 1 || x > area.right + 1) continue;
    context.strokeStyle = cssColor("--faint");
    context.beginPath();
    context.moveTo(x, area.bottom);
    context.lineTo(x, area.bottom + 4);
    context.stroke();
    context.fillStyle = cssColor("--soft");
    context.fillText(spec.x.format(tick), Math.min(x, width - 18), area.bottom + 7);
  }
  context.strokeStyle = cssColor("--faint");
  context.beginPath();
  context.moveTo(area.left, area.bottom + 0.5);
  context.lineTo(area.right, area.bottom + 0.5);
  context.stroke();
  context.fillStyle = cssColor("--faint");
  context.textAlign = "right";
  context.fillText(spec.x.label, area.right, height - 15);
  context.textAlign = "left";
  context.fillText(spec.y.label, 2, height - 15);
}

function drawShades(context, spec, area) {
  context.fillStyle = cssColor("--shade");
  for (const { from, to } of spec.shades || []) {
    context.fillRect(
      area.px(from),
      area.top,
      Math.max(1, area.px(to) - area.px(from)),
      area.bottom - area.top,
    );
  }
}

function trace(context, points, area, stairs) {
  let before = null;
  for (const [x, y] of points) {
    const [px, py] = [area.px(x), area.py(y)];
    if (before === null) context.moveTo(px, py);
    else {
      if (stairs) context.lineTo(px, before);
      context.lineTo(px, py);
    }
    before = py;
  }
  return before;
}

function drawLine(context, line, area) {
  if (!line.points.length) return;
  context.strokeStyle = cssColor(line.color);
  context.globalAlpha = line.faint ? 0.22 : 1;
  context.lineWidth = line.width || 2;
  context.lineJoin = "round";
  context.setLineDash(line.dashed ? [6, 4] : []);
  context.beginPath();
  const last = trace(context, line.points, area, line.stairs !== false);
  if (line.hold) context.lineTo(area.right, last);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawBand(context, band, area) {
  if (!band.low.length) return;
  context.fillStyle = cssColor(band.color);
  context.globalAlpha = 0.2;
  context.beginPath();
  trace(context, band.low, area, false);
  for (const [x, y] of [...band.high].reverse()) context.lineTo(area.px(x), area.py(y));
  context.closePath();
  context.fill();
  context.globalAlpha = 1;
}

function stacked(spec, hidden) {
  const base = new Map();
  const all = [];
  for (const bars of spec.bars || []) {
    if (hidden.has(bars.name)) continue;
    for (const [x, y] of bars.values) {
      const from = base.get(x) || 0;
      base.set(x, from + y);
      all.push({ x, from, to: from + y, color: bars.color, width: spec.barWidth || 0.7 });
    }
  }
  return all;
}

function drawBar(context, bar, area) {
  const [left, right] = [area.px(bar.x - bar.width / 2), area.px(bar.x + bar.width / 2)];
  const [top, bottom] = [area.py(bar.to), area.py(bar.from)];
  context.fillStyle = cssColor(bar.color);
  context.fillRect(left, top, Math.max(0.7, right - left), bottom - top);
}

function valueOf(line, x) {
  let low = 0;
  let high = line.points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (line.points[middle][0] <= x) low = middle + 1;
    else high = middle;
  }
  return low ? line.points[low - 1][1] : null;
}

function tipRows(spec, x, hidden) {
  const rows = [];
  for (const bars of spec.bars || []) {
    const at = bars.values.find(([place]) => place === Math.round(x));
    if (at && !hidden.has(bars.name)) rows.push([bars.color, bars.name, spec.y.format(at[1])]);
  }
  for (const line of spec.lines || []) {
    if (hidden.has(line.name) || line.faint || line.silent) continue;
    const value = valueOf(line, x);
    if (value !== null) rows.push([
      line.color,
      line.label || line.name,
      (spec.y.tell || spec.y.format)(value),
    ]);
  }
  return rows;
}

function hearChart(canvas, tip, spec, view, hidden, full, redraw) {
  const area = () => frame(spec, view, canvas.clientWidth, canvas.clientHeight);
  const inside = (event) => Math.max(MARGIN.left, Math.min(event.offsetX, canvas.clientWidth - MARGIN.right));
  const show = (event) => {
    const x = area().valueAt(event.offsetX);
    const rows = tipRows(spec, x, hidden).slice(0, 12);
    const fault = (spec.shades || []).filter(({ from, to }) => from <= x && x <= to).map(({ text }) => text);
    tip.replaceChildren(el("b", {}, (spec.x.tell || spec.x.format)(spec.bars ? Math.round(x) : x)));
    for (const [color, name, value] of rows) {
      tip.append(el("div", {}, el("span", { style: `color:var(${color})` }, "● "), `${name}: ${value}`));
    }
    for (const text of fault.slice(0, 3)) tip.append(el("div.note", {}, text));
    tip.hidden = rows.length + fault.length === 0;
    const right = event.offsetX > canvas.clientWidth / 2;
    tip.style.left = right ? "auto" : `${event.offsetX + 14}px`;
    tip.style.right = right ? `${canvas.clientWidth - event.offsetX + 14}px` : "auto";
    tip.style.top = `${Math.max(0, event.offsetY - 20)}px`;
  };
  canvas.addEventListener("pointermove", (event) => {
    view.cursor = inside(event);
    event = { offsetX: view.cursor, offsetY: event.offsetY };
    if (view.drag) view.drag[1] = view.cursor;
    show(event);
    redraw();
  });
  // With keys the cursor goes from pixel to pixel, by bars from one to the next.
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const end = { Home: MARGIN.left, End: canvas.clientWidth - MARGIN.right }[event.key];
    if (event.key === "Escape") [view.cursor, tip.hidden] = [null, true];
    else if (way || end) {
      const { px } = area();
      const step = spec.bars ? Math.max(1, Math.abs(px(2) - px(1))) : event.shiftKey ? 1 : 12;
      view.cursor = end ?? (view.cursor ?? MARGIN.left) + way * step;
      view.cursor = inside({ offsetX: view.cursor });
      show({ offsetX: view.cursor, offsetY: 40 });
    } else return;
    event.preventDefault();
    event.stopPropagation();
    redraw();
  });
  canvas.addEventListener("pointerleave", () => {
    [view.cursor, view.drag, tip.hidden] = [null, null, true];
    redraw();
  });
  canvas.addEventListener("pointerdown", (event) => {
    if (!spec.bars) view.drag = [inside(event), inside(event)];
  });
  canvas.addEventListener("pointerup", () => {
    const drag = view.drag;
    view.drag = null;
    if (drag && Math.abs(drag[1] - drag[0]) > 6) {
      view.x = [...drag].sort((a, b) => a - b).map(area().placeAt);
    }
    redraw();
  });
  canvas.addEventListener("dblclick", () => {
    view.x = [...full];
    redraw();
  });
}
