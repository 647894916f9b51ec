/* What was typed before a code was locked. */

// The form behind the new link, or after a sign-in, is another page and mostly in another tab. Until then what was
// typed stays in this browser, for an hour.
const DRAFT = "countersign-draft-";
const HOUR = 60 * 60 * 1000;

// A browser may forbid its storage: then nothing is kept.
const stored = (work) => {
  try {
    return work(window.localStorage);
  } catch {
    return null;
  }
};

const typedIn = (form) =>
  [...form.elements].filter((field) => isField(field) && /^(comment|reason|ready|field-.*)$/.test(field.name));

const keepDraft = (form) => {
  const values = typedIn(form).filter((field) => !isBox(field) || field.checked).map(({ name, value }) => [name, value]);
  stored((storage) => storage.setItem(DRAFT + form.dataset.draft, JSON.stringify({ at: Date.now(), values })));
};

const takeDraft = (id) => stored((storage) => {
  const draft = JSON.parse(storage.getItem(DRAFT + id));
  storage.removeItem(DRAFT + id);
  return draft;
});

const restoreDraft = (form) => {
  const draft = takeDraft(form.dataset.draft);
  if (!draft || Date.now() - draft.at > HOUR) return;
  for (const field of typedIn(form)) {
    const values = draft.values.filter(([name]) => name === field.name).map(([, value]) => value);
    if (isBox(field)) field.checked = values.includes(field.value);
    else if (values.length) write(values[0], field, field);
  }
  const comment = form.querySelector("details.cs-add textarea");
  if (comment?.value) comment.closest("details").open = true;
  const note = form.querySelector("[data-restored]");
  if (!note || !draft.values.some(([name, value]) => value && /^(comment|reason)$/.test(name))) return;
  note.hidden = false;
  say(note.textContent.trim());
};

const dropOldDrafts = () => stored((storage) => {
  for (const key of Object.keys(storage).filter((one) => one.startsWith(DRAFT)))
    if (!(Date.now() - JSON.parse(storage.getItem(key))?.at <= HOUR)) storage.removeItem(key);
});

const mindDraft = () => {
  const form = document.querySelector("form[data-draft]");
  if (!form) return;
  if (!form.matches("[data-locked]")) return restoreDraft(form);
  form.querySelector("[data-with-script]").hidden = false;
  keepDraft(form);
};

document.addEventListener("input", ({ target }) => {
  if (target.form?.matches("[data-locked]")) keepDraft(target.form);
});
