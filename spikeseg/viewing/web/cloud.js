// Events, stars and objects over x, y and time, with plotly.

const TRACES = { events: [0, 1, 2], stars: [1, 3], chosen: 5, now: 6 }; // their places among the traces of `drawCloud`
let cloud = null, cloudStale = false, cloudPlan = 0, cloudRest = 0;

function hasWebGL() {
  try {
    const canvas = document.createElement("canvas");
    return Boolean(window.Plotly && (canvas.getContext("webgl2") || canvas.getContext("webgl")));
  } catch (error) { return false; }
}

function line(tracks) { // all of them as one line with gaps
  const points = { x: [], y: [], z: [], owner: [] };
  tracks.forEach((track, k) => {
    track.t.forEach((t, n) => {
      points.x.push(clock(t)); points.y.push(track.x[n]); points.z.push(track.y[n]); points.owner.push(k);
    });
    points.x.push(null); points.y.push(null); points.z.push(null); points.owner.push(k);
  });
  return points;
}

function points(keep, size, opacity, colour) { // a trace of the events that are kept
  const kept = [];
  for (let n = 0; n < drawn; n++) if (!events.far[n] && keep(n)) kept.push(n);
  return {
    type: "scatter3d", mode: "markers", hoverinfo: "skip",
    x: kept.map((n) => clock(events.t[n])), y: kept.map((n) => events.x[n]), z: kept.map((n) => events.y[n]),
    marker: { size, opacity, line: { width: 0 }, color: kept.map(colour), ...scale() },
  };
}

function scale() { // whole numbers from 0 to the colours
  const colours = [ON, OFF, STAR, "#ffffff", ...SHADES];
  const steps = colours.flatMap((colour, k) => [[k / colours.length, colour], [(k + 1) / colours.length, colour]]);
  return { colorscale: steps, cmin: -0.5, cmax: colours.length - 0.5, showscale: false };
}
const shadeNumber = (thing, k) => (thing.earlier ? 3 : 4 + (k % SHADES.length));

function told(thing, n) { // what hovering over a point of an object says
  const speed = thing.earlier ? "" : `<br>${thing.speed.toFixed(1)} px/s, confidence ${thing.confidence.toFixed(2)}`;
  const name = thing.class_name ? ` ${thing.class_name.replace(/[<>&]/g, " ")}` : "";
  const which = thing.earlier ? "marked before, not found now" : `object ${thing.object_id}${name}`;
  return `${which}<br>${clock(thing.t[n]).toFixed(3)} s at ${thing.x[n].toFixed(1)}, ${thing.y[n].toFixed(1)} px${speed}`;
}

function drawCloud() {
  if (!hasWebGL()) {
    at("cloud").hidden = true;
    at("no-webgl").hidden = false;
    return;
  }
  const order = new Map(things.map((thing, k) => [thing.object_id, shadeNumber(thing, k)]));
  const isObject = (n) => order.has(events.owner[n]);
  const stars = line(data.stars), objects = line(things);
  const texts = things.flatMap((thing) => [...thing.t.map((_, n) => told(thing, n)), ""]);
  const starTexts = data.stars.flatMap((star) => [...star.t.map(() => `${data.others} ${star.track_id}`), ""]);
  const traces = [
    points((n) => events.owner[n] === 0, 1.2, 0.4, (n) => (events.on[n] ? 0 : 1)),
    points((n) => events.owner[n] !== 0 && !isObject(n), 1, 0.2, () => 2),
    points(isObject, 2.2, 0.9, (n) => order.get(events.owner[n])),
    { type: "scatter3d", mode: "lines", ...stars, text: starTexts, hoverinfo: "text", line: { color: STAR, width: 1 } },
    {
      type: "scatter3d", mode: "lines", ...objects, text: texts, hoverinfo: "text",
      line: { width: 6, color: objects.owner.map((k) => shadeNumber(things[k], k)), ...scale() },
    },
    { type: "scatter3d", mode: "lines", x: [], y: [], z: [], text: [], hoverinfo: "text", line: { color: "#ffffff", width: 10 } },
    {
      type: "scatter3d", mode: "lines+text", x: [], y: [], z: [], text: [], hoverinfo: "skip",
      line: { color: "#ffffff", width: 2 }, textfont: { color: "#ffffff", size: 13 }, textposition: "top center",
    },
  ];
  const axis = (title, more) => ({
    title: { text: title }, color: "#a9adb5", gridcolor: "#2b2f37", zeroline: false, showspikes: false, backgroundcolor: GROUND, ...more,
  });
  const side = Math.max(width, height), shown = data.origin_us ? "time from the first event (s)" : "time (s)";
  const away = Math.max(1, (1.35 * at("cloud").clientHeight) / at("cloud").clientWidth); // all of it in view on a narrow screen
  const end = length > 0 ? clock(length) : clock(0) + 1;
  cloud = Plotly.newPlot("cloud", traces, {
    paper_bgcolor: GROUND, showlegend: false, margin: { l: 0, r: 0, t: 0, b: 0 }, uirevision: "kept",
    hoverlabel: { font: { family: "system-ui, sans-serif" } },
    scene: {
      aspectmode: "manual", aspectratio: { x: 1.7, y: Math.max(width / side, 0.1), z: Math.max(height / side, 0.1) },
      xaxis: axis(shown, { range: [clock(0), end] }),
      yaxis: axis("x (px)", { range: [-0.5, width - 0.5] }),
      zaxis: axis("y (px)", { range: [height - 0.5, -0.5] }), // y points down
      camera: { eye: { x: 0.8 * away, y: -1.95 * away, z: 0.7 * away }, center: { x: -0.04, y: 0, z: -0.1 } },
    },
  }, { responsive: true, displaylogo: false, modeBarButtons: [["zoom3d", "pan3d", "orbitRotation", "resetCameraDefault3d"]] });
  cloud.then((plot) => {
    plot.on("plotly_click", (event) => {
      const point = event.points[0];
      if (point.curveNumber === 4) choose(objects.owner[point.pointNumber], false);
    });
    showNow();
  });
}

const restyle = (changes, traces) => cloud && Plotly.restyle("cloud", changes, traces);

function follow() { // what changed shows in the cloud as soon as it can, but leaves most of the time to everything else
  cloudStale = true;
  if (!cloud || cloudPlan) return;
  cloudPlan = setTimeout(() => {
    const began = performance.now();
    cloudStale = false;
    showNow();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      cloudRest = 2 * (performance.now() - began);
      cloudPlan = 0;
      if (cloudStale) follow();
    }));
  }, cloudRest);
}

function showNow() { // the object that is chosen; the sensor's outline at the time that is, and the numbers of the objects there
  const chosen = things[state.chosen] || { t: [], x: [], y: [] };
  const left = -0.5, right = width - 0.5, t = clock(state.t);
  const x = [t, t, t, t, t], y = [left, right, right, left, left], z = [left, left, height - 0.5, height - 0.5, left];
  const text = ["", "", "", "", ""];
  things.forEach((thing) => {
    const here = place(thing, state.t);
    if (!here || thing.earlier) return;
    x.push(null, t); y.push(null, here.x); z.push(null, here.y); text.push("", String(thing.object_id));
  });
  const texts = [chosen.t.map((_, n) => told(chosen, n)), text];
  restyle({ x: [chosen.t.map(clock), x], y: [chosen.x, y], z: [chosen.y, z], text: texts }, [TRACES.chosen, TRACES.now]);
}
