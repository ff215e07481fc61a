// The lists beside a picture: switches of a colour and a name, and moments worth a visit.

let moment = null; // that was chosen
let listed = []; // moments

function switchFor(list, color, name, change) {
  const box = element("input", "", null);
  box.type = "checkbox";
  box.checked = true;
  box.addEventListener("change", () => change(box.checked));
  const words = [element("span", "part", name), element("span", "value", "")];
  list.append(element("li", "", null, element("label", "", null, box, swatch(color), ...words)));
}

function setSwitch(list, index, isOn) {
  list.children[index].querySelector("input").checked = isOn;
}

// Lists moments as buttons that visit them, and keeps the one that was chosen if it is among them.
function listButtons(moments) {
  listed = moments;
  $("moments").replaceChildren(
    ...listed.map((one) => {
      const button = element("button", "", null, element("span", "", content.numbers[one.at]));
      const part = element("span", "", null, swatch(content.colors[one.k]), content.bodyparts[one.k]);
      button.append(part, element("span", "why", one.text));
      button.type = "button";
      button.addEventListener("click", () => visit(one));
      return element("li", "", null, button);
    }),
  );
  choose(listed.includes(moment) ? moment : null);
}

function choose(one) {
  moment = one;
  listed.forEach((other, index) => {
    const item = $("moments").children[index];
    if (other !== one) item.firstChild.removeAttribute("aria-current");
    else {
      item.firstChild.setAttribute("aria-current", "true");
      item.scrollIntoView({ block: "nearest" });
    }
  });
}

// Visits the next or previous moment of the list.
function along(by) {
  if (!listed.length) return;
  const index = moment ? listed.indexOf(moment) + by : by > 0 ? 0 : listed.length - 1;
  visit(listed[Math.max(0, Math.min(listed.length - 1, index))]);
}
