/* Toasts: they go by themselves, but for bad news. */

const SECONDS = 8;

const watch = (toast) => {
  if (toast.dataset.watched) return;
  toast.dataset.watched = "1";
  // Bad news stays until it is dismissed.
  if (toast.classList.contains("is-no")) return;
  const later = () => setTimeout(() => {
    if (toast.matches(":hover, :focus-within")) later();
    else toast.remove();
  }, SECONDS * 1000);
  later();
};

const watchToasts = () => document.querySelectorAll("[data-toast]").forEach(watch);

const toastHost = () => {
  const dialog = openDialog();
  if (!dialog) return byId("toasts");
  let host = dialog.querySelector(".cs-toasts");
  if (!host) {
    host = document.createElement("div");
    host.className = "cs-toasts";
    dialog.append(host);
  }
  return host;
};

const complain = (words) => {
  const model = byId("broken");
  const host = toastHost();
  if (!model || !host) return;
  host.replaceChildren();
  const toast = model.content.firstElementChild.cloneNode(true);
  toast.querySelector("span").textContent = words;
  host.append(toast);
  watch(toast);
  say(words);
};
