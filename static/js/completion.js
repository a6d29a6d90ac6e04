/** The end of a study: the outcome, the study's message, its code and the way back, once the server has every answer. */
import { call, persist } from './api.js';
import { gettext, interpolate, ngettext } from './i18n.js';
import * as outbox from './outbox.js';
import { noAnswer, whyRefused } from './words.js';

const $ = (id) => document.getElementById(id);
const COPIED_MS = 4000;

/** Ask how it ended and show it. `platform`: the page's own URL parameters that the study names, or {}. */
export async function showCompletion(settings, platform = {}) {
  const again = () => showCompletion(settings, platform);
  await everythingSent();
  const address = `/api/studies/${settings.slug}/`;
  const wait = (...why) => put(gettext('One moment'), noAnswer(...why));
  const ask = (path, body) => persist(() => call('POST', address + path, { ...body, platform }), wait);
  let reply = await ask('completion/', {});
  if (reply.body.code === 'headphones_needed') { // the listener has none, so this device does not suit the study
    reply = await ask('decline/', { reason: 'incompatible_device' });
  }
  if (reply.status === 200) renderOutcome(reply.body);
  else if (reply.body.code === 'not_finished') unfinished(reply.body.open);
  else put(gettext('We cannot tell yet how it ended'), whyNot(reply), { action: gettext('Try again'), act: again });
}

/** Put an outcome on the page: {outcome, message, code, url} as the server sends it. */
export function renderOutcome({ outcome, message, code, url }) {
  const [title, text] = words(outcome, Boolean(message || code || url));
  put(title, text);
  $('outcome-message').textContent = message ?? '';
  $('outcome-code').value = code ?? '';
  $('outcome-code-box').hidden = !code;
  if (url && /^https?:/.test(url)) $('outcome-return').href = url;
  $('outcome-return').hidden = !url;
  $('outcome-board').hidden = outcome === 'no_consent';
  $('outcome-board').classList.toggle('primary', !url);
}

/** The sentences of an outcome; a study without a message, code or platform says thank you, whatever the checks found. */
function words(outcome, hasMore) {
  const thanks = [
    gettext('Thank you. That was all of them.'),
    gettext('You have heard every pair that this study has for you. Your answers reach its board within a minute.'),
  ];
  if (outcome === 'completed' || (outcome === 'failed_checks' && !hasMore)) return thanks;
  if (outcome === 'failed_checks') {
    return [gettext('Thank you. That was the last pair.'), gettext('For some pairs we knew the answer beforehand, and too many of yours were different, so the study counts this as not passed.')];
  }
  if (outcome === 'screened_out') {
    return [gettext('Thank you for trying'), gettext('This study needs headphones, and the check did not find any. It ends here for you.')];
  }
  if (outcome === 'full') {
    return [gettext('Full for the moment'), gettext('Every place in this study is taken by somebody who is listening right now. Your answers so far are saved, and you can come back later.')];
  }
  if (outcome === 'incompatible_device') {
    return [gettext('This study needs another device'), gettext('It cannot be done with what you have here. Nothing has been counted against you.')];
  }
  if (outcome === 'no_consent') {
    return [gettext('You have not agreed, and that is fine'), gettext('Nothing about you is stored. You can close this page.')];
  }
  throw new Error(`completion: the outcome ${outcome} is none this page knows.`);
}

/** A heading, a sentence and, if there is something to do, a button for it. */
function put(title, text, { action = '', act = null } = {}) {
  $('outcome-title').textContent = title;
  $('outcome-text').textContent = text;
  $('outcome-act').hidden = !act;
  $('outcome-act').textContent = action;
  $('outcome-act').onclick = act;
  for (const id of ['outcome-code-box', 'outcome-return', 'outcome-board']) $(id).hidden = true;
  $('outcome-message').textContent = $('outcome-copied').textContent = '';
  $('outcome-title').focus({ preventScroll: true });
}

function unfinished(open) {
  const text = ngettext(
    'One pair is still open. Answer it, then this study is done.',
    '%(open)s pairs are still open. Answer them, then this study is done.',
    open,
  );
  put(gettext('Not quite finished'), interpolate(text, { open }), {
    action: gettext('Back to the pairs'), act: () => location.reload(),
  });
}

function whyNot(reply) {
  if (reply.status === 401) {
    return gettext('This browser has forgotten who you are (its cookie is gone). Your answers are safe, but we cannot tell which are yours.');
  }
  return whyRefused(reply);
}

/** Resolves when every answer waiting in this browser has been sent: from this tab, as the answer's own may be closed. */
async function everythingSent() {
  const stop = outbox.onChange(sayWhatIsLeft);
  if (await sayWhatIsLeft()) await outbox.sendAll();
  stop();
}

async function sayWhatIsLeft() {
  const left = await outbox.count();
  if (left) {
    put(gettext('Sending your last answers…'), interpolate(
      ngettext('%(left)s answer is on its way. Please leave this page open.', '%(left)s answers are on their way. Please leave this page open.', left),
      { left },
    ));
  }
  return left;
}

async function copy() {
  const field = $('outcome-code');
  field.select();
  try {
    await navigator.clipboard.writeText(field.value); // absent outside secure contexts
  } catch {
    if (!document.execCommand('copy')) {
      $('outcome-copied').textContent = gettext('Please copy it by hand: the code is selected.');
      return;
    }
  }
  $('outcome-copied').textContent = gettext('Copied');
  setTimeout(() => { $('outcome-copied').textContent = ''; }, COPIED_MS);
}

$('outcome-copy')?.addEventListener('click', copy);
