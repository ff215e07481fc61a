// What the page holds: the tracks as arrays, and the small video.

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function arrayOf(packed) {
  if (!packed) return null;
  const bytes = bytesOf(packed.base64);
  return packed.kind === "<f4" ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
}

const content = JSON.parse(document.getElementById("data").textContent);
for (const name of ["seconds", "numbers", "times", "points", "likelihood", "lowest", "highest", "second"]) {
  content[name] = arrayOf(content[name]);
}
const N = content.seconds.length; // frames in the page
const K = content.bodyparts.length;
const visible = new Array(K).fill(true);

// The last frame of ascending `values` that is not above `value`.
function lastUpTo(values, value) {
  let low = 0, high = values.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (values[middle] <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

// A frame is shown from its presentation time to that of the next: half of the shortest possible distance is safe.
const frameAt = (seconds) => lastUpTo(content.seconds, seconds + 1 / 180000);

// A time within a frame, to seek to.
function secondsWithin(frame) {
  const start = content.seconds[frame];
  const end = frame + 1 < N ? content.seconds[frame + 1] : start + 0.5 / content.rate;
  return (start + end) / 2;
}

const video = document.createElement("video");
video.muted = video.playsInline = true;
video.preload = "auto";
video.src = URL.createObjectURL(new Blob([bytesOf(document.getElementById("mp4").textContent)], { type: "video/mp4" }));

const $ = (id) => document.getElementById(id);

// A canvas with as many pixels as the screen shows in its box; returns its context, in CSS pixels, and its size.
function fitted(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return [context, width, height];
}
