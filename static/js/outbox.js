/** Votes on their way: written down before they are sent, and sent until the server has decided.

    One record per battle, so that two tabs never overwrite each other's. The same record may be sent twice (two
    tabs, a lost answer): its idempotency key makes that one vote. */
import { call, persist } from './api.js';

const PREFIX = 'arena.vote.';
const unsaved = new Map(); // where storage is blocked or full, the record lives as long as the tab

function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID(); // absent outside secure contexts
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Write an answer down. `durable` is false when the browser refuses to keep it across a reload. */
export function put(battle, study, body) {
  const record = { battle, study, body, key: newKey() };
  try {
    localStorage.setItem(PREFIX + battle, JSON.stringify(record));
    return { ...record, durable: true };
  } catch {
    unsaved.set(battle, record);
    return { ...record, durable: false };
  }
}

/** Every answer that the server has not decided on yet. */
export function waiting() {
  let names = [];
  try {
    names = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  } catch { /* storage is blocked: nothing can be waiting in it */ }
  return [...unsaved.values(), ...names.map(read).filter(Boolean)];
}

/** The record kept under that name; null, and gone, if it cannot be read: it must not keep the others from being sent. */
function read(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    localStorage.removeItem(name);
    return null;
  }
}

function remove(battle) {
  unsaved.delete(battle);
  try {
    localStorage.removeItem(PREFIX + battle);
  } catch { /* as above */ }
}

/** Send until decided. Resolves to the server's {status, body}, whatever it decided; only then is the record gone. */
export async function send(record, onWait) {
  const answer = await persist(
    () => call('POST', `/api/battles/${record.battle}/vote/`, record.body, { 'Idempotency-Key': record.key }),
    onWait,
  );
  remove(record.battle);
  return answer;
}
