/** Answers on their way to the server: the queue's count on the page, and those that an earlier page could not send. */
import { gettext, interpolate, ngettext } from './i18n.js';
import * as outbox from './outbox.js';
import { loading, notice } from './states.js';
import { whyRefused } from './words.js';

const $ = (id) => document.getElementById(id);
let sending = null; // the battle whose answer has only just been given
let atRisk = 0; // answers that only this tab has

async function showQueue() {
  const records = await outbox.waiting();
  atRisk = records.filter(({ durable }) => !durable).length;
  const n = records.filter(({ battle }) => battle !== sending).length;
  $('queue').textContent = n ? interpolate(ngettext('%(n)s answer waiting', '%(n)s answers waiting', n), { n }) : '';
}

/** Keep the count of waiting answers on the page, and warn who closes the tab with the only copy. */
export function watchQueue() {
  outbox.onChange(showQueue);
  addEventListener('beforeunload', (event) => { if (atRisk) event.preventDefault(); });
  return showQueue();
}

/** Why an answer is not saved yet, and where it is kept. */
function whyWaiting(durable, busy) {
  if (!durable) {
    return busy
      ? gettext('The server is busy. Your answer is kept in this tab, so leave it open, and will be sent again within %(seconds)s s.')
      : gettext('No connection. Your answer is kept in this tab, so leave it open, and will be sent again within %(seconds)s s.');
  }
  return busy
    ? gettext('The server is busy. Your answer is kept on this device and will be sent again within %(seconds)s s.')
    : gettext('No connection. Your answer is kept on this device and will be sent again within %(seconds)s s.');
}

/** Write an answer down and send it until the server has decided: {status, body}.
    `onWait(mark, sentence)` while it cannot be sent. */
export async function save(battle, study, body, onWait) {
  sending = battle.id;
  const record = await outbox.put(battle.id, study, body);
  const reply = await outbox.send(record, (seconds, reason) => {
    if (sending === battle.id) sending = null;
    showQueue();
    const busy = Boolean(reason?.busy);
    onWait(busy ? 'busy' : 'offline', interpolate(whyWaiting(record.durable, busy), { seconds }));
  });
  if (sending === battle.id) sending = null;
  await showQueue();
  return reply;
}

function whatBecame(reply) {
  if (reply.status === 201) return gettext('Your last answer is saved.');
  if (reply.status !== 422) return whyRefused(reply);
  return gettext('Your last answer could not be saved, because the server could not confirm what was heard. Please listen once more.');
}

/** Votes that an earlier page could not send; they go before anything else is asked for. */
export async function settle() {
  for (const record of await outbox.waiting()) {
    loading(gettext('Saving your last answer…'));
    const reply = await outbox.send(record, (seconds) => {
      const kept = gettext('Your last answer is kept on this device. No connection yet; trying again within %(seconds)s s…');
      loading(interpolate(kept, { seconds }));
    });
    notice(whatBecame(reply));
  }
}
