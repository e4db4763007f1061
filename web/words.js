// @ts-check

export const en = {
  subtitle: 'one stream, five transports',
  language: 'Language',
  controls: 'Topics and publishing',
  theme: 'Theme',
  light: 'Light',
  dark: 'Dark',
  topics: 'Topics',
  topicsHint: 'separated by spaces; * is one segment, a last ** the rest',
  show: 'Show',
  publish: 'Publish',
  publishTopic: 'Topic to publish to',
  publishData: 'JSON or text',
  published: 'Published as {id}',
  unreachable: 'The gateway does not answer',
  pause: 'Pause',
  resume: 'Resume',
  lanes: 'The five transports',
  connected: '{n} of 5 connected',
  every: 'every',
  pollEvery: 'Time from poll to poll',
  poll: 'asks on a timer',
  longpoll: 'asks, the server waits',
  chunked: 'one answer, never ends',
  sse: 'the same, built into browsers',
  websocket: 'one socket, both ways',
  waiting: 'waiting',
  connecting: 'connecting',
  open: 'open',
  reconnecting: 'reconnecting',
  refused: 'refused',
  closed: 'closed',
  events: 'events',
  requests: 'requests',
  bytes: 'bytes',
  missed: 'missed',
  duplicated: 'duplicated',
  gaps: 'gaps',
  gap: 'gap',
  evicted: 'no longer held',
  restarted: 'the log began anew',
  overrun: 'the reader was overrun',
  unknown: 'unknown how much',
  between: 'lost between {from} and {to}',
  latest: 'Latest events of {transport}',
  quiet: 'Nothing on {topics} yet.',
  quietHow: 'Publish with the form above, or from a terminal:',
  aboutBytes:
    'what a script can see: bodies, stream bytes and frame payloads, decoded; of sse only the data fields. Heads, framing and TCP/IP come on top.',
  aboutMissed:
    'another lane showed it and this one passed it over. Whatever comes is shown: nothing is filtered out.',
  six: 'six connections',
  aboutSix:
    'are all that a browser opens to one host over HTTP/1.1. This page holds three of them, so the lanes of a second tab wait for each other.',
  terminal: 'in a terminal',
};

/** @type {typeof en} */
export const ko = {
  subtitle: '하나의 스트림, 다섯 가지 전송',
  language: '언어',
  controls: '토픽과 발행',
  theme: '테마',
  light: '밝게',
  dark: '어둡게',
  topics: '토픽',
  topicsHint: '공백으로 구분합니다. *는 한 마디, 맨 뒤의 **는 나머지 전부입니다',
  show: '보기',
  publish: '발행',
  publishTopic: '발행할 토픽',
  publishData: 'JSON 또는 텍스트',
  published: '발행됨: {id}',
  unreachable: '게이트웨이가 응답하지 않습니다',
  pause: '멈춤',
  resume: '계속',
  lanes: '다섯 가지 전송',
  connected: '5개 중 {n}개 연결됨',
  every: '주기',
  pollEvery: '폴링 주기',
  poll: '타이머로 묻는다',
  longpoll: '물으면 서버가 기다린다',
  chunked: '끝나지 않는 응답 하나',
  sse: '같되, 브라우저에 내장',
  websocket: '소켓 하나로 양방향',
  waiting: '대기 중',
  connecting: '연결 중',
  open: '열림',
  reconnecting: '재연결 중',
  refused: '거부됨',
  closed: '닫힘',
  events: '이벤트',
  requests: '요청',
  bytes: '바이트',
  missed: '유실',
  duplicated: '중복',
  gaps: '갭',
  gap: '갭',
  evicted: '더 이상 보관하지 않음',
  restarted: '로그가 새로 시작됨',
  overrun: '읽는 쪽이 뒤처짐',
  unknown: '얼마인지 알 수 없음',
  between: '{from}에서 {to} 사이를 잃음',
  latest: '{transport}의 최근 이벤트',
  quiet: '{topics}에는 아직 아무것도 없습니다.',
  quietHow: '위의 양식으로 발행하거나, 터미널에서 실행하세요:',
  aboutBytes:
    '스크립트가 볼 수 있는 만큼, 곧 디코딩한 본문과 스트림과 프레임의 내용입니다. sse는 data 필드만 보입니다. 헤더와 프레이밍, TCP/IP는 따로 더해집니다.',
  aboutMissed:
    '다른 전송에는 보였으나 이 전송은 건너뛴 이벤트입니다. 도착한 것은 걸러 내지 않고 모두 보여 줍니다.',
  six: '연결 여섯 개',
  aboutSix:
    'HTTP/1.1에서 브라우저가 호스트 하나에 여는 한도입니다. 이 페이지가 그중 셋을 계속 쓰므로, 탭을 하나 더 열면 전송끼리 서로 기다립니다.',
  terminal: '터미널에서',
};

/** @typedef {keyof typeof en} Word */
/** @typedef {'en' | 'ko'} Language */

const WORDS = { en, ko };

/** @type {Language} */
let language = 'en';

/** The language in use. */
export const current = () => language;

/** @param {string} wanted a language tag; what is not Korean is English */
export function speak(wanted) {
  language = wanted.toLowerCase().startsWith('ko') ? 'ko' : 'en';
}

/**
 * A word or sentence in the language in use.
 * @param {Word} word
 * @param {Record<string, string | number>} [values] for its `{names}`
 */
export function say(word, values = {}) {
  return WORDS[language][word].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Whether the gateway's word (a gap's reason) is one of ours, too. */
export function known(/** @type {string} */ word) {
  return word in en ? /** @type {Word} */ (word) : undefined;
}

/** A count, with its thousands grouped. */
export function count(/** @type {number} */ value) {
  return value.toLocaleString(language);
}

/**
 * An amount of bytes: three digits and the unit.
 * @param {number} bytes
 * @returns {[string, string]}
 */
export function amount(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return [value.toFixed(digits), /** @type {string} */ (units[unit])];
}
