// What a person does: turns, plays, steps, jumps, hides.

let frame = 0; // in sight
let playing = null; // {since: of the clock, ms, from: time of the recording, s}

function redraw() {
  drawScene(frame);
  drawTimeline(frame, listed, moment);
  $("slider").value = frame;
  const text = `frame ${content.numbers[frame]} of ${content.numbers[N - 1]}, ${content.times[frame].toFixed(3)} s`;
  $("readout").textContent = text;
  $("slider").setAttribute("aria-valuetext", text);
  tellFrame(frame);
}

function pause() {
  playing = null;
  $("play").textContent = "Play";
}

function show3D(index) {
  frame = Math.max(0, Math.min(N - 1, index));
  redraw();
}

function go(index) {
  pause();
  show3D(index);
}

function play() {
  if (playing) return pause();
  choose(null);
  if (frame === N - 1) frame = 0;
  restart();
  $("play").textContent = "Pause";
  requestAnimationFrame(advance);
}

const restart = () => (playing = { since: performance.now(), from: content.times[frame] });

function advance() {
  if (!playing) return;
  const time = playing.from + ((performance.now() - playing.since) / 1000) * Number($("speed").value);
  const now = lastUpTo(content.times, time);
  if (now !== frame) show3D(now);
  if (frame === N - 1) return pause();
  requestAnimationFrame(advance);
}

function visit(one) {
  choose(one);
  go(one.at);
}

const VIEWS = {
  overview: () => lookFrom(plus(plus(groundAxes()[0], groundAxes()[1], -2), up, 1.2), up, extent.reach),
  top: () => lookFrom(up, groundAxes()[1], extent.reach),
  side: () => lookFrom(groundAxes()[1].map((value) => -value), up, extent.reach),
  front: () => lookFrom(groundAxes()[0], up, extent.reach),
  "whole rig": () => {
    const distances = content.cameras.map((camera) => Math.hypot(...plus(camera.place, extent.centre, -1)));
    lookFrom(plus(plus(groundAxes()[0], groundAxes()[1], -2), up, 1.2), up, Math.max(extent.reach, ...distances));
  },
};
content.cameras.forEach((camera) => (VIEWS[`camera ${camera.name}`] = () => lookThrough(camera)));

function chooseView() {
  view.target = extent.centre;
  VIEWS[$("view").value || "overview"]();
  redraw();
}

function chooseUp() {
  const [sign, axis] = $("up").value;
  up = ["x", "y", "z"].map((name) => (name === axis ? (sign === "+" ? 1 : -1) : 0));
  extent = extentOf();
  chooseView();
}

function listChoices() {
  for (const name of Object.keys(VIEWS)) $("view").append(new Option(name, name));
  for (const signed of ["+x", "-x", "+y", "-y", "+z", "-z"]) $("up").append(new Option(signed, signed));
  const axis = up.findIndex((value) => value);
  $("up").value = (up[axis] > 0 ? "+" : "-") + "xyz"[axis];
  listSpeeds(content.rate);
}

function changeView(change, ...values) {
  change(...values);
  $("view").value = ""; // it is none of the list any more
  redraw();
}

function listenToStage() {
  const canvas = $("picture");
  const pointers = new Map(); // that press: a second finger moves and zooms
  const spread = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return tellSpot(event.offsetX, event.offsetY);
    const [x, y] = [event.offsetX - before[0], event.offsetY - before[1]];
    const apart = spread([...pointers.values()].concat([before]).slice(0, 2));
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    $("tip").hidden = true;
    if (pointers.size > 1) {
      zoomView(apart / Math.max(1, spread([...pointers.values()])));
      changeView(moveView, x / 2, y / 2);
    } else if (event.shiftKey || event.buttons & 6) changeView(moveView, x, y);
    else changeView(turnView, x / 150, y / 150);
  });
  canvas.addEventListener("pointerleave", () => ($("tip").hidden = true));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode ? 30 : 1);
    changeView(zoomView, Math.exp(Math.max(-0.5, Math.min(0.5, pixels / 500))));
  }, { passive: false });
}

function tellSpot(x, y) {
  const spot = spotUnder(x, y);
  $("tip").hidden = !spot;
  if (!spot) return;
  const { way, k, position } = spot;
  const i = frame * K + k;
  const lines = [`${content.bodyparts[k]}, ${way.name}`, `${position.map((value) => value.toFixed(1)).join(", ")} mm`];
  for (const one of Object.values(MEASURES)) {
    const value = one.has(way) ? one.of(way, i) : NaN;
    if (!isNaN(value)) lines.push(`${one.title} ${told(value, one)}`);
  }
  $("tip").textContent = lines.join("\n");
  const [width, height] = view.box;
  $("tip").style.left = `${Math.max(4, Math.min(width - $("tip").offsetWidth - 4, x + 14))}px`;
  $("tip").style.top = `${Math.max(4, Math.min(height - $("tip").offsetHeight - 4, y + 14))}px`;
}

const step = (by) => go(frame + by);
const keys = {
  " ": play,
  ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
  ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
  Home: () => go(0),
  End: () => go(N - 1),
  n: () => along(1),
  p: () => along(-1),
  "+": () => closer(2),
  "=": () => closer(2),
  "-": () => closer(1 / 2),
  a: () => changeView(turnView, -0.1, 0),
  d: () => changeView(turnView, 0.1, 0),
  w: () => changeView(turnView, 0, -0.1),
  s: () => changeView(turnView, 0, 0.1),
  q: () => changeView(zoomView, 1 / 1.1),
  e: () => changeView(zoomView, 1.1),
};
listenToKeys(keys, (digit) => digit < ways.length && toggleWay(digit));

for (const [id, action] of Object.entries({
  back: () => step(-1),
  play,
  forward: () => step(1),
  previous: () => along(-1),
  next: () => along(1),
  all: () => show(() => true),
  none: () => show(() => false),
  nearer: () => closer(2),
  wider: () => closer(1 / 2),
  help,
})) {
  $(id).addEventListener("click", action);
}
$("slider").max = N - 1;
$("slider").addEventListener("input", () => go(Number($("slider").value)));
$("speed").addEventListener("change", () => playing && restart());
$("view").addEventListener("change", chooseView);
$("up").addEventListener("change", chooseUp);
for (const id of ["kind", "over"]) $(id).addEventListener("change", changed);
for (const id of ["deviations", "coloured", "follow", "trail", "skeleton", "rig", "ground"]) {
  $(id).addEventListener("change", redraw);
}

document.title = $("name").textContent = content.title;
$("facts").textContent = content.facts.join(" \u00b7 ");
$("note").textContent = content.note;
$("note").hidden = !content.note;
$("lines").hidden = !content.edges.length;
$("uncertain").hidden = !ways.some((way) => way.covariance);
extent = extentOf();
listChoices();
listAll();
listMoments();
listenToTimeline();
listenToStage();
chooseView();
new ResizeObserver(redraw).observe(document.body);
new ResizeObserver(redraw).observe($("stage"));
