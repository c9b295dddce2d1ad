// What is true at a moment of the run: who runs, who is cut off from whom, who holds what.

const DOWN = 0;
const UP = 1;
const STOPPED = 2;
const PAUSED = 3;

function calledBy(names, node) {
  return names[node] || `node ${node}`;
}

class Scene {
  constructor(data) {
    const { arrays, tick_ms: tick } = data;
    this.nodes = data.nodes;
    this.end = JSON.parse(data.summary).virtual_ms;
    this.vias = data.vias;
    this.first = Float64Array.from(arrays.first, (ticks) => ticks * tick);
    this.sent = Float64Array.from(arrays.first, (ticks, row) => (ticks - arrays.flight[row]) * tick);
    this.node = arrays.node;
    this.from = arrays.from;
    this.hop = arrays.hop;
    this.via = arrays.via;
    this.stateAt = arrays.state_at;
    this.stateNode = arrays.state_node;
    this.state = arrays.state;
    this.cutAt = arrays.cut_at;
    this.groups = arrays.groups;
    this.classOf = arrays.class;
    this.oddCount = arrays.odd_count;
    this.odd = Array.from(arrays.odd_one, (one, index) => ({
      one,
      other: arrays.odd_other[index],
      open: arrays.odd_open[index],
    }));
    this.zones = data.zones;
    this.names = data.names;
    this.zoneOf = arrays.zone;
    this.timeline = data.timeline;
    this.windows = data.windows;
    let row = 0;
    this.rumors = data.rumors.map((rumor, index) => {
      const own = { ...rumor, index, begin: row, end: row + rumor.rows };
      row = own.end;
      return own;
    });
    this.rumorOf = new Uint32Array(row);
    for (const rumor of this.rumors) this.rumorOf.fill(rumor.index, rumor.begin, rumor.end);
    // Flights in order of their begin, with the longest, so that few need be looked at.
    this.bySent = Uint32Array.from({ length: row }, (_, index) => index).sort((a, b) => this.sent[a] - this.sent[b]);
    this.longest = 0;
    for (let i = 0; i < row; i++) this.longest = Math.max(this.longest, this.first[i] - this.sent[i]);
    this.moments = this.allMoments();
    this.versions = this.rumors.filter((rumor) => rumor.kind === "metadata");
  }

  // Every moment at which something can be seen to change.
  allMoments() {
    const all = [
      0,
      ...this.first,
      ...this.stateAt,
      ...this.cutAt,
      ...this.timeline.map(([at]) => at),
      this.end,
    ];
    return Float64Array.from(new Set(all.map((at) => Math.round(at * 1000) / 1000))).sort();
  }

  // By node: 0 down, 1 up, 2 stopped, 3 paused.
  statesAt(ms) {
    const states = new Uint8Array(this.nodes);
    for (let i = 0; i < this.stateAt.length && this.stateAt[i] <= ms; i++) states[this.stateNode[i]] = this.state[i];
    return states;
  }

  // The last change of who can talk to whom, or -1.
  cutNow(ms) {
    let cut = -1;
    while (cut + 1 < this.cutAt.length && this.cutAt[cut + 1] <= ms) cut++;
    return cut;
  }

  // Pairs of classes of nodes between which is open what their groups don't say: nothing (0), or
  // one direction (1: from the one to the other, 2: back).
  odditiesAt(ms) {
    const cut = this.cutNow(ms);
    if (cut < 0) return [];
    const begin = this.oddCount.subarray(0, cut).reduce((sum, count) => sum + count, 0);
    return this.odd.slice(begin, begin + this.oddCount[cut]);
  }

  // By node: its group, or null while all can talk to all.
  groupsAt(ms) {
    const cut = this.cutNow(ms);
    if (cut < 0) return null;
    const groups = this.groups.subarray(cut * this.nodes, (cut + 1) * this.nodes);
    return groups.every((group) => group === 0) ? null : groups;
  }

  // By node: the row by which it first held a rumor, if it did by then, else -1.
  heldAt(rumor, ms) {
    const held = new Int32Array(this.nodes).fill(-1);
    for (let row = rumor.begin; row < rumor.end; row++) if (this.first[row] <= ms) held[this.node[row]] = row;
    return held;
  }

  // By node: the hop at which it hears of a rumor, however late; those that never do stand last.
  hopsOf(rumor) {
    const hops = new Int32Array(this.nodes).fill(-1);
    if (rumor) for (let row = rumor.begin; row < rumor.end; row++) hops[this.node[row]] = this.hop[row];
    const never = Math.max(...hops) + 1;
    return hops.map((hop) => (hop < 0 ? never : hop));
  }

  // By node: the newest metadata version that it held, else -1.
  versionsAt(ms) {
    const newest = new Int32Array(this.nodes).fill(-1);
    this.versions.forEach((rumor, version) => {
      if (rumor.start_ms > ms) return;
      for (let row = rumor.begin; row < rumor.end; row++) if (this.first[row] <= ms) newest[this.node[row]] = version;
    });
    return newest;
  }

