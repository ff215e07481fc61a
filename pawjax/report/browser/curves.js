// The timeline: plots over frame numbers, which `content.numbers` holds for the page's N frames, with a cursor.

const LEFT = 66, RIGHT = 12, TOP = 8, MARKS = 16, AXIS = 20; // px
const first = content.numbers[0], last = content.numbers[N - 1];
const range = { start: first, end: Math.max(last, first + 1) }; // frame numbers that are in sight
const curves = document.createElement("canvas"); // all but the cursor
let stale = true; // whether `curves` must be drawn again

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

// Draws the curves, by the page's `drawCurves`, and the cursor; marks lie where its `marksAt` says.
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
  if (moment) mark(context, content.numbers[moment.at], width, marksAt(height), "#ffffff", 5);
}

// A curve of the frames' values from 0 to 1; frames that share a pixel are drawn as their lowest or highest value.
function curve(context, width, [top, height], color, valueOf, worse) {
  context.strokeStyle = color;
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
    const now = valueOf(frame);
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

function listenToTimeline() {
  const canvas = $("timeline");
  const under = (event) => frameUnder(event.offsetX, canvas.clientWidth);
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    choose(null);
    go(under(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = under(event);
    if (event.buttons & 1) go(at);
    $("hint").hidden = false;
    $("hint").textContent = `frame ${content.numbers[at]}, ${content.times[at].toFixed(3)} s`;
    const most = canvas.clientWidth - $("hint").offsetWidth - 4;
    $("hint").style.left = `${Math.max(4, Math.min(most, event.offsetX + 10))}px`;
  });
  canvas.addEventListener("pointerleave", () => ($("hint").hidden = true));
}

function closer(factor) {
  zoomCurves(factor, frame);
  redraw();
}
