import type { Settings } from '../settings.ts';
import { en, type Words } from './en.ts';
import { ko } from './ko.ts';

export type { Words };
export const WORDS: Record<Settings['language'], Words> = { en, ko };
