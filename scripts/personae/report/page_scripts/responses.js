"use strict";
// All responses: search, and filter by arm, persona, score and disagreement of judges.

(() => {
  const PAGE = 12;
  const box = document.getElementById("responses-app");
  const model = el("select", { id: "responses-model" });
  const arm = el("select", { id: "responses-arm" });
  const subject = el("select", { id: "responses-subject" });
  const rubric = el("select", { id: "responses-rubric" });
  const low = el("input", { type: "number", id: "responses-low", step: "any" });
  const high = el("input", { type: "number", id: "responses-high", step: "any" });
  const apart = el("input", { type: "range", min: "0", max: "100", value: "0", id: "responses-apart" });
  const search = el("input", { type: "search", id: "responses-search", placeholder: "words in question or response" });
  const count = el("p", { class: "how", role: "status", id: "responses-count" });
  const list = el("div", { class: "answers wide", id: "responses-list" });
  const more = el("button", { type: "button" }, "more");
  let rows = [], found = [], shown = PAGE, only = "";

  const any = (values) => ["any", ...values];

  async function load(state = {}) {
    rows = await responses(model.value);
    // What a link chose stays, should the load that began before it end after it.
    options(arm, any(unique(rows.map((row) => row.arm))), state.arm ?? (arm.value || "any"));
    options(rubric, any(unique(rows.flatMap((row) => Object.keys(row.scores)))), state.rubric ?? (rubric.value || "any"));
    narrow(state);
  }

  function narrow(state = {}) {
    const here = rows.filter((row) => arm.value === "any" || row.arm === arm.value);
    options(subject, any(unique(here.map((row) => row.subject)).sort()), state.subject ?? (subject.value || "any"));
    filter();
  }

  const primary = (row) => Object.values(row.scores[rubric.value] ?? {})[0];

  /** Largest difference of two judges on one rubric, as a share of its scale. */
  function disagreement(row) {
    const shares = Object.entries(row.scores).map(([name, judges]) => (d3.max(Object.values(judges)) - d3.min(Object.values(judges))) / largest(name));
    return d3.max(shares) ?? 0;
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const bounds = [low.value === "" ? -Infinity : +low.value, high.value === "" ? Infinity : +high.value];
    const least = apart.value / 100;
    found = rows.filter((row) => (!only || row.arm + "/" + row.id === only)
      && (arm.value === "any" || row.arm === arm.value)
      && (subject.value === "any" || row.subject === subject.value)
      && (rubric.value === "any" || (primary(row) !== undefined && primary(row) >= bounds[0] && primary(row) <= bounds[1]))
      && (!least || disagreement(row) >= least)
      && words.every((word) => `${row.question} ${row.text}`.toLowerCase().includes(word)));
    shown = PAGE;
    draw();
  }

  function draw() {
    list.replaceChildren(...found.slice(0, shown).map(card));
    more.hidden = shown >= found.length;
    const left = rows.total > rows.length ? ` (of ${rows.total.toLocaleString("en")} in the study; the first of every persona are in the page)` : "";
    count.textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} responses${left}`;
  }

  function card(row) {
    const made = article(row, `${row.arm}: ${readable(row.subject)}${setting(row) === "plain" ? "" : ", " + setting(row)}`);
    const system = row.system || (row.inserted ? `(inserted by the chat template) ${row.inserted}` : "none");
    made.querySelector("h4").after(el("p", { class: "prompt" }, el("span", {}, `System: ${system}`), row.question));
    made.append(el("a", { href: link("responses", { model: row.model, id: `${row.arm}/${row.id}` }), class: "quiet" }, "link"));
    return made;
  }

  for (const control of [search, low, high, apart, rubric, subject]) control.addEventListener("input", () => { only = ""; filter(); });
  arm.addEventListener("input", () => { only = ""; narrow(); });
  model.addEventListener("input", () => { only = ""; load(); });
  more.addEventListener("click", () => { shown += PAGE; draw(); });

  options(model, Object.keys(MODELS), Object.keys(MODELS)[0], (name) => MODELS[name]);
  box.append(
    el("div", { class: "controls" },
      Object.keys(MODELS).length > 1 ? labelled("Model", model) : null,
      labelled("Arm", arm), labelled("Persona", subject), labelled("Score", rubric),
      labelled("from", low), labelled("to", high), labelled("Judges differ by at least (% of the scale)", apart), labelled("Search", search)),
    count, list, more);

  parts.set("responses", (state) => {
    if (state.model) model.value = state.model;
    only = state.id ?? "";
    search.value = state.search ?? "";
    load(state);
  });
  // The responses are unpacked when the reader comes near them.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    if (!rows.length) load();
  }, { rootMargin: "600px" }).observe(box);
})();
