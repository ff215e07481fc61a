// The lists beside the picture: bodyparts, and moments in doubt.

let moment = null; // that was chosen
let listed = content.moments;

function listMoments() {
  const kind = $("kind").value;
  listed = content.moments.filter((one) => visible[one.k] && (!kind || one.kind === kind));
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
  const n = `${listed.length} moment${listed.length > 1 ? "s" : ""}`;
  const text = `${n}: the worst first, at most ${content.most} of each kind`;
  $("count").textContent = listed.length ? text : "nothing is in doubt";
  if (!listed.includes(moment)) moment = null;
  choose(moment);
  stale = true;
}

function show(which) {
  for (let k = 0; k < K; k++) {
    visible[k] = which(k);
    $("bodyparts").children[k].querySelector("input").checked = visible[k];
  }
  listMoments();
  redraw();
}

function listBodyparts() {
  content.bodyparts.forEach((name, k) => {
    const box = element("input", "", null);
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => show((other) => (other === k ? box.checked : visible[other])));
    const words = [element("span", "part", name), element("span", "value", "")];
    const label = element("label", "", null, box, swatch(content.colors[k]), ...words);
    $("bodyparts").append(element("li", "", null, label));
  });
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
