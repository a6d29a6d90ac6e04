/** The listener's own page: withdrawing all answers or deleting everything, including what this browser keeps. */
import { call, TryLater } from './api.js';
import { gettext } from './i18n.js';
import { closeDialog, closesItself, openDialog } from './older.js';
import { whyRefused } from './words.js';

const $ = (id) => document.getElementById(id);
const OUTBOX = 'arena'; // the database of store.js
const FORGET_MS = 2000; // another tab may hold the database open; then it is deleted when that tab closes

const local = new Intl.DateTimeFormat(document.documentElement.lang || undefined, { dateStyle: 'long', timeStyle: 'short' });
for (const time of document.querySelectorAll('time')) time.textContent = local.format(new Date(time.dateTime));
for (const button of document.querySelectorAll('[data-open]')) {
  button.addEventListener('click', () => openDialog($(button.dataset.open)));
}
for (const dialog of document.querySelectorAll('dialog.confirm')) {
  closesItself(dialog);
  const button = dialog.querySelector('[data-confirm]');
  button.addEventListener('click', () => confirmed(dialog));
  // A key that is held down repeats: only a separate press confirms.
  button.addEventListener('keydown', (event) => { if (event.repeat) event.preventDefault(); });
}

async function confirmed(dialog) {
  const button = dialog.querySelector('[data-confirm]');
  const say = (sentence) => { dialog.querySelector('.confirm-say').textContent = sentence; };
  button.disabled = true;
  try {
    const reply = await call(dialog.dataset.method, dialog.dataset.url, {});
    if (reply.status < 300) await done(dialog);
    else if (reply.status === 401) location.reload(); // already deleted, in another tab
    else say(whyRefused(reply));
  } catch (error) {
    if (!(error instanceof TryLater)) throw error;
    say(gettext('No connection, so nothing has been changed. Please try again.'));
  } finally {
    button.disabled = false;
  }
}

async function done(dialog) {
  await forgetHere();
  closeDialog(dialog);
  if (dialog.dataset.method !== 'DELETE') {
    location.reload();
    return;
  }
  $('own').hidden = true;
  $('gone').hidden = false;
  $('gone-title').focus();
}

/** Everything this site keeps in this browser: answers on their way, settings, notes. The cookie went with the answer. */
async function forgetHere() {
  tellOtherTabs();
  for (const storage of ['localStorage', 'sessionStorage']) {
    try {
      globalThis[storage].clear();
    } catch { /* blocked: nothing is in it */ }
  }
  try {
    const databases = await (indexedDB.databases?.() ?? [{ name: OUTBOX }]); // some browsers do not list them
    const gone = Promise.all(databases.map(({ name }) => deleted(name)));
    await Promise.race([gone, new Promise((resolve) => { setTimeout(resolve, FORGET_MS); })]);
  } catch { /* as above */ }
}

/** They drop what waits in their memory, and send no more of it. */
function tellOtherTabs() {
  try {
    const channel = new BroadcastChannel('arena.outbox');
    channel.postMessage('forget');
    channel.close();
  } catch { /* blocked, as the storage is then */ }
}

function deleted(name) {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = request.onerror = resolve;
  });
}
