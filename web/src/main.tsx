import { effect } from '@preact/signals';
import { type ComponentType, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { PageContext } from './context.ts';
import { Lab } from './lab.ts';
import { parse, type Surroundings } from './settings.ts';
import { Stage } from './stage.ts';
import './style/base.css';
import './style/lanes.css';
import './style/rest.css';
import { Conditions } from './view/conditions.tsx';
import { Header } from './view/header.tsx';
import { Key } from './view/key.tsx';
import { Lanes } from './view/lanes.tsx';
import { Fluency, Notices, Reading } from './view/reading.tsx';
import { Tables } from './view/tables.tsx';

// The script lies in `assets/` beside the page, wherever the gateway's router is nested.
const base = import.meta.env.DEV
  ? new URL('./', location.href)
  : new URL(/* @vite-ignore */ '..', import.meta.url);
const around: Surroundings = {
  language: navigator.language,
  isDark: matchMedia('(prefers-color-scheme: dark)').matches,
  isNarrow: innerWidth <= 900,
  // Its lines are ports of the gateway's own host, on loopback.
  hasLab:
    document.documentElement.dataset.lab === 'on' && ['localhost', '127.0.0.1'].includes(location.hostname),
};
const lab = new Lab(base, parse(new URLSearchParams(location.search), around), around);

effect(() => {
  const { language, theme } = lab.settings.value;
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme;
});
const stage = new Stage(lab);
effect(() => {
  lab.settings.value.theme;
  stage.recolor();
});

/** Lets the browser go on: what follows is a task of its own, and none is to be long. */
const pause = () => new Promise((resolve) => setTimeout(resolve));

/** The charts, and what draws them, come when the lanes stand. */
function Charts() {
  const [Loaded, load] = useState<ComponentType>();
  useEffect(() => {
    void import('./view/charts.tsx').then((module) => load(() => module.Charts));
  }, []);
  return <div class="charts">{Loaded && <Loaded />}</div>;
}

await pause();
render(
  <PageContext.Provider value={{ lab, stage }}>
    <Header />
    <Conditions />
    <main>
      <Notices />
      <Lanes />
      <Key />
      <Reading />
      <Charts />
      <Tables />
      <Fluency />
    </main>
  </PageContext.Provider>,
  document.querySelector('#page') as HTMLElement,
);
await pause();
lab.run();
stage.run();
addEventListener('pagehide', (event) => {
  // A page that may come back keeps its lines.
  if (!event.persisted) lab.leave();
});
