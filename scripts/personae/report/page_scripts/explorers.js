"use strict";
// Steering: layer by coefficient. Capping: band by percentile. A cell opens its responses.

(() => {
  function grid(head, down, across, cellOf) {
    const top = el("tr", {}, el("th", { scope: "col" }, head), ...across.map(([words]) => el("th", { scope: "col" }, words)));
    const rows = down.map(([words, a]) => el("tr", {}, el("th", { scope: "row" }, words), ...across.map(([, b]) => el("td", {}, cellOf(a, b)))));
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": head }, el("table", { class: "grid" }, el("thead", {}, top), el("tbody", {}, ...rows)));
  }

  function cell(text, small, ground, words, act) {
    const made = el("button", { type: "button", "aria-label": words, onclick: act }, text, small ? el("small", {}, small) : null);
    paint(made, ground);
    return made;
  }

  function modelSelect(load) {
    const select = el("select");
    options(select, Object.keys(MODELS), Object.keys(MODELS)[0], (name) => MODELS[name]);
    select.addEventListener("input", load);
    return select;
  }

  const shown = (panel, title, rows, href) => fill(panel,
    el("h3", {}, title), rows.length ? null : el("p", { class: "how" }, "No responses of this cell in the page."),
    el("div", { class: "answers wide" }, ...rows.slice(0, 6).map((row) => article(row, row.question))), el("a", { href }, "All responses of this persona"));

  function steering() {
    const box = document.getElementById("steering-app");
    const model = modelSelect(load);
    const trait = el("select", { id: "steering-trait" });
    const rubric = el("select", { id: "steering-rubric" });
    const direction = el("select", { id: "steering-direction" });
    const table = el("div");
    const panel = el("aside", { class: "panel", "aria-live": "polite", id: "steering-panel" });
    let cells = [];

    async function load() {
      cells = (await data(`${model.value}-steering`)).cells;
      options(trait, unique(cells.map((c) => c.trait)), trait.value);
      options(rubric, unique(cells.flatMap((c) => Object.keys(c.scores))).sort().reverse(), rubric.value || "trait");
      options(direction, unique(cells.map((c) => c.direction)), direction.value || "trait", (name) => (name === "trait" ? "trait vector" : readable(name)));
      draw();
    }

    function draw() {
      const own = cells.filter((c) => c.trait === trait.value && (c.direction === direction.value || c.coefficient === 0));
      const layers = unique(own.map((c) => c.layer)).sort(d3.ascending);
      const column = columnOf(own);
      const columns = d3.sort(unique(own.map(column)), (name) => (name.startsWith("dose") ? 1e9 + +name.slice(5) : +name));
      const find = (layer, name) => own.filter((c) => c.layer === layer && column(c) === name).sort((a, b) => (a.sweep === "steering" ? -1 : 1))[0];
      table.replaceChildren(own.length ? grid("layer, coefficient", layers.map((l) => [`layer ${l}`, l]), columns.map((name) => [name.startsWith("dose") ? `${name} of the sweep` : +name ? signed(+name) : "0", name]), (layer, name) => {
        const one = find(layer, name);
        const score = one?.scores[rubric.value];
        if (!score) return el("span", { class: "how" }, "·");
        const [mean, low, high, n] = score;
        const words = `layer ${layer}, coefficient ${number(one.coefficient, 2)}: ${readable(rubric.value)} ${number(mean)}, 95% interval ${bounds(low, high)}, ${n} responses`;
        return cell(number(mean, 0), low === null ? `n ${n}` : bounds(low, high), d3.interpolateBlues(0.05 + (0.9 * mean) / 100), words, () => open(one));
      }) : el("p", { class: "how" }, "This study has not steered."));
    }

    /** Name the column of a cell: its coefficient, or the sweep's dose, which is another one at every layer. */
    function columnOf(own) {
      const swept = own.filter((c) => c.sweep === "layer sweep" && c.coefficient !== 0);
      const ranks = new Map(d3.groups(swept, (c) => c.layer).flatMap(([layer, some]) => d3.sort(unique(some.map((c) => c.coefficient))).map((value, i) => [`${layer} ${value}`, i + 1])));
      const differ = d3.rollups(swept, (some) => unique(some.map((c) => c.coefficient)).length, (c) => ranks.get(`${c.layer} ${c.coefficient}`)).some(([, n]) => n > 1);
      return (c) => (differ && c.sweep === "layer sweep" && c.coefficient !== 0 ? `dose ${ranks.get(`${c.layer} ${c.coefficient}`)}` : String(c.coefficient));
    }

    /** Words for an interval of scores, cut to their scale: few questions give intervals beyond it. */
    const bounds = (low, high) => `${number(Math.max(0, low), 0)}–${number(Math.min(100, high), 0)}`;

    async function open(one) {
      const rows = (await responses(model.value)).filter((row) => (row.arm === one.sweep) && row.subject === one.trait && row.layer === one.layer && row.coefficient === one.coefficient && row.direction === one.direction);
      const scores = Object.entries(one.scores).map(([name, [mean, low, high]]) => `${readable(name)} ${number(mean)}${low === null ? "" : ` [${bounds(low, high)}]`}`).join("; ");
      shown(panel, `${readable(one.trait)}, layer ${one.layer}, coefficient ${number(one.coefficient, 2)}: ${scores}`, rows, link("responses", { model: model.value, arm: one.sweep, subject: one.trait }));
    }

    for (const control of [trait, rubric, direction]) control.addEventListener("input", draw);
    const rows = () => cells.flatMap((c) => Object.entries(c.scores).map(([name, [mean, low, high, n, unscored]]) => ({ trait: c.trait, sweep: c.sweep, direction: c.direction, layer: c.layer, coefficient: c.coefficient, rubric: name, mean, low, high, n, unscored })));
    box.append(el("div", { class: "controls" }, Object.keys(MODELS).length > 1 ? labelled("Model", model) : null, labelled("Trait", trait), labelled("Score", rubric), labelled("Direction", direction), csvButton("steering", rows)), table, panel);
    return load();
  }

  const MEASURES = { roles_played: "role prompts played to the full (share)", jailbreak_played: "persona jailbreaks played to the full (share)", neutral_logprob: "log-probability of neutral answers (nats a token)", closed_accuracy: "accuracy on closed questions" };
  const measureWords = (name) => MEASURES[name] ?? readable(name);

  function capping() {
    const box = document.getElementById("capping-app");
    const model = modelSelect(load);
    const measure = el("select", { id: "capping-measure" });
    const direction = el("select", { id: "capping-direction" });
    const table = el("div");
    const panel = el("aside", { class: "panel", "aria-live": "polite", id: "capping-panel" });
    let cells = [];

    async function load() {
      cells = (await data(`${model.value}-capping`)).cells;
      const measures = unique(cells.map((c) => c.measure));
      options(measure, measures, measure.value || (measures.includes("roles_played") ? "roles_played" : measures[0]), measureWords);
      options(direction, unique(cells.filter((c) => c.direction !== "none").map((c) => c.direction)), direction.value || "axis");
      draw();
    }

    function draw() {
      const own = cells.filter((c) => c.measure === measure.value && c.direction === direction.value && c.percentile !== null);
      const most = d3.max(cells.filter((c) => c.measure === measure.value), (c) => Math.abs(c.change)) || 1;
      const bands = d3.sort(unique(own.map((c) => c.band)), (band) => parseInt(band, 10));
      const percentiles = unique(own.map((c) => c.percentile)).sort(d3.ascending);
      const plain = cells.find((c) => c.measure === measure.value && c.direction === "none");
      table.replaceChildren(
        el("p", { class: "how" }, plain ? `Without capping: ${number(plain.value, 2)} (n ${plain.n}). Cells: change with capping, 95% interval below it.` : ""),
        grid("band, percentile", bands.map((b) => [`layers ${b.replace("-", "–")}`, b]), percentiles.map((p) => [`p${p}`, p]), (band, percentile) => {
          const one = own.find((c) => c.band === band && c.percentile === percentile);
          if (!one) return el("span", { class: "how" }, "·");
          const words = `layers ${band}, percentile ${percentile}: change ${number(one.change, 2)}, 95% interval ${number(one.low, 2)} to ${number(one.high, 2)}`;
          return cell(number(one.change, 2), one.low === null ? "" : `${number(one.low, 2)} to ${number(one.high, 2)}`, d3.interpolatePuOr(0.5 + (0.45 * one.change) / most), words, () => open(one));
        }));
    }

    async function open(one) {
      const rows = (await responses(model.value)).filter((row) => row.arm === "capping" && row.band === one.band && row.percentile === one.percentile && row.direction === one.direction);
      shown(panel, `Layers ${one.band.replace("-", "–")}, p${one.percentile}: ${measureWords(one.measure)} ${number(one.value, 2)}`, rows, link("responses", { model: model.value, arm: "capping" }));
    }

    for (const control of [measure, direction]) control.addEventListener("input", draw);
    box.append(el("div", { class: "controls" }, Object.keys(MODELS).length > 1 ? labelled("Model", model) : null, labelled("Measure", measure), labelled("Direction", direction), csvButton("capping", () => cells)), table, panel);
    return load();
  }

  steering();
  capping();
})();
