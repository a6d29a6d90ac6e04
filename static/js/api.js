/** Requests to this site: JSON both ways, with the CSRF token. An answer is {status, body}; without one, TryLater. */
import { timeLimit } from './older.js';

/** Nobody answered, or the server cannot answer right now (`busy`): the same request may be sent again later.
    `reply`: what the server said of it, {status, body}; null where it said nothing that can be read. */
export class TryLater extends Error {
  constructor(message, { cause, busy = false, reply = null } = {}) {
    super(message, { cause });
    this.busy = busy;
    this.reply = reply;
  }
}

const TIMEOUT_MS = 20_000;
const DOWNLOAD_MS = 90_000; // a minute of excerpt over a slow phone

/** Busy, overloaded or out of order: problems that pass, so that the same request can succeed later. */
const later = ({ status }) => status >= 500 || status === 429 || status === 408;

const read = async (response) => {
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : {} };
};

/** The refusal in a TryLater for which one has to come back later, since a limit is reached; else null. */
export const overLimit = ({ reply }) => (['too_many', 'too_many_places'].includes(reply?.body?.code) ? reply : null);

function csrfToken() {
  return document.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=([^;]*)/)?.[1] ?? '';
}

async function once(method, url, body, headers) {
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: {
        Accept: 'application/json',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(method === 'GET' ? {} : { 'X-CSRFToken': csrfToken() }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: timeLimit(TIMEOUT_MS),
    });
  } catch (error) {
    throw new TryLater(`no answer from ${url}`, { cause: error });
  }
  if (later(response)) {
    const reply = await read(response).catch(() => null);
    throw new TryLater(`${url} answered ${response.status}`, { busy: true, reply });
  }
  try {
    return await read(response);
  } catch (error) { // cut off halfway, or a captive portal's page in place of our answer
    throw new TryLater(`unreadable answer from ${url}`, { cause: error });
  }
}

export async function call(method, url, body, headers = {}) {
  const answer = await once(method, url, body, headers);
  const tokenRefused = answer.status === 403 && answer.body.code === 'csrf_failed';
  if (!tokenRefused) return answer;
  await fetch('/', { signal: timeLimit(TIMEOUT_MS) }).catch(() => {}); // the front page sets a fresh CSRF cookie
  return once(method, url, body, headers);
}

/** The bytes at `url`. Throws TryLater, or Error with `status` when the server refuses them. */
export async function bytes(url) {
  let response;
  try {
    response = await fetch(url, { cache: 'no-store', signal: timeLimit(DOWNLOAD_MS) });
    if (response.ok) return await response.arrayBuffer();
  } catch (error) {
    throw new TryLater(`no answer from ${url}`, { cause: error });
  }
  if (later(response)) throw new TryLater(`${url} answered ${response.status}`, { busy: true });
  throw Object.assign(new Error(`${url} answered ${response.status}`), { status: response.status });
}

const sleep = (seconds) => new Promise((done) => {
  const timer = setTimeout(finish, seconds * 1000);
  function finish() {
    clearTimeout(timer);
    removeEventListener('online', finish);
    done();
  }
  addEventListener('online', finish);
});

/** Do `work` until somebody answers; `onWait(seconds, TryLater)` before each pause. Coming back online ends a pause at once. */
export async function persist(work, onWait = () => {}) {
  for (let attempt = 0; ; attempt += 1) {
    let reason;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TryLater)) throw error;
      reason = error;
    }
    const seconds = Math.min(30, 2 ** attempt);
    onWait(seconds, reason);
    await sleep(seconds);
  }
}
