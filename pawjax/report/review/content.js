// What the page holds: the tracks as arrays, and the small video.

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
