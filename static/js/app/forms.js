/* Counters, filters, forms that send themselves, and files that are too large. */

document.addEventListener("click", (event) => {
  const close = event.target.closest("[data-close]");
  const dialog = close?.closest("dialog");
  if (dialog?.matches(":modal") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    dialog.close();
  }
  event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove();
});

const count = (field) => {
  const counter = byId(field.dataset.count);
  const format = (n) => n.toLocaleString("en");
  if (counter) counter.textContent = `${format(field.value.length)} of ${format(field.maxLength)}`;
};

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-count]")) count(event.target);
});

// The results are loaded anew without the filters, whose fold says how many of them are set.
document.addEventListener("input", ({ target }) => {
  const fold = target.closest(".cs-more-filters");
  if (!fold) return;
  const set = [...fold.querySelectorAll("input, select")].filter((field) => field.value.trim()).length;
  fold.querySelector("[data-filters-set]").textContent = set ? `${set} set` : "";
});

document.addEventListener("change", (event) => {
  if (event.target.form?.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

// Of a file that is too large only as much is sent as shows that: the server says it beside the control.
document.addEventListener("change", (event) => {
  const { files, dataset } = event.target;
  if (!dataset.max || !files?.[0] || files[0].size <= Number(dataset.max)) return;
  const cut = new DataTransfer();
  cut.items.add(new File([files[0].slice(0, Number(dataset.max) + 1)], files[0].name));
  event.target.files = cut.files;
}, true);
