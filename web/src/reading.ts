import { type Figures, spanFor } from './figures.ts';
import { duration, join } from './numbers.ts';
import type { Settings } from './settings.ts';
import { isCollected, TRANSPORTS, type TransportName } from './transports.ts';
import { knobText } from './view/knob.ts';
import { WORDS } from './words/index.ts';

/** A sentence in pieces; those in an array are the ones that matter. */
export type Sentence = readonly (string | readonly [string])[];

/** What the sentence is made from: figures, and what happened lately. */
export interface Seen {
  settings: Settings;
  figures: ReadonlyMap<TransportName, Figures>;
  /** Events a second. */
  rate: number;
  isCut: boolean;
  /** Since the last cut ended, ms; undefined if there was none. */
  sinceCut: number | undefined;
  isReconnecting: boolean;
  /** Neither the page nor a lane reaches the gateway. */
  isGone: boolean;
  /** Of the last cut: the most events that a lane was given again, and that a lane lost. */
  replayed: number;
  missed: number;
  /** Under the present conditions, lately: lanes that were told of a gap, and the most events that one lost. */
  gaps: { lanes: readonly TransportName[]; most: number };
  /** The tab was hidden so long, and is back since; ms. What a lane lost meanwhile. */
  hidden: { ms: number; ago: number; polls: number; expected: number; missed: number } | undefined;
  /** Whether something was published before the conditions that are judged. */
  hasChanged: boolean;
  /** Lanes whose request the browser holds back. */
  starved: readonly TransportName[];
}

/** So long the end of a cut is the news; until then what it held up has come. ms. */
const NEWS = 10_000;
const AND = new Intl.ListFormat('en-GB');

/** Whatever is most worth saying, from the figures alone. */
export function read(seen: Seen): Sentence {
  return seen.settings.language === 'ko' ? korean(seen) : english(seen);
}

/** Numbers in words, and which sentence it is. */
function facts(seen: Seen) {
  const { settings, figures } = seen;
  const words = WORDS[settings.language];
  const of = (name: TransportName) => figures.get(name);
  const late = (name: TransportName, which: 'p50' | 'p99' = 'p50') =>
    join(duration(of(name)?.[which] ?? Number.NaN));
  const [poll, socket] = [of('poll'), of('websocket')];
  const ratio = (poll?.bytesPerEvent ?? Number.NaN) / (socket?.bytesPerEvent ?? Number.NaN);
  const empty = Math.round((poll?.emptyShare ?? 0) * 10);
  const rate = Number(seen.rate >= 1 ? seen.rate.toPrecision(2) : seen.rate.toFixed(2));
  return {
    late,
    ratio: Number.isFinite(ratio) ? (ratio >= 9.5 ? String(Math.round(ratio)) : ratio.toFixed(1)) : undefined,
    empty,
    asks: Math.round(of('longpoll')?.requestsPerMinute ?? 0),
    every: knobText('poll', settings.poll, words),
    rate: knobText('rate', rate, words),
    loss: knobText('loss', settings.loss, words),
    running: running(seen),
    silent: silent(seen),
    which: which(seen),
  };
}

function running({ settings }: Seen): readonly TransportName[] {
  return TRANSPORTS.filter((name) => !settings.stopped.includes(name));
}

function hasShown({ figures }: Seen, name: TransportName): boolean {
  return !Number.isNaN(figures.get(name)?.p50 ?? Number.NaN);
}

/** What a proxy that buffers has let nothing through of. */
function silent(seen: Seen): readonly TransportName[] {
  return running(seen).filter((name) => isCollected(name) && !hasShown(seen, name));
}

