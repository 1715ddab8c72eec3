"use strict";
// Persona space: roles and traits on two components, coloured by their projection on the Assistant Axis.

(() => {
  const box = document.getElementById("map-app");
  const space = el("select", { id: "map-space" });
  const horizontal = el("select", { id: "map-x" });
  const vertical = el("select", { id: "map-y" });
  const kinds = el("select", { id: "map-kind" });
  const search = el("input", { type: "search", id: "map-search", list: "map-names", placeholder: "role or trait" });
  const names = el("datalist", { id: "map-names" });
  const charts = el("div", { class: "maps" });
  const panel = el("aside", { class: "panel", "aria-live": "polite", id: "map-panel" }, el("p", { class: "how" }, "Point at a role or trait, or search for it."));
  const SHOWN = {
    fully: ["roles, fully played", ["fully"]], somewhat: ["roles, somewhat played", ["somewhat"]], roles: ["roles, both kinds", ["fully", "somewhat"]],
    traits: ["traits", ["trait"]], all: ["roles and traits", ["fully", "trait"]],
  };
  const KIND = { fully: "circle", somewhat: "square", default: "star", trait: "triangle" };
  const ABOUT = { fully: "Role, vector of fully played responses", somewhat: "Role, vector of somewhat played responses", default: "Default Assistant", trait: "Trait vector" };
  let maps = {}, chosen = "";

  function shareOf(map, i) {
    const share = map.variance[space.value]?.[i];
    return share === undefined ? "" : ` (${(100 * share).toFixed(0)}% of variance)`;
  }

  function draw() {
    charts.replaceChildren(...Object.entries(maps).map(([model, map]) => chart(model, map)));
  }

  function pointsOf(map) {
    const [x, y] = [+horizontal.value, +vertical.value];
    const wanted = ["default", ...SHOWN[kinds.value][1]];
    return map.points.map((point) => ({ ...point, place: point.at[space.value] }))
      .filter((point) => wanted.includes(point.kind) && point.place?.length > Math.max(x, y))
      .map((point) => ({ ...point, x: point.place[x], y: point.place[y] }));
  }

  function chart(model, map) {
    const points = pointsOf(map);
    const figure = el("figure", {}, el("figcaption", {}, `${MODELS[model]}, layer ${map.layer}: ${points.length} vectors`));
    if (!points.length) {
      figure.append(el("p", { class: "how" }, "Nothing of this kind was measured in this model."));
      return figure;
    }
    const columns = Math.min(Object.keys(maps).length, Math.max(1, Math.floor(charts.clientWidth / 380)));
    const width = Math.max(300, Math.min(820, (charts.clientWidth || 360) / columns - 20));
    const size = { width, height: Math.min(580, Math.max(320, 0.66 * width)), marginLeft: 46, marginBottom: 40, marginRight: 12 };
    // The default lies far out by construction: the roles and traits set the scale.
    const reach = d3.max(points.filter((p) => p.kind !== "default"), (p) => Math.abs(p.axis)) || 1;
    const many = points.length > 60;
    const shared = {
      ...size,
      style: { background: "transparent", color: color("ink"), fontSize: "12px" },
      x: { label: `component ${+horizontal.value + 1}${shareOf(map, +horizontal.value)} →`, labelAnchor: "right", nice: true, grid: true },
      y: { label: `↑ component ${+vertical.value + 1}${shareOf(map, +vertical.value)}`, nice: true, grid: true },
      color: { type: "diverging", scheme: "RdBu", pivot: 0, domain: [-reach, reach], clamp: true, legend: false },
      r: { type: "identity" },
      symbol: { domain: Object.keys(KIND), range: Object.values(KIND) },
    };
    const dots = Plot.dot(points, { x: "x", y: "y", fill: "axis", r: (p) => (p.kind === "default" ? 10 : many ? 4 : 7), symbol: "kind", stroke: color("ink"), strokeWidth: many ? 0.4 : 0.8 });
    const frame = Plot.plot({ ...shared, marks: [dots] });
    const labels = place(points, frame.scale("x"), frame.scale("y"), size);
    const pointed = points.filter((p) => p.name === chosen);
    const plot = Plot.plot({
      ...shared,
      ariaLabel: "Persona space",
      marks: [
        dots,
        ...["start", "middle", "end"].map((textAnchor) => Plot.text(labels.filter((p) => p.anchor === textAnchor), { x: "x", y: "y", text: (p) => readable(p.name), textAnchor, dy: many ? -10 : -14, fill: color("ink"), stroke: color("paper"), strokeWidth: 3 })),
        Plot.dot(pointed, { x: "x", y: "y", r: 11, stroke: color("accent"), strokeWidth: 3 }),
        Plot.text(pointed, { x: "x", y: "y", text: (p) => readable(p.name), dy: -18, fontWeight: "bold", fill: color("ink"), stroke: color("paper"), strokeWidth: 4 }),
        Plot.tip(points, Plot.pointer({ x: "x", y: "y", fill: color("paper"), title: (p) => `${readable(p.name)}\nprojection on the axis ${number(p.axis)}` })),
      ],
    });
    plot.addEventListener("input", () => { if (plot.value) show(model, plot.value); });
    plot.addEventListener("click", () => { if (plot.value) choose(plot.value.name); });
    plot.setAttribute("role", "img");
    const legend = Plot.legend({ color: { ...shared.color, label: "projection on the axis, from the mean role (higher: toward the Assistant)" }, style: { background: "transparent", color: color("ink") }, width: Math.min(320, width) });
    figure.append(plot, legend, el("p", { class: "how" }, "★ default Assistant, ● role, ■ role played somewhat, ▲ trait"));
    return figure;
  }

  /** Choose the outermost points whose labels cover neither one another nor, among many, a mark. */
  function place(points, x, y, size) {
    const at = points.map((p) => [x.apply(p.x), y.apply(p.y)]);
    const centre = [d3.mean(at, (p) => p[0]), d3.mean(at, (p) => p[1])];
    const far = (i) => (points[i].kind === "default" ? Infinity : Math.hypot(at[i][0] - centre[0], at[i][1] - centre[1]));
    const taken = [];
    const crowded = points.length > 60;
    return d3.sort(d3.range(points.length), (i) => -far(i)).flatMap((i) => {
      const wide = 3.4 * readable(points[i].name).length + 3;
      const [cx, cy] = [at[i][0], at[i][1] - (crowded ? 10 : 14)];
      const anchor = cx - wide < 0 ? "start" : cx + wide > size.width ? "end" : "middle";
      const left = { start: cx, middle: cx - wide, end: cx - 2 * wide }[anchor];
      const area = [left, left + 2 * wide, cy - 8, cy + 8];
      const inside = area[2] > 0;
      const covers = crowded && at.some(([px, py], j) => j !== i && area[0] < px + 3 && px - 3 < area[1] && area[2] < py + 3 && py - 3 < area[3]);
      const free = inside && !covers && taken.length < 40 && !taken.some((t) => area[0] < t[1] && t[0] < area[1] && area[2] < t[3] && t[2] < area[3]);
      if (free) taken.push(area);
      return free ? [{ ...points[i], anchor }] : [];
    });
  }

  async function show(model, point) {
    const key = `${model}/${point.name}/${point.kind}`;
    if (panel.dataset.shown === key) return;
    panel.dataset.shown = key;
    const trait = point.kind === "trait";
    const said = (await responses(model)).filter((row) => row.subject === point.name && (trait ? row.arm === "traits" && row.side === "positive" : row.arm === "roles"));
    if (panel.dataset.shown !== key) return;
    const rubric = trait ? "trait" : "role_adherence";
    const scores = said.map((row) => Object.values(row.scores[rubric] ?? {})[0]).filter((v) => v !== undefined);
    const levels = d3.rollups(scores, (v) => v.length, (v) => (trait ? 20 * Math.min(4, Math.floor(v / 20)) : Math.round(v))).sort((a, b) => a[0] - b[0]);
    fill(panel,
      el("h3", {}, readable(point.name)),
      point.about ? el("p", {}, point.about) : null,
      el("p", { class: "how" }, `${ABOUT[point.kind]}; projection on the axis ${number(point.axis)}.`),
      levels.length ? el("p", { class: "how" }, `${trait ? "Trait score (0 to 100)" : "Role adherence (0 to 3)"}, responses: ${levels.map(([level, n]) => `${trait ? `${level}–${level + 20}` : level}: ${n}`).join(", ")}.`) : null,
      ...said.slice(0, 2).map((row) => article(row, row.question)),
      said.length ? el("a", { href: link("responses", { model, arm: trait ? "traits" : "roles", subject: point.name }) }, `All ${said.length} responses`) : null);
  }

  function choose(name) {
    chosen = name;
    search.value = readable(name);
    for (const [model, map] of Object.entries(maps)) {
      const point = map.points.find((one) => one.name === name);
      if (!point) continue;
      if (!["default", ...SHOWN[kinds.value][1]].includes(point.kind)) kinds.value = point.kind === "trait" ? "all" : "roles";
      show(model, point);
      break;
    }
    draw();
  }

  function find() {
    const wanted = search.value.trim().toLowerCase();
    const all = Object.values(maps).flatMap((map) => map.points);
    const point = all.find((one) => readable(one.name).toLowerCase() === wanted);
    if (point) choose(point.name);
  }

  function spaces() {
    const all = Object.values(maps);
    const components = d3.range(Math.max(2, d3.max(all, (map) => map.variance[space.value]?.length ?? 0)));
    for (const [control, first] of [[horizontal, 0], [vertical, 1]]) options(control, components, components.includes(+control.value) && control.value !== "" ? +control.value : first, (i) => `component ${+i + 1}`);
    draw();
  }

  async function start() {
    for (const model of Object.keys(MODELS)) maps[model] = await data(`${model}-map`);
    const all = Object.values(maps);
    options(space, unique(all.flatMap((map) => Object.keys(map.variance))), "roles");
    const present = new Set(all.flatMap((map) => map.points.map((point) => point.kind)));
    options(kinds, Object.keys(SHOWN).filter((key) => SHOWN[key][1].some((kind) => present.has(kind))), "fully", (key) => SHOWN[key][0]);
    names.replaceChildren(...unique(all.flatMap((map) => map.points.map((point) => point.name))).sort().map((name) => el("option", { value: readable(name) })));
    space.addEventListener("input", () => { if (space.value === "traits" && kinds.value === "fully") kinds.value = "all"; spaces(); });
    for (const control of [horizontal, vertical, kinds]) control.addEventListener("input", draw);
    search.addEventListener("input", find);
    const rows = () => Object.entries(maps).flatMap(([model, map]) => map.points.map((point) => ({ model, layer: map.layer, name: point.name, kind: point.kind, axis: point.axis, ...Object.fromEntries(Object.entries(point.at).flatMap(([key, at]) => at.map((v, i) => [`${key}_component_${i + 1}`, v]))) })));
    box.append(
      el("div", { class: "controls" }, labelled("Components of", space), labelled("Across", horizontal), labelled("Up", vertical), labelled("Show", kinds), labelled("Find", search), names, csvButton("persona_map", rows)),
      el("div", { class: all.length > 1 ? "map-row stacked" : "map-row" }, charts, panel));
    themed(spaces);
    addEventListener("resize", draw);
  }

  parts.set("map", (state) => { const name = state.name ?? state.role; if (name) choose(name); });
  box.ready = start();
  box.ready.then(follow);
})();
