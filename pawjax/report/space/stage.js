// The picture: ground, cameras, and the reconstructions with their trails and errors.

const TRAIL = 30; // frames
const SAMPLE = 20_000; // positions from which the extent of the scene is taken

const colorOf = (way, k) => ($("coloured").value === "way" ? way.color : content.colors[k]);
const shownWays = () => ways.filter((way) => way.visible);

function quantile(values, share) {
  const sorted = values.filter(isFinite).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(share * (sorted.length - 1))] : NaN;
}

// Where the animal is over the whole recording: the centre, its reach, and the height of the ground along `up`.
function extentOf() {
  const every = Math.max(1, Math.floor((N * K * ways.length) / SAMPLE));
  const points = [];
  for (let i = 0; i < N * K; i += every) {
    for (const way of ways) {
      const point = positionOf(way, Math.floor(i / K), i % K);
      if (point) points.push(point);
    }
  }
  if (!points.length) points.push(content.origin);
  const centre = [0, 1, 2].map((axis) => quantile(points.map((point) => point[axis]), 0.5));
  const reach = quantile(points.map((point) => Math.hypot(...plus(point, centre, -1))), 0.97) || 100;
  return { centre, reach, ground: quantile(points.map((point) => dot(point, up)), 0.02) };
}

let extent = null;
let spots = []; // of the last picture: where each point lies, for the mouse

// The middle of the animal in a frame, or null.
function centreOf(frame) {
  for (const way of shownWays()) {
    const points = [...Array(K).keys()].filter((k) => visible[k]).map((k) => positionOf(way, frame, k));
    const known = points.filter((point) => point);
    if (known.length) return [0, 1, 2].map((axis) => quantile(known.map((point) => point[axis]), 0.5));
  }
  return null;
}

// 1, 2 or 5 times a power of ten, at least `value`.
function roundUp(value) {
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * ten).find((n) => n >= value);
}

function drawScene(frame) {
  const canvas = $("picture");
  const [context, width, height] = fitted(canvas);
  view.box = [width, height];
  if ($("follow").checked) view.target = centreOf(frame) ?? view.target;
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  context.lineCap = "round";
  if ($("ground").checked) drawGround(context, height);
  if ($("rig").checked) drawCameras(context);
  if ($("trail").checked) drawTrails(context, frame);
  spots = [];
  for (const way of shownWays()) drawErrors(context, way, frame);
  drawSkeletons(context, frame);
  drawAxes(context, width, height);
  canvas.dataset.frame = content.numbers[frame];
}

function drawGround(context, height) {
  const step = roundUp(extent.reach / 5);
  const [first, second] = groundAxes();
  const level = plus([0, 0, 0], up, extent.ground);
  const middle = [first, second].map((axis) => Math.round(dot(extent.centre, axis) / step) * step);
  const half = Math.ceil((1.3 * extent.reach) / step) * step;
  const at = (a, b) => plus(plus(level, first, middle[0] + a), second, middle[1] + b);
  for (let a = -half; a <= half + step / 2; a += step) {
    for (const ends of [[at(a, -half), at(a, half)], [at(-half, a), at(half, a)]]) stroke(context, ends, "#3a424c", 1);
  }
  context.fillStyle = "#aab2bb";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText(`squares of ${step} mm`, 12, height - 12);
}

// A pyramid from each camera's centre to its frame.
function drawCameras(context) {
  const distances = content.cameras.map((camera) => Math.hypot(...plus(camera.place, extent.centre, -1)));
  const far = 0.13 * quantile(distances, 0.5);
  for (const camera of content.cameras) {
    if (view.lens === camera) continue;
    const [w, h] = camera.size;
    const corners = [[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]].map((pixel) => {
      const ray = unit([...[0, 1].map((i) => (pixel[i] - camera.principal[i]) / camera.focal[i]), 1]);
      return plus(camera.place, apply(transposed(camera.turn), ray), far);
    });
    corners.forEach((corner, i) => {
      stroke(context, [camera.place, corner], "#8b949e", 1);
      stroke(context, [corner, corners[(i + 1) % 4]], i === 0 ? "#f0f0f0" : "#8b949e", i === 0 ? 2 : 1); // the top
    });
    const apex = placed(camera.place);
    if (apex) label(context, camera.name, apex.at);
  }
}

