"use strict";
// The same question or conversation under several interventions, turn by turn.

(() => {
  const box = document.getElementById("transcripts-app");
  const model = el("select", { id: "transcripts-model" });
  const arm = el("select", { id: "transcripts-arm" });
  const which = el("select", { id: "transcripts-case" });
  const settings = el("fieldset", { class: "checks" });
  const plot = el("div", { class: "drift-plot" });
  const turns = el("div", { id: "transcripts-turns" });
  const permalink = el("a", { class: "quiet" }, "link to this transcript");
  let rows = [];

  const ARMS = ["conversations", "simulated conversations", "steering", "capping", "layer sweep"];

  async function load(state = {}) {
    rows = await responses(model.value);
    options(arm, ARMS.filter((name) => rows.some((row) => row.arm === name)), state.arm ?? arm.value);
    cases(state);
  }

  function cases(state = {}) {
    const own = rows.filter((row) => row.arm === arm.value);
    options(which, unique(own.map((row) => row.case)), state.case ?? which.value, (name) => readable(name).replaceAll("/", ": "));
    columns();
  }

  const here = () => rows.filter((row) => row.arm === arm.value && row.case === which.value);

  function columns() {
    const found = unique(d3.sort(here(), (row) => (setting(row) === "plain" ? -1 : row.direction?.startsWith("random") ? 1 : 0)).map(setting));
    const own = found.filter((name) => !name.includes("random"));
    const first = arm.value.includes("conversations") ? found : [own[0], own.find((name) => name.includes("−")), own.findLast((name) => name !== "plain")];
    settings.replaceChildren(el("legend", {}, "Compare"), ...found.map((name) => el("label", {}, el("input", { type: "checkbox", value: name, checked: first.includes(name), onchange: draw }), ` ${name}`)));
    draw();
  }

  function draw() {
    const wanted = [...settings.querySelectorAll("input:checked")].map((input) => input.value);
    const own = here();
    const numbers = unique(own.map((row) => row.turn ?? 0)).sort(d3.ascending);
    turns.replaceChildren(...numbers.map((turn) => {
      const at = own.filter((row) => (row.turn ?? 0) === turn);
      const answers = wanted.map((name) => at.find((row) => setting(row) === name)).filter(Boolean);
      if (!answers.length) return null;
      const { system, inserted, question } = answers[0];
      const asked = system || inserted;
      return el("section", { class: "transcript" },
        turn === numbers[0] && asked ? el("p", { class: "prompt" }, el("span", {}, system ? "System prompt" : "System prompt, inserted by the chat template"), asked) : null,
        el("p", { class: "prompt" }, el("span", {}, numbers.length > 1 ? `User, turn ${turn + 1}` : "User"), question),
        el("div", { class: "answers" }, ...answers.map((row) => article(row))));
    }).filter(Boolean));
    drawPlot(own.filter((row) => wanted.includes(setting(row)) && row.projection !== null));
    permalink.href = link("transcripts", { model: model.value, arm: arm.value, case: which.value });
  }

  function drawPlot(own) {
    if (!own.length) { plot.replaceChildren(); return; }
    const points = own.map((row) => ({ turn: row.turn + 1, projection: row.projection, setting: setting(row) }));
    const names = d3.sort(unique(points.map((p) => p.setting)), (name) => (name === "plain" ? 0 : 1));
    plot.replaceChildren(
      el("p", { class: "how" }, "Projection of each answer on the Assistant Axis at the middle layer (higher: toward the Assistant)."),
      Plot.plot({
        width: Math.min(640, box.clientWidth || 360), height: 200, marginLeft: 46,
        style: { background: "transparent", color: color("ink"), fontSize: "12px" },
        x: { label: "turn", ticks: unique(points.map((p) => p.turn)), tickFormat: "d" }, y: { grid: true, label: "projection" },
        color: { domain: names, range: [color("muted"), color("accent"), "#b4480f", "#8a6cc0", "#00805a"], legend: true },
        marginBottom: 40,
        marks: [Plot.line(points, { x: "turn", y: "projection", stroke: "setting" }), Plot.dot(points, { x: "turn", y: "projection", stroke: "setting", symbol: "setting", title: (p) => `turn ${p.turn}, ${p.setting}: ${number(p.projection)}` })],
      }));
  }

  options(model, Object.keys(MODELS), Object.keys(MODELS)[0], (name) => MODELS[name]);
  model.addEventListener("input", () => load());
  arm.addEventListener("input", () => cases());
  which.addEventListener("input", columns);
  box.append(el("div", { class: "controls" }, Object.keys(MODELS).length > 1 ? labelled("Model", model) : null, labelled("Kind", arm), labelled("Transcript", which), permalink), settings, plot, turns);
  parts.set("transcripts", (state) => { if (state.model) model.value = state.model; load(state); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (rows.length) draw(); });
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    if (!rows.length) load();
  }, { rootMargin: "600px" }).observe(box);
})();
follow();
