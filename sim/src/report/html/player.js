// The player: nodes on a ring, coloured by what they hold, and news as it flies between them.

// Of more nodes only the chosen one has its name on the ring.
const NAMES_MAX = 80;
// More nodes are shown by hop where nobody chose a view.
const RING_NODES_MAX = 200;
const ZONE_COLORS = ["--c4", "--c5", "--c3", "--c2", "--c1", "--c0", "--c6"];
const zoneColor = (zone) => ZONE_COLORS[zone % ZONE_COLORS.length];
const PULSE_SECONDS = 0.5;
const FLIGHTS_MAX = 500;
// Of rumors of a kind that begin between two actions, so many are chapters in the list.
const ALIKE_MAX = 3;
// A point of a quadratic curve.
const onCurve = (from, bend, to, part) => [0, 1].map((axis) => {
  const rest = 1 - part;
  return rest ** 2 * from[axis] + 2 * part * rest * bend[axis] + part ** 2 * to[axis];
});
const VERSION_COLORS = ["--c0", "--c1", "--c2"];

const NO_STORY = "Choose a node for its story";

class Player {
  constructor(scene) {
    this.scene = scene;
    this.ms = 0;
    this.speed = 1;
    this.playing = false;
    this.chosen = null;
    this.selected = null;
    // A ring of many nodes is a disc of lines: there, hops say more.
    this.view = scene.nodes > RING_NODES_MAX ? "hop" : "ring";
    this.shift = new Float64Array(scene.nodes * 2);
    this.chapters = scene.chapters();
    this.pieces = scene.pieces(null);
    this.build();
    const opening = scene.versions[0] || scene.rumors[0];
    this.seek(opening ? opening.start_ms + (opening.t50_ms ?? 0) : 0);
    this.settle();
  }

  // Time: `ms` of the run against seconds of watching.

  get total() {
    return this.pieces.at(-1).finish;
  }

  watchedAt(ms) {
    const piece = this.pieces.find(({ to }) => ms <= to) || this.pieces.at(-1);
    return Math.min(piece.begin + Math.max(0, ms - piece.from) / piece.pace, piece.finish);
  }

  msAt(watched) {
    const piece = this.pieces.find(({ finish }) => watched <= finish) || this.pieces.at(-1);
    return Math.min(piece.from + Math.max(0, watched - piece.begin) * piece.pace, this.scene.end);
  }

  paceNow() {
    return (this.pieces.find(({ to }) => this.ms < to) || this.pieces.at(-1)).pace;
  }

  seek(ms) {
    this.ms = Math.max(0, Math.min(ms, this.scene.end));
    this.refresh();
  }

