/* Keys that lead somewhere, the reason of a denial, and the theme. */

// Deny unfolds its reason: that is where the eye and the keyboard go next. An answer that comes with the reason
// unfolded says itself what to look at.
document.addEventListener("toggle", ({ target }) => {
  if (!target.matches?.("details.cs-deny[open]") || target.closest("form").querySelector("[autofocus]")) return;
  target.querySelector("textarea")?.focus();
}, true);

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-theme-form]") || !event.submitter) return;
  const theme = event.submitter.value;
  if (theme) document.documentElement.dataset.bsTheme = theme;
  else delete document.documentElement.dataset.bsTheme;
  for (const button of event.target.querySelectorAll("[aria-pressed]"))
    button.setAttribute("aria-pressed", String(button === event.submitter));
});

// "/" leads to the search of the page, where there is one and nothing is being typed.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || openDialog()) return;
  const search = document.querySelector("[data-slash]");
  if (!search || event.target.closest("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  search.focus();
  search.select();
});

// Ctrl-K, or Cmd-K, opens the search of everything.
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || event.ctrlKey === event.metaKey || event.altKey || event.shiftKey) return;
  const find = document.querySelector("[data-find]");
  if (!find || openDialog()) return;
  event.preventDefault();
  find.click();
});
