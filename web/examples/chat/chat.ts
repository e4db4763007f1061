// A chat without a server of its own: the gateway keeps what was said, and tells it to everyone in the room.
import { type Connection, connect, type FanlightEvent, type TransportName } from 'fanlight';

/** What people tell of themselves; `id` is one of a page, since two may have one name. */
interface Seen {
  id: string;
  name: string;
}
interface Said extends Seen {
  text: string;
}

/** Who said nothing of himself for so long has gone without a word. */
const GONE = 50_000;
const HERE = 20_000;
const TYPING = 3_000;

const options = new URLSearchParams(location.search);
const gateway = options.get('gateway') ?? 'http://127.0.0.1:8080';
const transports = options.get('transports')?.split(',') as TransportName[] | undefined;
const me = crypto.randomUUID();
const find = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const [door, room, say] = [find<HTMLFormElement>('door'), find('room'), find<HTMLFormElement>('say')];

door.addEventListener('submit', (event) => {
  event.preventDefault();
  const fields = new FormData(door);
  enter(`${fields.get('person')}`.trim(), `${fields.get('room')}`);
});

function enter(name: string, roomName: string): void {
  const [messages, people] = [`chat/${roomName}/messages`, `chat/${roomName}/people`];
  const present = new Map<string, { name: string; until: number }>();
  const typing = new Map<string, { name: string; until: number }>();
  const connection = connect(gateway, {
    topics: [messages, people],
    last: 50,
    ...(transports && { transports }),
  });
  const tell = (type: string) => connection.publish(people, { id: me, name }, { type }).catch(() => {});

  const off = connection.onEvent((event) => {
    const seen = event.data as Seen | null;
    // Anyone may publish anything.
    if (typeof seen?.id !== 'string') return;
    // What is told of the past counts from then.
    const at = Math.min(Date.now(), Date.parse(event.time));
    typing.delete(seen.id);
    if (event.topic === messages) show(event as FanlightEvent<Said>, name);
    else if (event.type === 'left') present.delete(seen.id);
    else present.set(seen.id, { name: seen.name, until: at + GONE });
    if (event.type === 'typing' && seen.id !== me)
      typing.set(seen.id, { name: seen.name, until: at + TYPING });
    describe();
  });
  connection.onGap(() => note('Some messages were lost here.'));
  connection.onError(
    (error) => connection.state === 'refused' && note(`The gateway refuses: ${error.message}`),
  );
  const offState = connection.onState(() => describe());

  const describe = () => {
    for (const map of [present, typing]) {
      for (const [id, { until }] of map) if (until < Date.now()) map.delete(id);
    }
    const names = (map: typeof present) => [...new Set([...map.values()].map((one) => one.name))].sort();
    find('people').replaceChildren(...names(present).map((one) => element('li', one)));
    const writers = names(typing);
    find('typing').textContent = writers.length
      ? `${writers.join(', ')} ${writers.length > 1 ? 'are' : 'is'} typing …`
      : '';
    const { state, transport } = connection;
    find('state').textContent = state === 'open' ? `Connected over ${transport}` : `${state} …`;
  };

  const here = setInterval(tell, HERE, 'here');
  const tick = setInterval(describe, 1_000);
  const listeners = new AbortController();
  const { signal } = listeners;
  let lastTyped = 0;
  say.addEventListener(
    'input',
    () => {
      if (Date.now() - lastTyped < TYPING / 2) return;
      lastTyped = Date.now();
      void tell('typing');
    },
    { signal },
  );
  say.addEventListener(
    'submit',
    (event) => {
      event.preventDefault();
      send(connection, messages, { id: me, name, text: `${new FormData(say).get('text')}` });
      lastTyped = 0;
      say.reset();
    },
    { signal },
  );
  find('leave').addEventListener(
    'click',
    async () => {
      listeners.abort();
      clearInterval(here);
      clearInterval(tick);
      // However long it takes to say so, the next room hears nothing of this one.
      off();
      offState();
      room.hidden = true;
      door.hidden = false;
      await tell('left');
      connection.close();
    },
    { signal },
  );

  void tell('joined');
  door.hidden = true;
  room.hidden = false;
  find('title').textContent = roomName;
  find('messages').replaceChildren();
  describe();
  say.querySelector('input')?.focus();
}

/** What the gateway took comes back as everyone's; what it did not take can be said again. */
function send(connection: Connection, topic: string, said: Said): void {
  connection.publish(topic, said).catch((error: Error) => {
    const line = note(`Not sent (${error.message}): ${said.text} `);
    const again = element('button', 'Send again');
    again.onclick = () => {
      line.remove();
      send(connection, topic, said);
    };
    line.append(again);
  });
}

function show({ data, time }: FanlightEvent<Said>, name: string): void {
  const line = element('li', '');
  line.classList.toggle('mine', data.name === name);
  const when = element('time', new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  when.dateTime = time;
  line.append(element('strong', data.name), ' ', when, element('div', data.text));
  append(line);
}

function note(text: string): HTMLElement {
  const line = element('li', text);
  line.className = 'note';
  append(line);
  return line;
}

/** Follows what is new, unless someone reads what is old. */
function append(line: HTMLElement): void {
  const list = find('messages');
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line);
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, text: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
