import { binary } from './launch.ts';

/** Once for all tests, before any of them. */
export default function setup(): void {
  process.env.FANLIGHT_BINARY = binary();
}
