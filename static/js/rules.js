/* An app's rules: the jump list marks the part in view, what would happen is asked for again after a change, and what
   could not be saved is not left without a question. */

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

// What was refused stays typed, and a new field is typed before it is there: neither is stored.
const isUnsaved = (field) => {
  const savesItself = field.form.getAttribute("hx-trigger").includes("change");
  return savesItself ? field.value && field.matches("[aria-invalid=true]") : field.value !== field.defaultValue;
};

addEventListener("beforeunload", (event) => {
  const fields = document.querySelectorAll(".cs-rule form[hx-post] :is(textarea, input:not([type]), [type=text])");
  if ([...fields].some(isUnsaved)) event.preventDefault(); // the browser asks, in its own words
});

document.addEventListener("htmx:after:settle", mark);
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.request.method === "POST" && (ctx.response?.status ?? 500) < 300)
    document.getElementById("what-again")?.requestSubmit();
});
