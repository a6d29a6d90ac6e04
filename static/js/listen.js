/** The listening page: from consent to battle to vote to the next, and every way this can go otherwise. */
import { call, persist, TryLater } from './api.js';
import { BattleView } from './battle.js';
import { CannotPlay, load } from './excerpts.js';
import { bindKeys } from './keys.js';
import * as outbox from './outbox.js';
import { Reveal } from './reveal.js';
import { seconds, whyRefused } from './words.js';

const $ = (id) => document.getElementById(id);
const { study, consentVersion, open } = $('listen').dataset;
const view = new BattleView({ answered, opened: prefetch });
const reveal = new Reveal(next);
let current = null; // {battle, buffers} on the page
let ahead = null; // promise of the one after it, or of null
let state = 'loading';
let turn = 0; // how often a next battle was asked for
let skipping = false;
let number = 0; // of the pair on the page

// ---- what is on the page ----

function show(name) {
  state = name;
  for (const section of document.querySelectorAll('[data-state]')) section.hidden = section.dataset.state !== name;
  if (name !== 'battle') $('progress').textContent = '';
  document.querySelector(`[data-state="${name}"] [tabindex="-1"]`)?.focus({ preventScroll: true });
}

function notice(sentence) {
  $('notice').hidden = !sentence;
  $('notice').textContent = sentence;
}

function trouble(title, text, action, act) {
  $('trouble-title').textContent = title;
  $('trouble-text').textContent = text;
  $('trouble-action').textContent = action;
  $('trouble-action').onclick = act;
  show('trouble');
}

const noConnection = (pause) => `No connection. Trying again within ${pause} s…`;
const sayLoading = (sentence) => { $('loading').textContent = sentence; };

// ---- getting a battle ----

/** Ask for a battle; {status, body}. With `after`, for the one that follows. */
function ask(after) {
  return call('POST', '/api/battles/', after ? { study, after } : { study });
}

/** Show the next battle, from wherever it comes. */
async function next() {
  turn += 1;
  const mine = turn; // asked for twice, only the last answer is shown
  const prepared = ahead;
  current = null;
  ahead = null;
  view.player?.pause();
  show('loading');
  sayLoading('Fetching two clips…');
  try {
    const loaded = (await prepared) ?? (await fetchBattle());
    if (loaded && mine === turn) put(loaded);
  } catch (error) {
    if (!(error instanceof CannotPlay)) throw error;
    if (mine === turn) cannotPlay(error.battle);
  }
}

async function fetchBattle() {
  const { status, body } = await persist(() => ask(), (pause) => sayLoading(noConnection(pause)));
  if (status === 200 || status === 201) {
    sayLoading('Fetching two clips…');
    try {
      return await load(body, (pause) => sayLoading(noConnection(pause)));
    } catch (error) {
      throw Object.assign(error, { battle: body });
    }
  }
  if (status === 401 || body.code === 'consent_needed') show(open === 'yes' ? 'consent' : 'closed');
  else if (body.code === 'none_left') show('finished');
  else if (body.code === 'closed') show('closed');
  else trouble('No pair for you just now', body.detail ?? `The server answered ${status}.`, 'Try again', next);
  return null;
}

function put(loaded) {
  current = loaded;
  const { done, total } = loaded.battle.progress;
  // A prefetched battle may have been counted before or after the one on the page was answered.
  number = loaded.prefetched ? Math.max(done, number) + 1 : done + 1;
  $('progress').textContent = `Pair ${Math.min(total, number)} of ${total}`;
  reveal.hide();
  show('battle');
  view.show(loaded);
}

/** With the gate open, fetch and decode the battle that follows, so that it can start at once. */
function prefetch() {
  const { battle } = current;
  ahead ??= ask(battle.id)
    .then(({ status, body }) => (status <= 201 ? load(body, (pause) => state === 'loading' && sayLoading(noConnection(pause))) : null))
    .then((loaded) => loaded && { ...loaded, prefetched: true })
    .catch(() => null); // it will be asked for again, and then the reason is told
}

function cannotPlay(battle) {
  trouble(
    'This pair cannot be played here',
    'One of the two clips could not be fetched or decoded in this browser. Reload the page to try again, or skip the pair: the skip is recorded with its reason.',
    'Skip this pair',
    () => skip('cannot_play', battle),
  );
}

