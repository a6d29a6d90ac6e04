/** What the page shows: one section, one status with its own text and mark, and a notice above both.

    The status is given in words (announced), by a mark and by the root's `data-status`, never by colour alone. */

const $ = (id) => document.getElementById(id);
const MARKS = ['loading', 'locked', 'ready', 'saving', 'saved', 'offline', 'busy', 'attention', 'calm'];
const sections = () => document.querySelectorAll('section[data-state]');

let shown = 'loading';
let leaving = () => {};

/** The section on the page. */
export const section = () => shown;

/** Call this whenever the battle is hidden. */
export function onLeavingBattle(act) {
  leaving = act;
}

/** Show one section; its heading takes the focus, to be read out. */
export function show(name) {
  if (name === shown) return;
  if (shown === 'battle') leaving();
  shown = name;
  for (const each of sections()) each.hidden = each.dataset.state !== name;
  if (name !== 'battle') $('progress').textContent = '';
  const heading = document.querySelector(`section[data-state="${name}"] [tabindex="-1"]`);
  heading?.focus({ preventScroll: true });
  scrollTo({ top: 0, behavior: 'instant' });
}

function mark(use, name) {
  if (!MARKS.includes(name)) throw new RangeError(`There is no mark ${name}; there are ${MARKS.join(', ')}.`);
  use.setAttribute('href', `#mark-${name}`);
}

/** Where the battle stands: a mark's name and a sentence. */
export function status(name, sentence) {
  $('listen').dataset.status = name;
  mark($('status-mark'), name);
  if ($('status-text').textContent !== sentence) $('status-text').textContent = sentence;
}

/** What the page is waiting for, while it has nothing to show. */
export function loading(sentence) {
  show('loading');
  $('loading-text').textContent = sentence;
}

/** A notice that stays when its battle is gone; '' removes it. */
export function notice(sentence) {
  $('notice').hidden = !sentence;
  $('notice-text').textContent = sentence;
}

/** A separate page for what stops the listening, with one thing to do. */
export function trouble({ title, text, action, act, as = 'attention' }) {
  mark($('trouble-mark'), as);
  $('trouble-title').textContent = title;
  $('trouble-text').textContent = text;
  $('trouble-action').hidden = !action;
  $('trouble-action').textContent = action ?? '';
  $('trouble-action').onclick = act ?? null;
  show('trouble');
  $('trouble-title').focus({ preventScroll: true }); // also when one problem follows another
}