  // Rows whose packet is under way.
  flightsAt(ms) {
    let low = 0;
    let high = this.bySent.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sent[this.bySent[middle]] <= ms) low = middle + 1;
      else high = middle;
    }
    const flights = [];
    for (let i = low - 1; i >= 0 && this.sent[this.bySent[i]] >= ms - this.longest; i--) {
      const row = this.bySent[i];
      if (this.first[row] > ms && this.via[row] !== 0) flights.push(row);
    }
    return flights;
  }

  // The rumor to look at when nobody chose one: the newest version, else the newest rumor.
  focusAt(ms) {
    const begun = (rumors) => rumors.filter((rumor) => rumor.start_ms <= ms).at(-1);
    return begun(this.versions) || begun(this.rumors) || null;
  }

  // How long a rumor is worth watching closely: its first burst, however long the rest waits for a
  // swap or for a fault to heal. A burst ends at a pause that is long against all before it.
  window(rumor) {
    const delays = Array.from(this.first.subarray(rumor.begin, rumor.end), (at) => at - rumor.start_ms);
    const heard = delays.filter((delay) => delay > 0).sort((a, b) => a - b);
    const ends = (delay, index) => {
      const pause = heard[index + 1] - delay;
      return index >= 2 && pause > 3 * delay && pause > (20 * delay) / (index + 1);
    };
    const last = heard.findIndex(ends);
    const burst = last < 0 ? heard : heard.slice(0, last + 1);
    if (!burst.length) return 0;
    return Math.max(5, Math.min(4 * burst[burst.length >> 1], burst.at(-1)));
  }

  // Actions and rumors in order of time. `alike` counts rumors of a kind since the last action.
  chapters() {
    const actions = this.timeline.map(([at, text]) => ({ at, text, kind: "action" }));
    const rumors = this.rumors.map((rumor) => ({
      at: rumor.start_ms,
      text: this.title(rumor),
      kind: "rumor",
      rumor,
    }));
    const chapters = [{ at: 0, text: "the run begins", kind: "action" }, ...actions, ...rumors]
      .map((chapter, order) => ({ ...chapter, order }))
      .sort((a, b) => a.at - b.at || a.order - b.order);
    let counts = {};
    for (const chapter of chapters) {
      if (chapter.kind === "action") counts = {};
      else chapter.alike = counts[chapter.rumor.kind] = (counts[chapter.rumor.kind] || 0) + 1;
    }
    return chapters;
  }

  title({ id, kind, node }) {
    const what = {
      metadata: "published by",
      join: "join of",
      restart: "return of",
      leave: "goodbye of",
      removal: "removal of",
    };
    return `${id}, ${what[kind] || kind} ${this.called(node)}`;
  }

  // A node as the file names it, else by its number.
  called(node) {
    return calledBy(this.names, node);
  }

  // The pace of the player: pieces of the run, each with virtual ms per second of watching. A rumor
  // takes some four seconds; of many alike between two actions only the first, and the chosen one.
  pieces(chosen) {
    const base = Math.max(this.end / 30, 1);
    const lastAction = (ms) => this.timeline.filter(([at]) => at <= ms).length;
    const seen = new Set();
    const slow = [];
    for (const rumor of this.rumors) {
      const alike = `${rumor.kind} ${lastAction(rumor.start_ms)}`;
      const length = this.window(rumor);
      const skipped = seen.has(alike) || slow.length >= 24;
      if ((skipped && rumor !== chosen) || !length || length / 4 >= base) continue;
      seen.add(alike);
      slow.push([rumor.start_ms, Math.min(rumor.start_ms + length, this.end)]);
    }
    slow.sort((a, b) => a[0] - b[0]);
    const pieces = [];
    let at = 0;
    for (const [from, to] of slow) {
      if (to <= at) continue;
      const begin = Math.max(from, at);
      if (begin > at) pieces.push({ from: at, to: begin, pace: base });
      pieces.push({ from: begin, to, pace: (to - begin) / 4, slow: true });
      at = to;
    }
    if (at < this.end || !pieces.length) pieces.push({ from: at, to: this.end, pace: base });
    let watched = 0;
    for (const piece of pieces) {
      piece.begin = watched;
      watched += (piece.to - piece.from) / piece.pace;
      piece.finish = watched;
    }
    return pieces;
  }

  // All that a node went through, in order.
  storyOf(node) {
    const story = [];
    const words = ["goes down", "runs", "is stopped", "is paused"];
    for (let i = 0; i < this.stateAt.length; i++) {
      if (this.stateNode[i] === node) story.push({ at: this.stateAt[i], text: words[this.state[i]] });
    }
    for (const rumor of this.rumors) {
      let told = 0;
      let own = -1;
      for (let row = rumor.begin; row < rumor.end; row++) {
        if (this.node[row] === node) own = row;
        else if (this.from[row] === node) told++;
      }
      if (own < 0) continue;
      const via = this.vias[this.via[own]];
      const how = via === "source" ? "by itself" : `from ${this.called(this.from[own])} by ${via}, hop ${this.hop[own]}`;
      const then = told ? `; told ${told}` : "";
      story.push({ at: this.first[own], text: `${rumor.id} ${how}${then}`, rumor });
    }
    return story.sort((a, b) => a.at - b.at);
  }
}
