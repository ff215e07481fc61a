// From the world to the canvas. The view looks along z, x goes right and y down, as in a camera.

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const plus = (a, b, times = 1) => a.map((value, i) => value + times * b[i]);
const unit = (a) => a.map((value) => value / Math.hypot(...a));
const apply = (matrix, vector) => matrix.map((row) => dot(row, vector));
const transposed = (m) => [0, 1, 2].map((column) => m.map((row) => row[column]));
const product = (a, b) => a.map((row) => transposed(b).map((column) => dot(row, column)));

// The matrix that turns about a unit vector by an angle, radians.
function turnAbout([x, y, z], angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const d = 1 - c;
  return [
    [c + x * x * d, x * y * d - z * s, x * z * d + y * s],
    [y * x * d + z * s, c + y * y * d, y * z * d - x * s],
    [z * x * d - y * s, z * y * d + x * s, c + z * z * d],
  ];
}

const FREE = { focal: [1.3, 1.3], principal: [0, 0], size: [1, 1] }; // no camera's, of one px

// A point p of the world lies at turn (p - target) + offset before the view.
const view = { turn: null, target: null, offset: null, lens: FREE, box: [1, 1] };
let up = content.up;

const inView = (point) => plus(apply(view.turn, plus(point, view.target, -1)), view.offset);
const nearest = () => 0.02 * Math.abs(view.offset[2]);

// CSS px a unit of the lens, for a frame that just fits in the box.
const fit = () => Math.min(view.box[0] / view.lens.size[0], view.box[1] / view.lens.size[1]);

// The place on the canvas of a point before the view.
function onCanvas([x, y, z]) {
  const { focal, principal, size } = view.lens;
  const scale = fit();
  return [
    view.box[0] / 2 + scale * ((focal[0] * x) / z + principal[0] - (size[0] - 1) / 2),
    view.box[1] / 2 + scale * ((focal[1] * y) / z + principal[1] - (size[1] - 1) / 2),
  ];
}

// The place on the canvas and the depth of a point of the world, or null behind the view.
function placed(point) {
  const before = inView(point);
  return before[2] < nearest() ? null : { at: onCanvas(before), depth: before[2] };
}

// Both ends on the canvas of a line between points of the world, cut where it passes the view; or null.
function placedLine(from, to) {
  let [a, b] = [inView(from), inView(to)];
  const limit = nearest();
  if (a[2] < limit && b[2] < limit) return null;
  if (a[2] < limit) a = plus(a, plus(b, a, -1), (limit - a[2]) / (b[2] - a[2]));
  if (b[2] < limit) b = plus(b, plus(a, b, -1), (limit - b[2]) / (a[2] - b[2]));
  return [onCanvas(a), onCanvas(b)];
}

// The outline on the canvas of an ellipsoid around a point, an ellipse: half axes, px, and the angle of the first.
function ellipseOf(point, covariance, deviations) {
  const [x, y, z] = inView(point);
  const seen = product(product(view.turn, covariance), transposed(view.turn));
  const scale = fit();
  const [fx, fy] = view.lens.focal.map((focal) => (scale * focal) / z);
  const [right, down] = [[fx, 0, (-fx * x) / z], [0, fy, (-fy * y) / z]];
  const [a, b, c] = [dot(right, apply(seen, right)), dot(right, apply(seen, down)), dot(down, apply(seen, down))];
  const [middle, half] = [(a + c) / 2, Math.hypot((a - c) / 2, b)];
  const axis = (variance) => deviations * Math.sqrt(Math.max(variance, 0));
  return { axes: [axis(middle + half), axis(middle - half)], angle: Math.atan2(2 * b, a - c) / 2 };
}

function turnView(right, down) {
  const about = turnAbout(up, right);
  view.turn = product(product(turnAbout([1, 0, 0], down), view.turn), about);
}

function zoomView(factor) {
  view.offset = view.offset.map((value) => value * factor);
}

// Moves the scene over the canvas, CSS px.
function moveView(right, down) {
  const z = view.offset[2];
  const scale = fit();
  view.offset[0] += (right * z) / (scale * view.lens.focal[0]);
  view.offset[1] += (down * z) / (scale * view.lens.focal[1]);
}

// Looks at the target from a direction, with `top` towards the top of the canvas; `reach` mm from it are in sight.
function lookFrom(direction, top, reach) {
  const forward = unit(direction).map((value) => -value);
  const right = unit(cross(forward, top));
  Object.assign(view, { turn: [right, cross(forward, right), forward], lens: FREE });
  view.offset = [0, 0, (1.1 * reach * FREE.focal[0]) / 0.5];
}

// Looks through a camera, without the distortion of its lens.
function lookThrough(camera) {
  Object.assign(view, { turn: camera.turn, lens: camera });
  view.offset = apply(camera.turn, plus(view.target, camera.place, -1));
}

// The directions along the ground that make a right-handed system with `up`.
function groundAxes() {
  const axis = up.findIndex((value) => value);
  const first = [0, 1, 2].map((i) => (i === (axis + 1) % 3 ? 1 : 0));
  return [first, cross(up, first)];
}
