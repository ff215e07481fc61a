// The lists beside the picture: bodyparts, and moments in doubt.

function listMoments() {
  const kind = $("kind").value;
  listButtons(content.moments.filter((one) => visible[one.k] && (!kind || one.kind === kind)));
  const n = `${listed.length} moment${listed.length > 1 ? "s" : ""}`;
  const text = `${n}: the worst first, at most ${content.most} of each kind`;
  $("count").textContent = listed.length ? text : "nothing is in doubt";
  stale = true;
}

function show(which) {
  for (let k = 0; k < K; k++) {
    visible[k] = which(k);
    setSwitch($("bodyparts"), k, visible[k]);
  }
  listMoments();
  redraw();
}

function listBodyparts() {
  content.bodyparts.forEach((name, k) => {
    const change = (on) => show((other) => (other === k ? on : visible[other]));
    switchFor($("bodyparts"), content.colors[k], name, change);
  });
}
