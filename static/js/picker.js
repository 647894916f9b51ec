/* The list of a picker: what is typed is looked for, arrow keys choose, Enter takes, Escape closes.
   Without this, its input is a search with a button, and what is found are buttons. */

const asked = new WeakMap(); // what each list was looked for
const waiting = new WeakSet(); // inputs whose Enter waits for the list

const pickerOf = (target) => target.closest?.("[data-picker]");
const listOf = (input) => document.getElementById(input.getAttribute("aria-controls"));
const inputOf = (list) => list.closest(".cs-picker").querySelector("[data-picker]");
const optionsOf = (input) => [...listOf(input).querySelectorAll("[role=option]:not([aria-disabled])")];
const chosenOf = (input) => listOf(input).querySelector("[aria-selected=true]");
const isOpen = (input) => input.getAttribute("aria-expanded") === "true";
const look = (input) => input.dispatchEvent(new Event("picker:look"));

const choose = (input, option) => {
  chosenOf(input)?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) input.setAttribute("aria-activedescendant", option.id);
  else input.removeAttribute("aria-activedescendant");
};

const close = (input) => {
  waiting.delete(input);
  listOf(input).hidden = true;
  input.setAttribute("aria-expanded", "false");
  choose(input, null);
};

const open = (input) => {
  const list = listOf(input);
  const options = optionsOf(input);
  list.hidden = false;
  input.setAttribute("aria-expanded", String(options.length > 0));
  options.forEach((option, index) => (option.id = `${list.id}-${index}`));
  choose(input, options[0]);
};

const take = (input, option) => {
  close(input);
  input.focus(); // what was pressed goes away
  option.click();
};

// One that is sent with the rest of its form: it is kept in a hidden field, and shown. Of several each chip has its own.
const hold = (picker, option) => {
  const input = picker.querySelector("[data-picker]");
  const chips = [...picker.querySelectorAll(".cs-chips > span")];
  const isMany = picker.dataset.holds === "many";
  const blank = picker.querySelector("template")?.content.firstElementChild;
  const chip = blank ? blank.cloneNode(true) : document.createElement("span");
  const name = option.querySelector("b").textContent;
  chip.prepend(option.querySelector(".cs-face, .cs-app").cloneNode(true), name);
  const button = chip.querySelector("button");
  button?.setAttribute("value", option.value);
  button?.setAttribute("aria-label", `Remove ${name}`);
  if (!isMany) chips.forEach((one) => one.remove());
  const field = isMany ? chip.querySelector("[type=hidden]") : picker.querySelector(":scope > [type=hidden]");
  field.value = option.value;
  const known = isMany && chips.some((one) => one.querySelector("[type=hidden]").value === option.value);
  if (!known) input.before(chip);
  input.value = "";
  close(input);
  input.focus();
};

const move = (input, by) => {
  const options = optionsOf(input);
  const at = options.indexOf(chosenOf(input)) + by;
  choose(input, options[(at + options.length) % options.length]);
};

document.addEventListener("keydown", (event) => {
  const input = pickerOf(event.target);
  if (!input || event.isComposing) return;
  const { key } = event;
  if (key === "ArrowDown" || key === "ArrowUp") {
    event.preventDefault();
    if (isOpen(input)) move(input, key === "ArrowDown" ? 1 : -1);
    else look(input);
  } else if (key === "Enter") {
    event.preventDefault();
    // Never one that was found for other words than those that stand there now.
    const isFresh = isOpen(input) && asked.get(input) === input.value;
    if (isFresh) take(input, chosenOf(input));
    else if (input.value.trim()) {
      waiting.add(input);
      look(input);
    }
  } else if (key === "Escape" && !listOf(input).hidden) {
    event.preventDefault();
    event.stopPropagation();
    close(input);
  } else if (key === "Backspace" && !input.value) {
    const last = [...input.parentElement.querySelectorAll(":scope > span > button")].pop();
    last?.focus();
  }
});

document.addEventListener("input", ({ target }) => {
  const input = pickerOf(target);
  if (input && !input.value) close(input);
});

document.addEventListener("focusout", ({ target }) => {
  const input = pickerOf(target);
  if (input && !listOf(input).matches(".is-plain")) close(input);
});

// The input keeps the focus while something in its list is pressed.
document.addEventListener("mousedown", (event) => {
  if (event.target.closest?.(".cs-picklist")) event.preventDefault();
  else if (event.target.matches?.(".cs-chips")) {
    event.preventDefault();
    event.target.querySelector(":scope > input")?.focus();
  }
});

document.addEventListener("click", (event) => {
  const option = event.target.closest?.(".cs-picklist > button");
  const holder = option?.closest("[data-holds]");
  if (holder) {
    event.preventDefault();
    hold(holder, option);
  }
  // A chip goes away with its button: the focus stays in its picker.
  const button = event.target.closest?.(".cs-chips > span > button");
  const input = button?.closest(".cs-chips").querySelector(":scope > input");
  const held = button?.closest("[data-holds]");
  if (held) {
    event.preventDefault();
    const field = held.querySelector(":scope > [type=hidden]");
    if (field) field.value = "";
    button.parentElement.remove();
  }
  input?.focus();
});

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const input = pickerOf(ctx.sourceElement);
  if (input) asked.set(input, input.value);
});

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  const input = pickerOf(ctx.sourceElement);
  if (!input?.isConnected || document.activeElement !== input) return;
  const list = listOf(input);
  list.classList.remove("is-plain");
  list.setAttribute("role", "listbox");
  const waits = waiting.has(input) && asked.get(input) === input.value;
  open(input);
  if (waits && isOpen(input)) take(input, chosenOf(input));
});
