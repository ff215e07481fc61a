// What a person does: plays, steps, jumps, hides.

let frame = 0; // that is drawn
let wanted = 0; // that the video seeks
let picture = null; // of the video, with its timestamp in microseconds

// Draws the picture that the video shows and the tracks of that very frame, whatever the video does meanwhile.
function redraw() {
  takePicture();
  if (picture) frame = frameAt(picture.timestamp / 1e6);
  drawPicture(frame, moment, picture);
  drawTimeline(frame, listed, moment);
  const time = content.times[frame];
  $("readout").textContent = `frame ${content.numbers[frame]} of ${content.numbers[N - 1]}, ${time.toFixed(3)} s`;
  for (let k = 0; k < K; k++) {
    const sure = content.likelihood[frame * K + k];
    const text = $("bodyparts").children[k].querySelector(".value");
    text.textContent = isFinite(sure) ? sure.toFixed(2) : "-";
    text.classList.toggle("doubtful", !(sure >= content.pcutoff));
  }
}

// Seeks a frame; while the video seeks, the last request counts.
function go(index) {
  video.pause();
  wanted = Math.max(0, Math.min(N - 1, index));
  if (!video.seeking) seek();
}

// A step from the frame in sight, or from the one that is sought.
const step = (by) => go((video.paused ? wanted : frame) + by);

function seek() {
  if (video.readyState < 1) return; // it seeks when its times are known
  video.currentTime = secondsWithin(wanted);
}

// While the video seeks it has no picture: the last one stays.
function takePicture() {
  if (video.readyState < 2) return;
  picture?.close();
  try {
    picture = new VideoFrame(video);
  } catch {
    // An old browser, or a page from an insecure address: nearly exact while playing.
    picture = Object.assign(video, { timestamp: 1e6 * video.currentTime, close() {} });
  }
}

video.addEventListener("loadedmetadata", seek);
video.addEventListener("seeked", () => {
  redraw();
  if (video.paused && frameAt(video.currentTime) !== wanted) seek();
});
const everyFrame = () => {
  redraw();
  video.requestVideoFrameCallback(everyFrame);
};
if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(everyFrame);
else video.addEventListener("timeupdate", redraw);
video.addEventListener("play", () => ($("play").textContent = "Pause"));
video.addEventListener("pause", () => {
  $("play").textContent = "Play";
  if (!video.seeking) wanted = frame;
});
video.addEventListener("error", () => {
  $("problem").textContent = "This browser cannot play H.264 video, so the frames are missing: use another one.";
  $("problem").hidden = false;
  redraw();
});

function play() {
  if (!video.paused) return video.pause();
  choose(null);
  if (frame === N - 1) video.currentTime = 0;
  video.play();
}

function visit(one) {
  choose(one);
  go(one.at);
  if (frame === one.at) redraw();
}

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
  z: () => zoomPicture({ 1: 2, 2: 4, 4: 1 }[view.zoom]),
};

function zoomPicture(factor) {
  view.zoom = factor;
  $("zoom").value = factor;
  redraw();
}

listenToKeys(keys, (digit) => digit < K && show((k) => (k === digit) !== visible[k]));

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
$("speed").addEventListener("change", () => (video.playbackRate = Number($("speed").value)));
$("zoom").addEventListener("change", () => zoomPicture(Number($("zoom").value)));
$("kind").addEventListener("change", () => { listMoments(); redraw(); });
for (const id of ["trail", "skeleton", "unsure"]) $(id).addEventListener("change", redraw);

document.title = $("name").textContent = content.name;
$("facts").textContent = content.facts.join(" \u00b7 ");
$("note").textContent = content.note;
$("note").hidden = !content.note;
$("below").textContent = `points below ${content.pcutoff}`;
$("lines").hidden = !content.skeleton.length;
listBodyparts();
listSpeeds(content.rate);
video.defaultPlaybackRate = video.playbackRate = Number($("speed").value);
listMoments();
listenToTimeline();
new ResizeObserver(redraw).observe(document.body);
new ResizeObserver(redraw).observe($("stage"));
