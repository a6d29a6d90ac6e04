/** Answers on their way to the server: the queue's count on the page, and those that an earlier page could not send. */
import { gettext, interpolate, ngettext } from './i18n.js';
import * as outbox from './outbox.js';
import { loading, notice } from './states.js';
import { whyRefused } from './words.js';

const PATIENCE_MS = 3000;

const $ = (id) => document.getElementById(id);
let sending = null; // the battle whose answer has only just been given
let atRisk = 0; // answers that only this tab has
let sendingRest = null; // promise

async function showQueue() {
  const records = await outbox.waiting();
  atRisk = records.filter(({ durable }) => !durable).length;
  const n = records.filter(({ battle }) => battle !== sending).length;
  $('queue').textContent = n ? interpolate(ngettext('%(n)s answer waiting', '%(n)s answers waiting', n), { n }) : '';
}

/** Show the number of waiting answers on the page, and warn anybody who closes the tab with the only copy. */
export function watchQueue() {
  outbox.onChange(showQueue);
  addEventListener('beforeunload', (event) => { if (atRisk) event.preventDefault(); });
  return showQueue();
}

/** Why an answer is not saved yet, and where it is kept. */
function whyWaiting(durable, busy) {
  if (!durable) {
    return busy
      ? gettext('The server is busy. Your answer is kept in this tab, so leave the tab open; it will be sent again within %(seconds)s s.')
      : gettext('No connection. Your answer is kept in this tab, so leave the tab open; it will be sent again within %(seconds)s s.');
  }
  return busy
    ? gettext('The server is busy. Your answer is kept on this device and will be sent again within %(seconds)s s.')
    : gettext('No connection. Your answer is kept on this device and will be sent again within %(seconds)s s.');
}

/** The server has not answered for seconds. */
const whereMeanwhile = (durable) => (durable
  ? gettext('The server has not answered yet. Your answer is kept on this device until it does.')
  : gettext('The server has not answered yet. Your answer is kept in this tab, so leave the tab open.'));

/** Store an answer and send it until the server has decided: {status, body}; null when the listener deleted it
    meanwhile. `onWait(mark, sentence)` while it cannot be sent, or nobody answers. */
export async function save(battle, study, body, onWait) {
  sending = battle.id;
  const record = await outbox.put(battle.id, study, body);
  const release = () => {
    if (sending === battle.id) sending = null;
    return showQueue();
  };
  const wait = (mark, sentence) => {
    clearTimeout(patience);
    release();
    onWait(mark, sentence);
  };
  const patience = setTimeout(() => wait('saving', whereMeanwhile(record.durable)), PATIENCE_MS);
  const reply = await outbox.send(record, (seconds, { busy }) => {
    wait(busy ? 'busy' : 'offline', interpolate(whyWaiting(record.durable, busy), { seconds }));
  });
  clearTimeout(patience);
  await release();
  return record.earlier && reply?.status === 201 ? { status: 409, body: { code: 'already_voted' } } : reply;
}

/** Send what tabs that are now closed have left behind. Called again meanwhile, it is the same round. */
export function sendRest() {
  sendingRest ??= outbox.sendAll().finally(() => { sendingRest = null; });
  return sendingRest;
}

/** What happened to an answer that is no longer on the page, as a sentence. */
export function whatBecame(reply) {
  if (!reply) return '';
  if (reply.status === 201) return gettext('Your last answer is saved.');
  if (reply.status !== 422) return whyRefused(reply);
  return gettext('Your last answer could not be saved, because the server could not confirm what was heard. Please listen once more.');
}

/** Votes that an earlier page could not send; they are sent before anything else. */
export async function settle() {
  const refusals = new Set();
  for (const record of await outbox.waiting()) {
    loading(gettext('Saving your last answer…'));
    const reply = await outbox.send(record, (seconds, { busy }) => {
      loading(interpolate(busy
        ? gettext('Your last answer is kept on this device. The server is busy; trying again within %(seconds)s s…')
        : gettext('Your last answer is kept on this device. No connection yet; trying again within %(seconds)s s…'), { seconds }));
    });
    if (reply && reply.status !== 201) refusals.add(whatBecame(reply));
    notice([...refusals].join(' ') || whatBecame(reply));
  }
}
