/** The outbox's records in IndexedDB. It may be blocked, full, or never answer: nothing here takes longer than a second,
    and nothing throws. */

const NAME = 'arena';
const VOTES = 'votes';
const PATIENCE_MS = 1000;
const OLD_PREFIX = 'arena.vote.'; // an earlier version kept them in localStorage

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(VOTES, { keyPath: 'battle' });
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const opened = request.result;
      opened.onclose = () => { opening = null; };
      opened.onversionchange = () => {
        opened.close();
        opening = null;
      };
      resolve(opened);
    };
  });
}

/** Do `act` with the object store; resolves to its request's result once that is written to the disk. */
function transaction(opened, mode, act) {
  return new Promise((resolve, reject) => {
    const done = opened.transaction(VOTES, mode, { durability: 'strict' });
    const request = act(done.objectStore(VOTES));
    done.oncomplete = () => resolve(request.result);
    done.onabort = done.onerror = () => reject(done.error);
  });
}

let opening = null; // promise of the database, with the old records in it
let late = null; // promise that is rejected after a second

function database() {
  if (!opening) {
    opening = open().then(takeOver).catch((error) => {
      opening = null; // it may work the next time
      throw error;
    });
    late = sleep(PATIENCE_MS).then(() => { throw new Error('the database does not open'); });
  }
  return Promise.race([opening, late]);
}

/** `fallback` when it fails or takes more than a second; in the latter case it may still happen. */
async function quickly(mode, act, fallback) {
  try {
    const work = transaction(await database(), mode, act);
    return await Promise.race([work, sleep(PATIENCE_MS).then(() => fallback)]);
  } catch { // blocked, full, or late
    return fallback;
  }
}

/** Store the record, unless there is one for its battle. Returns the record on the disk; null if that is not known. */
export async function write(record) {
  const before = await quickly('readwrite', (votes) => {
    const request = votes.get(record.battle);
    request.onsuccess = () => request.result ?? votes.put(record);
    return request;
  }, null);
  return before === null ? null : before ?? record;
}

/** Every record, also those that an earlier version kept and that could not be moved here. */
export async function all() {
  const stored = await quickly('readonly', (votes) => votes.getAll(), []);
  const battles = new Set(stored.map(({ battle }) => battle));
  return [...stored, ...oldRecords().filter(({ battle }) => !battles.has(battle))];
}

/** Remove the battle's record, unless it has been replaced by one with another key. */
export async function remove(battle, key) {
  forgetOld(battle, key);
  await quickly('readwrite', (votes) => {
    const request = votes.get(battle);
    request.onsuccess = () => request.result?.key === key && votes.delete(battle);
    return request;
  }, null);
}

// ---- what an earlier version kept ----

async function takeOver(opened) {
  for (const record of oldRecords()) {
    await transaction(opened, 'readwrite', (votes) => {
      const request = votes.getKey(record.battle);
      request.onsuccess = () => request.result ?? votes.put(record);
      return request;
    }).then(() => forgetOld(record.battle, record.key), () => {}); // no room: it stays where it is
  }
  return opened;
}

function oldRecords() {
  try {
    return Object.keys(localStorage).filter((name) => name.startsWith(OLD_PREFIX)).map(readOld).filter(Boolean);
  } catch { // storage is blocked: nothing can be waiting in it
    return [];
  }
}

/** The record under that name; one that cannot be read is removed (null), so that it does not block the others. */
function readOld(name) {
  try {
    const record = JSON.parse(localStorage.getItem(name));
    if (record === null || (record.battle && record.key)) return record;
  } catch { /* not JSON */ }
  localStorage.removeItem(name);
  return null;
}

function forgetOld(battle, key) {
  try {
    if (readOld(OLD_PREFIX + battle)?.key === key) localStorage.removeItem(OLD_PREFIX + battle);
  } catch { /* storage is blocked */ }
}
