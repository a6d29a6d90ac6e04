/** The listener's yes or no to a study's text. */
import { call, overLimit, TryLater } from './api.js';
import { goodbye, refusedEntry } from './detours.js';
import { gettext } from './i18n.js';
import { whyLater } from './pause.js';
import { proven } from './proof.js';
import { notice, trouble } from './states.js';
import { whyRefused } from './words.js';

const $ = (id) => document.getElementById(id);

const NEEDED = ['AudioContext', 'OfflineAudioContext', 'ResizeObserver', 'fetch'];

/** Whether this browser cannot play the clips at all. */
export const incompatible = () => NEEDED.some((name) => !(name in globalThis)) || !('decodeAudioData' in AudioContext.prototype);

async function withButtonsHeld(act) {
  $('agree').disabled = $('decline').disabled = true;
  try {
    await act();
  } catch (error) {
    if (!(error instanceof TryLater)) throw error;
    const over = overLimit(error);
    notice(over ? whyLater(over) : gettext('No connection. Please try again.'));
  } finally {
    $('agree').disabled = $('decline').disabled = false;
  }
}

/** Become a rater of this study, then `next()`. `came`: {platform?, invitation?}. */
export function agree(settings, came, next) {
  return withButtonsHeld(async () => {
    const reply = await proven((more) => call('POST', '/api/raters/', {
      study: settings.slug, consent_version: settings.consent_version, group: $('group')?.value || undefined, ...came, ...more,
    }), () => notice(gettext('One moment: this study has many automatic visitors, so your browser does a small sum first…')));
    if (reply.status === 201) {
      notice('');
      await next();
    } else if (reply.body.code === 'consent_outdated') {
      trouble({
        title: gettext('The text has changed'),
        text: gettext('The consent text has been revised since you opened this page. Please read it again.'),
        action: gettext('Read it'),
        act: () => location.reload(),
      });
    } else if (!refusedEntry(reply)) {
      notice(whyRefused(reply));
    }
  });
}

/** The listener declines: the study's goodbye, with the way back to a platform. */
export function decline(settings, came, reason) {
  return withButtonsHeld(() => goodbye(settings, came, reason));
}
