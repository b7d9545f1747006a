import { delayOf } from './backoff.js';
import { parseLine } from './lines.js';
import { cleanName, hueOf, initialsOf, labelOf, shortId } from './names.js';
import { applyLine, createRoster, listClients } from './roster.js';

// The edge of the page: roster.js decides what there is to show, this file shows it. Text of other people is only ever
// set as textContent.

const NAME_KEY = 'gatewayworker-chat.name';
/** Messages and notices kept on the page. */
const ENTRY_LIMIT = 500;
/** People shown in the list; the count is right beyond it. */
const PEOPLE_LIMIT = 200;
/** A message that comes later than this after the one before gets a head of its own. */
const GROUP_MS = 5 * 60_000;
/** Closer to the end than this, the reader is following. */
const NEAR_END_PX = 60;
const OPEN_TIMEOUT_MS = 10_000;
/** A message the room has not repeated within this time when the connection breaks is taken for refused, not lost. */
const UNCONFIRMED_MS = 30_000;

const $ = (id) => document.getElementById(id);
const log = $('log');
const pill = $('pill');
const textField = $('text');
const sendButton = $('send');
const nameDialog = $('name-dialog');
const nameField = $('name');
const title = document.title;
const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const fullDate = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

let ownName = cleanName(readStored(NAME_KEY) ?? '');
let roster = createRoster(ownName || null);

// --- connection ---

let webSocketPort;
let socket;
let connected = false;
let wasConnected = false;
let opening = false;
let attempt = 0;
let retryTimer;
/** Sent, and not yet seen coming back from the room. */
let unconfirmed = [];

async function connect() {
  if (socket || opening || ownName === '') return;
  clearTimeout(retryTimer);
  setState('connecting', wasConnected ? 'Reconnecting…' : 'Connecting…');
  opening = true;
  try {
    openSocket(await addressOf(ownName));
  } catch {
    retry();
  } finally {
    opening = false;
  }
}

function openSocket(address) {
  const opened = new WebSocket(address);
  const timeout = setTimeout(() => opened.close(), OPEN_TIMEOUT_MS);
  socket = opened;
  roster = createRoster(ownName);
  opened.addEventListener('open', () => clearTimeout(timeout));
  opened.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') takeLine(data);
  });
  // Fires after an error too, and when the connection never came about.
  opened.addEventListener('close', () => {
    clearTimeout(timeout);
    socket = undefined;
    connectionOnEnd();
  });
}

function connectionOnEnd() {
  if (connected) addNotice('Connection lost');
  connected = false;
  joinLines.clear();
  guesses.clear();
  lastGroup = undefined;
  roster = createRoster(ownName);
  // The last list known stays, but not as if it were still true.
  $('people').classList.add('stale');
  giveBackUnconfirmed();
  retry();
}

function retry() {
  setState('connecting', navigator.onLine ? 'Reconnecting…' : 'You are offline');
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, delayOf(attempt, Math.random()));
  attempt++;
}

