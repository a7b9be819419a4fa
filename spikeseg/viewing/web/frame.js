// The sensor at one time, on a canvas.

const canvas = at("frame"), pen = canvas.getContext("2d");

function size() { // pixels of the canvas per pixel of the sensor
  const wide = canvas.clientWidth * (window.devicePixelRatio || 1);
  const limit = 0.45 * window.innerHeight * (window.devicePixelRatio || 1);
  const zoom = Math.max(1e-3, Math.min(wide / width, Math.max(limit, wide / 4) / height));
  const [columns, rows] = [Math.max(1, Math.round(wide)), Math.max(1, Math.round(height * zoom))];
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
  }
  return { zoom, margin: (columns - width * zoom) / 2 };
}

function drawFrame() {
  const { zoom, margin } = size();
  const px = (x) => margin + (x + 0.5) * zoom, py = (y) => (y + 0.5) * zoom;
  const unit = window.devicePixelRatio || 1, dot = Math.max(zoom, unit);
  pen.fillStyle = "#000000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = GROUND;
  pen.fillRect(margin, 0, width * zoom, height * zoom);
  if (state.events) {
    const last = firstEvent(state.t + 1e-6);
    for (let n = firstEvent(state.t - state.window); n < last; n++) {
      pen.fillStyle = shades.get(events.owner[n]) || (events.on[n] ? ON : OFF);
      pen.fillRect(margin + events.x[n] * zoom, events.y[n] * zoom, dot, dot);
    }
  }
  pen.lineJoin = "round";
  const path = (track) => {
    pen.beginPath();
    track.t.forEach((_, n) => (n ? pen.lineTo(px(track.x[n]), py(track.y[n])) : pen.moveTo(px(track.x[n]), py(track.y[n]))));
    pen.stroke();
  };
  if (state.stars) {
    pen.strokeStyle = STAR;
    pen.lineWidth = 0.8 * unit;
    for (const star of data.stars) {
      const here = place(star, state.t);
      if (!here) continue;
      pen.beginPath();
      pen.arc(px(here.x), py(here.y), Math.max(4 * zoom, 4 * unit), 0, 2 * Math.PI);
      pen.stroke();
    }
  }
  pen.font = `${13 * unit}px system-ui, sans-serif`;
  things.forEach((thing, k) => {
    const bold = k === state.chosen, here = place(thing, state.t);
    pen.strokeStyle = pen.fillStyle = thing.shade;
    pen.setLineDash(thing.earlier ? [4 * unit, 4 * unit] : []);
    pen.globalAlpha = bold ? 1 : 0.45;
    pen.lineWidth = (bold ? 2.2 : 1) * unit;
    path(thing);
    pen.globalAlpha = 1;
    if (!here) return;
    const [w, h] = [Math.max(here.width, 7) * zoom, Math.max(here.height, 7) * zoom];
    pen.lineWidth = (bold ? 3 : 1.8) * unit;
    pen.strokeRect(px(here.x) - w / 2, py(here.y) - h / 2, w, h);
    const mark = state.marks[thing.object_id];
    const text = `${thing.earlier ? "" : thing.object_id}${mark ? ` ${SYMBOLS[mark]}` : ""}`;
    const room = pen.measureText(text).width;
    const right = px(here.x) + w / 2 + 4 * unit, left = px(here.x) - w / 2 - 4 * unit - room;
    pen.fillText(text, right + room < canvas.width ? right : left, Math.max(py(here.y) - h / 2, 13 * unit));
  });
  pen.setLineDash([]);
  pen.fillStyle = "#e8e8e8";
  pen.fillText(`${clock(state.t).toFixed(3)} s`, margin + 6 * unit, canvas.height - 7 * unit);
}

canvas.addEventListener("click", (event) => {
  const { zoom, margin } = size(), unit = canvas.width / canvas.clientWidth;
  const x = (event.offsetX * unit - margin) / zoom - 0.5, y = (event.offsetY * unit) / zoom - 0.5;
  let best = -1, nearest = 25;
  things.forEach((thing, k) => {
    const here = place(thing, state.t);
    const away = here && Math.max(Math.abs(x - here.x) - here.width / 2, Math.abs(y - here.y) - here.height / 2);
    if (here && away < nearest) { nearest = away; best = k; }
  });
  if (best >= 0) choose(best, false);
});
