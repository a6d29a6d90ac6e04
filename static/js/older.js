/** What our pages need and older browsers lack (Safari before 16, some Android views), done another way. */

/** An AbortSignal that aborts after `ms`, for want of AbortSignal.timeout; without AbortController there is no limit. */
export function timeLimit(ms) {
  if (!globalThis.AbortController) return undefined;
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ms);
  return controller.signal;
}

/** Object.hasOwn */
export const owns = (object, name) => Object.prototype.hasOwnProperty.call(object, name);

/** The last of a list, or undefined. */
export const last = (list) => list[list.length - 1];

/** A copy of plain data, as it would be sent as JSON. */
export const copyOf = (data) => JSON.parse(JSON.stringify(data));

/** Element.replaceChildren */
export function fill(element, children) {
  element.textContent = '';
  element.append(...children);
}

/** Open a <dialog>: over the page, or where the browser knows no dialogs as a part of it. */
export function openDialog(dialog) {
  if (dialog.showModal) {
    dialog.showModal();
    return;
  }
  dialog.setAttribute('open', '');
  dialog.querySelector('button')?.focus();
}

export function closeDialog(dialog) {
  if (dialog.close) dialog.close();
  else dialog.removeAttribute('open');
}

/** A form in a dialog closes it, also where the browser does not know method="dialog". */
export function closesItself(dialog) {
  if (dialog.close) return;
  dialog.addEventListener('submit', (event) => {
    event.preventDefault();
    closeDialog(dialog);
  });
}
