"use strict";
// The same question or conversation under several interventions, turn by turn, shaded by token.

(() => {
  const box = document.getElementById("transcripts-app");
  const model = el("select", { id: "transcripts-model" });
  const arm = el("select", { id: "transcripts-arm" });
  const which = el("select", { id: "transcripts-case" });
  const along = el("select", { id: "transcripts-shade" });
  const settings = el("fieldset", { class: "checks" });
  const plot = el("aside", { class: "drift-plot" });
  const turns = el("div", { id: "transcripts-turns" });
  const permalink = el("a", { class: "quiet" }, "link to this transcript");
  const key = el("p", { class: "how", id: "transcripts-key" });
  const NONE = "none";
  let rows = [], directions = [];

  const ARMS = ["case studies", "conversations", "simulated conversations", "steering", "capping", "harm", "ways of steering", "who are you", "fine-tuning", "layer sweep"];
  const COLORS = ["muted", "accent", "persona", "plum", "good", "open"];

  async function load(state = {}) {
    rows = await responses(model.value);
    directions = (await data(`${model.value}-tokens`)).directions;
    options(arm, ARMS.filter((name) => rows.some((row) => row.arm === name)), state.arm ?? arm.value, (name) => name);
    cases(state);
  }

  function cases(state = {}) {
    const own = rows.filter((row) => row.arm === arm.value);
    const known = own.filter((row) => row.spoken), others = own.filter((row) => !row.spoken);
    options(which, unique([...known, ...others].map((row) => row.case)), state.case ?? which.value, (name) => readable(name).replaceAll("/", ": "));
    columns(state);
  }

  const here = () => rows.filter((row) => row.arm === arm.value && row.case === which.value);
  const direction = () => directions.find((one) => one.name === along.value) ?? null;

  function columns(state = {}) {
    const own = here();
    const found = unique(d3.sort(own, (row) => (setting(row) === "plain" ? -1 : row.direction?.startsWith("random") ? 1 : 0)).map(setting));
    settings.replaceChildren(el("legend", {}, "Compare"), ...found.map((name) => el("label", {}, el("input", { type: "checkbox", value: name, checked: firstShown(found).includes(name), onchange: draw }), ` ${name}`)));
    const names = own.some((row) => row.spoken) ? directions.map((one) => one.name) : [];
    const trait = names.includes(own[0]?.subject) ? own[0].subject : names[0];
    options(along, [...names, NONE], state.shade ?? trait ?? NONE, (name) => (name === NONE ? "nothing" : readable(name)));
    draw();
  }

  /** Of conversations all settings are shown at first, of others the plain one and the two ends. */
  function firstShown(found) {
    const own = found.filter((name) => !name.includes("random"));
    if (["case studies", "conversations", "simulated conversations"].includes(arm.value)) return own.slice(0, 3);
    return [own[0], own.find((name) => name.includes("−")), own.findLast((name) => name !== "plain")];
  }

  function draw() {
    const wanted = [...settings.querySelectorAll("input:checked")].map((input) => input.value);
    const own = here();
    const numbers = unique(own.map((row) => row.turn ?? 0)).sort(d3.ascending);
    turns.replaceChildren(...numbers.map((turn) => {
      const at = own.filter((row) => (row.turn ?? 0) === turn);
      const answers = wanted.map((name) => at.find((row) => setting(row) === name)).filter(Boolean);
      return answers.length ? section(answers, turn, turn === numbers[0], numbers.length > 1) : null;
    }).filter(Boolean));
    const shown = direction();
    fill(key, ...(shown ? legend(shown) : [""]));
    drawPlot(own.filter((row) => wanted.includes(setting(row))), numbers.length > 1, wanted);
    permalink.href = link("transcripts", { model: model.value, arm: arm.value, case: which.value, shade: along.value });
  }

  function section(answers, turn, first, several) {
    const { system, inserted, question } = answers[0];
    const asked = system || inserted;
    return el("section", { class: "transcript" },
      first && asked ? el("p", { class: "prompt" }, el("span", {}, system ? "System prompt" : "System prompt, inserted by the chat template"), asked) : null,
      el("p", { class: "prompt" }, el("span", {}, several ? `User, turn ${turn + 1}` : "User"), question),
      el("div", { class: "answers" }, ...answers.map((row) => article(row, setting(row), direction()))));
  }

  function legend({ name, layer, middle, spread }) {
    const bar = el("span", { class: "shades" }, ...[-1, -0.5, 0, 0.5, 1].map((strength) => {
      const one = el("span", { class: "token" }, number(middle + strength * spread));
      one.style.backgroundColor = shade(strength);
      return one;
    }));
    return [`Token shading: projection on ${name === "axis" ? "the Assistant Axis" : `the trait vector ${readable(name)}`} at layer ${layer}, read without intervention. `, bar, ` Blue is ${name === "axis" ? "toward the Assistant" : "toward the trait"}.`];
  }

  /** Points to draw: a turn is the mean of its tokens, a single answer is drawn token by token. */
  function series(own, several) {
    const name = along.value;
    if (!several) return own.flatMap((row) => (row.spoken?.values[name] ?? []).map((value, i) => ({ at: i + 1, value, setting: setting(row) })));
    return own.map((row) => ({ at: row.turn + 1, value: row.spoken?.values[name] ? d3.mean(row.spoken.values[name]) : name === "axis" || name === NONE ? row.projection : null, setting: setting(row) })).filter((p) => p.value !== null && p.value !== undefined);
  }

  function drawPlot(own, several, wanted) {
    const points = series(own, several);
    if (!points.length) { plot.replaceChildren(); return; }
    const names = wanted.filter((name) => points.some((p) => p.setting === name));
    const width = Math.max(260, Math.min(380, plot.clientWidth || 340));
    plot.replaceChildren(
      el("p", { class: "how" }, `Projection of each ${several ? "answer" : "token"} on ${along.value === NONE ? "the Assistant Axis" : readable(along.value)}`),
      Plot.plot({
        width, height: 230, marginLeft: 44, marginBottom: 36,
        style: { background: "transparent", color: color("ink"), fontSize: "12px" },
        x: { label: several ? "turn" : "token", ticks: several ? unique(points.map((p) => p.at)) : 5, tickFormat: "d" }, y: { grid: true, label: "projection" },
        color: { domain: names, range: COLORS.map(color), legend: true },
        symbol: { domain: names },
        marks: [Plot.line(points, { x: "at", y: "value", stroke: "setting", strokeWidth: several ? 1.8 : 1.2 }), several ? Plot.dot(points, { x: "at", y: "value", stroke: "setting", symbol: "setting", title: (p) => `turn ${p.at}, ${p.setting}: ${number(p.value)}` }) : null],
      }));
  }

  options(model, Object.keys(MODELS), Object.keys(MODELS)[0], (name) => MODELS[name]);
  model.addEventListener("input", () => load());
  arm.addEventListener("input", () => cases());
  which.addEventListener("input", () => columns());
  along.addEventListener("input", draw);
  box.append(
    el("div", { class: "controls" }, Object.keys(MODELS).length > 1 ? labelled("Model", model) : null, labelled("Kind", arm), labelled("Transcript", which), labelled("Shade tokens by", along), permalink),
    settings, key, el("div", { class: "spoken-row" }, turns, plot));
  parts.set("transcripts", (state) => { if (state.model) model.value = state.model; load(state); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (rows.length) draw(); });
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    if (!rows.length) load();
  }, { rootMargin: "600px" }).observe(box);
})();
follow();
