/** There is nothing to hear for the moment: a page that says until when, and asks again by itself. */
import { gettext, interpolate, ngettext } from './i18n.js';
import { owns } from './older.js';
import { section, trouble } from './states.js';

const SOONEST_S = 5;
const LONGEST_S = 60; // places become free one by one, so it is worth asking before

let timer = null;

/** The time to wait, in words. */
function inMinutes(seconds) {
  const minutes = Math.max(1, Math.ceil(seconds / 60));
  return interpolate(ngettext('Come back in %(minutes)s minute.', 'Come back in %(minutes)s minutes.', minutes), { minutes });
}

const REASONS = {
  too_many: [
    gettext('A pause, please'),
    gettext('More has come from your internet connection within the hour than this study takes from one place. Your answers are safe.'),
  ],
  too_many_places: [
    gettext('A pause, please'),
    gettext('Others on your internet connection hold as many places of this study as one connection can.'),
  ],
  full_for_now: [
    gettext('Full for the moment'),
    gettext('Every place in this study is taken by somebody who is listening right now.'),
  ],
};

/** Why and for how long, as sentences, for a refusal that passes: {body}. */
export function whyLater({ body }) {
  return `${REASONS[body.code][1]} ${inMinutes(body.retry_after_s)}`;
}

/** Whether a refusal, {body}, passes by waiting. */
export const passes = ({ body }) => owns(REASONS, body.code ?? '');

/** Show that page, and call `next()` after a while, unless the listener has gone on. `end()`, if there is one: what is
    offered to who does not want to wait. */
export function comeBack(reply, next, end) {
  const wait = Math.min(LONGEST_S, Math.max(SOONEST_S, reply.body.retry_after_s));
  clearTimeout(timer);
  trouble({
    title: REASONS[reply.body.code][0],
    text: `${whyLater(reply)} ${gettext('This page asks again by itself.')}`,
    action: end ? gettext('End here') : gettext('Ask now'),
    act: end ?? next,
    as: 'calm',
  });
  timer = setTimeout(() => { if (section() === 'trouble') next(); }, wait * 1000);
}
