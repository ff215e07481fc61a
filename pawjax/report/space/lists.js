// The lists beside the picture: reconstructions, bodyparts, and bad frames.

let moment = null; // the bad frame that was chosen
let listed = []; // bad frames

function switchFor(list, color, name, isOn, change) {
  const box = element("input", "", null);
  box.type = "checkbox";
  box.checked = isOn;
  box.addEventListener("change", () => change(box.checked));
  const words = [element("span", "part", name), element("span", "value", "")];
  list.append(element("li", "", null, element("label", "", null, box, swatch(color), ...words)));
}

function changed() {
  ways.forEach((way, i) => ($("ways").children[i].querySelector("input").checked = way.visible));
  visible.forEach((is, k) => ($("bodyparts").children[k].querySelector("input").checked = is));
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
  ways.forEach((way, i) => switchFor($("ways"), way.color, way.name, true, () => toggleWay(i)));
  content.bodyparts.forEach((name, k) => {
    const change = (on) => show((other) => (other === k ? on : visible[other]));
    switchFor($("bodyparts"), content.colors[k], name, true, change);
  });
  for (const [name, { title, has }] of Object.entries(MEASURES)) {
    if (ways.some((way) => has(way))) $("kind").append(new Option(title, name));
  }
}

function listMoments() {
  measureAll();
  listed = badFrames();
  $("moments").replaceChildren(
    ...listed.map((one, index) => {
      const button = element("button", "", null, element("span", "", content.numbers[one.at]));
      const part = element("span", "", null, swatch(content.colors[one.k]), content.bodyparts[one.k]);
      button.append(part, element("span", "why", one.text));
      button.type = "button";
      button.dataset.index = index;
      button.addEventListener("click", () => visit(one));
      return element("li", "", null, button);
    }),
  );
  const none = courses.length ? "nothing stands out" : "no shown reconstruction has this measure";
  $("count").textContent = listed.length ? `largest ${measure().title} of ${listed[0].way.name} first` : none;
  choose(null);
}

function choose(one) {
  moment = one;
  for (const item of $("moments").children) {
    const button = item.firstChild;
    if (listed[button.dataset.index] !== one) button.removeAttribute("aria-current");
    else {
      button.setAttribute("aria-current", "true");
      item.scrollIntoView({ block: "nearest" });
    }
  }
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
