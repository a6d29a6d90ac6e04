/** Keyboard shortcuts: off while typing, with a modifier held, or while a dialog is open. */

const TYPING = 'input, textarea, select, [contenteditable]';
const OWN_ENTER = 'button, a, summary';

/** `bindings`: {key: action}; a key is as in KeyboardEvent.key, letters in lower case, the space bar "Space". */
export function bindKeys(bindings) {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(TYPING) || document.querySelector('dialog[open]')) return;
    const key = event.key === ' ' ? 'Space' : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // Enter, and the space bar outside the player, do what the focused control does.
    if (key === 'Enter' && target.closest(OWN_ENTER)) return;
    if (key === 'Space' && target.closest(OWN_ENTER) && !target.closest('.clips')) return;
    if (event.repeat && !key.startsWith('Arrow')) return;
    if (bindings[key]?.() === false || !bindings[key]) return;
    event.preventDefault();
  });
  // A button also reacts to the space bar's release: not those of the player, where it means play.
  addEventListener('keyup', (event) => {
    if (event.key === ' ' && event.target instanceof Element && event.target.closest('.clips')) event.preventDefault();
  });
}
