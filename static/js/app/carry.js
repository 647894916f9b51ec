/* What was typed meanwhile: an answer takes the place of a part of the page. What is typed there and was not sent
   stays, and is saved as if it had just been changed: it was typed while the request was on its way, or stands in
   another form than was sent. */

const onTheirWay = new Set(); // what htmx keeps of each request
const unsaved = new WeakSet(); // fields that are saved when they are left, as nothing more may be typed there

const isField = (element) =>
  element.matches("textarea, select, input:not([type=hidden], [type=file], [type=password])");
const valueOf = (field) => (isBox(field) ? field.checked : field.value);
// A field without an id is known by what holds it.
const placeOf = (field) => field.closest("[id]")?.id;
const nameOf = (field) => [placeOf(field), field.name, isBox(field) && field.value].join(" ");

const drawnValueOf = (field) => {
  if (isBox(field)) return field.defaultChecked;
  if (field.options) return ([...field.options].find((one) => one.defaultSelected) ?? field.options[0])?.value;
  return field.defaultValue;
};

// What was refused was not saved either. (Where it would be sent again, it would be refused again, and again.)
const wasRefused = ({ form }) => !savesItself(form) && form?.querySelector("[aria-invalid=true]");

const twinOf = (field, root) => {
  const place = root.querySelector(`#${CSS.escape(placeOf(field))}`);
  const box = isBox(field) ? `[value="${CSS.escape(field.value)}"]` : "";
  const twin = field.id ? place : (place ?? root).querySelector(`[name="${CSS.escape(field.name)}"]${box}`);
  return twin?.name === field.name ? twin : null;
};

const write = (value, twin, field) => {
  if (isBox(twin)) return (twin.checked = value);
  const found = !twin.options || [...twin.options].some((option) => option.value === value);
  // Of very many people a select holds only some: the one that was found and chosen is put among them.
  if (!found && byId(`${field.id}-q`)) twin.append(field.selectedOptions[0].cloneNode(true));
  else if (!found) return;
  twin.value = value;
};

// Writes what is unsaved in the target into what takes its place; returns those fields.
const carry = ({ target, fragment }, { sent, sourceElement }) => {
  const old = element(target);
  if (!old) return [];
  for (const details of old.querySelectorAll("details[open][id]")) {
    const twin = fragment.querySelector(`#${CSS.escape(details.id)}`);
    if (twin && !details.contains(sourceElement)) twin.open = true;
  }
  const carried = [];
  for (const field of [old, ...old.querySelectorAll("*")].filter(isField)) {
    const value = valueOf(field);
    const was = sent.get(nameOf(field));
    const isSaved = was === undefined ? value === drawnValueOf(field) && !wasRefused(field) : value === was;
    const twin = !isSaved && twinOf(field, fragment);
    // Of radio buttons the one that is on turns the others off.
    if (!twin || valueOf(twin) === value || (field.type === "radio" && !value)) continue;
    write(value, twin, field);
    if (valueOf(twin) === value) carried.push(twin);
  }
  return carried;
};

const saveCarried = (carried) => {
  const changed = new Map(); // one field of each form, which is sent whole
  for (const field of carried) {
    tell(field, "input");
    if ([...onTheirWay].some((ctx) => ctx.sent.get(nameOf(field)) === valueOf(field))) continue;
    const isTyped = field === document.activeElement && field.matches("textarea, input") && !isBox(field);
    if (isTyped) unsaved.add(field);
    else changed.set(field.form, field);
  }
  for (const field of changed.values()) tell(field, "change");
};

document.addEventListener("change", (event) => unsaved.delete(event.target), true);
document.addEventListener("focusout", ({ target }) => {
  if (unsaved.has(target)) tell(target, "change");
});

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  // Words that are searched for are nothing unsaved: of them only stays what is typed from now on.
  const fields = [...(ctx.request.form?.elements ?? []), ...document.querySelectorAll("[type=search]")];
  ctx.sent = new Map(fields.filter(isField).map((field) => [nameOf(field), valueOf(field)]));
  // With the password all of what was asked for is sent once more.
  if (ctx.sourceElement.matches("[data-again]") && asked) ctx.sent = asked.sent;
});

// What is typed is saved by leaving its field, and so by leaving the page: the browser sends it to its end.
document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (savesItself(ctx.sourceElement) && ctx.sourceElement.enctype !== "multipart/form-data")
    ctx.request.keepalive = true;
});

addEventListener("beforeunload", () => {
  const field = document.activeElement;
  if (field && isField(field) && savesItself(field.form) && valueOf(field) !== drawnValueOf(field))
    tell(field, "change");
});

document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = event.detail;
  // What waited for its turn in a form that has been replaced is sent by the form in its place.
  if (!ctx.sourceElement.isConnected && ctx.sourceEvent?.type === "change") event.preventDefault();
  else onTheirWay.add(ctx);
});

// An answer whose place was taken by another answer takes the place of that one.
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.target && !ctx.target.isConnected) ctx.target = byId(ctx.target.id) ?? ctx.target;
});

document.addEventListener("htmx:finally:request", (event) => onTheirWay.delete(event.detail.ctx));