function drawTrails(context, frame) {
  for (const way of shownWays()) {
    for (let k = 0; k < K; k++) {
      if (!visible[k]) continue;
      let last = positionOf(way, frame, k);
      for (let age = 1; age <= Math.min(TRAIL, frame); age++) {
        const now = positionOf(way, frame - age, k);
        context.globalAlpha = 0.6 * (1 - age / (TRAIL + 1));
        if (last && now) stroke(context, [last, now], colorOf(way, k), 1.2);
        last = now;
      }
    }
  }
  context.globalAlpha = 1;
}

// Places the points of a reconstruction, and draws their ellipsoids.
function drawErrors(context, way, frame) {
  const deviations = Number($("deviations").value);
  for (let k = 0; k < K; k++) {
    const position = visible[k] ? positionOf(way, frame, k) : null;
    const spot = position && placed(position);
    if (!spot) continue;
    spots.push({ ...spot, way, k, position });
    const covariance = deviations ? covarianceOf(way, frame, k) : null;
    if (!covariance) continue;
    const { axes, angle } = ellipseOf(position, covariance, deviations);
    context.beginPath();
    context.ellipse(...spot.at, ...axes, angle, 0, 2 * Math.PI);
    context.globalAlpha = 0.14;
    context.fillStyle = colorOf(way, k);
    context.fill();
    context.globalAlpha = 0.7;
    context.strokeStyle = colorOf(way, k);
    context.lineWidth = 1;
    context.stroke();
  }
  context.globalAlpha = 1;
}

// Lines and points of all reconstructions, the farthest first.
function drawSkeletons(context, frame) {
  const items = spots.map((spot) => ({ depth: spot.depth, draw: () => drawSpot(context, spot) }));
  for (const way of $("skeleton").checked ? shownWays() : []) {
    const at = new Map(spots.filter((spot) => spot.way === way).map((spot) => [spot.k, spot]));
    for (const [a, b] of content.edges) {
      if (!at.has(a) || !at.has(b)) continue;
      const [from, to] = [at.get(a), at.get(b)];
      const draw = () => line(context, from.at, to.at, way.color);
      items.push({ depth: (from.depth + to.depth) / 2 + 1e-6, draw });
    }
  }
  items.sort((a, b) => b.depth - a.depth);
  for (const { draw } of items) draw();
}

function drawSpot(context, { at, way, k }) {
  disc(context, at, 5, "#000000b0");
  disc(context, at, 4, colorOf(way, k));
}

// The world's axes, in the lower right corner.
function drawAxes(context, width, height) {
  const corner = [width - 46, height - 46];
  ["x", "y", "z"].forEach((name, axis) => {
    const [right, down] = view.turn.map((row) => row[axis]);
    line(context, corner, [corner[0] + 28 * right, corner[1] + 28 * down], "#aab2bb");
    label(context, name, [corner[0] + 37 * right, corner[1] + 37 * down + 12]);
  });
}

function stroke(context, [from, to], color, width) {
  const ends = placedLine(from, to);
  if (!ends) return;
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  context.moveTo(...ends[0]);
  context.lineTo(...ends[1]);
  context.stroke();
}

function label(context, text, [x, y]) {
  context.fillStyle = "#c8ced5";
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillText(text, x, y - 8);
}

// What lies under the mouse: the nearest point within 12 px, or null.
function spotUnder(x, y) {
  const away = (spot) => Math.hypot(spot.at[0] - x, spot.at[1] - y);
  const near = spots.filter((spot) => away(spot) < 12).sort((a, b) => away(a) - away(b));
  return near[0] ?? null;
}