/** Rejects when the page's own server cannot say where the chat is; that is retried like a lost connection. */
async function addressOf(name) {
  const override = new URLSearchParams(location.search).get('ws');
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  if (override === null && webSocketPort === undefined) {
    const response = await fetch('/config.json', { signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`/config.json answered ${response.status}`);
    webSocketPort = (await response.json()).webSocketPort;
  }
  const address = new URL(override ?? `${scheme}//${location.hostname}:${webSocketPort}/`);
  // Not by searchParams, which writes a space as "+": not every server reads it back as one.
  const own = `name=${encodeURIComponent(name)}&view=page`;
  address.search = address.search === '' ? own : `${address.search}&${own}`;
  return address.href;
}

function setState(state, text) {
  $('state').dataset.state = state;
  // Written only when it differs: it is read aloud.
  if ($('state').textContent !== text) $('state').textContent = text;
  sendButton.setAttribute('aria-disabled', String(state !== 'connected'));
  if (state === 'connected') $('hint').textContent = '';
}

// --- lines in ---

function takeLine(text) {
  for (const fact of applyLine(roster, parseLine(text))) {
    SHOW[fact.kind](fact);
    if (fact.kind !== 'said' && fact.kind !== 'notice') showPeople();
  }
}

const SHOW = {
  self({ client }) {
    // Only now is it certain that this is the chat, and not just anything that accepts connections.
    attempt = 0;
    connected = true;
    $('people').classList.remove('stale');
    setState('connected', 'Connected');
    const line = joinLines.get(client.id);
    if (line) line.replaceChildren(...joinText(client));
    else addNotice(...joinText(client));
    wasConnected = true;
  },
  joined({ client }) {
    const line = addNotice(...joinText(client));
    if (!client.told) joinLines.set(client.id, line);
  },
  named({ client }) {
    joinLines.get(client.id)?.replaceChildren(...joinText(client));
    joinLines.delete(client.id);
    for (const group of guesses.get(client.id) ?? []) paintGroup(group, client);
    guesses.delete(client.id);
    if (isOwn(client)) takeName(client);
  },
  renamed({ client, from }) {
    if (isOwn(client)) {
      takeName(client);
      addNotice('You are now ', bdi(labelOf(client)));
    } else {
      addNotice(bdi(from), ' is now ', bdi(labelOf(client)));
    }
    lastGroup = undefined;
  },
  left({ client }) {
    joinLines.delete(client.id);
    guesses.delete(client.id);
    addNotice(bdi(labelOf(client)), ' left');
  },
  said({ client, text }) {
    if (isOwn(client)) unconfirmed.shift();
    addMessage(client, text);
  },
  changed() {},
  notice({ text }) {
    addNotice(text);
  },
};

function joinText(client) {
  if (isOwn(client)) return [wasConnected ? 'You are back' : 'You joined'];
  return [bdi(labelOf(client)), ' joined'];
}

function isOwn(client) {
  return client.id === roster.self;
}

/** The server may have made another name of ours. */
function takeName(client) {
  if (client.name === null || client.name === ownName) return;
  ownName = client.name;
  showOwnName();
}

// --- the log ---

/** Notices of who joined under a guessed name, by client id. */
const joinLines = new Map();
/** Groups of messages shown under a guessed name, by client id. */
const guesses = new Map();
/** Messages and notices, oldest first. */
const entries = [];
let lastGroup;
let following = true;
let lastScrollTop = 0;
let newMessages = 0;
let unread = 0;
let scrollAsked = false;

function addMessage(client, text) {
  const now = new Date();
  const label = labelOf(client);
  const continues = lastGroup?.id === client.id && lastGroup.label === label && now - lastGroup.at < GROUP_MS;
  if (!continues) lastGroup = addGroup(client, label, now);
  lastGroup.at = now;
  const message = element('p', 'message', text);
  message.dir = 'auto';
  message.title = fullDate.format(now);
  // A screen reader hears one message at a time, without the head of its group.
  if (continues) message.prepend(element('span', 'unseen', `${isOwn(client) ? 'You' : label}: `));
  lastGroup.said.append(message);
  entryOnAdd(message, isOwn(client));
}

function addGroup(client, label, now) {
  const group = element('div', 'group');
  const said = element('div', 'said');
  const meta = element('p', 'meta');
  const picture = element('span', 'picture');
  picture.ariaHidden = 'true';
  meta.append(bdi(''), timeElement(now));
  said.append(meta);
  group.append(picture, said);
  paintGroup(group, client);
  if (!client.told) guesses.set(client.id, [...(guesses.get(client.id) ?? []), group]);
  log.append(group);
  return { id: client.id, label, said, at: now };
}

function paintGroup(group, client) {
  group.classList.toggle('own', isOwn(client));
  group.classList.toggle('nameless', client.name === null);
  group.style.setProperty('--hue', hueOf(client));
  paintPicture(group.querySelector('.picture'), client);
  group.querySelector('.meta bdi').textContent = isOwn(client) ? 'You' : labelOf(client);
}

function addNotice(...parts) {
  const notice = element('p', 'notice');
  const words = element('span', 'words');
  words.append(...parts);
  notice.append(words, timeElement(new Date()));
  lastGroup = undefined;
  log.append(notice);
  entryOnAdd(notice, false);
  return words;
}

function entryOnAdd(entry, isMine) {
  const isMessage = entry.classList.contains('message');
  entries.push(entry);
  trimLog();
  if (following || isMine) {
    follow();
  } else if (isMessage) {
    newMessages++;
    showPill();
  }
  if (isMessage && document.hidden) {
    unread++;
    document.title = `(${unread}) ${title}`;
  }
}

function trimLog() {
  if (entries.length <= ENTRY_LIMIT) return;
  const oldest = entries.shift();
  const group = oldest.closest('.group');
  oldest.remove();
  if (group && !group.querySelector('.message')) group.remove();
}

/** Goes to the end and stays there, once a frame however many messages come. */
function follow() {
  following = true;
  log.classList.add('following');
  newMessages = 0;
  showPill();
  if (scrollAsked) return;
  scrollAsked = true;
  requestAnimationFrame(() => {
    scrollAsked = false;
    if (following) log.scrollTop = log.scrollHeight;
  });
}

function logOnScroll() {
  const { scrollTop, scrollHeight, clientHeight } = log;
  // Only a move upwards is the reader leaving: new messages also make the end recede.
  const movedUp = scrollTop < lastScrollTop - 1;
  lastScrollTop = scrollTop;
  const nearEnd = scrollHeight - scrollTop - clientHeight <= NEAR_END_PX;
  if (nearEnd && !following) {
    follow();
  } else if (!nearEnd && movedUp) {
    following = false;
    log.classList.remove('following');
  }
}

function showPill() {
  pill.hidden = newMessages === 0;
  pill.textContent = newMessages === 1 ? '1 new message' : `${newMessages} new messages`;
}

// --- who is online ---

let peopleAsked = false;

/** The list is made anew at most once in 50 ms: a server restart brings everybody at once. */
function showPeople() {
  if (peopleAsked) return;
  peopleAsked = true;
  setTimeout(() => {
    peopleAsked = false;
    paintPeople();
  }, 50);
}

function paintPeople() {
  const clients = listClients(roster);
  const timesUsed = new Map();
  for (const client of clients) timesUsed.set(labelOf(client), (timesUsed.get(labelOf(client)) ?? 0) + 1);
  const items = clients.slice(0, PEOPLE_LIMIT).map((client) => {
    const item = element('li');
    const picture = element('span', 'picture small');
    picture.ariaHidden = 'true';
    paintPicture(picture, client);
    const name = bdi(labelOf(client));
    name.className = 'who';
    item.append(picture, name);
    item.title = `${labelOf(client)} · ${client.id}`;
    item.dataset.client = client.id;
    if (isOwn(client)) item.append(element('span', 'tag', 'you'));
    else if (client.clientKind === 'text') item.append(element('span', 'tag', 'telnet'));
    // Names are not unique; who shares one is told apart by the id.
    else if (timesUsed.get(labelOf(client)) > 1) item.append(element('span', 'tag', shortId(client.id)));
    return item;
  });
  $('people-list').replaceChildren(...items);
  $('people-count').textContent = String(clients.length);
  $('people-count-short').textContent = String(clients.length);
  $('people-more').hidden = clients.length <= PEOPLE_LIMIT;
  $('people-more').textContent = `and ${clients.length - PEOPLE_LIMIT} more`;
}

function paintPicture(picture, client) {
  picture.textContent = initialsOf(client.name);
  picture.classList.toggle('nameless', client.name === null);
  // Set by the object model, which the page's content security policy allows; a style attribute it would not.
  picture.style.setProperty('--hue', hueOf(client));
}

// --- composer ---

function composerOnSubmit(event) {
  event.preventDefault();
  const text = textField.value.trim();
  if (text === '') return;
  if (!connected) {
    $('hint').textContent = 'Not connected. Your message is kept until you can send it.';
    return;
  }
  // The server takes what begins with "{" for a command; a space in front makes it a message, whatever it says.
  socket.send(text.startsWith('{') ? ` ${text}` : text);
  unconfirmed.push({ text, at: Date.now() });
  textField.value = '';
  follow();
}

/** What was sent into a connection that then broke may never have arrived: it goes back where it was written. */
function giveBackUnconfirmed() {
  const lost = unconfirmed.filter(({ at }) => Date.now() - at < UNCONFIRMED_MS).map(({ text }) => text);
  unconfirmed = [];
  if (lost.length === 0) return;
  textField.value = [...lost, textField.value].filter((text) => text !== '').join(' ');
  $('hint').textContent = 'Your last message may not have arrived. It is back in the field.';
}

// --- name ---

function askName() {
  const isFirst = ownName === '';
  nameField.value = ownName;
  $('name-cancel').hidden = isFirst;
  $('name-submit').textContent = isFirst ? 'Join' : 'Save';
  nameDialog.showModal();
  nameField.select();
}

function nameOnSubmit(event) {
  event.preventDefault();
  const name = cleanName(nameField.value);
  if (name === '') {
    nameField.value = '';
    nameField.reportValidity();
    return;
  }
  nameDialog.close();
  textField.focus();
  if (name === ownName) return;
  ownName = name;
  store(NAME_KEY, name);
  showOwnName();
  // While there is no connection, the next one carries the name.
  if (connected) socket.send(JSON.stringify({ type: 'rename', name }));
  else if (socket) socket.close();
  else connect();
}

function showOwnName() {
  $('own-name').textContent = ownName;
  paintPicture($('own-picture'), { id: '', name: ownName });
  $('name-button').hidden = ownName === '';
}

function readStored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    // Storage can be forbidden; then the name is asked for each time.
    return null;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // As above.
  }
}