async function skip(reason, battle = current.battle) {
  if (skipping) return;
  skipping = true;
  view.answering = false; // an answer that races the skip could lose against it
  const { status, body } = await persist(
    () => call('POST', `/api/battles/${battle.id}/skip/`, { reason }),
    (pause) => notice(noConnection(pause)),
  );
  notice(status < 300 || status === 404 ? '' : body.detail);
  skipping = false;
  await next();
}

// ---- consent ----

async function agree() {
  $('agree').disabled = true;
  try {
    const { status, body } = await call('POST', '/api/raters/', { study, consent_version: Number(consentVersion) });
    if (status === 201) {
      notice('');
      await next();
    } else if (body.code === 'consent_outdated') {
      trouble('The text has changed', 'Since you opened this page its consent text was revised. Please read it again.', 'Read it', () => location.reload());
    } else {
      notice(body.detail ?? `The server answered ${status}.`);
    }
  } catch (error) {
    if (!(error instanceof TryLater)) throw error;
    notice('No connection. Please try again.');
  } finally {
    $('agree').disabled = false;
  }
}

// ---- the vote ----

async function answered(preference, report) {
  const { battle } = current;
  const record = outbox.put(battle.id, study, report);
  view.say('Saving…');
  const reply = await outbox.send(record, (pause) => view.say(
    `No connection. Your answer is kept ${record.durable ? 'on this device' : 'in this tab, so leave it open,'} and will be sent again within ${pause} s.`,
  ));
  if (reply.status === 201) {
    notice('');
    view.reveal(reply.body.systems);
    reveal.show(battle, preference, reply.body);
  } else {
    await refused(reply);
  }
}

/** The server has said no to a vote: say what became of it, and the way on. */
async function refused(reply) {
  const { status, body } = reply;
  if (status === 422) {
    const words = Object.entries(body.missing_ms ?? {}).filter(([, ms]) => ms).map(([slot, ms]) => `${seconds(ms)} more of ${slot}`);
    const sentence = words.length
      ? `The server has counted less than we did. Please listen to ${words.join(' and ')}, then answer again.`
      : 'The server could not confirm what was heard. Please listen to both again, then answer once more.';
    view.demand(sentence, !words.length);
    return;
  }
  notice(whyRefused(reply));
  if (status === 400 || status === 403) {
    view.reopen();
    return;
  }
  ahead = null; // whatever was prefetched: the server knows better than this page which battle is next
  await next();
}

/** Votes that an earlier page could not send; they go before anything else is asked for. */
async function settle() {
  const records = outbox.waiting();
  for (const record of records) {
    sayLoading('Saving your last answer…');
    const reply = await outbox.send(record, (pause) => sayLoading(
      `Your last answer is kept on this device. No connection yet; trying again within ${pause} s…`,
    ));
    if (reply.status === 201) notice('Your last answer is saved.');
    else if (reply.status === 422) notice('Your last answer could not be saved, because the server could not confirm what was heard. Please listen once more.');
    else notice(whyRefused(reply));
  }
}

// ---- start ----

const inBattle = (act) => () => (state === 'battle' ? act() : false);
bindKeys({
  Space: inBattle(() => view.toggle()),
  1: inBattle(() => view.hear('A')),
  2: inBattle(() => view.hear('B')),
  x: inBattle(() => view.swap()),
  ArrowLeft: inBattle(() => view.nudge(-5)),
  ArrowRight: inBattle(() => view.nudge(5)),
  Home: inBattle(() => view.seek(0)),
  a: inBattle(() => view.answer('A')),
  b: inBattle(() => view.answer('B')),
  t: inBattle(() => view.answer('TIE')),
  n: inBattle(() => view.answer('BOTH_BAD')),
  Enter: () => (reveal.shown ? reveal.next() : false),
  '?': () => $('help').showModal(),
});
$('help-open').addEventListener('click', () => $('help').showModal());
$('agree').addEventListener('click', agree);
for (const button of document.querySelectorAll('[data-skip]')) {
  button.addEventListener('click', () => view.answering && skip(button.dataset.skip));
}
document.addEventListener('visibilitychange', () => current && view.listening.note(document.hidden ? 'hidden' : 'visible'));

await settle();
await next();
