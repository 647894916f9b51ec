/* Lists that are put in order by dragging. Up and Down beside each line do the same without this.
   <ol data-sort="form"> holds lines with data-id; `form` names the form that takes the whole order. */

const byId = (id) => document.getElementById(id);
let before = null; // the list that is being saved: { form, sorter, order }

const prepare = () => {
  for (const list of document.querySelectorAll("[data-sort]")) {
    if (Sortable.get(list)) continue;
    for (const grip of list.querySelectorAll(".cs-grip[hidden]")) grip.hidden = false;
    let order = [];
    const sorter = Sortable.create(list, {
      dataIdAttr: "data-id",
      draggable: "[data-id]",
      handle: ".cs-grip",
      ghostClass: "is-ghost",
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
      // The browser's own dragging knows no touch, and draws half of a line.
      forceFallback: true,
      fallbackTolerance: 3,
      onChoose: () => (order = sorter.toArray()), // before its shadow is among the lines
      onEnd: ({ item }) => save(list.dataset.sort, sorter, order, item),
    });
  }
};

const save = (id, sorter, order, item) => {
  const wanted = sorter.toArray().join(" ");
  if (wanted === order.join(" ")) return;
  const form = byId(id);
  form.elements.order.value = wanted;
  form.elements.moved.value = item.dataset.id;
  before = { form, sorter, order };
  // htmx gives the focus back to what has the same id in the answer.
  item.querySelector("summary, [data-move]:not(:disabled)")?.focus({ preventScroll: true });
  form.requestSubmit();
};

// What is not in our answer was not saved: the lines go back to where they were.
const restore = (form) => {
  if (!before || before.form !== form) return;
  before.sorter.sort(before.order);
  before = null;
};

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  if (event.defaultPrevented || ctx.hx?.retarget) restore(ctx.sourceElement);
});
document.addEventListener("htmx:error", (event) => restore(event.detail.ctx?.sourceElement));
document.addEventListener("htmx:after:settle", prepare);
// In a summary a press on the grip would open what is being moved.
document.addEventListener("click", (event) => {
  if (event.target.closest?.(".cs-grip")) event.preventDefault();
});
prepare();
