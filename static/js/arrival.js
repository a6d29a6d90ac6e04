/** How the listener got here: the platform's parameters and the invitation in the page's address.

    They are kept for the tab and leave the address bar, so that they are in no screenshot, history or referrer. */

const memory = new Map(); // where storage is blocked

function remember(key, value) {
  memory.set(key, value);
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch { /* storage is blocked: remembered for this page only */ }
}

function recall(key) {
  if (memory.has(key)) return memory.get(key);
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? {};
  } catch { // blocked, or not ours
    return {};
  }
}

/** How the listener got to this study: {came: {platform?: {PARAMETER: value}, invitation?}, isNew}.

    `isNew`: with parameters that this tab has not seen: perhaps another person than the one this browser knows. */
export function arrival({ slug, platform, unfilled }) {
  if (unfilled) return { came: {}, isNew: false }; // nothing to keep: the address stays, and so does the page's complaint
  const key = `arena.arrival.${slug}`;
  const address = new URL(location.href);
  const known = recall(key);
  const named = Object.values(platform).filter((name) => address.searchParams.get(name));
  const invitation = address.searchParams.get('invite') ?? known.invitation;
  const values = { ...known.platform, ...Object.fromEntries(named.map((name) => [name, address.searchParams.get(name)])) };
  const came = {
    ...(Object.keys(values).length ? { platform: values } : {}),
    ...(invitation ? { invitation } : {}),
  };
  const isNew = Object.keys(came).length > 0 && JSON.stringify(came) !== JSON.stringify(known);
  remember(key, came);
  for (const name of [...Object.values(platform), 'invite']) address.searchParams.delete(name);
  if (address.href !== location.href) history.replaceState(history.state, '', address);
  return { came, isNew };
}
