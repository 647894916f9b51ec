/* Copies a value that is shown in a field. */

const copied = (button) => {
  const words = button.querySelector("span");
  const before = words.textContent;
  words.textContent = "Copied";
  say("Copied.");
  setTimeout(() => (words.textContent = before), 2000);
};

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  const field = button && byId(button.dataset.copy);
  if (!field) return;
  field.focus();
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    copied(button);
  } catch {
    // A browser lends its clipboard to pages that came over TLS only; the value is selected to be copied by hand.
    if (document.execCommand("copy")) copied(button);
    else say("The text is selected. Copy it with your keyboard.");
  }
});
