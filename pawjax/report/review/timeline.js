// The curves below: likelihood, marks of the moments in doubt, and speed, over frame numbers.

const LEFT = 66, RIGHT = 12, TOP = 8, MARKS = 16, AXIS = 20; // px
const first = content.numbers[0], last = content.numbers[N - 1];
const range = { start: first, end: Math.max(last, first + 1) }; // frame numbers that are in sight
const curves = document.createElement("canvas"); // all but the cursor
let stale = true; // whether `curves` must be drawn again

// Speeds go up to this: the few that are higher touch the top.
const topSpeed = (() => {
  const speeds = Array.from(content.highest).filter(isFinite).sort((a, b) => a - b);
  return speeds.length ? 1.2 * speeds[Math.floor(0.995 * (speeds.length - 1))] || 1 : 1;
})();

const widthOf = (box) => box - LEFT - RIGHT;
const toX = (number, box) => LEFT + ((number - range.start) / (range.end - range.start)) * widthOf(box);
const toNumber = (x, box) => range.start + ((x - LEFT) / widthOf(box)) * (range.end - range.start);

// The frame that is nearest to a place on the timeline.
function frameUnder(x, box) {
  const number = toNumber(x, box);
  const frame = lastUpTo(content.numbers, number);
  return frame + 1 < N && content.numbers[frame + 1] - number < number - content.numbers[frame] ? frame + 1 : frame;
}

function zoomCurves(factor, frame) {
  const span = Math.min(last - first, Math.max(20, (range.end - range.start) / factor)) || 1;
  centre(content.numbers[frame], span);
}

function centre(number, span) {
  range.start = Math.max(first, Math.min(number - span / 2, last - span));
  range.end = range.start + span;
  stale = true;
}

function drawTimeline(frame, listed, moment) {
  const number = content.numbers[frame];
  if (number < range.start || number > range.end) centre(number, range.end - range.start);
  const canvas = $("timeline");
  const [context, width, height] = fitted(canvas);
  if (stale || curves.width !== canvas.width || curves.height !== canvas.height) {
    [curves.width, curves.height] = [canvas.width, canvas.height];
    const behind = curves.getContext("2d");
    behind.setTransform(context.getTransform());
    drawCurves(behind, width, height, listed);
    stale = false;
  }
  context.clearRect(0, 0, width, height);
  context.drawImage(curves, 0, 0, width, height);
  const x = toX(number, width);
  context.fillStyle = "#ffffff";
  context.fillRect(x - 0.75, TOP - 4, 1.5, height - TOP - AXIS + 4);
  if (moment) mark(context, content.numbers[moment.at], width, bands(height).marks, "#ffffff", 5);
}

function bands(height) {
  const each = (height - TOP - MARKS - AXIS) / 2;
  return { likelihood: [TOP, each], marks: TOP + each + MARKS / 2, speed: [TOP + each + MARKS, each] };
}

function drawCurves(context, width, height, listed) {
  const band = bands(height);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  drawAxis(context, width, height);
  frameOf(context, width, band.likelihood, ["1", "0"], "likelihood");
  frameOf(context, width, band.speed, [topSpeed.toPrecision(2) * 1 + "", "0"], "px/s");
  const cut = band.likelihood[0] + band.likelihood[1] * (1 - content.pcutoff);
  context.setLineDash([3, 4]);
  context.strokeStyle = "#8b949e";
  context.strokeRect(LEFT, cut, widthOf(width), 0);
  context.setLineDash([]);
  for (let k = 0; k < K; k++) {
    if (!visible[k]) continue;
    curve(context, width, band.speed, k, (i) => content.highest[i] / topSpeed, Math.max);
    curve(context, width, band.likelihood, k, (i) => content.lowest[i], Math.min);
  }
  for (const moment of listed) mark(context, content.numbers[moment.at], width, band.marks, content.colors[moment.k], 3);
}

// A curve of values from 0 to 1; frames that share a pixel are drawn as their lowest or highest value.
function curve(context, width, [top, height], k, valueOf, worse) {
  context.strokeStyle = content.colors[k];
  context.lineWidth = 1.2;
  context.beginPath();
  let pen = false, column = -1, value = NaN;
  const draw = () => {
    if (isNaN(value)) return void (pen = false);
    const y = top + height * (1 - Math.min(1, Math.max(0, value)));
    pen ? context.lineTo(column, y) : context.moveTo(column, y);
    pen = true;
  };
  const from = Math.max(0, lastUpTo(content.numbers, range.start) - 1);
  const to = Math.min(N - 1, lastUpTo(content.numbers, range.end) + 1);
  context.save();
  const clip = new Path2D();
  clip.rect(LEFT, top - 1, widthOf(width), height + 2);
  context.clip(clip);
  for (let frame = from; frame <= to; frame++) {
    const exact = toX(content.numbers[frame], width);
    const x = to - from > widthOf(width) ? Math.round(exact) : exact;
    const now = valueOf(frame * K + k);
    if (x !== column) {
      if (frame > from) draw();
      [column, value] = [x, now];
    } else if (isNaN(value)) value = now;
    else if (!isNaN(now)) value = worse(value, now);
  }
  draw();
  context.stroke();
  context.restore();
}

function frameOf(context, width, [top, height], [high, low], title) {
  context.fillStyle = "#1d2127";
  context.fillRect(LEFT, top, widthOf(width), height);
  context.fillStyle = "#aab2bb";
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillText(high, LEFT - 5, top + 5);
  context.fillText(low, LEFT - 5, top + height - 5);
  context.fillText(title, LEFT - 5, top + height / 2);
}

// Frame numbers at round distances.
function drawAxis(context, width, height) {
  const least = ((range.end - range.start) * 90) / widthOf(width);
  const ten = 10 ** Math.floor(Math.log10(least));
  const step = Math.max(1, [1, 2, 5, 10].map((n) => n * ten).find((n) => n >= least));
  context.fillStyle = "#aab2bb";
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (let number = Math.ceil(range.start / step) * step; number <= range.end; number += step) {
    const x = toX(number, width);
    context.fillRect(x, height - AXIS, 1, 4);
    if (x < width - 24) context.fillText(number, x, height - 5);
  }
  context.textAlign = "right";
  context.fillText("frame", LEFT - 5, height - 5);
}

function mark(context, number, width, y, color, size) {
  if (number < range.start || number > range.end) return;
  const x = toX(number, width);
  context.fillStyle = color;
  context.beginPath();
  context.moveTo(x, y + size);
  context.lineTo(x - size, y - size);
  context.lineTo(x + size, y - size);
  context.fill();
}
