import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Builds the gateway, unless the environment names one. */
export default function setup(): void {
  if (process.env.FANLIGHT_BINARY) return;
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  execFileSync('cargo', ['build', '--quiet', '--bin', 'fanlight'], { cwd: root, stdio: 'inherit' });
  process.env.FANLIGHT_BINARY = path.resolve(
    root,
    process.env.CARGO_TARGET_DIR ?? 'target',
    'debug/fanlight',
  );
}
