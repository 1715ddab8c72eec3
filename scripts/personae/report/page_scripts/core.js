"use strict";
// Shared by the parts of the page: embedded data, elements, words, colours, links, CSV.

const MODELS = JSON.parse(document.getElementById("models").textContent);

const embedded = new Map();

/** Return a block of the page's own data, unpacked once. */
function data(name) {
  if (!embedded.has(name)) embedded.set(name, unpack(document.getElementById(`data-${name}`).textContent));
  return embedded.get(name);
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Return an element; a property that begins with "on" is a listener, others are attributes. */
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Replace an element's content; what is null is left out. */
function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null));
}

const readable = (slug) => (slug === "default" ? "default Assistant" : slug === "axis" ? "Assistant Axis" : String(slug).replaceAll("_", " "));
const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace(/^-(?=0(\.0+)?$)/, "").replace("-", "−"));
const unique = (values) => [...new Set(values)];
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** Call a function now and whenever light and dark change. */
function themed(draw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return draw();
}

/** Paint an element's ground, with the text colour that has more contrast on it. */
function paint(element, ground) {
  const { r, g, b } = d3.rgb(ground);
  const linear = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  element.style.backgroundColor = ground;
  element.style.color = luminance > 0.18 ? "#111" : "#fff";
}

function options(select, values, chosen, words = readable) {
  select.replaceChildren(...values.map((value) => new Option(words(value), value, false, value === chosen)));
  if (!values.includes(chosen) && values.length) select.value = values[0];
}

function labelled(text, control) {
  return el("label", {}, text, " ", control);
}

// Links: "#part?key=value" opens a part in a state.
const parts = new Map();

function link(part, state) {
  return `#${part}?${new URLSearchParams(Object.entries(state).filter(([, value]) => value !== null && value !== ""))}`;
}

function follow() {
  const [part, state = ""] = decodeURI(location.hash.slice(1)).split("?");
  const open = parts.get(part);
  if (!open || !state) return;
  open(Object.fromEntries(new URLSearchParams(state)));
  document.getElementById(part)?.scrollIntoView({ behavior: "instant" });
}
addEventListener("hashchange", follow);

/** Offer rows as a CSV file; the page makes it, nothing is asked of any server. */
function csvButton(name, rows) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([d3.csvFormat(rows())], { type: "text/csv" }));
    el("a", { href: url, download: `${name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  return el("button", { type: "button", class: "quiet", onclick: save }, "data as CSV");
}

/** Return the responses of a model as records; of some, the projections of the tokens are known. */
const records = new Map();
function responses(model) {
  if (!records.has(model)) {
    const parts = Promise.all([data(`${model}-responses`), data(`${model}-tokens`)]);
    records.set(model, parts.then(([content, tokens]) => asRecords(model, content, tokens.responses)));
  }
  return records.get(model);
}

function asRecords(model, { columns, texts, scores, total }, tokens) {
  const names = Object.keys(columns);
  const rows = (columns.id ?? []).map((_, i) => {
    const row = Object.fromEntries(names.map((name) => [name, columns[name][i]]));
    for (const name of ["system", "inserted", "question"]) row[name] = texts[row[name]];
    row.model = model;
    row.spoken = tokens[`${row.arm}/${row.id}`];
    row.scores = {};
    for (const [rubric, judges] of Object.entries(scores)) {
      for (const [judge, values] of Object.entries(judges)) {
        if (values[i] !== null) (row.scores[rubric] ??= {})[judge] = values[i];
      }
    }
    return row;
  });
  return Object.assign(rows, { total });
}

/** Say under what a response was generated. */
function setting(row) {
  if (row.arm === "capping") return row.direction === "none" ? "plain" : `${row.direction === "axis" ? "capped" : "capped, " + row.direction}, layers ${row.band.replace("-", "–")}, p${row.percentile}`;
  if (row.arm === "steering" || row.arm === "layer sweep") return row.coefficient === 0 ? "plain" : `${row.direction === "trait" ? "steered" : row.direction}, layer ${row.layer}, ${signed(row.coefficient)}`;
  if (row.arm === "harm" && row.band) return `${row.side === "axis" ? "capped" : readable(row.side)}, layers ${row.band.replace("-", "–")}, p${row.percentile}`;
  if (row.arm === "fine-tuning" && row.coefficient) return `${readable(row.side)}, steered ${signed(row.coefficient)}`;
  if (row.arm === "ways of steering" && row.side !== "none") return `${readable(row.side)}, ${signed(row.coefficient)}`;
  if (row.arm === "who are you") return row.coefficient ? `${row.direction === "axis" ? "along the axis" : row.direction}, ${signed(row.coefficient)}` : "plain";
  if (row.side === "shipped") return "as written";
  return ["replayed", "none", "base", ""].includes(row.side) ? "plain" : readable(row.side);
}

const signed = (value) => `${value > 0 ? "+" : "−"}${Math.abs(value)}`;

const largest = (rubric) => (rubric === "role_adherence" ? 3 : 100);

function scoreWords(row) {
  return Object.entries(row.scores).map(([rubric, judges]) => `${readable(rubric)} ${Object.entries(judges).map(([judge, value]) => `${number(value, rubric === "role_adherence" ? 1 : 0)} (${judge})`).join(", ")}`).join("; ");
}

/** Return a response as an article; with a direction (see `token_shading`), tokens are shaded by it. */
function article(row, title, direction = null) {
  const about = [scoreWords(row), row.projection === null ? "" : `projection ${number(row.projection)}`].filter(Boolean).join("; ");
  return el("div", { class: `answer ${setting(row) === "plain" ? "plain" : "treated"}` }, el("h4", {}, title ?? setting(row)), el("blockquote", {}, ...said(row, direction)), about ? el("p", { class: "score" }, about) : null);
}

function said(row, direction) {
  const values = direction && row.spoken?.values[direction.name];
  if (!values) return [row.text || "(empty)"];
  return row.spoken.tokens.map((text, i) => {
    const strength = Math.max(-1, Math.min(1, (values[i] - direction.middle) / direction.spread));
    const token = el("span", { class: "token", title: `${readable(direction.name)} ${number(values[i], 2)}` }, text);
    token.style.backgroundColor = shade(strength);
    return token;
  });
}

/** Colour of a token: blue is further along the direction, vermilion less far; -1 to 1. */
const shade = (strength) => `rgb(${strength > 0 ? "11 92 158" : "196 80 12"} / ${(0.5 * Math.abs(strength)).toFixed(2)})`;
