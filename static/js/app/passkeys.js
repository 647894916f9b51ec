/* Passkeys: asks the browser to sign what the server wants, and sends it with the form. Passwords need none of this. */

const optionsFor = async (button) => {
  const body = new URLSearchParams({ csrf_token: button.form.elements.csrf_token.value });
  const answer = await fetch(button.dataset.passkey, { method: "POST", body });
  const given = await answer.json();
  if (!answer.ok) throw new Error(given.message);
  return given.publicKey;
};

const sayOf = (error) => {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) return "This browser cannot use passkeys.";
  if (error.name === "InvalidStateError") return "This device already has a passkey for your account.";
  if (error.name === "Error" && error.message) return error.message;
  return "No passkey was used. Try again, or use your password.";
};

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-passkey]");
  if (!button) return;
  const { form } = button;
  const words = form.querySelector("[data-passkey-words]");
  const isNew = "new" in button.dataset;
  if (isNew && !form.reportValidity()) return;
  words.textContent = "";
  button.disabled = true;
  try {
    const options = await optionsFor(button);
    const made = isNew
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
    form.elements[button.dataset.field].value = JSON.stringify(made.toJSON());
    form.noValidate = true;
    form.requestSubmit();
  } catch (error) {
    words.textContent = sayOf(error);
  } finally {
    button.disabled = false;
  }
});
