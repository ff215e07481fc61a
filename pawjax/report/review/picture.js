// The frame with its points.

const TRAIL = 8; // frames
const view = { zoom: 1, x: content.size[1] / 2, y: content.size[0] / 2 }; // centre, px of the video

// Moves the view when the animal leaves its inner half; `half` is half of what is in sight, px of the video.
function follow(frame, half) {
  const [height, width] = content.size;
  let [x, y, n] = [0, 0, 0];
  for (let k = 0; k < K; k++) {
    if (!visible[k] || !(content.likelihood[frame * K + k] >= content.pcutoff)) continue;
    x += content.points[2 * (frame * K + k)];
    y += content.points[2 * (frame * K + k) + 1];
    n++;
  }
  if (n && (Math.abs(x / n - view.x) > half[0] / 2 || Math.abs(y / n - view.y) > half[1] / 2)) {
    [view.x, view.y] = [x / n, y / n];
  }
  const within = (value, side, reach) => (2 * reach < side ? Math.min(side - reach, Math.max(reach, value)) : side / 2);
  [view.x, view.y] = [within(view.x, width, half[0]), within(view.y, height, half[1])];
}

// Draws a picture of the video, if any, which is `frame`, and its points.
function drawPicture(frame, moment, picture) {
  const canvas = $("picture");
  const [context, boxWidth, boxHeight] = fitted(canvas);
  const [height, width] = content.size;
  const zoom = view.zoom * Math.min(boxWidth / width, boxHeight / height);
  follow(frame, [boxWidth / zoom / 2, boxHeight / zoom / 2]);
  const [x0, y0] = [boxWidth / 2 - view.x * zoom, boxHeight / 2 - view.y * zoom];
  context.clearRect(0, 0, boxWidth, boxHeight);
  if (picture) {
    const [h, w] = content.videoSize;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, w, h, x0, y0, width * zoom, height * zoom);
  }
  // The centre of pixel (x, y) is half a pixel from its corner.
  const place = (values, i) => [x0 + (values[i] + 0.5) * zoom, y0 + (values[i + 1] + 0.5) * zoom];
  drawTracks(context, frame, moment, place);
  canvas.dataset.frame = content.numbers[frame];
}

function drawTracks(context, frame, moment, place) {
  const radius = 4.5;
  const shown = (f, k) => {
    const i = f * K + k;
    const known = visible[k] && isFinite(content.points[2 * i]) && isFinite(content.points[2 * i + 1]);
    return known && ($("unsure").checked || content.likelihood[i] >= content.pcutoff);
  };
  const at = (f, k) => place(content.points, 2 * (f * K + k));
  if ($("trail").checked) {
    for (let age = Math.min(TRAIL, frame); age > 0; age--) {
      context.globalAlpha = 0.6 * (1 - age / (TRAIL + 1));
      for (let k = 0; k < K; k++) {
        if (shown(frame - age, k)) disc(context, at(frame - age, k), radius / 2, content.colors[k]);
      }
    }
  }
  context.globalAlpha = 0.75;
  for (const [a, b] of $("skeleton").checked ? content.skeleton : []) {
    if (shown(frame, a) && shown(frame, b)) line(context, at(frame, a), at(frame, b), "#ffffff");
  }
  context.globalAlpha = 1;
  for (let k = 0; k < K; k++) {
    if (!shown(frame, k)) continue;
    const sure = content.likelihood[frame * K + k] >= content.pcutoff;
    ring(context, at(frame, k), radius + (sure ? 0.5 : 0), "#000000b0", sure ? 2 : 4);
    if (sure) disc(context, at(frame, k), radius, content.colors[k]);
    else ring(context, at(frame, k), radius, content.colors[k], 2);
  }
  if (moment && frame >= moment.first && frame <= moment.last && visible[moment.k]) {
    drawDoubt(context, frame, moment, at, place);
  }
}

// Rings the point in doubt, and joins it to its second place.
function drawDoubt(context, frame, moment, at, place) {
  const point = at(frame, moment.k);
  const i = 3 * (frame * K + moment.k);
  if (moment.kind === "second" && content.second && isFinite(content.second[i])) {
    const other = place(content.second, i);
    context.setLineDash([4, 4]);
    line(context, point, other, content.colors[moment.k]);
    ring(context, other, 6, content.colors[moment.k], 2);
    context.setLineDash([]);
  }
  ring(context, point, 14, "#000000a0", 4);
  ring(context, point, 14, "#ffffff", 2);
}
