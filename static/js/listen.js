/** The listening page: from consent to battle to vote to the next, and every way this can go wrong. */
import { arrival } from './arrival.js';
import { TryLater } from './api.js';
import { BattleView } from './battle.js';
import { agree, decline, incompatible } from './consent.js';
import { cannotPlay, goodbye, refusedBattle, refusedEntry, tellOfSignal } from './detours.js';
import { CannotPlay } from './excerpts.js';
import { bindHelp, openHelp } from './help.js';
import { gettext, interpolate } from './i18n.js';
import { bindKeys } from './keys.js';
import * as preferences from './preferences.js';
import { watchPresence } from './presence.js';
import { Reveal, twoSystems } from './reveal.js';
import { save, sendRest, settle, watchQueue, whatBecame } from './saving.js';
import { skip } from './skip.js';
import { loading, notice, onLeavingBattle, section, show, status, trouble } from './states.js';
import { Supply } from './supply.js';
import { Tray } from './tray.js';
import { noAnswer, stillToHear, whyRefused } from './words.js';

const $ = (id) => document.getElementById(id);
const settings = JSON.parse($('study').textContent);
const { came, isNew } = arrival(settings);
const view = new BattleView(settings.switching, { answered, opened: () => supply.prefetch(current) });
const reveal = new Reveal(settings, { next, like });
const SLOW_MS = 150; // below that "Loading…" would only flicker
const tray = settings.reveal ? null : new Tray();
const supply = new Supply(settings.slug, (...why) => sayLoading(noAnswer(...why)));
let current = null; // the battle on the page
let turn = 0; // how often a next battle was asked for
let number = 0; // of the pair on the page
let agreed = false; // true between the consent and the first battle

// ---- getting a battle ----

function sayLoading(sentence) {
  if (section() === 'battle') status('loading', sentence);
  else loading(sentence);
}

/** Show the next battle, from wherever it comes. */
function next() {
  return present((announced) => supply.next(announced));
}

/** Take a battle from `source(announced)` and put it on the page; if called twice, only the last one is shown. */
async function present(source) {
  turn += 1;
  const mine = turn;
  const ours = () => mine === turn;
  current = null;
  view.rest();
  try {
    const { refused, ...loaded } = await patiently(source, ours);
    if (!ours()) return;
    if (refused) {
      await refusedBattle(refused, { settings, came, next, agreed });
      return;
    }
    await tellOfSignal(settings);
    if (ours()) put(loaded);
  } catch (error) {
    if (ours()) stopped(error);
    else if (!(error instanceof CannotPlay)) throw error;
  }
}

/** What `source` resolves to, with a message on the page if it takes a while. */
async function patiently(source, ours) {
  let slow = false;
  const say = () => slow && ours() && sayLoading(gettext('Loading two clips…'));
  const timer = setTimeout(() => { slow = true; say(); }, SLOW_MS);
  try {
    return await source((battle) => {
      if (!ours() || !(number || !settings.traps)) return;
      announce(battle);
      say();
    });
  } finally {
    clearTimeout(timer);
  }
}

/** There is no battle to show: a page that says so and offers what to do next. */
function stopped(error) {
  if (error instanceof CannotPlay) {
    cannotPlay(error, () => skip(error.battle, 'cannot_play', next));
    return;
  }
  trouble({
    title: gettext('Something went wrong here'),
    text: gettext('An unexpected error occurred on this page. Your answers so far are safe.'),
    action: gettext('Try again'),
    act: next,
  });
  throw error; // for the browser's console
}

function announce(battle) {
  reveal.hide();
  view.announce(battle);
  show('battle');
  $('prompt-text').focus({ preventScroll: true });
  scrollTo({ top: 0, behavior: 'instant' });
}

function put(loaded) {
  if (view.battle !== loaded.battle || section() !== 'battle') announce(loaded.battle);
  current = loaded.battle;
  agreed = false;
  count(loaded);
  view.show(loaded);
  if (preferences.get('autoplay') && navigator.userActivation?.hasBeenActive) view.deck.toggle();
}

function count({ battle: { progress: { done, total } }, prefetched }) {
  // A prefetched battle may have been counted before or after the one on the page was answered.
  number = prefetched ? Math.max(done, number) + 1 : done + 1;
  const { practice } = settings;
  $('progress').textContent = number <= practice
    ? interpolate(gettext('Practice %(number)s of %(total)s: it does not count'), { number, total: practice })
    : interpolate(gettext('Pair %(number)s of %(total)s'), { number: Math.min(total, number) - practice, total: total - practice });
}

