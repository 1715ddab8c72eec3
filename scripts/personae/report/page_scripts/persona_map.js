"use strict";
// Persona space: roles on two components, coloured by their projection on the Assistant Axis.

(() => {
  const box = document.getElementById("map-app");
  const horizontal = el("select", { id: "map-x" });
  const vertical = el("select", { id: "map-y" });
  const kinds = el("select", { id: "map-kind" });
  const search = el("input", { type: "search", id: "map-search", list: "map-roles", placeholder: "role" });
  const names = el("datalist", { id: "map-roles" });
  const charts = el("div", { class: "maps" });
  const panel = el("aside", { class: "panel", "aria-live": "polite", id: "map-panel" }, el("p", { class: "how" }, "Point at a role, or search for it."));
  let maps = {}, chosen = "";

  const shareOf = (map, i) => (map.variance[i] === undefined ? "" : ` (${(100 * map.variance[i]).toFixed(0)}% of variance)`);

  function draw() {
    charts.replaceChildren(...Object.entries(maps).map(([model, map]) => chart(model, map)));
  }

  function chart(model, map) {
    const [x, y] = [+horizontal.value, +vertical.value];
    const points = map.roles.filter((role) => (kinds.value === "all" || role.kind === kinds.value || role.kind === "default") && role.at.length > Math.max(x, y))
      .map((role) => ({ ...role, x: role.at[x], y: role.at[y] }));
    const width = Math.max(300, Math.min(760, charts.clientWidth || box.clientWidth || 360));
    const size = { width, height: Math.min(560, Math.max(320, 0.66 * width)), marginLeft: 46, marginBottom: 40, marginRight: 12 };
    const extent = d3.max(points, (p) => Math.abs(p.axis)) || 1;
    const middle = d3.median(points, (p) => p.axis) ?? 0;
    const shared = {
      ...size,
      style: { background: "transparent", color: color("ink"), fontSize: "12px" },
      x: { label: `component ${x + 1}${shareOf(map, x)} →`, labelAnchor: "right", nice: true, grid: true },
      y: { label: `↑ component ${y + 1}${shareOf(map, y)}`, nice: true, grid: true },
      color: { type: "diverging", scheme: "RdBu", pivot: middle, domain: [d3.min(points, (p) => p.axis) ?? -extent, d3.max(points, (p) => p.axis) ?? extent], legend: false },
    };
    const dots = Plot.dot(points, { x: "x", y: "y", fill: "axis", r: (p) => (p.kind === "default" ? 8 : 5), symbol: (p) => (p.kind === "default" ? "star" : p.kind === "somewhat" ? "square" : "circle"), stroke: color("ink"), strokeWidth: 0.6 });
    const frame = Plot.plot({ ...shared, marks: [dots] });
    const labels = place(points, frame.scale("x"), frame.scale("y"), size);
    const pointed = points.filter((p) => p.name === chosen);
    const plot = Plot.plot({
      ...shared,
      ariaLabel: "Persona space",
      marks: [
        dots,
        Plot.text(labels, { x: "x", y: "y", text: (p) => readable(p.name), dy: -11, fill: color("ink"), stroke: color("paper"), strokeWidth: 3 }),
        Plot.dot(pointed, { x: "x", y: "y", r: 11, stroke: color("accent"), strokeWidth: 3 }),
        Plot.text(pointed, { x: "x", y: "y", text: (p) => readable(p.name), dy: -18, fontWeight: "bold", fill: color("ink"), stroke: color("paper"), strokeWidth: 4 }),
        Plot.tip(points, Plot.pointer({ x: "x", y: "y", fill: color("paper"), title: (p) => `${readable(p.name)} (${p.kind})\nprojection on the axis ${number(p.axis)}` })),
      ],
    });
    plot.addEventListener("input", () => { if (plot.value) show(model, plot.value); });
    plot.addEventListener("click", () => { if (plot.value) choose(plot.value.name); });
    plot.setAttribute("role", "img");
    const legend = Plot.legend({ color: { ...shared.color, label: "projection on the axis (higher: toward the Assistant)" }, style: { background: "transparent", color: color("ink") }, width: 260 });
    return el("figure", {}, el("figcaption", {}, `${MODELS[model]}, layer ${map.layer}: ${points.length} vectors`), plot, legend);
  }

  /** Choose the outermost roles whose labels do not cover one another. */
  function place(points, x, y, size) {
    const centre = [d3.mean(points, (p) => p.x), d3.mean(points, (p) => p.y)];
    const far = (p) => (p.kind === "default" ? Infinity : Math.hypot(x.apply(p.x) - x.apply(centre[0]), y.apply(p.y) - y.apply(centre[1])));
    const taken = [];
    return d3.sort(points, (p) => -far(p)).filter((p) => {
      const wide = 3.4 * readable(p.name).length + 3;
      const [cx, cy] = [x.apply(p.x), y.apply(p.y) - 11];
      const area = [cx - wide, cx + wide, cy - 8, cy + 8];
      const free = area[0] > 0 && area[1] < size.width && !taken.some((t) => area[0] < t[1] && t[0] < area[1] && area[2] < t[3] && t[2] < area[3]);
      if (free && taken.length < 40) taken.push(area);
      return free && taken.at(-1) === area;
    });
  }

  async function show(model, role) {
    if (panel.dataset.role === role.name) return;
    panel.dataset.role = role.name;
    const said = (await responses(model)).filter((row) => row.arm === "roles" && row.subject === role.name);
    if (panel.dataset.role !== role.name) return;
    const levels = d3.rollups(said.map((row) => Object.values(row.scores.role_adherence ?? {})[0]).filter((v) => v !== undefined), (v) => v.length, (v) => Math.round(v)).sort((a, b) => a[0] - b[0]);
    fill(panel,
      el("h3", {}, readable(role.name)),
      role.about ? el("p", {}, role.about) : null,
      el("p", { class: "how" }, `${role.kind === "default" ? "Default Assistant" : `Vector of ${role.kind} played responses`}; projection on the axis ${number(role.axis)}.`),
      levels.length ? el("p", { class: "how" }, `Role adherence (0 to 3), responses: ${levels.map(([level, n]) => `${level}: ${n}`).join(", ")}.`) : null,
      ...said.slice(0, 2).map((row) => article(row, row.question)),
      el("a", { href: link("responses", { model, arm: "roles", subject: role.name }) }, `All ${said.length} responses`));
  }

  function choose(name) {
    chosen = name;
    search.value = readable(name);
    draw();
    for (const [model, map] of Object.entries(maps)) {
      const role = map.roles.find((one) => one.name === name);
      if (role) { show(model, role); break; }
    }
  }

  function find() {
    const wanted = search.value.trim().toLowerCase();
    const all = Object.values(maps).flatMap((map) => map.roles);
    const role = all.find((one) => readable(one.name).toLowerCase() === wanted);
    if (role) choose(role.name);
  }

  async function start() {
    for (const model of Object.keys(MODELS)) maps[model] = await data(`${model}-map`);
    const first = Object.values(maps)[0];
    const components = d3.range(Math.max(2, d3.max(first.roles, (role) => role.at.length) ?? 2));
    options(horizontal, components, 0, (i) => `component ${+i + 1}`);
    options(vertical, components, 1, (i) => `component ${+i + 1}`);
    vertical.value = "1";
    options(kinds, ["fully", "somewhat", "all"], "fully", (kind) => ({ fully: "fully played", somewhat: "somewhat played", all: "both" })[kind]);
    names.replaceChildren(...unique(first.roles.map((role) => role.name)).sort().map((name) => el("option", { value: readable(name) })));
    for (const control of [horizontal, vertical, kinds]) control.addEventListener("input", draw);
    search.addEventListener("input", find);
    const rows = () => Object.entries(maps).flatMap(([model, map]) => map.roles.map((role) => ({ model, layer: map.layer, role: role.name, kind: role.kind, axis: role.axis, ...Object.fromEntries(role.at.map((v, i) => [`component_${i + 1}`, v])) })));
    box.append(
      el("div", { class: "controls" }, labelled("Across", horizontal), labelled("Up", vertical), labelled("Vectors", kinds), labelled("Find a role", search), names, csvButton("persona_map", rows)),
      el("div", { class: "map-row" }, charts, panel));
    themed(draw);
    addEventListener("resize", draw);
  }

  parts.set("map", (state) => { if (state.role) choose(state.role); });
  box.ready = start();
  box.ready.then(follow);
})();
