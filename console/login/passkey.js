// Passkeys: asks the browser's authenticator, and tells the console what it answered.
"use strict";

const post = async (path, body) => {
  const rsp = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const text = await rsp.json().catch(() => ({}));
  if (!rsp.ok) throw new Error(text.error || rsp.statusText);
  return text;
};

const say = (form, text) => {
  const out = form.querySelector("[role=status]");
  if (out) out.textContent = text;
};

// ceremony runs one, in which the authenticator makes a passkey or shows one.
const ceremony = async (form) => {
  const { begin, end, then, go } = form.dataset;
  const value = (name) => (form.elements[name] ? form.elements[name].value : "");
  const { options, state } = await post(begin, begin.startsWith("/setup") ? { link: value("link"), name: value("name") } : {});
  const credential = begin.startsWith("/login")
    ? await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey) })
    : await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey) });
  await post(end, { state, answer: credential.toJSON(), label: value("label") });
  const form2 = go ? document.getElementById(go) : null;
  if (form2) form2.submit();
  else location.assign(then || "/");
};

for (const form of document.querySelectorAll("form[data-begin]")) {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) {
    form.hidden = true; // this browser, or this address, has no passkeys
    continue;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(form, "…");
    ceremony(form).catch((err) => say(form, err.name === "NotAllowedError" ? form.dataset.cancelled : err.message));
  });
}