  step(direction) {
    const { moments } = this.scene;
    let low = 0;
    let high = moments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (moments[middle] <= this.ms + (direction > 0 ? 1e-4 : -1e-3)) low = middle + 1;
      else high = middle;
    }
    this.pause();
    const next = direction > 0 ? moments[low] ?? this.scene.end : moments[low - 1] ?? 0;
    // A moment is kept to a microsecond: a hair later what happens in it has happened.
    this.seek(direction > 0 ? next + 0.0006 : next);
  }

  choose(rumor) {
    this.chosen = rumor;
    this.pieces = this.scene.pieces(rumor);
    this.slider.max = this.total;
  }

  play() {
    if (this.ms >= this.scene.end) this.seek(0);
    this.playing = true;
    this.playButton.textContent = "❚❚ Pause";
    let before = null;
    const frame = (now) => {
      if (!this.playing) return;
      // A page that was out of sight goes on where it was.
      this.advance(Math.min((now - (before ?? now)) / 1000, 0.1));
      before = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  // Goes on by so many seconds of watching.
  advance(seconds) {
    this.ms = this.msAt(this.watchedAt(this.ms) + seconds * this.speed);
    const newest = this.scene.focusAt(this.ms);
    const overtaken = newest && newest.kind === "metadata" && this.chosen && newest.start_ms > this.chosen.start_ms;
    if (overtaken) this.chosen = null;
    if (this.ms >= this.scene.end) this.pause();
    this.refresh();
  }

  pause() {
    this.playing = false;
    this.playButton.textContent = "▶ Play";
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  // What is shown now, in numbers.
  state() {
    const { scene, ms } = this;
    const states = scene.statesAt(ms);
    const focus = this.chosen || scene.focusAt(ms);
    const rows = focus ? scene.heldAt(focus, ms) : [];
    const held = rows.filter((row, node) => row >= 0 && states[node] === UP).length;
    const groups = scene.groupsAt(ms);
    return {
      ms,
      up: states.filter((state) => state === UP).length,
      stopped: states.filter((state) => state === STOPPED).length,
      paused: states.filter((state) => state === PAUSED).length,
      rumor: focus ? focus.id : null,
      held,
      groups: groups ? new Set(groups).size : 1,
      oddities: scene.odditiesAt(ms).length,
      flights: scene.flightsAt(ms).length,
    };
  }

  // The elements.

  build() {
    this.canvas = el(
      "canvas",
      {
        role: "img",
        tabindex: 0,
        "aria-label": "Nodes and the news that flies between them. Arrow keys go from node to node.",
      },
    );
    this.clock = el("div.clock");
    this.pace = el("div.pace.note");
    this.legend = el("div.legend");
    this.list = el("div.list");
    this.story = el("div.list");
    this.storyTitle = el("h3", { role: "status" }, NO_STORY);
    this.buildControls();
    const ring = el("div.ring", {}, this.canvas, this.clock, this.pace, this.legend);
    const side = el(
      "div.side",
      {},
      el("h3", {}, "Chapters"),
      this.list,
      el("div.bar", {}, this.storyTitle),
      this.story,
    );
    this.track = el("canvas");
    this.root = el(
      "section.card",
      {},
      el(
        "p.note",
        {},
        el("b", {}, "What happened. "),
        "Each dot is a node; lines are who told whom. Time slows down while a rumor spreads.",
      ),
      el("div.stage", {}, this.controls, el("div.track", {}, this.track, this.slider), ring, side),
    );
    this.buildChapters();
    this.draw = denseCanvas(this.canvas, (context, width, height) => this.paint(context, width, height));
    this.drawTrack = denseCanvas(
      this.track,
      (context, width, height) => this.paintTrack(context, width, height),
    );
    this.canvas.addEventListener("click", (event) => this.select(this.nodeAt(event.offsetX, event.offsetY)));
    this.canvas.addEventListener("keydown", (event) => this.onNodeKey(event));
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  // On the nodes, arrows go from one to the next.
  onNodeKey(event) {
    const { nodes } = this.scene;
    const now = this.selected ?? -1;
    const next = {
      ArrowRight: (now + 1) % nodes,
      ArrowDown: (now + 1) % nodes,
      ArrowLeft: (Math.max(now, 0) + nodes - 1) % nodes,
      ArrowUp: (Math.max(now, 0) + nodes - 1) % nodes,
      Home: 0,
      End: nodes - 1,
      Escape: null,
    }[event.key];
    if (next === undefined || event.metaKey || event.ctrlKey || event.altKey) return;
    this.select(next);
    event.preventDefault();
    event.stopPropagation();
  }

  buildControls() {
    this.slider = el(
      "input",
      { type: "range", min: 0, max: this.total, step: "any", "aria-label": "time of the run" },
    );
    this.slider.addEventListener("input", () => this.seek(this.msAt(Number(this.slider.value))));
    this.playButton = el("button.main", { onclick: () => this.toggle() }, "▶ Play");
    const speeds = [0.25, 0.5, 1, 2, 4].map((speed) => el(
      "option",
      { value: speed, selected: speed === 1 ? "" : null },
      `${speed}×`,
    ));
    const speed = el(
      "select",
      { "aria-label": "speed", onchange: () => (this.speed = Number(speed.value)) },
      ...speeds,
    );
    this.nodeField = el("input", { type: "number", min: 0, max: this.scene.nodes - 1, id: "node" });
    this.nodeField.addEventListener("change", () => {
      const node = Number.parseInt(this.nodeField.value, 10);
      this.select(node >= 0 && node < this.scene.nodes ? node : null);
    });
    this.controls = el(
      "div.controls",
      {},
      this.playButton,
      el(
        "button",
        { onclick: () => this.step(-1), title: "one event back", "aria-label": "one event back" },
        "◀",
      ),
      el("button", { onclick: () => this.step(1), title: "one event on", "aria-label": "one event on" }, "▶"),
      el("label", {}, "Speed ", speed),
      el("label", {}, "View ", this.viewChooser()),
      el("label", {}, "Node ", this.nodeField),
      el("span.keys", {}, "space: play or pause · arrows: one event"),
    );
  }

  viewChooser() {
    const views = [["ring", "ring"], ["hop", "by hop"]];
    if (this.scene.zones.length > 1) views.push(["zone", "by zone"]);
    const choose = () => {
      this.view = select.value;
      this.settle();
    };
    const select = el(
      "select",
      { "aria-label": "view", id: "view", onchange: choose },
      ...views.map(([value, text]) => el("option", { value, selected: value === this.view ? "" : null }, text)),
    );
    return select;
  }

  buildChapters() {
    for (const chapter of this.chapters) {
      if (chapter.alike > ALIKE_MAX) continue;
      const color = chapter.rumor ? this.colorName(chapter.rumor) : null;
      const dot = color ? el("span.dot", { style: `background:var(${color})` }) : null;
      const open = () => {
        this.choose(chapter.rumor || null);
        this.seek(chapter.at);
      };
      const more = chapter.alike === ALIKE_MAX ? " and more of its kind" : "";
      chapter.row = el(
        "button.row",
        { onclick: open },
        el("span.when", {}, clock(chapter.at, 20)),
        el("span", {}, dot, chapter.text + more),
      );
      this.list.append(chapter.row);
    }
  }

  onKey(event) {
    const steps = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (!steps && event.target.closest("input, select, button, summary")) return;
    if (event.target.closest("select") || event.metaKey || event.ctrlKey || event.altKey) return;
    if (steps) this.step(event.key === "ArrowRight" ? 1 : -1);
    else if (event.key === " ") this.toggle();
    else return;
    event.preventDefault();
  }

  colorName(rumor) {
    const version = this.scene.versions.indexOf(rumor);
    if (version >= 0) return VERSION_COLORS[version % VERSION_COLORS.length];
    return { join: "--c2", restart: "--c4", leave: "--c5", removal: "--c3" }[rumor.kind] || "--c0";
  }

  select(node) {
    this.selected = node;
    this.nodeField.value = node ?? "";
    if (node === null) {
      this.storyTitle.textContent = NO_STORY;
      this.story.replaceChildren();
    } else {
      const zone = this.scene.zones[this.scene.zoneOf[node]];
      const name = this.scene.called(node);
      const number = name === `node ${node}` ? "" : ` (node ${node})`;
      this.storyTitle.textContent = `The story of ${name}${number}${zone ? `, ${zone}` : ""}`;
      const rows = this.scene.storyOf(node).map(({ at, text, rumor }) => {
        const open = () => {
          if (rumor) this.choose(rumor);
          this.seek(at + 0.0006);
        };
        return el("button.row", { onclick: open }, el("span.when", {}, clock(at, 20)), el("span", {}, text));
      });
      this.story.replaceChildren(...rows);
    }
    this.draw();
  }

  // Everything that depends on the time.
  refresh() {
    this.slider.value = this.watchedAt(this.ms);
    const pace = this.paceNow();
    this.clock.textContent = clock(this.ms, pace);
    this.showPace(pace);
    let now = null;
    for (const chapter of this.chapters.filter(({ row }) => row)) {
      const past = chapter.at <= this.ms + 1e-6;
      chapter.row.classList.toggle("past", past);
      chapter.row.classList.remove("now");
      if (past && (!this.chosen || chapter.rumor === this.chosen || chapter.at > this.chosen.start_ms)) now = chapter;
    }
    const own = this.chosen && this.chapters.find((chapter) => chapter.rumor === this.chosen);
    if (own && own.row) now = own;
    if (now && now !== this.nowChapter) {
      const { row } = now;
      this.list.scrollTop = row.offsetTop - this.list.offsetTop - this.list.clientHeight / 2;
    }
    if (now) now.row.classList.add("now");
    this.nowChapter = now;
    this.draw();
    this.drawTrack();
  }

  showPace(pace) {
    const speed = pace * this.speed;
    const slow = `${span(speed)} of the run in a second`;
    const text = speed < 900 ? slow : `${threeDigits(speed / 1000)} times as fast as it ran`;
    const { rumor, held, up } = this.state();
    const count = rumor ? ` · ${rumor}: held by ${grouped(held)} of ${grouped(up)}` : "";
    this.pace.textContent = text + count;
  }

  // The ring.

  layout(width, height) {
    // Outside of the nodes are their names, and outside of these their zones.
    const rim = (this.scene.zones.length > 1 ? 68 : 46) + this.nameRoom();
    const radius = Math.min(width, height - 40) / 2 - rim;
    const around = (2 * Math.PI * radius) / this.scene.nodes;
    return { x: width / 2, y: height / 2 + 18, radius, dot: Math.max(1.4, Math.min(9, around * 0.36)) };
  }

  // What the longest name needs more than a number; of many nodes only the chosen one has it.
  nameRoom() {
    if (this.scene.nodes > NAMES_MAX) return 0;
    const longest = Math.max(0, ...this.scene.names.map((name) => (name || "").length));
    return Math.min(90, Math.max(0, longest - 2) * 6);
  }

  place(node, { x, y, radius }) {
    const angle = (2 * Math.PI * (node + 0.5)) / this.scene.nodes - Math.PI / 2;
    return [
      x + Math.cos(angle) * radius + this.shift[node * 2] * radius,
      y + Math.sin(angle) * radius + this.shift[node * 2 + 1] * radius,
    ];
  }

  // Where groups that are cut off from each other move to, in radii: apart, or inwards and
  // outwards when their nodes are mixed around the ring.
  targets(groups) {
    const target = new Float64Array(this.scene.nodes * 2);
    if (!groups) return target;
    const sums = new Map();
    const direction = (node) => (2 * Math.PI * (node + 0.5)) / this.scene.nodes - Math.PI / 2;
    groups.forEach((group, node) => {
      const sum = sums.get(group) || { x: 0, y: 0, count: 0 };
      sums.set(
        group,
        { x: sum.x + Math.cos(direction(node)), y: sum.y + Math.sin(direction(node)), count: sum.count + 1 },
      );
    });
    groups.forEach((group, node) => {
      const { x, y, count } = sums.get(group);
      const length = Math.hypot(x, y) / count;
      // The largest part of an uneven cut stays where it is.
      if (count > 0.7 * groups.length) return;
      const outwards = length > 0.25 ? [x / count / length, y / count / length] : [
        Math.cos(direction(node)),
        Math.sin(direction(node)),
      ];
      const far = length > 0.25 ? 0.13 : 0.1 * (group % 2 ? 1 : -1.6);
      target[node * 2] = outwards[0] * far;
      target[node * 2 + 1] = outwards[1] * far;
    });
    return target;
  }

  // Moves groups a little towards their targets; true when there.
  glide(groups) {
    const target = this.targets(groups);
    let still = true;
    for (let i = 0; i < target.length; i++) {
      const gap = target[i] - this.shift[i];
      if (Math.abs(gap) > 0.002) still = false;
      this.shift[i] = still ? target[i] : this.shift[i] + gap * 0.22;
    }
    return still;
  }

  // Shows all at once as it will be when nothing moves any more.
  settle() {
    this.shift = this.targets(this.scene.groupsAt(this.ms));
    this.nowChapter = null;
    this.refresh();
  }

  paint(context, width, height) {
    const { scene, ms } = this;
    const layout = this.layout(width, height);
    const groups = scene.groupsAt(ms);
    if (!this.glide(groups) && !this.playing) requestAnimationFrame(() => this.draw());
    const focus = this.chosen || scene.focusAt(ms);
    const held = focus ? scene.heldAt(focus, ms) : new Int32Array(scene.nodes).fill(-1);
    context.clearRect(0, 0, width, height);
    const blocks = this.view === "ring" ? null : this.blocks(width, height, focus, held);
    if (blocks) layout.dot = blocks.dot;
    const places = blocks
      ? blocks.places
      : Array.from({ length: scene.nodes }, (_, node) => this.place(node, layout));
    if (blocks) this.paintBlocks(context, blocks, held);
    else {
      if (groups) this.paintCuts(context, layout, groups);
      this.paintZones(context, layout, places);
      this.paintOddities(context, layout, places);
    }
    if (focus && (!blocks || this.selected !== null)) this.paintTold(context, layout, places, focus, held);
    this.paintFlights(context, layout, places, focus);
    this.paintNodes(context, layout, places, focus, held);
    this.showLegend(focus, groups);
    this.places = places;
    this.dot = layout.dot;
  }

  bend([ax, ay], [bx, by], { x, y }) {
    const [mx, my] = [(ax + bx) / 2, (ay + by) / 2];
    if (this.view !== "ring") return [mx, my];
    return [mx + (x - mx) * 0.45, my + (y - my) * 0.45];
  }

  paintTold(context, layout, places, focus, held) {
    const { scene } = this;
    context.strokeStyle = cssColor(this.colorName(focus));
    context.globalAlpha = scene.nodes > 300 ? 0.14 : 0.3;
    context.lineWidth = scene.nodes > 300 ? 0.7 : 1.1;
    for (const row of held) {
      if (row < 0 || scene.via[row] === 0) continue;
      const own = scene.from[row] === this.selected || scene.node[row] === this.selected;
      // Of many nodes all lines would fill the ring: those of the chosen node are drawn.
      if (!own && (this.view !== "ring" || scene.nodes > RING_NODES_MAX)) continue;
      const [from, to] = [places[scene.from[row]], places[scene.node[row]]];
      context.setLineDash(scene.vias[scene.via[row]] === "swap" ? [3, 4] : []);
      context.beginPath();
      context.moveTo(...from);
      context.quadraticCurveTo(...this.bend(from, to, layout), ...to);
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  paintFlights(context, layout, places, focus) {
    const { scene, ms } = this;
    for (const row of scene.flightsAt(ms).slice(0, FLIGHTS_MAX)) {
      const rumor = scene.rumors[scene.rumorOf[row]];
      const near = rumor === focus;
      const [from, to] = [places[scene.from[row]], places[scene.node[row]]];
      const bend = this.bend(from, to, layout);
      const done = (ms - scene.sent[row]) / (scene.first[row] - scene.sent[row] || 1);
      const at = (part) => onCurve(from, bend, to, part);
      context.strokeStyle = context.fillStyle = cssColor(this.colorName(rumor));
      context.lineCap = "round";
      for (let tail = 0; tail < 8; tail++) {
        const [a, b] = [done - 0.035 * (tail + 1), done - 0.035 * tail];
        if (b <= 0) break;
        context.globalAlpha = (near ? 0.75 : 0.2) * (1 - tail / 8);
        context.lineWidth = (near ? 3 : 1.6) * (1 - tail / 11);
        context.beginPath();
        context.moveTo(...at(Math.max(0, a)));
        context.lineTo(...at(b));
        context.stroke();
      }
      context.globalAlpha = near ? 1 : 0.35;
      context.beginPath();
      context.arc(...at(done), near ? Math.max(2.4, Math.min(4.2, layout.dot * 0.6)) : 1.6, 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  // The colours of nodes: the metadata version that they hold, or whether they hold the rumor.
  nodeColors(focus, held) {
    if (focus && focus.kind === "metadata") {
      const versions = this.scene.versionsAt(this.ms);
      return Array.from(
        versions,
        (version) => (version < 0 ? "--node" : this.colorName(this.scene.versions[version])),
      );
    }
    return Array.from(held, (row) => (row < 0 ? "--node" : this.colorName(focus)));
  }

  paintNodes(context, layout, places, focus, held) {
    const { scene, ms } = this;
    const states = scene.statesAt(ms);
    const names = this.nodeColors(focus, held);
    const pulse = PULSE_SECONDS * this.paceNow();
    for (let node = 0; node < scene.nodes; node++) {
      const [x, y] = places[node];
      const row = held[node];
      const age = row >= 0 ? (ms - scene.first[row]) / pulse : 1;
      if (states[node] !== DOWN && age >= 0 && age < 1) {
        context.globalAlpha = 0.4 * (1 - age);
        context.fillStyle = cssColor(names[node]);
        context.beginPath();
        context.arc(x, y, layout.dot * (1.2 + 1.5 * age), 0, 7);
        context.fill();
        context.globalAlpha = 1;
      }
      this.paintNode(context, x, y, layout.dot, states[node], cssColor(names[node]));
      if (node === this.selected) {
        context.strokeStyle = cssColor("--ink");
        context.lineWidth = 2;
        context.beginPath();
        context.arc(x, y, layout.dot + 4, 0, 7);
        context.stroke();
      }
    }
    if (this.view === "ring" && (scene.nodes <= NAMES_MAX || this.selected !== null)) this.paintNames(context, layout, places);
  }

  paintNode(context, x, y, dot, state, color) {
    context.beginPath();
    context.arc(x, y, state === DOWN ? dot * 0.72 : dot, 0, 7);
    if (state === DOWN) {
      context.strokeStyle = cssColor("--node");
      context.lineWidth = 1.2;
      context.stroke();
      return;
    }
    const silent = state === STOPPED || state === PAUSED;
    context.fillStyle = silent ? cssColor("--card") : color;
    context.fill();
    if (!silent) return;
    context.strokeStyle = color;
    context.lineWidth = Math.max(1.5, dot * 0.35);
    context.stroke();
    if (state === STOPPED) return;
    // Two bars, as on the button that pauses.
    context.fillStyle = color;
    for (const side of [-1, 1]) {
      context.fillRect(x + side * dot * 0.26 - dot * 0.11, y - dot * 0.42, dot * 0.22, dot * 0.84);
    }
  }

  paintNames(context, layout, places) {
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    places.forEach(([x, y], node) => {
      if (this.scene.nodes > NAMES_MAX && node !== this.selected) return;
      const [dx, dy] = [x - layout.x, y - layout.y];
      const length = Math.hypot(dx, dy) || 1;
      context.fillStyle = cssColor(node === this.selected ? "--ink" : "--soft");
      const name = this.scene.names[node];
      if (!name) {
        const far = layout.dot + 11;
        context.textAlign = "center";
        context.fillText(node, x + (dx / length) * far, y + (dy / length) * far);
        return;
      }
      // Names stand along the radius, upright on both sides, so that none is on its neighbour.
      const far = layout.dot + 5;
      const left = dx < 0;
      context.save();
      context.translate(x + (dx / length) * far, y + (dy / length) * far);
      context.rotate(Math.atan2(dy, dx) + (left ? Math.PI : 0));
      context.textAlign = left ? "right" : "left";
      context.fillText(name, 0, 0, this.scene.nodes > NAMES_MAX ? 40 : 96);
      context.restore();
    });
  }

  // Lines across the ring wherever neighbours on it are cut off from each other.
  paintCuts(context, { x, y, radius }, groups) {
    const count = groups.length;
    const edges = [];
    for (let node = 0; node < count; node++) {
      const parted = groups[node] !== groups[(node + 1) % count];
      if (parted) edges.push((2 * Math.PI * (node + 1)) / count - Math.PI / 2);
    }
    context.strokeStyle = cssColor("--cut");
    context.lineWidth = 2;
    context.setLineDash([7, 6]);
    context.globalAlpha = 0.85;
    const [inner, outer] = edges.length > 12 ? [1.16, 1.22] : [edges.length === 2 ? 0 : 0.5, 1.1];
    for (const edge of edges.slice(0, 400)) {
      context.beginPath();
      context.moveTo(x + Math.cos(edge) * radius * inner, y + Math.sin(edge) * radius * inner);
      context.lineTo(x + Math.cos(edge) * radius * outer, y + Math.sin(edge) * radius * outer);
      context.stroke();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // Between two classes of nodes: an arrow where one direction is open, a crossed line where
  // neither is though both have friends in common.
  paintOddities(context, layout, places) {
    const { scene } = this;
    const middle = new Map();
    places.forEach(([x, y], node) => {
      const sum = middle.get(scene.classOf[node]) || { x: 0, y: 0, count: 0 };
      middle.set(scene.classOf[node], { x: sum.x + x, y: sum.y + y, count: sum.count + 1 });
    });
    const place = (of) => {
      const { x, y, count } = middle.get(of);
      // A little inside of the nodes.
      return [layout.x + (x / count - layout.x) * 0.86, layout.y + (y / count - layout.y) * 0.86];
    };
    context.strokeStyle = context.fillStyle = cssColor("--cut");
    context.lineWidth = 1.6;
    for (const { one, other, open } of scene.odditiesAt(this.ms)) {
      const ends = [place(one), place(other)];
      const [[ax, ay], [bx, by]] = open === 2 ? [ends[1], ends[0]] : ends;
      const length = Math.hypot(bx - ax, by - ay);
      if (length < layout.radius * 0.1) continue;
      const [ux, uy] = [(bx - ax) / length, (by - ay) / length];
      context.setLineDash(open === 0 ? [3, 5] : []);
      context.beginPath();
      context.moveTo(ax, ay);
      context.lineTo(bx, by);
      context.stroke();
      context.setLineDash([]);
      context.beginPath();
      if (open !== 0) {
        context.moveTo(bx, by);
        context.lineTo(bx - ux * 11 - uy * 5, by - uy * 11 + ux * 5);
        context.lineTo(bx - ux * 11 + uy * 5, by - uy * 11 - ux * 5);
        context.fill();
      } else {
        const [cx, cy] = [(ax + bx) / 2, (ay + by) / 2];
        context.moveTo(cx - uy * 7, cy + ux * 7);
        context.lineTo(cx + uy * 7, cy - ux * 7);
        context.stroke();
      }
    }
  }

  // A band outside of the nodes, in the colour of each one's zone.
  paintZones(context, layout, places) {
    const { scene } = this;
    if (scene.zones.length < 2) return;
    const half = Math.PI / scene.nodes;
    const far = layout.radius + layout.dot + (scene.nodes <= NAMES_MAX ? 24 : 10) + this.nameRoom();
    context.lineWidth = 5;
    context.lineCap = "butt";
    for (let node = 0; node < scene.nodes; node++) {
      const angle = (2 * Math.PI * (node + 0.5)) / scene.nodes - Math.PI / 2;
      const [dx, dy] = [0, 1].map((axis) => this.shift[node * 2 + axis] * layout.radius);
      context.strokeStyle = cssColor(zoneColor(scene.zoneOf[node]));
      context.beginPath();
      context.arc(layout.x + dx, layout.y + dy, far, angle - half * 0.96, angle + half * 0.96);
      context.stroke();
    }
  }

  // Nodes in blocks: by the hop at which they hear of the rumor in this run, or by zone.
  blocks(width, height, focus, held) {
    const { scene } = this;
    const blockOf = this.view === "zone" ? scene.zoneOf : scene.hopsOf(focus);
    const last = Math.max(...blockOf);
    const members = Array.from({ length: last + 1 }, () => []);
    blockOf.forEach((block, node) => members[block].push(node));
    const heard = new Set(focus ? scene.hop.subarray(focus.begin, focus.end) : []);
    const hears = (block) => heard.has(block);
    const title = (block) => {
      if (this.view === "zone") return scene.zones[block];
      return hears(block) ? (block === 0 ? "source" : `hop ${block}`) : "never";
    };
    const shown = members.map((nodes, block) => ({ nodes, block, title: title(block) })).filter(({ nodes }) => nodes.length);
    // Each block is as wide as it has nodes, but never too narrow for its title.
    const [top, bottom, gap, least] = [104, height - 20, 18, 62];
    const room = width - gap * (shown.length - 1) - least * shown.length;
    const places = new Array(scene.nodes);
    let dot = 9;
    let left = 0;
    for (const block of shown) {
      block.left = left;
      block.width = least + (room * block.nodes.length) / scene.nodes;
      left += block.width + gap;
      // The widest cells that hold all of its nodes.
      let cell = 24;
      while (cell > 3 && Math.floor(block.width / cell) * Math.floor((bottom - top) / cell) < block.nodes.length) cell -= 0.5;
      dot = Math.min(dot, cell * 0.38);
      block.cell = cell;
    }
    for (const { nodes, left: from, width: wide, cell } of shown) {
      const columns = Math.max(1, Math.floor(wide / cell));
      nodes.forEach((node, place) => {
        places[node] = [
          from + ((place % columns) + 0.5) * cell,
          top + (Math.floor(place / columns) + 0.5) * cell,
        ];
      });
    }
    return { shown, places, dot: Math.max(1.3, dot), top };
  }

  paintBlocks(context, { shown, top }, held) {
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    for (const { nodes, block, title, left, width } of shown) {
      const count = nodes.filter((node) => held[node] >= 0).length;
      context.fillStyle = cssColor(this.view === "zone" ? zoneColor(block) : "--line");
      context.fillRect(left, top - 8, width, 3);
      context.fillStyle = cssColor("--ink");
      context.font = "600 12.5px system-ui, sans-serif";
      context.fillText(title, left, top - 32, width);
      context.fillStyle = cssColor("--soft");
      context.font = "12px system-ui, sans-serif";
      context.fillText(`${grouped(count)} of ${grouped(nodes.length)}`, left, top - 16, width);
    }
  }

  showLegend(focus, groups) {
    const entries = [];
    if (focus && focus.kind === "metadata") {
      const begun = this.scene.versions.filter((rumor) => rumor.start_ms <= this.ms).slice(-3);
      begun.forEach((rumor) => entries.push([this.colorName(rumor), "dot", `holds ${rumor.id}`]));
    } else if (focus) entries.push([this.colorName(focus), "dot", `holds ${focus.id}`]);
    entries.push(["--node", "dot", "not yet"], [null, "○", "down"], [null, "◉", "stopped"]);
    if (this.scene.state.includes(PAUSED)) entries.push([null, "◫", "paused"]);
    if (focus) entries.push([null, "┄", "told by a swap"]);
    if (groups && this.view === "ring") entries.push(["--cut", "dashed", "cut off"]);
    if (this.view === "ring" && this.scene.zones.length > 1) {
      this.scene.zones.forEach((zone, number) => entries.push([zoneColor(number), "box", zone]));
    }
    const odd = this.scene.odditiesAt(this.ms);
    if (odd.some(({ open }) => open !== 0)) entries.push([null, "→", "one way only"]);
    if (odd.some(({ open }) => open === 0)) entries.push([null, "┼", "no direct way"]);
    const text = JSON.stringify(entries);
    if (text === this.legendText) return;
    this.legendText = text;
    this.legend.replaceChildren(...entries.map(([color, mark, words]) => {
      const style = `background:var(${color});color:var(${color})`;
      const sample = color ? el(`span.swatch.${mark}`, { style }) : el("span", {}, mark);
      return el("span", { style: "display:inline-flex;gap:6px;align-items:center" }, sample, words);
    }));
  }

  nodeAt(x, y) {
    let nearest = null;
    let least = Math.max(12, this.dot * 1.6);
    (this.places || []).forEach(([px, py], node) => {
      const away = Math.hypot(px - x, py - y);
      if (away < least) [nearest, least] = [node, away];
    });
    return nearest;
  }

  // Above the slider: when faults were at work, when time slows down, where chapters begin.
  paintTrack(context, width, height) {
    const at = (ms) => 8 + (this.watchedAt(ms) / this.total) * (width - 16);
    context.clearRect(0, 0, width, height);
    context.fillStyle = cssColor("--shade");
    for (const { from_ms: from, to_ms: to } of this.scene.windows) context.fillRect(
      at(from),
      0,
      Math.max(2, at(to) - at(from)),
      height,
    );
    for (const chapter of this.chapters) {
      const place = Math.round(at(chapter.at)) + 0.5;
      context.strokeStyle = cssColor(chapter.rumor ? this.colorName(chapter.rumor) : "--faint");
      context.globalAlpha = chapter.rumor ? 0.9 : 1;
      context.lineWidth = chapter.rumor ? 2 : 1;
      context.beginPath();
      context.moveTo(place, chapter.rumor ? height * 0.5 : 0);
      context.lineTo(place, height);
      context.stroke();
    }
    context.globalAlpha = 1;
    for (const piece of this.pieces.filter(({ slow }) => slow)) {
      context.fillStyle = cssColor("--accent");
      context.globalAlpha = 0.14;
      context.fillRect(at(piece.from), height * 0.5, at(piece.to) - at(piece.from), height * 0.5);
      context.globalAlpha = 1;
    }
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = cssColor("--soft");
    context.textBaseline = "top";
    context.textAlign = "left";
    let taken = 0;
    for (const chapter of this.chapters.filter(({ kind }) => kind === "action")) {
      const place = at(chapter.at) + 4;
      const words = chapter.text.length > 26 ? `${chapter.text.slice(0, 25)}…` : chapter.text;
      const size = context.measureText(words).width;
      if (place < taken || place + size > width) continue;
      context.fillText(words, place, 1);
      taken = place + size + 10;
    }
  }
}
