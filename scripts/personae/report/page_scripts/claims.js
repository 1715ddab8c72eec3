"use strict";
// The scorecard: filter by verdict, search, and links that open a claim.

(() => {
  const claims = [...document.querySelectorAll("#scorecard details.claim")];
  const search = document.getElementById("claim-search");
  const count = document.getElementById("claim-count");
  const verdicts = [...document.querySelectorAll("input[name=verdict]")];

  function filter() {
    const verdict = verdicts.find((input) => input.checked).value;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const claim of claims) {
      const text = claim.textContent.toLowerCase();
      claim.hidden = !((verdict === "all" || claim.dataset.verdict === verdict) && words.every((word) => text.includes(word)));
      shown += !claim.hidden;
    }
    for (const group of document.querySelectorAll("#scorecard .claims")) {
      group.hidden = ![...group.querySelectorAll("details.claim")].some((claim) => !claim.hidden);
    }
    count.textContent = `${shown} of ${claims.length}`;
  }

  function openClaim() {
    const claim = location.hash.startsWith("#claim-") ? document.getElementById(location.hash.slice(1)) : null;
    if (!claim) return;
    claim.open = true;
    if (claim.hidden) {
      verdicts[0].checked = true;
      search.value = "";
      filter();
    }
    claim.scrollIntoView({ behavior: "instant" });
  }

  for (const input of verdicts) input.addEventListener("change", filter);
  search.addEventListener("input", filter);
  for (const button of document.querySelectorAll("button[data-show-verdict]")) {
    button.addEventListener("click", () => {
      document.getElementById(`show-${button.dataset.showVerdict}`).checked = true;
      filter();
      document.getElementById("scorecard").scrollIntoView({ behavior: "instant" });
    });
  }
  addEventListener("hashchange", openClaim);
  addEventListener("beforeprint", () => { for (const claim of claims) claim.open = true; });
  filter();
  openClaim();
})();
