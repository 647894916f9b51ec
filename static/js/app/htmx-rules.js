/* Where answers go, and what happens around them. */

document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.target?.id === "dialog") openedBy(ctx);
});

// A password is asked for before something is done: its dialog sends all of it once more, in place of this form.
const keepRules = (ctx) => {
  const { sourceElement: source } = ctx;
  if (!source.matches("[data-again]")) asked = ctx;
  const chosen = [...(source.elements ?? [])].filter((field) => field.type === "file");
  files = Object.fromEntries(chosen.map((field) => [field.name, field.files]));
  rules = [...source.attributes].filter(({ name }) => /^hx-(target|swap|status)/.test(name));
};

const followRules = (dialog) => {
  const form = dialog.querySelector("[data-again]");
  if (!form) return;
  for (const { name, value } of rules) form.setAttribute(name, value);
  for (const field of form.querySelectorAll("[type=file]")) if (files[field.name]) field.files = files[field.name];
};

// htmx swaps whatever comes. Our own errors say where they belong (HX-Retarget); anything else
// that failed is not ours, a proxy's page for one, and what people typed stays where it is.
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  const status = ctx.response?.status ?? 200;
  const wholePage = /^\s*<(!doctype|html)\b/i.test(ctx.text ?? "");
  if (!ctx.hx?.retarget && (status >= 500 || (status >= 400 && wholePage))) {
    event.preventDefault();
    failed(ctx, "Something went wrong.", "Try again.");
    return;
  }
  // Our own sentence about it comes as a toast, for where there is no better place.
  if (status >= 400 && ctx.hx?.retarget === "#toasts" && isSetting(ctx.sourceElement)) {
    const toast = new DOMParser().parseFromString(ctx.text, "text/html").querySelector("[data-toast]");
    event.preventDefault();
    failed(ctx, toast.dataset.say);
    return;
  }
  // Where the server says that an answer belongs wins over the form's hx-status rules.
  const main = tasks.find((task) => task.type === "main");
  if (main && ctx.hx?.retarget) {
    ctx.target = main.target = element(ctx.hx.retarget);
    if (ctx.hx.reswap) main.swapSpec = ctx.hx.reswap;
  }
  if (ctx.hx?.retarget === "#dialog") {
    openedBy(ctx);
    if (status === 401 || status === 429) keepRules(ctx);
  }
  const target = element(ctx.target);
  ctx.heldFocus = target?.id && target.contains(document.activeElement) && [target.id, document.activeElement.id];
  ctx.carried = ctx.request.method === "POST" ? tasks.flatMap((task) => carry(task, ctx)) : [];
  ctx.leaves = target?.closest("#dialog") ? null : ctx.sourceElement?.closest?.("#dialog dialog");
  ctx.done = status < 300 || Boolean(ctx.sourceElement?.matches?.("[data-again]"));
  if (ctx.done && target?.id === "toasts") ctx.leaves?.close("done");
  for (const task of tasks) {
    // While a dialog is open its own toasts are the only ones that can be seen and pressed.
    if (status >= 300 && element(task.target)?.id === "toasts") task.target = toastHost();
  }
});

document.addEventListener("htmx:after:settle", (event) => {
  const { task, newContent } = event.detail;
  const dialog = task.target?.id === "dialog" && task.target.querySelector("dialog:not([open])");
  if (dialog) {
    followRules(dialog);
    show(dialog);
  }
  watchToasts();
  if (task.target?.id === "decision" || byId("decision")?.matches("[data-locked]")) mindDraft();
  queueMicrotask(() => sayWhatArrived(newContent));
});

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  const status = ctx.response?.status ?? 200;
  const target = element(ctx.target);
  if (ctx.done && ctx.leaves?.isConnected) ctx.leaves.close("done");
  const carried = ctx.carried ?? [];
  saveCarried(carried);
  // Who types on is not taken away from there, and what is wrong may be right by now.
  const goesOn = carried.some((field) => field === document.activeElement || field.matches("[aria-invalid=true]"));
  if (status === 422 && !goesOn) focusFirstError(target?.isConnected ? target : byId(target?.id) ?? document);
  if (ctx.heldFocus) setTimeout(() => keepPlace(...ctx.heldFocus));
});

// The control that was pressed may be gone: whoever works by keyboard stays where it was.
const keepPlace = (place, id) => {
  const root = byId(place);
  if (!root || (document.activeElement && document.activeElement !== document.body)) return;
  const next = byId(id)?.closest("details")?.querySelector("summary") ?? reachableIn(root) ?? root;
  if (next === root) root.tabIndex = -1;
  next.focus({ preventScroll: true });
};

document.addEventListener("htmx:error", (event) => {
  const { ctx, error } = event.detail;
  if (!ctx?.request || ctx.text !== undefined || error?.name === "AbortError") return;
  failed(ctx, "Cannot reach the server.", "Check your connection and try again.");
});
