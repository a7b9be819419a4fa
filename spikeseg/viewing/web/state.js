// The page's data, which page.py describes, and what the person looking at it has chosen.

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const { ground: GROUND, on: ON, off: OFF, star: STAR, objects: SHADES } = data.colours;
const SYMBOLS = { right: "\u2713", wrong: "\u2717", unsure: "?" };
const KEYS = { r: "right", w: "wrong", u: "unsure", x: "" };
const SPEEDS = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 500];
const PLAY_S = 10; // how long a recording plays at the speed that is chosen first
const [width, height] = data.sensor_size;
const length = (data.end_us - data.start_us) / 1e6;
const many = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

function unpacked(text, Type) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Type(bytes.buffer);
}
const events = {
  t: unpacked(data.events.t, Float32Array),
  x: unpacked(data.events.x, Uint16Array),
  y: unpacked(data.events.y, Uint16Array),
  on: unpacked(data.events.on, Uint8Array),
  owner: unpacked(data.events.owner, Int32Array),
  far: unpacked(data.events.far, Uint8Array), // 1: not in the cloud
};
// Seconds from the first event are what everything is drawn by; `clock` is what is shown of them.
const since = (t_us) => (t_us - data.start_us) / 1e6;
const clock = (seconds) => seconds + (data.start_us - data.origin_us) / 1e6;
for (const track of [...data.objects, ...data.stars, ...data.earlier]) track.t = track.t_us.map(since);
const things = [...data.objects, ...data.earlier.map((mark) => ({ ...mark, earlier: true }))];
things.forEach((thing, k) => { thing.shade = thing.earlier ? "#ffffff" : SHADES[k % SHADES.length]; });
const shades = new Map(things.map((thing) => [thing.object_id, thing.shade]));
const drawn = events.t.length;

function place(track, t) { // position and box of a track at a time within its life, between its rows in a straight line
  const times = track.t;
  if (t < times[0] || t > times[times.length - 1]) return null;
  let low = 0, high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= t) low = middle; else high = middle;
  }
  const share = times[high] > times[low] ? (t - times[low]) / (times[high] - times[low]) : 0;
  const between = (name) => track[name] && track[name][low] + share * (track[name][high] - track[name][low]);
  return { x: between("x"), y: between("y"), width: between("width") || 9, height: between("height") || 9 };
}

function firstEvent(t) { // index of the first event at or after a time
  let low = 0, high = drawn;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events.t[middle] < t) low = middle + 1; else high = middle;
  }
  return low;
}

const store = `spikeseg view ${data.digest}`;
const state = { t: 0, chosen: things.length ? 0 : -1, playing: false, stars: true, events: true, speed: 1, window: 0.1, marks: {} };
for (const thing of things) state.marks[thing.object_id] = data.marks[thing.object_id] || thing.mark || "";
try { // marks outlive a reload; a browser that keeps nothing is no error
  const kept = JSON.parse(localStorage.getItem(store) || "{}");
  for (const id of Object.keys(state.marks)) if (typeof kept[id] === "string") state.marks[id] = kept[id];
} catch (error) { /* nothing kept */ }
