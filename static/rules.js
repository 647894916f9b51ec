/* An app's rules: the jump list marks the part in view, and what would happen is asked for again after a change. */

(() => {
  "use strict";

  let current = "";

  const mark = () => {
    if (!current) return;
    for (const link of document.querySelectorAll(".cs-jump a")) {
      if (link.hash !== `#${current}`) link.removeAttribute("aria-current");
      else {
        link.setAttribute("aria-current", "true");
        // On a phone it is one of a row of tabs.
        const row = link.closest("ul");
        row.scrollLeft = link.offsetLeft - row.clientWidth / 2 + link.offsetWidth / 2;
      }
    }
  };

  // The part that crosses a line below the top bar is the one that is read.
  const observer = new IntersectionObserver((entries) => {
    const seen = entries.find((entry) => entry.isIntersecting);
    if (!seen) return;
    current = seen.target.id;
    mark();
  }, { rootMargin: "-30% 0px -69% 0px" });
  document.querySelectorAll(".cs-rulepart").forEach((part) => observer.observe(part));

  document.addEventListener("htmx:after:settle", mark);
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    if (ctx.request.method === "POST" && (ctx.response?.status ?? 500) < 300)
      document.getElementById("what-again")?.requestSubmit();
  });
})();
