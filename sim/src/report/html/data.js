// Unpacks the block of data: deflated, a header in JSON and typed arrays by places of bytes.

const TYPES = { u8: [Uint8Array, 1], u16: [Uint16Array, 2], u32: [Uint32Array, 4], f64: [Float64Array, 8] };

async function unpack(base64) {
  const packed = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const headerLength = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + headerLength)));
  const arrays = {};
  for (const [name, { type, at, length }] of Object.entries(header.arrays)) {
    const [Type, width] = TYPES[type];
    const joined = new Uint8Array(length * width);
    for (let place = 0; place < width; place++) {
      const from = 4 + headerLength + at + place * length;
      for (let i = 0; i < length; i++) joined[i * width + place] = bytes[from + i];
    }
    arrays[name] = new Type(joined.buffer);
  }
  return { ...header, arrays };
}

// Figures as a person reads them.

const grouped = (number) => Math.round(number).toLocaleString("en-US");

function threeDigits(number) {
  const size = Math.abs(number);
  if (size >= 99.95) return grouped(number);
  return String(Number(number.toFixed(size >= 9.995 ? 1 : 2)));
}

function span(ms) {
  if (ms === null || ms === undefined) return "never";
  if (ms === 0) return "0 ms";
  if (ms < 0.9995) return `${threeDigits(ms * 1000)} µs`;
  if (ms < 999.5) return `${threeDigits(ms)} ms`;
  if (ms < 119950) return `${threeDigits(ms / 1000)} s`;
  const minutes = Math.floor(ms / 60000);
  const seconds = Math.round((ms - minutes * 60000) / 1000);
  return seconds ? `${grouped(minutes)} min ${seconds} s` : `${grouped(minutes)} min`;
}

function byteCount(bytes) {
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (bytes >= size * 0.9995) return `${threeDigits(bytes / size)} ${unit}`;
  }
  return `${threeDigits(bytes)} B`;
}

const share = (part) => (part >= 1 ? "100 %" : part <= 0 ? "0 %" : `${Math.floor(part * 1000) / 10} %`);
const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;

// A clock of the run, with as many digits as a pace of so many ms a second deserves.
function clock(ms, pace = 1000) {
  const digits = pace > 500 ? 1 : pace > 50 ? 2 : pace > 5 ? 3 : 4;
  return `${(ms / 1000).toFixed(digits)} s`;
}

// Elements: el("p.note", { title: "x" }, "text", child, ...).
function el(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// The colours of the style sheet, kept until the reader's preference changes them.
const colors = new Map();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colors.clear());

function cssColor(name) {
  if (!colors.has(name)) colors.set(
    name,
    getComputedStyle(document.documentElement).getPropertyValue(name).trim(),
  );
  return colors.get(name);
}

// A canvas that is as dense as the screen and drawn anew when its size or the colours change.
function denseCanvas(canvas, draw) {
  const fit = () => {
    const { width, height } = canvas.getBoundingClientRect();
    const density = window.devicePixelRatio || 1;
    if (!width || !height) return;
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    draw(context, width, height);
  };
  new ResizeObserver(fit).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fit);
  return () => {
    const { width, height } = canvas.getBoundingClientRect();
    if (!canvas.width || !width) return fit();
    draw(canvas.getContext("2d"), width, height);
  };
}
