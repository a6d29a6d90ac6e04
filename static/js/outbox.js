/** Votes on their way to the server: stored before they are sent, and sent until the server has decided.

    They are kept in IndexedDB, one record per battle; where that is blocked, full or too slow, in the memory of the
    tab. The same record may be sent twice (two tabs, a lost answer): its idempotency key makes that one vote. */
import { call, persist, TryLater } from './api.js';
import { timeLimit } from './older.js';
import * as store from './store.js';

const LOCK_MS = 60_000; // longer than any attempt takes
const unsaved = new Map(); // battle -> record
const answers = new Map(); // key -> what the server decided, here or in another tab
let forgottenAt = -Infinity; // when the listener last had everything in this browser forgotten
const listeners = new Set();
let askedToPersist = false;
let channel = null;

try {
  channel = new BroadcastChannel('arena.outbox');
  channel.onmessage = ({ data }) => {
    if (data === 'forget') forget();
    else if (data.key) answers.set(data.key, data.answer);
    tell();
  };
} catch { /* other tabs notice when they next read the store */ }

/** The listener's own page has removed what is on the disk; remove what only this tab has as well. */
function forget() {
  forgottenAt = Date.now();
  unsaved.clear();
}

function tell() {
  for (const callback of listeners) callback();
}

function changed() {
  tell();
  channel?.postMessage('changed');
}

/** Call back whenever the queue has changed, here or in another tab. Returns a function that ends this. */
export function onChange(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID(); // absent outside secure contexts
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Store an answer; takes at most a second. The record is {battle, study, body, key, at, durable}; `durable` is
    false when the browser has not confirmed that it keeps it across a reload. If an answer to this battle is already
    waiting, that one is returned, with `earlier` true: the first answer stands. */
export async function put(battle, study, body) {
  const waiting = unsaved.get(battle);
  if (waiting) return { ...waiting, durable: false, earlier: true };
  const record = { battle, study, body, key: newKey(), at: Date.now() };
  unsaved.set(battle, record);
  const stored = await store.write(record);
  if (stored) unsaved.delete(battle);
  if (!askedToPersist) {
    askedToPersist = true;
    navigator.storage?.persist?.().catch(() => {}); // the browser may refuse
  }
  changed();
  if (!stored || stored.key === record.key) return { ...record, durable: stored !== null };
  return { ...stored, durable: true, earlier: true };
}

/** Every answer that the server has not decided on yet, the oldest first. */
export async function waiting() {
  const records = new Map((await store.all()).map((record) => [record.battle, { ...record, durable: true }]));
  for (const record of unsaved.values()) records.set(record.battle, { ...record, durable: false });
  return [...records.values()].sort((x, y) => (x.at ?? 0) - (y.at ?? 0));
}

export async function count() {
  return (await waiting()).length;
}

async function remove({ battle, key }) {
  if (unsaved.get(battle)?.key === key) unsaved.delete(battle);
  await store.remove(battle, key);
  changed();
}

/** Only 201 or a refusal with a reason is a decision of the server: a hotel's login page is not, nor is a refused token. */
function decided({ status, body }) {
  if (status === 403 && body.code === 'csrf_failed') return false;
  return status === 201 || (status >= 400 && Object.keys(body).length > 0);
}

/** One attempt; afterwards the record is gone. Throws TryLater when the server has not decided. */
async function deliver(record) {
  const url = `/api/battles/${record.battle}/vote/`;
  const answer = await call('POST', url, record.body, { 'Idempotency-Key': record.key });
  if (!decided(answer)) throw new TryLater(`${url} answered ${answer.status}, which decides nothing`, { busy: true });
  answers.set(record.key, answer);
  channel?.postMessage({ key: record.key, answer }); // a tab that waits to send it shows what became of it
  await remove(record);
  return answer;
}

/** One attempt at a record that is still waiting. Otherwise what was decided, or null when it was forgotten. */
async function attempt(record) {
  const forgotten = (record.at ?? 0) <= forgottenAt;
  const waits = !forgotten && (await waiting()).some(({ key }) => key === record.key);
  if (waits) return deliver(record);
  return answers.get(record.key) ?? null;
}

/** Do `work` while no other tab works on the same record. Without locks, or if one is held too long, do it anyway:
    the key makes it one vote. */
async function alone({ battle }, work) {
  let began = false;
  const options = { signal: timeLimit(LOCK_MS) };
  try {
    return await navigator.locks.request(`arena.vote.${battle}`, options, () => {
      began = true;
      return work();
    });
  } catch (error) {
    if (began) throw error;
    return work();
  }
}

/** Send until decided. Resolves to the server's {status, body}, whatever it decided and whichever tab it told; only
    then is the record gone. To null when it is gone without that: the listener had it forgotten.
    `onWait(seconds, TryLater)` before each pause. */
export function send(record, onWait) {
  return persist(() => alone(record, () => attempt(record)), onWait);
}

/** Send everything that waits, one after the other, for a page that shows nothing of it. */
export async function sendAll() {
  for (const record of await waiting()) await send(record);
}
