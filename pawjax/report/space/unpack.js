// What the page holds: the arrays of the reconstructions, unpacked; see pawjax.report.packed.

const content = JSON.parse($("data").textContent);
const N = content.times.length; // frames in the page
const K = content.bodyparts.length;
const ways = content.ways.map((way) => ({ ...way, visible: true }));
const visible = new Array(K).fill(true); // bodyparts

const bytes = await (async () => {
  const packed = new Blob([bytesOf($("packed").textContent)]).stream();
  return new Uint8Array(await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
})();

// Whole numbers of an array [N, ...]: differences from frame to frame, low bytes before high bytes.
function unpacked(name) {
  const about = content.layout[name];
  if (!about) return null;
  const size = about.shape.reduce((a, b) => a * b, 1), each = size / N;
  const wide = about.kind === "int16";
  const array = wide ? new Int16Array(size) : new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const step = bytes[about.at + i] + (wide ? 256 * bytes[about.at + size + i] : 0);
    array[i] = step + (i < each ? 0 : array[i - each]);
  }
  return array;
}

// Values of the codes of one byte; 0 stands for what is missing.
const [least, most] = content.logarithms;
const logarithmic = Float32Array.from({ length: 256 }, (_, i) => (i ? least * (most / least) ** ((i - 1) / 254) : NaN));
const share = (code) => (code ? (code - 1) / 254 : NaN);

ways.forEach((way, number) => {
  way.mean = unpacked(`mean${number}`);
  for (const name of ["error", "covariance", "outlier"]) way[name] = unpacked(name + number);
});

// The position of a bodypart in a frame, mm, or null.
function positionOf(way, frame, k) {
  const i = 3 * (frame * K + k);
  if (way.mean[i] === -32768) return null;
  return content.origin.map((value, axis) => value + content.unit * way.mean[i + axis]);
}

// Its covariance, mm^2, as three rows, or null.
function covarianceOf(way, frame, k) {
  const i = 6 * (frame * K + k);
  if (!way.covariance || !way.covariance[i]) return null;
  const [x, y, z] = [0, 1, 2].map((axis) => logarithmic[way.covariance[i + axis]]);
  const [xy, xz, yz] = [3, 4, 5].map((pair) => 2 * share(way.covariance[i + pair]) - 1);
  return [[x * x, xy * x * y, xz * x * z], [xy * x * y, y * y, yz * y * z], [xz * x * z, yz * y * z, z * z]];
}
