import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import { usePage } from '../context.ts';
import type { TransportName } from '../transports.ts';

/** Pointing at an event, tapping it, and stepping from one to the next by keys. */
export function usePointing(host: RefObject<HTMLElement | null>): void {
  const { lab, stage } = usePage();
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const point = (event: PointerEvent) => {
      const target = event.target as Element;
      const lane = target.closest<HTMLElement>('[data-transport]');
      const canvas = target.closest('.dia')?.querySelector('canvas');
      lab.over.value = lane && !canvas ? (lane.dataset.transport as TransportName) : undefined;
      lab.picked.value =
        canvas && canvas.dataset.kind !== 'axis' ? stage.at(canvas, event.clientX, event.clientY) : undefined;
    };
    // A tap pins; the next tap elsewhere releases.
    const leave = (event: PointerEvent) => {
      lab.over.value = undefined;
      if (event.pointerType !== 'touch') lab.picked.value = undefined;
    };
    const step = (back: boolean) => {
      const { now, span } = stage.scene;
      const seen = lab.log.events.filter((event) => event.at <= now && event.at > now - span);
      const at = lab.picked.value ? seen.indexOf(lab.picked.value) : -1;
      const next = at < 0 ? seen.length - 1 : Math.max(0, Math.min(seen.length - 1, at + (back ? -1 : 1)));
      lab.picked.value = seen[next];
    };
    const key = (event: KeyboardEvent) => {
      const target = event.target as Element;
      if (event.key === 'Escape') lab.picked.value = undefined;
      if (event.key === ' ' && !target.closest('button, input, summary, a, select')) {
        event.preventDefault();
        lab.togglePause();
      }
      if (document.activeElement === element && (event.key === 'ArrowLeft' || event.key === 'ArrowRight')) {
        event.preventDefault();
        step(event.key === 'ArrowLeft');
      }
    };
    const blur = () => {
      lab.picked.value = undefined;
    };
    element.addEventListener('pointermove', point);
    element.addEventListener('pointerdown', point);
    element.addEventListener('pointerleave', leave);
    element.addEventListener('blur', blur);
    addEventListener('keydown', key);
    return () => {
      element.removeEventListener('pointermove', point);
      element.removeEventListener('pointerdown', point);
      element.removeEventListener('pointerleave', leave);
      element.removeEventListener('blur', blur);
      removeEventListener('keydown', key);
    };
  }, [host, lab, stage]);
}