/** Another pair for the same prompt, if there is one. */
async function like(battle) {
  try {
    const another = await supply.like(battle, () => {});
    if (reveal.battle !== battle) return; // the listener has gone on
    if (another.refused) reveal.cannotLike(whyRefused(another.refused));
    else await present(() => another);
  } catch (error) {
    if (reveal.battle !== battle) {
      if (!(error instanceof TryLater || error instanceof CannotPlay)) throw error;
    } else if (error instanceof TryLater) {
      reveal.cannotLike(gettext('No connection right now.'), { again: true });
    } else {
      stopped(error);
    }
  }
}

// ---- the vote ----

async function answered(preference, report) {
  const battle = current;
  status('saving', gettext('Saving…'));
  const reply = await save(battle, settings.slug, report, (mark, sentence) => {
    if (current !== battle) return;
    status(mark, sentence);
    $('waiting').hidden = !supply.ready; // the listener need not wait
  });
  sendRest(); // the server can be reached
  if (current === battle) await decided(battle, preference, reply);
  else if (reply?.status === 201) tray?.saved(battle); // the listener has gone on
  else notice(whatBecame(reply));
}

/** The server has decided about the vote that is on the page. */
async function decided(battle, preference, reply) {
  $('waiting').hidden = true;
  if (!reply) return next(); // forgotten, as the listener asked on another page
  if (reply.status !== 201) return refused(reply);
  notice('');
  status('saved', gettext('Saved.'));
  if (!settings.reveal && !reply.body.check) {
    tray.saved(battle);
    return next();
  }
  if (twoSystems(reply.body.systems)) view.deck.reveal(reply.body.systems);
  reveal.show(battle, preference, reply.body);
  return undefined;
}

/** The server has refused a vote: say what happened to it and what to do next. */
function refused(reply) {
  if (reply.status === 422) {
    const missing = reply.body.missing_ms ?? {};
    const counted = missing.A || missing.B;
    view.reopen(counted ? stillToHear(missing, {
      single: gettext('The server counted less listening than this page did. Please listen to %(seconds)s s more of %(slot)s, then answer again.'),
      both: gettext('The server counted less listening than this page did. Please listen to %(a)s s more of A and %(b)s s more of B, then answer again.'),
    }) : gettext('The server could not confirm what was heard. Please listen to both again, then answer once more.'), { reset: !counted });
    return undefined;
  }
  if (reply.status === 400 || reply.status === 403) {
    view.reopen(whyRefused(reply));
    return undefined;
  }
  notice(whyRefused(reply));
  supply.forget();
  return next();
}

// ---- start ----

const inBattle = (act) => () => (section() === 'battle' ? act() : false);

function enter() {
  if (reveal.shown) return reveal.next();
  return view.questions.any ? view.send() : false;
}

bindKeys({
  Space: inBattle(() => view.deck.toggle()),
  1: inBattle(() => view.deck.hear('A')),
  2: inBattle(() => view.deck.hear('B')),
  x: inBattle(() => view.deck.swap()),
  l: inBattle(() => view.deck.toggleLoop()),
  ArrowLeft: inBattle(() => view.deck.nudge(-5)),
  ArrowRight: inBattle(() => view.deck.nudge(5)),
  Home: inBattle(() => view.deck.seek(0)),
  a: inBattle(() => view.answer('A')),
  b: inBattle(() => view.answer('B')),
  t: inBattle(() => view.answer('TIE')),
  n: inBattle(() => view.answer('BOTH_BAD')),
  Enter: inBattle(enter),
  '?': openHelp,
}, { enabled: () => preferences.get('shortcuts') });
bindHelp();
onLeavingBattle(() => view.deck.pause());
$('agree').addEventListener('click', () => agree(settings, came, () => {
  agreed = true;
  return next();
}));
$('decline').addEventListener('click', () => decline(settings, came, 'no_consent'));
$('go-on').addEventListener('click', () => current && next());
for (const button of document.querySelectorAll('[data-skip]')) {
  button.addEventListener('click', () => view.answering && leave(button.dataset.skip));
}
document.addEventListener('visibilitychange', () => view.listening?.note(document.hidden ? 'hidden' : 'visible'));
addEventListener('online', sendRest);
watchPresence(() => current && view.activity && { battle: current.id, ...view.activity });
// A page restored from the back/forward cache would show an outdated battle.
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

function leave(reason) {
  view.close(); // an answer that races the skip could lose against it
  status('saving', gettext('Saving…'));
  return skip(current, reason, next);
}

globalThis.arenaListens = true; // tells unsuited.js that this browser understands the page
if (settings.unfilled) {
  refusedEntry({ body: { code: 'platform_unfilled' } });
} else if (incompatible()) {
  await goodbye(settings, came, 'incompatible_device');
} else {
  await watchQueue();
  await settle();
  if (isNew && settings.open) show('consent'); // only the server can tell whether this is the same person
  else await next();
}
