// Time, keys, and the start of the page; the last of the parts.

let planned = 0, lastTick = 0;

function goTo(t) {
  state.t = Math.min(Math.max(t, 0), length);
  at("time").value = state.t;
  at("now").textContent = `${clock(state.t).toFixed(3)} s`;
  drawFrame();
  follow();
}

function tick(moment) {
  if (!state.playing) return;
  const passed = Math.min((moment - lastTick) / 1000, 0.25);
  lastTick = moment;
  if (state.t >= length) { play(false); return; }
  goTo(state.t + passed * state.speed);
  planned = requestAnimationFrame(tick);
}

function play(on) {
  cancelAnimationFrame(planned);
  state.playing = on && length > 0;
  at("play").textContent = state.playing ? "\u23f8" : "\u25b6";
  at("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  if (!state.playing) return;
  if (state.t >= length) goTo(0);
  lastTick = performance.now();
  planned = requestAnimationFrame(tick);
}

function toggle(what) {
  state[what] = !state[what];
  restyle({ visible: state[what] }, what === "stars" ? TRACES.stars : TRACES.events);
  if (what === "events" && !state.stars) restyle({ visible: false }, [1]);
  drawFrame();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const within = event.target.tagName, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (within === "SELECT" || (within === "BUTTON" && key === " ") || (within === "SUMMARY" && key === " ")) return;
  const step = state.window * (event.shiftKey ? 10 : 1);
  const actions = {
    " ": () => play(!state.playing),
    ArrowLeft: () => goTo(state.t - step),
    ArrowRight: () => goTo(state.t + step),
    ArrowUp: () => choose(Math.max(state.chosen - 1, 0), true),
    ArrowDown: () => choose(Math.min(state.chosen + 1, things.length - 1), true),
    k: () => actions.ArrowUp(),
    j: () => actions.ArrowDown(),
    s: () => toggle("stars"),
    e: () => toggle("events"),
    l: () => things.length && saveLabels(),
    v: () => things.length && saveReview(),
    "?": () => { at("help").open = !at("help").open; },
  };
  const action = key in KEYS ? () => setMark(state.chosen, KEYS[key]) : actions[key];
  if (!action) return;
  event.preventDefault();
  action();
});

function fillFacts() {
  const inCloud = events.far.reduce((sum, far) => sum + 1 - far, 0);
  const shares = [[drawn, "the picture"], [inCloud, "the cloud"]].filter(([count]) => count < data.event_count);
  const thinned = shares.length ? `, thinned to ${shares.map(([n, where]) => `${n.toLocaleString("en")} in ${where}`).join(" and ")} (objects' own first)` : "";
  const counted = [many(data.objects.length, "object")];
  if (data.star_count || data.others === "star") counted.push(many(data.star_count, data.others));
  const parts = [`${width} \u00d7 ${height} pixels`, `${length.toFixed(3)} s`, many(data.event_count, "event") + thinned, counted.join(", ")];
  if (data.origin_us) parts.push(`times from the first event, at ${data.start_us} \u00b5s of the recording's clock`);
  at("facts").textContent = parts.join(" \u00b7 ");
  const entries = [[ON, "event, ON"], [OFF, "event, OFF"]];
  if (data.objects.length) entries.push([SHADES[0], "object and its events, a colour each"]);
  if (data.star_count) entries.push([STAR, `${data.others} and its events`]);
  if (data.earlier.length) entries.push(["#ffffff", "marked before, not found now"]);
  for (const [colour, text] of entries) {
    const entry = element("span", text, at("legend"));
    const swatch = document.createElement("i");
    swatch.className = "swatch";
    swatch.style.background = colour;
    entry.prepend(swatch);
  }
}

function fillBar() {
  const natural = Math.max(length, 1e-3) / PLAY_S;
  state.speed = SPEEDS.reduce((best, speed) => (Math.abs(Math.log(speed / natural)) < Math.abs(Math.log(best / natural)) ? speed : best));
  for (const speed of SPEEDS) element("option", `${speed}\u00d7`, at("speed"), { value: speed, selected: speed === state.speed });
  const windows = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30];
  state.window = windows.find((w) => w >= length / 200) || 30;
  for (const w of windows) element("option", w < 1 ? `${w * 1000} ms` : `${w} s`, at("window"), { value: w, selected: w === state.window });
  at("time").max = length;
  at("time").addEventListener("input", () => goTo(Number(at("time").value)));
    at("speed").addEventListener("change", () => { state.speed = Number(at("speed").value); });
  at("window").addEventListener("change", () => { state.window = Number(at("window").value); drawFrame(); });
  at("play").addEventListener("click", () => play(!state.playing));
  at("save-labels").addEventListener("click", saveLabels);
  at("save-review").addEventListener("click", saveReview);
  window.addEventListener("resize", drawFrame);
}

fillFacts();
fillBar();
fillTable();
showRows();
goTo(things.length ? things[0].t[0] : 0);
drawCloud();
