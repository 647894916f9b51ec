/* What every part uses. Every page works without script. Everything is delegated from the document, so that what is
   swapped in later needs no set-up. */

const byId = (id) => document.getElementById(id);
const element = (target) => (typeof target === "string" ? document.querySelector(target) : target);
const tell = (field, what) => field.dispatchEvent(new Event(what, { bubbles: true }));
const openDialog = () => document.querySelector("#dialog dialog:modal");
