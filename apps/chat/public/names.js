/** Characters of a name, at most; the field on the page says the same. */
export const MAX_NAME = 32;

// Control characters, and those that turn the direction of the text that follows them, for which a name has no use.
const UNWANTED = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu;

/** A name fit to be sent and shown: one line, single spaces, at most MAX_NAME characters; '' when nothing is left. */
export function cleanName(text) {
  const line = text.replace(UNWANTED, ' ').replace(/\s+/g, ' ').trim();
  return [...line].slice(0, MAX_NAME).join('').trim();
}

/** What a client is called on the page; who has no name goes by the end of the client id. */
export function labelOf(client) {
  return client.name ?? `guest ${shortId(client.id)}`;
}

export function shortId(id) {
  return id.slice(-4);
}

/** One or two characters for the round picture beside a message. */
export function initialsOf(name) {
  if (name === null) return '#';
  const words = name.split(' ').filter((word) => /[\p{L}\p{N}]/u.test(word));
  if (words.length === 0) return [...name].slice(0, 1).join('');
  const first = (word) => /[\p{L}\p{N}]/u.exec(word)[0];
  const letters = words.length > 1 ? first(words[0]) + first(words[words.length - 1]) : first(words[0]);
  return letters.toUpperCase();
}

/** A hue in degrees. The same name has the same colour on every page and after every reconnect, which an id has not. */
export function hueOf(client) {
  let hash = 0x811c9dc5;
  for (const character of client.name ?? client.id) {
    hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  }
  // The low bits of FNV-1a change little between similar ids; folding the high ones in spreads the colours.
  return ((hash ^ (hash >>> 15)) >>> 0) % 360;
}
