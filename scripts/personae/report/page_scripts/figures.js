"use strict";
// Figures: groups open for a link into them, a figure can be enlarged, and a narrow page stacks its panels.

(() => {
  /** Return a part of a picture, as wide as the page; the picture's data are not copied. */
  function crop(image, [left, top, right, bottom]) {
    const [wide, high] = [right - left, bottom - top];
    const part = el("img", { src: image.src, alt: "" });
    part.style.cssText = `width: ${100 / wide}%; left: ${(-100 * left) / wide}%; top: ${(-100 * top) / high}%`;
    const frame = el("span", { class: "crop" }, part);
    frame.style.aspectRatio = (image.naturalWidth * wide) / (image.naturalHeight * high);
    if (wide > 0.6) frame.style.width = "34rem"; // too wide to be read on a phone: the picture scrolls
    return frame;
  }

  async function stack(image) {
    await image.decode();
    const regions = image.dataset.regions.split(" ").map((region) => region.split(",").map(Number));
    if (regions.length < 2 || image.parentElement.querySelector(".crops")) return;
    image.after(el("span", { class: "crops", role: "img", "aria-label": image.alt }, ...regions.map((region) => crop(image, region))));
  }

  /** Open what a link leads into. */
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const group = target?.closest("details:not(.claim)");
    if (!group || group === target) return;
    group.open = true;
    target.scrollIntoView({ behavior: "instant" });
    // The interactive parts above it grow when their data are unpacked.
    addEventListener("load", () => setTimeout(() => target.scrollIntoView({ behavior: "instant" }), 500), { once: true });
  }
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => { for (const group of document.querySelectorAll(".figure-group")) group.open = true; });
  reveal();

  for (const figure of document.querySelectorAll(".figures figure")) {
    const words = () => (figure.classList.contains("wide") ? "smaller" : "enlarge");
    const button = el("button", { type: "button", class: "quiet enlarge", onclick: () => { figure.classList.toggle("wide"); button.textContent = words(); } }, words());
    figure.querySelector("figcaption").append(button);
  }

  const narrow = matchMedia("(max-width: 48rem)");
  const adapt = () => { if (narrow.matches) for (const image of document.querySelectorAll("img[data-regions]")) stack(image); };
  narrow.addEventListener("change", adapt);
  adapt();
})();
