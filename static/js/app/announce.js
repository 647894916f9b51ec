/* Words for screen readers. */

// What lies outside an open modal dialog is inert, so each dialog gets a live region of its own.
const say = (words) => {
  if (!words) return;
  // Later, because an answer may also close the dialog; emptied first, so that the same words are read again.
  setTimeout(() => {
    const region = openDialog()?.querySelector(".cs-live") ?? byId("say");
    if (!region) return;
    region.textContent = "";
    setTimeout(() => (region.textContent = words), 50);
  }, 50);
};

const sayWhatArrived = (nodes) => {
  const words = [];
  for (const node of nodes) {
    if (node.nodeType !== 1) continue;
    const found = [...node.querySelectorAll("[data-say]")];
    if (node.matches("[data-say]")) found.unshift(node);
    for (const element of found) words.push(element.dataset.say || element.textContent.trim());
  }
  say(words.join(" "));
};
