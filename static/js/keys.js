/** Keyboard shortcuts: off while typing, with a modifier held, while a dialog is open, and when the listener says so. */
import { owns } from './older.js';

const POINTED_AT = ['button', 'checkbox', 'color', 'file', 'image', 'radio', 'range', 'reset', 'submit'];
const TYPED_INTO = `input${POINTED_AT.map((type) => `:not([type="${type}"])`).join('')}`;
const TYPING = `${TYPED_INTO}, textarea, select, [contenteditable], [role="textbox"]`;
const OWN_ARROWS = '[role="slider"], input[type="range"], input[type="radio"]';
const OWN_ENTER = 'button, a, summary, [role="button"]';
const OWN_SPACE = `${OWN_ENTER}, input:not([type="range"])`;
const ARROWS = /^(Arrow|Home$|End$|Page)/;

const element = ({ target }) => (target instanceof Element ? target : document.body);

/** Whether the focused control does something of its own with this key. */
function taken(key, target) {
  if (key === 'Enter') return target.closest(OWN_ENTER);
  if (key === 'Space') return target.closest(OWN_SPACE);
  return ARROWS.test(key) && target.closest(OWN_ARROWS);
}

/** `bindings`: {key: action}; a key is as in KeyboardEvent.key, letters in lower case, the space bar "Space". An action
    that returns false leaves the key to the browser. While `enabled()` is false only Escape is bound. */
export function bindKeys(bindings, { enabled = () => true } = {}) {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (document.querySelector('dialog[open]')) return; // Escape closes it without us
    const key = event.key === ' ' ? 'Space' : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const target = element(event);
    if (key !== 'Escape' && (!enabled() || target.closest(TYPING) || taken(key, target))) return;
    if (event.repeat && !key.startsWith('Arrow')) return;
    if (!owns(bindings, key) || bindings[key]() === false) return;
    event.preventDefault();
  });
}
