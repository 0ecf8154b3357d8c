import { createHash } from 'node:crypto';

/** The one style sheet. One column, system fonts, colours that pass AA in both schemes. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f4f0ea;
  --paper: #ffffff;
  --ink: #231a16;
  --quiet: #5f534c;
  --line: #8a7b72;
  --hair: #e4dbd1;
  --apple: #a3182b;
  --apple-deep: #7e0f1f;
  --on-apple: #ffffff;
  --alarm-ground: #fdeeee;
  --alarm: #a3182b;
  --focus: #1b4fbf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #171210;
    --paper: #221b18;
    --ink: #f6efe9;
    --quiet: #c3b5ab;
    --line: #93837a;
    --hair: #3a2f2a;
    --apple: #f0707f;
    --apple-deep: #ff97a2;
    --on-apple: #26090d;
    --alarm-ground: #3a1a1d;
    --alarm: #ffa3ab;
    --focus: #8fb4ff;
  }
}
* { box-sizing: border-box; }
html { font: 100%/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; -webkit-text-size-adjust: 100%; }
body {
  margin: 0;
  min-height: 100vh;
  min-height: 100dvh;
  display: flex;
  flex-direction: column;
  align-items: center;
  padding: 1.25rem 1rem 2rem;
  background: var(--ground);
  color: var(--ink);
}
header, main, footer { width: 100%; max-width: 27rem; }
header { display: flex; align-items: center; justify-content: space-between; gap: 1rem; padding: 0.25rem 0 1.25rem; }
main {
  background: var(--paper);
  border: 1px solid var(--hair);
  border-radius: 0.75rem;
  padding: 1.75rem 1.25rem;
  box-shadow: inset 0 4px 0 var(--apple), 0 1px 2px rgb(0 0 0 / 6%), 0 8px 24px rgb(0 0 0 / 6%);
}
footer { padding: 1.25rem 0 0; color: var(--quiet); font-size: 0.9375rem; text-align: center; }
.brand { display: inline-flex; align-items: center; gap: 0.5rem; color: var(--ink); font-size: 1.125rem; font-weight: 700; text-decoration: none; }
.brand svg { width: 1.75rem; height: 1.75rem; color: var(--apple); }
h1 { margin: 0 0 0.25rem; font-size: 1.5rem; line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
h2 { margin: 0 0 0.25rem; font-size: 1rem; }
p { margin: 0 0 1rem; overflow-wrap: anywhere; }
.lead { color: var(--quiet); margin-bottom: 1.5rem; }
a { color: var(--apple); text-underline-offset: 0.2em; }
a:hover { color: var(--apple-deep); }
form { margin: 0; }
.field { margin-bottom: 1.25rem; }
.label { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem; margin-bottom: 0.375rem; }
label { font-weight: 600; }
.label span, .label a, .hint { color: var(--quiet); font-size: 0.9375rem; font-weight: 400; }
.label a { color: var(--apple); }
.hint { margin: 0.375rem 0 0; }
input[type='email'], input[type='password'], input[type='text'] {
  width: 100%;
  min-height: 3rem;
  padding: 0.5rem 0.75rem;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
  background: var(--paper);
  color: var(--ink);
  font: inherit;
}
input[aria-invalid='true'] { border: 2px solid var(--alarm); }
.wrong { margin: 0.375rem 0 0; color: var(--alarm); font-weight: 600; }
.check { display: grid; grid-template-columns: 1.5rem 1fr; gap: 0 0.75rem; align-items: start; }
.check input { width: 1.5rem; height: 1.5rem; margin: 0; accent-color: var(--apple); }
.check .hint { grid-column: 2; margin: 0; }
button, .button {
  display: block;
  width: 100%;
  min-height: 3rem;
  padding: 0.625rem 1rem;
  border: 1px solid var(--apple);
  border-radius: 0.5rem;
  background: var(--apple);
  color: var(--on-apple);
  font: inherit;
  font-weight: 700;
  text-align: center;
  text-decoration: none;
  cursor: pointer;
}
button:hover, .button:hover { background: var(--apple-deep); border-color: var(--apple-deep); color: var(--on-apple); }
button.second { margin-top: 0.75rem; background: transparent; color: var(--ink); border-color: var(--line); }
button.second:hover { background: var(--ground); }
.summary { margin: 0 0 1.5rem; padding: 0.875rem 1rem; border: 1px solid var(--alarm); border-left-width: 4px; border-radius: 0.5rem; background: var(--alarm-ground); }
.summary ul { margin: 0; padding-left: 1.125rem; }
.summary a { color: var(--alarm); }
.summary li:only-child { list-style: none; margin-left: -1.125rem; }
.scopes { margin: 0 0 1.5rem; padding-left: 1.25rem; }
.scopes li { margin-bottom: 0.375rem; }
.detail { margin: 0; color: var(--quiet); font-size: 0.875rem; overflow-wrap: anywhere; }
.skip { position: absolute; left: -100vw; padding: 0.5rem 1rem; background: var(--paper); }
.skip:focus { left: 1rem; top: 0.5rem; z-index: 1; }
:focus-visible, .summary:focus { outline: 3px solid var(--focus); outline-offset: 2px; }
.inline { display: inline-block; padding: 0.375rem 0; }
@media (min-width: 40rem) {
  body { padding-top: 8vh; }
  main { padding: 2.25rem 2rem; }
}
@media (forced-colors: active) {
  main { border: 1px solid; }
}
`;

/** Its name changes with it, so that it can be kept for ever. */
export const STYLE_PATH = `/style-${createHash('sha256').update(STYLE).digest('base64url').slice(0, 12)}.css`;
