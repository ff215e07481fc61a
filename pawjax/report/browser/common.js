// What all interactive pages use.

const $ = (id) => document.getElementById(id);

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

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

function element(tag, name, text, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

function swatch(color) {
  const made = element("span", "swatch", "");
  made.style.background = color;
  return made;
}

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

function disc(context, [x, y], radius, color) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function ring(context, [x, y], radius, color, width) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}

function line(context, from, to, color) {
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

// Lists speeds of playing; recordings of many frames a second start slowed down, to at most 60.
function listSpeeds(rate) {
  const speeds = [16, 8, 4, 2, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16];
  const named = (speed) => (speed < 1 ? `1/${1 / speed}\u00d7` : `${speed}\u00d7`);
  for (const speed of speeds) $("speed").append(new Option(named(speed), speed));
  $("speed").value = speeds.find((speed) => speed <= 1 && speed * rate <= 60) ?? 1 / 16;
}

// Shows or hides the list of keys.
function help() {
  $("keys").hidden = !$("keys").hidden;
  $("help").setAttribute("aria-expanded", !$("keys").hidden);
}

// Acts on keys by their names, letters small; `onDigit` acts on 1 to 9, which it is given as 0 to 8.
function listenToKeys(keys, onDigit) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    if (event.key === " " && ["BUTTON", "INPUT"].includes(event.target.tagName)) return; // space presses it
    const digit = event.key.length === 1 ? "123456789".indexOf(event.key) : -1;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = digit >= 0 ? () => onDigit(digit) : keys[name];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  // A click leaves no focus on a control, so that the keys work again.
  document.addEventListener("click", (event) => {
    if (event.detail && document.activeElement.tagName !== "SELECT") document.activeElement.blur();
  });
  document.addEventListener("change", (event) => event.target.tagName === "SELECT" && event.target.blur());
}
