/* The dialog: opened, closed, and where the focus goes afterwards. */

let opener = null; // what had the focus when the dialog was opened
let openerPlace = ""; // the id of what holds it, if it is swapped while the dialog is open
let leaveFor = ""; // where the address bar goes when a dialog that came with its page closes
let asked = null; // what was sent when a password was asked for: htmx's context of it
let rules = []; // where its answer goes, once the password is right
let files = {}; // and the files that were sent with it, by their fields' names

const show = (dialog) => {
  const live = document.createElement("div");
  live.className = "visually-hidden cs-live";
  live.setAttribute("aria-live", "polite");
  dialog.append(live);
  dialog.showModal();
  focusFirstError(dialog);
  dialog.addEventListener("close", () => {
    if (!dialog.isConnected) return;
    byId("dialog").replaceChildren();
    if (leaveFor) history.replaceState(history.state, "", leaveFor);
    leaveFor = "";
    const given = !dialog.querySelector("[data-again]") || dialog.returnValue === "done";
    if (!given && isSetting(asked?.sourceElement)) failed(asked, "Not saved: you did not confirm your password.");
    else putBack(opener);
    giveFocusBack();
  });
};

const savesItself = (form) => Boolean(form?.getAttribute("hx-trigger")?.includes("change"));
const isBox = (field) => field.matches("[type=checkbox], [type=radio]");

// What saves itself was not saved: a switch or a choice shows what is so. Words that were typed stay.
const putBack = (field) => {
  if (!field?.isConnected || !savesItself(field.form)) return;
  for (const one of field.form.elements) {
    if (one.name !== field.name) continue;
    if (isBox(one)) one.checked = one.defaultChecked;
    if (one.matches("[type=file]")) one.value = "";
    for (const option of one.options ?? []) option.selected = option.defaultSelected;
  }
};

// Where something outside of the dialog was pressed, the focus goes back there.
const openedBy = (ctx) => {
  if (ctx.sourceElement.closest("#dialog")) return;
  opener = controlOf(ctx);
  openerPlace = opener.closest("[id]:not([id='" + (opener.id || "-") + "'])")?.id ?? "";
};

// Not what is in a closed <details>.
const reachableIn = (root) =>
  [...(root?.querySelectorAll("a[href], button:not(:disabled), summary, [tabindex='0']") ?? [])]
    .find((element) => element.checkVisibility());

const giveFocusBack = () => {
  const next =
    (opener?.isConnected && opener) ||
    (opener?.id && byId(opener.id)) ||
    reachableIn(byId(openerPlace)) ||
    byId("main");
  next?.focus();
  opener = null;
  openerPlace = "";
};

const focusFirstError = (root) => {
  const field = root.querySelector("[aria-invalid='true']");
  field?.focus();
  return field;
};

// A page that came with its dialog open (a link shared, a form refused without htmx).
const adopt = () => {
  const dialog = document.querySelector("#dialog dialog[open]");
  if (!dialog) return;
  document.querySelectorAll("body > [inert]").forEach((element) => element.removeAttribute("inert"));
  dialog.parentElement.querySelector(".cs-scrim")?.remove();
  leaveFor = dialog.querySelector("a[data-close]")?.getAttribute("href") ?? "";
  dialog.removeAttribute("open");
  show(dialog);
};