function which(seen: Seen) {
  const { settings, figures, sinceCut, hidden } = seen;
  const lanes = running(seen);
  const has = (...names: TransportName[]) =>
    names.every((name) => lanes.includes(name) && hasShown(seen, name));
  if (!lanes.length) return 'stopped';
  if (seen.isCut) return 'cut';
  if (sinceCut !== undefined && sinceCut < NEWS) {
    if (seen.isReconnecting) return 'back';
    if (seen.missed) return 'lost';
    if (seen.replayed) return 'replayed';
  }
  if (seen.isGone) return 'gone';
  if (hidden && hidden.ago < 20_000) return 'hidden';
  if (seen.starved.length) return 'starved';
  if (seen.gaps.most) return 'gaps';
  if (!lanes.some((name) => (figures.get(name)?.events ?? 0) > 0))
    return seen.hasChanged ? 'changed' : 'nothing';
  if (settings.buffering && has('longpoll', 'websocket') && silent(seen).length) return 'held';
  if (!has(...lanes)) return 'some';
  if (settings.buffering) return has('longpoll', 'chunked', 'sse', 'websocket') ? 'buffering' : 'each';
  // What a cut held up is late by the cut, not by a lost segment.
  const isCalm = sinceCut === undefined || sinceCut > spanFor(seen.rate) + NEWS;
  if (settings.loss >= 0.01 && isCalm && has('poll', 'websocket')) return 'loss';
  if ((figures.get('poll')?.emptyShare ?? 0) >= 0.6 && has('poll', 'websocket')) return 'empty';
  if (!has('poll', 'longpoll', 'sse', 'websocket')) return 'each';
  return seen.rate >= 18 ? 'fast' : 'usual';
}

/** Among words, an abbreviation. */
function inSentence(name: TransportName): string {
  return name === 'sse' ? 'SSE' : name;
}

function english(seen: Seen): Sentence {
  const f = facts(seen);
  const cost: Sentence =
    f.ratio === '1.0'
      ? ['sends ', ['as many bytes'], ' as WebSocket and ']
      : f.ratio
        ? ['sends ', [`${f.ratio} times`], ' the bytes of WebSocket and ']
        : [];
  switch (f.which) {
    case 'cut':
      return [
        'The network is cut. Every screen stands still, and what is published ',
        ['waits in the log'],
        '.',
      ];
    case 'stopped':
      return ['Every lane is stopped.'];
    case 'gone':
      return [
        'Neither the page nor a lane reaches the gateway: every screen ',
        ['stands still'],
        ' at what came last.',
      ];
    case 'back':
      return ['The network is back. The subscribers are reconnecting, each with its cursor.'];
    case 'lost':
      return [
        'Back again. The cut outlasted what the gateway keeps: ',
        [`${seen.missed} events are gone`],
        ', and each subscriber was told so by a gap.',
      ];
    case 'replayed':
      return [
        'Back again. All resumed from their cursor, with up to ',
        [`${seen.replayed} events replayed`],
        '; nothing was lost.',
      ];
    case 'hidden': {
      const { ms, polls, expected, missed } = seen.hidden as NonNullable<Seen['hidden']>;
      const asked = `: polls went out ${polls} times where ${expected} were due`;
      const why = polls < expected ? ', since browsers slow the timers of hidden pages' : '';
      return [
        'The tab was hidden for ',
        [join(duration(ms))],
        f.running.includes('poll') ? asked + why : '',
        missed ? `; up to ${missed} events were lost, and a gap told so.` : '; nothing was lost.',
      ];
    }
    case 'starved':
      return [
        'Six connections to this origin are taken: the browser ',
        [`holds ${AND.format(seen.starved)} back`],
        ', without an error. A WebSocket is none of the six; over HTTP/2 all share one.',
      ];
    case 'gaps':
      return [
        [`Up to ${seen.gaps.most} events are lost`],
        ` to ${AND.format(seen.gaps.lanes)}: the gateway had them no more when they were due, and said so by a gap.`,
      ];
    case 'changed':
      return ['The conditions have changed: what is ', ['published from now on'], ' is judged by them.'];
    case 'nothing':
      return ['Waiting for the first event.'];
    case 'some':
      return ['Events come in; the figures follow when every lane has shown some.'];
    case 'held':
      return [
        'A proxy holds streams back until 4 KiB have come: ',
        [`${AND.format(f.silent.map(inSentence))} ${f.silent.length > 1 ? 'have' : 'has'} shown nothing yet`],
        `. Long polling ends each answer and so passes, ${f.late('longpoll')} late; WebSocket is ${f.late('websocket')} late.`,
      ];
    case 'buffering':
      return [
        'A proxy holds streams back until 4 KiB have come: SSE is ',
        [`${f.late('sse')} late`],
        `, chunked ${f.late('chunked')}. Long polling ends each answer and so passes, ${f.late('longpoll')} late; WebSocket is ${f.late('websocket')} late.`,
      ];
    case 'loss':
      return [
        `At ${f.loss} loss one lost segment stalls all that follows it: WebSocket is mostly `,
        [f.late('websocket')],
        ' late, but ',
        [f.late('websocket', 'p99')],
        ` at p99; polling every ${f.every} is `,
        [f.late('poll')],
        ' late anyway.',
      ];
    case 'empty':
      return [
        `At ${f.rate}, `,
        [`${f.empty} of 10 polls`],
        ` come back empty: polling every ${f.every} `,
        ...cost,
        'still shows events ',
        [`${f.late('poll')} late`],
        '.',
      ];
    case 'each':
      return [
        `At ${f.rate}, `,
        ...f.running.flatMap(
          (name, at): Sentence => [at ? `, ${name} ` : `${name} is `, [f.late(name)], at ? '' : ' late'],
        ),
        '.',
      ];
    case 'fast':
      return [
        `At ${f.rate}, long polling asks `,
        [`${f.asks} times a minute`],
        ` to be ${f.late('longpoll')} late; SSE is `,
        [f.late('sse')],
        ` late on one connection. Polling every ${f.every} is `,
        [`${f.late('poll')} late`],
        '.',
      ];
    default:
      return [
        `At ${f.rate}, polling every ${f.every} `,
        ...cost,
        'shows events ',
        [`${f.late('poll')} late`],
        '; long polling is ',
        [f.late('longpoll')],
        ' late, SSE ',
        [f.late('sse')],
        '.',
      ];
  }
}

