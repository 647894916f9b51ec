/* What failed is said beside what was pressed. */

// Where a setting says what is wrong with it.
const PLACES = "li, td, fieldset:not(.cs-seg), form:not(.cs-inline), .cs-gap, .cs-set, .cs-set-block, .cs-field-body";

// A form that is saved where it stands. The one of a dragged line is never seen.
const isSetting = (form) =>
  Boolean(form?.isConnected && form.matches("form[method=post][hx-trigger]:not([hidden])") && !openDialog());

// What was pressed or changed.
const controlOf = ({ sourceElement, sourceEvent: event }) =>
  event?.submitter ?? (event?.type === "change" ? event.target : sourceElement);

// `what` is a sentence of ours, and `then` what to do next; the server's own sentence has both.
const failed = (ctx, what, then = "") => {
  const kept = then && `${what} Your text is still here. ${then}`;
  if (!isSetting(ctx.sourceElement)) return complain(kept || what);
  const control = controlOf(ctx);
  const place = control.closest(PLACES) ?? ctx.sourceElement;
  place.querySelector(".cs-failed")?.remove();
  const line = byId("failed").content.firstElementChild.cloneNode(true);
  // A switch is pressed again, and a file is chosen again; words would have to be others first.
  const retry = line.querySelector("button");
  const typed = ctx.sourceEvent?.type === "change" && control.matches("textarea, input:not([type])");
  if (typed) retry.dataset.retry = control.id;
  else retry.remove();
  const words = typed || !then ? kept || what : `${what} ${then}`;
  line.querySelector("span").textContent = words;
  place.append(line);
  putBack(control);
  say(words);
};

document.addEventListener("click", ({ target }) => {
  const field = target.closest("[data-retry]") && byId(target.closest("[data-retry]").dataset.retry);
  field?.focus();
  if (field) tell(field, "change");
});
