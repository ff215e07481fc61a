// The curves below: likelihood, marks of the moments in doubt, and speed, over frame numbers.

// Speeds go up to this: the few that are higher touch the top.
const topSpeed = (() => {
  const speeds = Array.from(content.highest).filter(isFinite).sort((a, b) => a - b);
  return speeds.length ? 1.2 * speeds[Math.floor(0.995 * (speeds.length - 1))] || 1 : 1;
})();

const marksAt = (height) => bands(height).marks;

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
    const color = content.colors[k];
    curve(context, width, band.speed, color, (frame) => content.highest[frame * K + k] / topSpeed, Math.max);
    curve(context, width, band.likelihood, color, (frame) => content.lowest[frame * K + k], Math.min);
  }
  for (const { at, k } of listed) mark(context, content.numbers[at], width, band.marks, content.colors[k], 3);
}