function korean(seen: Seen): Sentence {
  const f = facts(seen);
  const { settings } = seen;
  const rate = seen.rate >= 1 ? `초당 ${f.rate.replace('/s', '')}개` : `분당 ${f.rate.replace('/분', '')}개`;
  const every = settings.poll >= 1000 ? `${settings.poll / 1000}초` : `${settings.poll}밀리초`;
  const cost: Sentence =
    f.ratio === '1.0'
      ? ['WebSocket', ['만큼의 바이트를'], ' 쓰고 ']
      : f.ratio
        ? ['바이트를 WebSocket의 ', [`${f.ratio}배`], ' 쓰고 ']
        : [];
  switch (f.which) {
    case 'cut':
      return ['네트워크가 끊겼다. 화면은 모두 멈췄고, 그동안 발행된 것은 ', ['로그에서 기다린다'], '.'];
    case 'stopped':
      return ['모든 레인이 중지되어 있다.'];
    case 'gone':
      return ['페이지도 레인도 게이트웨이에 닿지 못한다. 화면은 모두 마지막에 온 것에 ', ['멈춰 있다'], '.'];
    case 'back':
      return ['네트워크가 돌아왔다. 구독자들이 저마다의 커서를 들고 다시 잇는 중이다.'];
    case 'lost':
      return [
        '다시 이었다. 게이트웨이가 간직하는 것보다 오래 끊겨 ',
        [`${seen.missed}개를 잃었고`],
        ', 구독자는 그것을 갭으로 통보받았다.',
      ];
    case 'replayed':
      return [
        '다시 이었다. 모두 커서부터 이어받아 ',
        [`많게는 ${seen.replayed}개를 다시 받았고`],
        ' 하나도 잃지 않았다.',
      ];
    case 'hidden': {
      const { ms, polls, expected, missed } = seen.hidden as NonNullable<Seen['hidden']>;
      const why = polls < expected ? '브라우저가 숨은 페이지의 타이머를 늦추어 ' : '';
      return [
        '탭이 ',
        [join(duration(ms))],
        ' 동안 숨어 있었다. ',
        f.running.includes('poll') ? `${why}폴링은 ${expected}번 할 것을 ${polls}번 했다. ` : '',
        missed ? `많게는 ${missed}개를 잃었고, 갭으로 통보받았다.` : '잃은 것은 없다.',
      ];
    }
    case 'starved':
      return [
        '이 오리진으로 가는 연결 여섯 개가 다 찼다. 브라우저는 오류도 없이 ',
        [`${seen.starved.join(', ')}의 요청을 붙들어 둔다`],
        '. WebSocket은 여섯에 들지 않고, HTTP/2에서는 모두가 연결 하나를 나눠 쓴다.',
      ];
    case 'gaps':
      return [
        `${seen.gaps.lanes.join(', ')}: `,
        [`많게는 ${seen.gaps.most}개를 잃었다`],
        '. 보낼 차례에는 게이트웨이에 더 이상 없었고, 갭으로 통보받았다.',
      ];
    case 'changed':
      return ['조건이 바뀌었다. ', ['지금부터 발행되는 것'], '으로 새로 잰다.'];
    case 'nothing':
      return ['첫 이벤트를 기다리는 중.'];
    case 'some':
      return ['이벤트가 들어오고 있다. 레인마다 하나씩 보이면 수치가 나온다.'];
    case 'held':
      return [
        '프록시가 4 KiB가 모일 때까지 스트림을 붙든다. ',
        [`${f.silent.map(inSentence).join(', ')} 쪽은 아직 아무것도 보여 주지 못했다`],
        `. 롱폴링은 응답이 끝나므로 그대로 지나가 ${f.late('longpoll')}, WebSocket은 ${f.late('websocket')} 늦다.`,
      ];
    case 'buffering':
      return [
        '프록시가 4 KiB가 모일 때까지 스트림을 붙든다. SSE는 ',
        [`${f.late('sse')} 늦고`],
        `, chunked는 ${f.late('chunked')} 늦다. 롱폴링은 응답이 끝나므로 그대로 지나가 ${f.late('longpoll')}, WebSocket은 ${f.late('websocket')} 늦다.`,
      ];
    case 'loss':
      return [
        `손실 ${f.loss}: 잃은 세그먼트 하나가 그 연결의 뒤따르는 이벤트를 모두 세운다. WebSocket의 지연은 보통 `,
        [f.late('websocket')],
        ', 나쁠 때(p99) ',
        [f.late('websocket', 'p99')],
        `이고, ${every}마다 폴링하면 보통 `,
        [f.late('poll')],
        '이다.',
      ];
    case 'empty':
      return [
        `${rate}뿐이라 ${every}마다 하는 폴링 열에 `,
        [`${f.empty}은 빈손으로`],
        ' 돌아온다. ',
        ...cost,
        '이벤트를 ',
        [`${f.late('poll')} 늦게`],
        ' 보여 준다.',
      ];
    case 'each':
      return [
        `${rate}를 발행할 때 지연(p50)은 `,
        ...f.running.flatMap((name, at): Sentence => [`${at ? ', ' : ''}${name} `, [f.late(name)]]),
        '이다.',
      ];
    case 'fast':
      return [
        `${rate}를 발행하면 롱폴링은 ${f.late('longpoll')} 늦으려고 `,
        [`1분에 ${f.asks}번`],
        ' 묻고, SSE는 연결 하나로 ',
        [f.late('sse')],
        ` 늦다. ${every}마다 폴링하면 `,
        [`${f.late('poll')} 늦다`],
        '.',
      ];
    default:
      return [
        `${rate}를 발행할 때 ${every}마다 폴링하면 `,
        ...cost,
        '이벤트를 ',
        [`${f.late('poll')} 늦게`],
        ' 보여 준다. 롱폴링은 ',
        [f.late('longpoll')],
        ', SSE는 ',
        [f.late('sse')],
        ' 늦는다.',
      ];
  }
}
