// The lists beside the picture: reconstructions, bodyparts, and bad frames.

function changed() {
  ways.forEach((way, i) => setSwitch($("ways"), i, way.visible));
  visible.forEach((is, k) => setSwitch($("bodyparts"), k, is));
  listMoments();
  redraw();
}

function toggleWay(number) {
  ways[number].visible = !ways[number].visible;
  changed();
}

function show(which) {
  for (let k = 0; k < K; k++) visible[k] = which(k);
  changed();
}

function listAll() {
  ways.forEach((way, i) => switchFor($("ways"), way.color, way.name, () => toggleWay(i)));
  content.bodyparts.forEach((name, k) => {
    const change = (on) => show((other) => (other === k ? on : visible[other]));
    switchFor($("bodyparts"), content.colors[k], name, change);
  });
  for (const [name, { title, has }] of Object.entries(MEASURES)) {
    if (ways.some((way) => has(way))) $("kind").append(new Option(title, name));
  }
}

function listMoments() {
  measureAll();
  listButtons(badFrames());
  const none = courses.length ? "nothing stands out" : "no shown reconstruction has this measure";
  $("count").textContent = listed.length ? `largest ${measure().title} of ${listed[0].way.name} first` : none;
}

// Values of the frame in sight: of each bodypart in the last reconstruction shown, and how many each one has.
function tellFrame(frame) {
  ways.forEach((way, i) => {
    const known = [...Array(K).keys()].filter((k) => positionOf(way, frame, k)).length;
    $("ways").children[i].querySelector(".value").textContent = `${known} of ${K}`;
  });
  const way = measured().at(-1);
  for (let k = 0; k < K; k++) {
    const text = way ? told(measure().of(way, frame * K + k)) : "";
    $("bodyparts").children[k].querySelector(".value").textContent = text;
  }
  const missing = shownWays().flatMap((one) => {
    const names = content.bodyparts.filter((_, k) => visible[k] && !positionOf(one, frame, k));
    return names.length ? [`${one.name}: ${names.join(", ")}`] : [];
  });
  $("missing").textContent = missing.length ? `missing here: ${missing.join("; ")}` : "nothing is missing here";
}
