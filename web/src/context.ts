import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Lab } from './lab.ts';
import type { Stage } from './stage.ts';
import { WORDS, type Words } from './words/index.ts';

export interface Page {
  lab: Lab;
  stage: Stage;
}

export const PageContext = createContext<Page | undefined>(undefined);

/** The page, and its words in the language that is set. */
export function usePage(): Page & { words: Words } {
  const page = useContext(PageContext);
  if (!page) throw new Error('outside of the page');
  return { ...page, words: WORDS[page.lab.settings.value.language] };
}