// --- elements ---

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A name, whose direction of writing must not affect the text around it. */
function bdi(text) {
  return element('bdi', undefined, text);
}

function timeElement(date) {
  const time = element('time', undefined, clock.format(date));
  time.dateTime = date.toISOString();
  time.title = fullDate.format(date);
  return time;
}

// --- start ---

$('composer').addEventListener('submit', composerOnSubmit);
textField.addEventListener('input', () => {
  if (connected) $('hint').textContent = '';
});
$('name-form').addEventListener('submit', nameOnSubmit);
$('name-button').addEventListener('click', askName);
$('name-cancel').addEventListener('click', () => nameDialog.close());
nameDialog.addEventListener('cancel', (event) => {
  if (ownName === '') event.preventDefault();
});
// A browser may let a second Escape through.
nameDialog.addEventListener('close', () => {
  if (ownName === '') askName();
});
log.addEventListener('scroll', logOnScroll, { passive: true });
pill.addEventListener('click', () => {
  follow();
  textField.focus();
});
// The keyboard of a phone, or a turned screen, must not hide the end from who is reading it.
new ResizeObserver(() => {
  if (following) follow();
}).observe(log);
addEventListener('online', () => {
  attempt = 0;
  connect();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  unread = 0;
  document.title = title;
  connect();
});

showOwnName();
setState('waiting', 'Not connected');
if (ownName === '') askName();
else {
  connect();
  textField.focus();
}
