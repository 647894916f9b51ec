/* Countersign's own script: what HTML and htmx leave open. Every page works without it.
   Everything is delegated from the document, so that what is swapped in later needs no set-up. */

(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const element = (target) => (typeof target === "string" ? document.querySelector(target) : target);
  const tell = (field, what) => field.dispatchEvent(new Event(what, { bubbles: true }));
  const openDialog = () => document.querySelector("#dialog dialog:modal");

  /* ---------- Words for screen readers ---------- */

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

  /* ---------- Toasts ---------- */

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

  /* ---------- What failed, beside what was pressed ---------- */

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

  /* ---------- The dialog ---------- */

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

  /* ---------- Clicks, keys, typing ---------- */

  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-close]");
    const dialog = close?.closest("dialog");
    if (dialog?.matches(":modal") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      dialog.close();
    }
    event.target.closest("[data-dismiss]")?.closest("[data-toast]")?.remove();
  });

  const count = (field) => {
    const counter = byId(field.dataset.count);
    const format = (n) => n.toLocaleString("en");
    if (counter) counter.textContent = `${format(field.value.length)} of ${format(field.maxLength)}`;
  };

  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-count]")) count(event.target);
  });

  // The results are loaded anew without the filters, whose fold says how many of them are set.
  document.addEventListener("input", ({ target }) => {
    const fold = target.closest(".cs-more-filters");
    if (!fold) return;
    const set = [...fold.querySelectorAll("input, select")].filter((field) => field.value.trim()).length;
    fold.querySelector("[data-filters-set]").textContent = set ? `${set} set` : "";
  });

  document.addEventListener("change", (event) => {
    if (event.target.form?.matches("[data-autosubmit]")) event.target.form.requestSubmit();
  });

  // Of a file that is too large only as much is sent as shows that: the server says it beside the control.
  document.addEventListener("change", (event) => {
    const { files, dataset } = event.target;
    if (!dataset.max || !files?.[0] || files[0].size <= Number(dataset.max)) return;
    const cut = new DataTransfer();
    cut.items.add(new File([files[0].slice(0, Number(dataset.max) + 1)], files[0].name));
    event.target.files = cut.files;
  }, true);

  /* ---------- What was typed meanwhile ---------- */

  // An answer takes the place of a part of the page. What is typed there and was not sent stays, and is saved as if it
  // had just been changed: it was typed while the request was on its way, or stands in another form than was sent.

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

  // Deny unfolds its reason: that is where the eye and the keyboard go next. An answer that comes with the reason
  // unfolded says itself what to look at.
  document.addEventListener("toggle", ({ target }) => {
    if (!target.matches?.("details.cs-deny[open]") || target.closest("form").querySelector("[autofocus]")) return;
    target.querySelector("textarea")?.focus();
  }, true);

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-theme-form]") || !event.submitter) return;
    const theme = event.submitter.value;
    if (theme) document.documentElement.dataset.bsTheme = theme;
    else delete document.documentElement.dataset.bsTheme;
    for (const button of event.target.querySelectorAll("[aria-pressed]"))
      button.setAttribute("aria-pressed", String(button === event.submitter));
  });

  // "/" leads to the search of the page, where there is one and nothing is being typed.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || openDialog()) return;
    const search = document.querySelector("[data-slash]");
    if (!search || event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  // Ctrl-K, or Cmd-K, opens the search of everything.
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || event.ctrlKey === event.metaKey || event.altKey || event.shiftKey) return;
    const find = document.querySelector("[data-find]");
    if (!find || openDialog()) return;
    event.preventDefault();
    find.click();
  });

  /* ---------- What was typed before a code was locked ---------- */

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

  /* ---------- htmx ---------- */

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

  /* ---------- Start ---------- */

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
})();
