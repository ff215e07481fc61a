// How bad a frame is, by three measures, and the curves of the chosen one.

const MEASURES = {
  error: {
    title: "reprojection error",
    unit: "px",
    has: () => true,
    of: (way, i) => logarithmic[way.error[i]],
  },
  outlier: {
    title: "outlier probability",
    unit: "",
    has: (way) => way.outlier,
    of: (way, i) => share(way.outlier[i]),
  },
  deviation: {
    title: "standard deviation",
    unit: "mm",
    has: (way) => way.covariance,
    of: (way, i) => Math.hypot(...[0, 1, 2].map((axis) => logarithmic[way.covariance[6 * i + axis]])),
  },
};
const MOST = 100; // bad frames in the list

const measure = () => MEASURES[$("kind").value];
const measured = () => shownWays().filter((way) => measure().has(way));

// The largest or the mean value of each frame over the visible bodyparts, and whose is the largest.
function framesOf(way) {
  const values = new Float32Array(N).fill(NaN), whose = new Int32Array(N);
  const { of } = measure(), mean = $("over").value === "mean";
  for (let frame = 0; frame < N; frame++) {
    let most = -1, sum = 0, n = 0;
    for (let k = 0; k < K; k++) {
      const value = visible[k] ? of(way, frame * K + k) : NaN;
      if (isNaN(value)) continue;
      sum += value;
      n++;
      if (value > most) [most, whose[frame]] = [value, k];
    }
    if (n) values[frame] = mean ? sum / n : most;
  }
  return { way, values, whose };
}

let courses = []; // of each reconstruction that is shown
let top = 1; // of the curves: the few values that are higher touch it

function measureAll() {
  courses = measured().map(framesOf);
  const limits = courses.map(({ values }) => quantile(Array.from(values), 0.995)).filter(isFinite);
  top = $("kind").value === "outlier" ? 1 : 1.2 * Math.max(...limits, 0) || 1;
  stale = true;
}

// The worst frames of the last reconstruction that is shown, no two within 5 frames.
function badFrames() {
  const one = courses.at(-1);
  if (!one) return [];
  const found = [], taken = new Uint8Array(N);
  const order = [...one.values.keys()].filter((frame) => one.values[frame] > least);
  order.sort((a, b) => one.values[b] - one.values[a]);
  for (const at of order) {
    if (taken[at]) continue;
    taken.fill(1, Math.max(0, at - 5), at + 6);
    found.push({ at, k: one.whose[at], way: one.way, text: `${told(one.values[at])} in ${one.way.name}` });
    if (found.length === MOST) break;
  }
  return found;
}

// A value in words; what is less than the codes of one byte tell is said to be so.
function told(value, { unit } = measure()) {
  if (isNaN(value)) return "-";
  return `${value > least ? +value.toPrecision(3) : `<${least}`} ${unit}`.trim();
}

const marksAt = () => TOP + MARKS / 2;

function drawCurves(context, width, height, listed) {
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  drawAxis(context, width, height);
  const band = [TOP + MARKS, height - TOP - MARKS - AXIS];
  frameOf(context, width, band, [+top.toPrecision(2) + "", "0"], measure().unit);
  context.textAlign = "left";
  context.fillText(`${measure().title}, ${$("over").selectedOptions[0].text}`, LEFT + 6, band[0] + 9);
  for (const { way, values } of courses) {
    curve(context, width, band, way.color, (frame) => values[frame] / top, Math.max);
  }
  for (const { at, way } of listed.slice(0, 20)) mark(context, content.numbers[at], width, marksAt(), way.color, 3);
}
