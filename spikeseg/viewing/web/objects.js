// The table of objects and their marks; labels.csv and the review.

const pixels = (x, y) => `${x.toFixed(0)}, ${y.toFixed(0)}`;
const when = (t) => clock(t).toFixed(2);
const COLUMNS = [
  ["object", (o) => (o.earlier ? "before" : String(o.object_id))],
  ["mark", null],
  ["seen (s)", (o) => `${when(o.t[0])} \u2013 ${when(o.t[o.t.length - 1])}`],
  ["from (px)", (o) => pixels(o.x[0], o.y[0])],
  ["to (px)", (o) => pixels(o.x[o.x.length - 1], o.y[o.y.length - 1])],
  ["px/s", (o) => (o.earlier ? "" : o.speed.toFixed(1))],
  ...(data.others === "star" ? [["against the stars", (o) => (o.earlier ? "" : o.speed_rel.toFixed(1))]] : []),
  ["confidence", (o) => (o.earlier ? "" : o.confidence.toFixed(2))],
  ["events", (o) => (o.earlier ? "" : o.events.toLocaleString("en"))],
  ...(things.some((o) => o.class_name) ? [["class", (o) => o.class_name || ""]] : []),
];

function element(kind, text, parent, more = {}) {
  const made = Object.assign(document.createElement(kind), { textContent: text, ...more });
  return parent.appendChild(made);
}

function fillTable() {
  const none = !things.length;
  at("objects").hidden = at("marking").hidden = none;
  at("empty").hidden = !none;
  at("empty").textContent = data.event_count ? "No object was found in this recording." : "This recording holds no events.";
  for (const [name] of COLUMNS) element("th", name, at("heads"), { scope: "col", className: name === "mark" || name === "class" ? "text" : "" });
  things.forEach((thing, k) => {
    const row = element("tr", "", at("rows"));
    row.addEventListener("click", () => choose(k, true));
    for (const [name, text] of COLUMNS) {
      const cell = element("td", text ? text(thing) : "", row, { className: name === "mark" || name === "class" ? "text" : "" });
      if (name === "object") {
        const swatch = document.createElement("span");
        swatch.className = "swatch";
        swatch.style.background = thing.shade;
        cell.prepend(swatch);
      }
      for (const mark of text ? [] : data.words) {
        const button = element("button", SYMBOLS[mark], cell, { type: "button", title: mark });
        button.dataset.mark = mark;
        button.setAttribute("aria-label", `object ${thing.object_id}: ${mark}`);
        button.addEventListener("click", (event) => {
          event.stopPropagation();
          choose(k, false);
          setMark(k, state.marks[thing.object_id] === mark ? "" : mark);
        });
      }
    }
  });
}

function choose(k, seek) { // seek: go to where it is seen first, unless it is in view
  if (!things[k]) return;
  state.chosen = k;
  if (seek && !place(things[k], state.t)) goTo(things[k].t[0]);
  showRows();
  follow();
  drawFrame();
}

function setMark(k, mark) {
  const thing = things[k];
  if (!thing) return;
  state.marks[thing.object_id] = mark;
  try { localStorage.setItem(store, JSON.stringify(state.marks)); } catch (error) { /* nothing is kept */ }
  showRows();
  drawFrame();
}

function showRows() {
  [...at("rows").children].forEach((row, k) => {
    row.setAttribute("aria-selected", String(k === state.chosen));
    if (k === state.chosen) row.scrollIntoView({ block: "nearest" });
    for (const button of row.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(state.marks[things[k].object_id] === button.dataset.mark));
    }
  });
  const count = (mark) => things.filter((thing) => state.marks[thing.object_id] === mark).length;
  const open = count("") + count("unsure");
  at("tally").textContent = `${things.length - count("")} of ${things.length} marked: ` +
    data.words.map((mark) => `${count(mark)} ${mark}`).join(", ");
  at("advice").textContent = `labels.csv holds the objects marked right; beside a recording it is called <recording>.labels.csv, ` +
    `and \u201cspikeseg evaluate\u201d reads it.` + (open ? ` ${many(open, "object")} not decided: not in it.` : "");
}

function labels() { // the text of labels.csv
  const right = things.filter((thing) => state.marks[thing.object_id] === "right");
  const rows = right.flatMap((o) => o.t_us.map((t, n) => [t, o.x[n], o.y[n], o.object_id]));
  rows.sort((a, b) => a[0] - b[0] || a[3] - b[3]);
  return ["t_us,x,y,id", ...rows.map((row) => row.join(","))].join("\n") + "\n";
}

function review() { // the text of <recording>.review.json
  const marked = things.filter((thing) => state.marks[thing.object_id]);
  const marks = marked.map((o) => ({ object_id: o.object_id, mark: state.marks[o.object_id], t_us: o.t_us, x: o.x, y: o.y }));
  const content = { version: data.version, recording: data.recording, sensor_size: data.sensor_size, marks };
  return JSON.stringify(content, null, 1) + "\n";
}

function save(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
}
const saveLabels = () => save(`${data.recording}.labels.csv`, labels(), "text/csv");
const saveReview = () => save(`${data.recording}.review.json`, review(), "application/json");
