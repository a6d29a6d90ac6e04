/** Where a listener goes instead of a battle: a step before the first, a page that explains why not, or the end. */
import { call, persist, TryLater } from './api.js';
import { before, needsTrapInstructions, trapInstructions } from './before.js';
import { renderOutcome, showCompletion } from './completion.js';
import { gettext } from './i18n.js';
import { comeBack, passes } from './pause.js';
import { owns } from './older.js';
import { notice, show, trouble } from './states.js';
import { noAnswer, whyRefused } from './words.js';

const BEFORE = ['volume_needed', 'headphones_needed'];
const ENDS = ['none_left', 'screened_out', 'failed', 'failed_checks'];

/** Why somebody cannot enter a study: {code: [title, text]}. */
const ENTRY = {
  platform_needed: [
    gettext('Please come through the platform'),
    gettext('This study recruits its listeners through a platform. Open it with the link you were given there.'),
  ],
  platform_unfilled: [
    gettext('The link was not filled in'),
    gettext('The platform has sent a placeholder where your number belongs, so nobody could tell that you took part. Go back to the platform and open the study from there. Previews of a study often do this; if it happens to you as a participant, tell the people who run the study.'),
  ],
  invitation_needed: [
    gettext('This study is by invitation'),
    gettext('Open it with the link in your invitation. If you did, the link may have been used or mistyped: ask the person who sent it to you.'),
  ],
};

/** Show why somebody cannot enter the study; false when the code is about something else. */
export function refusedEntry({ body }) {
  if (!owns(ENTRY, body.code ?? '')) return false;
  const [title, text] = ENTRY[body.code];
  trouble({ title, text, as: 'calm' });
  return true;
}

/** The server gave no battle: {status, body}. `agreed`: whether the listener has only just agreed. */
export async function refusedBattle(reply, { settings, came, next, agreed }) {
  const { status, body } = reply;
  if (status === 401 || body.code === 'consent_needed') askConsent(settings, agreed);
  else if (BEFORE.includes(body.code)) await beforehand(body.code, { settings, came, next });
  else if (ENDS.includes(body.code)) await finish(settings, came);
  else if (body.code === 'closed') show('closed');
  else if (passes(reply)) comeBack(reply, next, wayBack(reply, settings, came));
  else if (!refusedEntry(reply)) {
    trouble({ title: gettext('No pair for you right now'), text: whyRefused(reply), action: gettext('Try again'), act: next });
  }
}

/** For who came from a platform to a study that is full for the moment: an end that the platform is told. */
function wayBack({ body }, settings, came) {
  const goesBack = body.code === 'full_for_now' && Object.keys(settings.platform).length > 0;
  return goesBack ? () => finish(settings, came) : undefined;
}

function askConsent({ open }, agreed) {
  if (agreed) {
    notice(gettext('This browser keeps no cookies for this site, so it forgets who you are at once. Allow them, then agree again.'));
  }
  show(open ? 'consent' : 'closed');
}

async function beforehand(code, { settings, came, next }) {
  show('before');
  const outcome = await before(code, settings);
  if (outcome === 'ended') await finish(settings, came);
  else await next();
}

/** Explain the attention signal to listeners who have not heard about it yet. */
export async function tellOfSignal(settings) {
  if (!settings.traps) return;
  if (!needsTrapInstructions(settings)) return;
  show('before');
  await trapInstructions(settings);
}

/** The end of the study: thanks, and the way back to where the listener came from. */
async function finish(settings, came) {
  show('finished');
  await showCompletion(settings, came.platform);
}

/** The study ends before it began, for `reason`: no_consent or incompatible_device. */
export async function goodbye(settings, came, reason) {
  const { platform } = came;
  const tell = () => call('POST', `/api/studies/${settings.slug}/decline/`, { reason, ...(platform ? { platform } : {}) });
  const nowhereToReturn = Object.keys(settings.platform).length === 0;
  const reply = await (nowhereToReturn ? tell().catch(forgive) : persist(tell, (...why) => notice(noAnswer(...why))));
  notice('');
  show('finished');
  renderOutcome(reply?.status === 200 ? reply.body : { outcome: reason, message: null, code: null, url: null });
}

function forgive(error) {
  if (!(error instanceof TryLater)) throw error;
}

const CANNOT = {
  gone: {
    title: gettext('This clip has been withdrawn'),
    text: gettext('One of the two clips is no longer available, so this pair cannot be compared. Skip it: the skip is recorded with its reason.'),
  },
  decode: {
    title: gettext('This pair cannot be played here'),
    text: gettext('One of the two clips could not be decoded in this browser. Reload the page to try again, or skip the pair: the skip is recorded with its reason.'),
  },
  fetch: {
    title: gettext('This pair cannot be played here'),
    text: gettext('One of the two clips could not be loaded. Reload the page to try again, or skip the pair: the skip is recorded with its reason.'),
  },
};

/** A pair that does not play: say why, and offer to skip it. */
export function cannotPlay({ stage }, skip) {
  trouble({ ...CANNOT[stage], action: gettext('Skip this pair'), act: skip });
}
