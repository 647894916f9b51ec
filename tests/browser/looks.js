// What axe finds on the page at this moment, and which looks of texts it has judged.
//
// The look of a text is all that its contrast depends on: its colour, size and weight, and what is painted behind it.
// `given.known`: looks that passed before, as numbers. With `given.whole` axe applies every rule to the whole page.
// Otherwise it checks the contrast of texts whose look is not known, and on the whole page the rules of `given.rules`.
async (given) => {
  const BEHIND = ["backgroundColor", "backgroundImage", "opacity", "filter", "mixBlendMode"];
  const NOTHING = "rgba(0, 0, 0, 0)|none|1|none|normal";
  const OWN = ["color", "fontSize", "fontWeight", "fontStyle", "textShadow", "textDecorationLine", "webkitTextFillColor"];
  const behind = new Map();

  // What is painted behind an element: its own background and those of all elements around it.
  function ground(element) {
    if (!element) return "";
    if (!behind.has(element)) {
      const style = getComputedStyle(element);
      const own = BEHIND.map((name) => style[name]).join("|");
      behind.set(element, (own === NOTHING ? "" : own + ";") + ground(element.parentElement));
    }
    return behind.get(element);
  }

  // axe leaves out texts of controls that cannot be used.
  function inUse(element) {
    const control = element.closest("label")?.control ?? element;
    return !control.closest(":disabled, [aria-disabled=true], [inert]");
  }

  function look(element) {
    const style = getComputedStyle(element);
    const own = [element.tagName, inUse(element), ...OWN.map((name) => style[name])].join("|");
    let number = 0x811c9dc5;
    for (const letter of own + "<" + ground(element)) number = Math.imul(number ^ letter.codePointAt(0), 0x01000193);
    return number >>> 0;
  }

  function isText(element) {
    const words = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    return (words || element.matches("input, select, textarea")) && element.checkVisibility({ visibilityProperty: true });
  }

  const options = { elementRef: true, selectors: false, resultTypes: ["violations", "passes"] };
  const results = [];
  if (given.whole) {
    results.push(await axe.run(document, options));
  } else {
    const known = new Set(given.known);
    const texts = [...document.querySelectorAll("body, body *")].filter(isText);
    const unknown = texts.filter((element) => !known.has(look(element)));
    if (unknown.length) {
      const contrast = { runOnly: { type: "rule", values: ["color-contrast"] } };
      results.push(await axe.run({ include: unknown }, { ...options, ...contrast }));
    }
    results.push(await axe.run(document, { ...options, ...given.rules, resultTypes: ["violations"] }));
  }

  // Texts that axe could not judge, such as those below an open dialog, stay unknown.
  const passed = new Set();
  for (const rule of results.flatMap((result) => result.passes))
    if (rule.id === "color-contrast") for (const node of rule.nodes) passed.add(look(node.element));
  const found = results
    .flatMap((result) => result.violations)
    .flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 200)} ${node.failureSummary}`));
  return { found, passed: [...passed] };
}
