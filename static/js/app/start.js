/* What is done once, when the page is there. */

const start = () => {
  adopt();
  dropOldDrafts();
  mindDraft();
  document.querySelectorAll("[data-count]").forEach(count);
  watchToasts();
  sayWhatArrived(document.querySelectorAll("[data-toast]"));
};
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
